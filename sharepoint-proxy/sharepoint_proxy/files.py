"""The files of the document library, read: a folder page by page, and each file's bytes."""

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from http import HTTPStatus
from typing import Protocol
from urllib.parse import quote

from sharepoint_proxy.errors import TransientError
from sharepoint_proxy.records import Answer, ListedItem

_LISTED_FIELDS = "id,name,size,file,folder,parentReference,fileSystemInfo,lastModifiedBy"


class Graph(Protocol):
    """Makes calls to Graph."""

    def call(self, method: str, path: str, *, accept: Collection[int] = ...) -> Answer: ...
    def download(self, path: str, *, offset: int = 0) -> AbstractContextManager[Iterator[bytes]]: ...


class Files:
    """What the drive DRIVE_ID holds. Paths are relative to its root, "" for the root itself, segments joined by "/"."""

    def __init__(self, graph: Graph, drive_id: str) -> None:
        self._graph = graph
        self._drive = f"/drives/{drive_id}"

    def find(self, path: str) -> ListedItem | None:
        """The file or folder at PATH, or None. A folder's size is that of all files below it."""
        address = f":/{'/'.join(quote(segment, safe='') for segment in path.split('/'))}" if path else ""
        accept = (HTTPStatus.OK, HTTPStatus.NOT_FOUND)
        answer = self._graph.call("GET", f"{self._drive}/root{address}", accept=accept)
        return ListedItem.read(answer.body) if answer.status == HTTPStatus.OK else None

    def page(self, folder_id: str, link: str | None = None) -> tuple[list[ListedItem], str | None]:
        """What is in the folder itself, the first page of it or the one at LINK, and the link to the next.

        About 200 items a page. It is no snapshot: what is moved meanwhile may be listed twice or not at all.
        """
        first = f"{self._drive}/items/{folder_id}/children?$select={_LISTED_FIELDS}"
        body = self._graph.call("GET", link or first).body
        if not isinstance(body.get("value"), list):
            raise TransientError("Graph's answer holds no list.")
        following = body.get("@odata.nextLink")
        return [ListedItem.read(entry) for entry in body["value"]], str(following) if following else None

    def open(self, item_id: str, *, offset: int = 0) -> AbstractContextManager[Iterator[bytes]]:
        """The bytes of the file from OFFSET on, in pieces that raise TransientError where they break off."""
        return self._graph.download(f"{self._drive}/items/{item_id}/content", offset=offset)
