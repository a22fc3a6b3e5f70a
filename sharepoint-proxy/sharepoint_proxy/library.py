"""The document library: finds it, and reads, writes and removes its items with the fewest Graph calls."""

import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlsplit

from sharepoint_proxy.column_values import Column
from sharepoint_proxy.errors import (
    AccessError,
    NameRefusedError,
    OccupiedError,
    OutageError,
    PermanentError,
    Subject,
    TransientError,
    is_silence,
)
from sharepoint_proxy.paths import MAX_PATH_CHARACTERS, path_length
from sharepoint_proxy.records import Answer, DriveItem, ListedItem

_REMEMBERED_FOLDERS = 10_000
_LISTED_FIELDS = "id,name,size,file,folder,package,root,deleted,parentReference,fileSystemInfo,lastModifiedBy,createdBy"


class Body(Protocol):
    """A request body of known length in bytes."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[bytes]: ...


class Graph(Protocol):
    """Makes calls to Graph."""

    def call(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = ...,
    ) -> Answer:
        """The answer if its status is in ACCEPT; raises otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """A document library: `id` for Graph, `name` as people see it, `url_path` as its address has it ("/sites/team/Shared Documents").

    `web_url` is that address itself, percent-encoded, without a slash at its end.
    """

    id: str
    name: str
    url_path: str
    web_url: str = ""


def find_drive(graph: Graph, *, site_host: str, site_relative_path: str, library: str | None) -> Drive:
    """The library by its display name or its URL name, any case; the site's default library when LIBRARY is None.

    Raises PermanentError that lists the libraries there are. The display name can be renamed and is translated in each tenant;
    the URL name ("Shared Documents") stays.
    """
    address = f"{site_host}:{quote(site_relative_path)}" if site_relative_path.strip("/") else site_host
    site_id = _text(graph.call("GET", f"/sites/{address}").body, "id")
    if library is None:
        return _drive(graph.call("GET", f"/sites/{site_id}/drive").body)
    drives = [_drive(drive) for drive in _pages(graph, f"/sites/{site_id}/drives")]
    for name_of in (lambda drive: drive.name, _url_name):
        for drive in drives:
            if name_of(drive).casefold() == library.casefold():
                return drive
    there = ", ".join(f'"{drive.name}" (URL name "{_url_name(drive)}")' for drive in drives) or "none"
    raise PermanentError(
        f'The site has no library "{library}". In DOCUMENT_LIBRARY, or in the route, name one of those it has: {there}.'
    )


class Library:
    """The items of one drive. Paths are relative to its root, segments joined by "/", names already fit for SharePoint."""

    def __init__(self, graph: Graph, drive: Drive) -> None:
        self._graph = graph
        self.drive = drive
        self._folder_ids: dict[str, str] = {}
        self._finding_folders = threading.Lock()

    def refuse_if_too_long(self, path: str) -> None:
        """NameRefusedError when the whole path has over 400 characters: SharePoint counts the site and library too."""
        length = path_length(f"{self.drive.url_path}/{path}")
        if length > MAX_PATH_CHARACTERS:
            raise NameRefusedError(
                f"The path in SharePoint would have {length} characters with site and library; {MAX_PATH_CHARACTERS} are allowed."
            )

    def check(self) -> None:
        """OutageError when the library as a whole cannot be reached by us: the right was taken away, or it is gone."""
        try:
            self._graph.call("GET", self._root())
        except AccessError as error:
            sentence = f"The library {self.drive.name} is closed to this application, or gone. {error}"
            raise OutageError(sentence, subject=Subject.LIBRARY, status=error.status) from error
        except TransientError as error:
            if is_silence(error):
                sentence = f"Graph does not answer for the library {self.drive.name} either. {error}"
                raise OutageError(sentence, subject=Subject.GRAPH, status=error.status) from error
            raise

    def put(self, path: str, body: Body) -> DriveItem:
        """Write a whole file in one call, which also makes the folders above it and replaces what is there."""
        answer = self._graph.call(
            "PUT",
            f"{self._at(path)}/content",
            body=body,
            headers={"Content-Type": "application/octet-stream"},
            accept=(HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.CONFLICT),
        )
        if answer.status == HTTPStatus.CONFLICT:
            raise self._conflict(path, answer)
        return DriveItem.read(answer.body)

    def set_modified(self, item_id: str, modified: datetime) -> None:
        """Show MODIFIED as the file's date."""
        self._graph.call("PATCH", f"{self._items()}/{item_id}", json={"fileSystemInfo": _file_system_info(modified)})

    def move(self, item_id: str, path: str, modified: datetime) -> DriveItem | None:
        """The item, with its id, at PATH, showing MODIFIED as its date; None when it is gone or something else is at PATH.

        The folders above are made when missing. May be repeated: the call is not atomic (learn.microsoft.com/answers 854206), a
        wrong parent leaves the new name in the old folder.
        """
        parent, _, name = path.rpartition("/")
        for may_be_stale in (True, False):
            wanted = {
                "name": name,
                "parentReference": {"id": self._folder_id(parent)},
                "fileSystemInfo": {"lastModifiedDateTime": _moment(modified)},
            }
            accept = (HTTPStatus.OK, HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND)
            answer = self._graph.call("PATCH", f"{self._items()}/{item_id}", json=wanted, accept=accept)
            if answer.status == HTTPStatus.OK:
                return DriveItem.read(answer.body)
            if answer.status == HTTPStatus.CONFLICT or not may_be_stale:
                return None
            # Is it the item, or the folder that we thought to know?
            self._folder_ids.pop(parent, None)
        return None

    def _folder_id(self, path: str) -> str:
        """The id of the folder at PATH ("" for the root), made when missing; remembered, and asked for by one thread at a time."""
        with self._finding_folders:
            if path not in self._folder_ids:
                if len(self._folder_ids) >= _REMEMBERED_FOLDERS:
                    self._folder_ids.clear()
                self._folder_ids[path] = self._find_or_make_folder(path).id
            return self._folder_ids[path]

    def _find_or_make_folder(self, path: str) -> DriveItem:
        if not path:
            return DriveItem.read(self._graph.call("GET", self._root()).body)
        item = self.find(path)
        return item if item is not None and item.is_folder else self.make_folder(path)[0]

    def columns(self) -> list[Column]:
        """The columns of the library."""
        return [Column.read(body) for body in _pages(self._graph, f"/drives/{self.drive.id}/list/columns")]

    def set_fields(self, item_id: str, values: Mapping[str, object]) -> None:
        """Write VALUES, by the columns' names, into the item's columns; None empties one.

        Right after an upload SharePoint may answer 409 (OneDrive/onedrive-api-docs#1414), raised as TransientError.
        """
        self._graph.call("PATCH", f"{self._items()}/{item_id}/listItem/fields", json=values)

    def create_session(self, path: str, modified: datetime) -> str:
        """The URL, a secret, of a new upload session for PATH; the folders above it are made first if they are missing.

        SharePoint keeps one session per target: while another one lives the answer is 409, raised as TransientError.
        """
        wanted = {"@microsoft.graph.conflictBehavior": "replace", "fileSystemInfo": _file_system_info(modified)}
        parent = path.rpartition("/")[0]
        for may_lack_parent in (bool(parent), False):
            accept = {HTTPStatus.OK, HTTPStatus.CONFLICT} | ({HTTPStatus.NOT_FOUND} if may_lack_parent else set())
            answer = self._graph.call(
                "POST", f"{self._at(path)}/createUploadSession", json={"item": wanted}, accept=accept
            )
            if answer.status == HTTPStatus.OK:
                return _text(answer.body, "uploadUrl")
            if answer.status == HTTPStatus.CONFLICT:
                raise self._conflict(path, answer)
            self.make_folder(parent)
        raise AssertionError("unreachable: the second answer is 200 or raises")

    def find(self, path: str) -> DriveItem | None:
        """The item at PATH, or None."""
        answer = self._graph.call("GET", self._at(path).removesuffix(":"), accept=(HTTPStatus.OK, HTTPStatus.NOT_FOUND))
        return DriveItem.read(answer.body) if answer.status == HTTPStatus.OK else None

    def get(self, item_id: str) -> DriveItem | None:
        """The item of this id, wherever it is by now, or None."""
        answer = self._graph.call("GET", f"{self._items()}/{item_id}", accept=(HTTPStatus.OK, HTTPStatus.NOT_FOUND))
        return DriveItem.read(answer.body) if answer.status == HTTPStatus.OK else None

    def listed(self, link: str | None = None) -> tuple[list[ListedItem], str | None]:
        """A page of all that is in the library, and the link to the next page; an item may be listed more than once, the last time counts.

        This is the feed of changes from its beginning: about 200 items a call, whatever the number of folders
        (Microsoft's page "driveItem: delta"). TransientError when the library changed so much that it must be begun again.
        """
        first = f"{self._root()}/delta?$select={_LISTED_FIELDS}"
        body = self._graph.call("GET", link or first).body
        if not isinstance(body.get("value"), list):
            raise TransientError("Graph's answer holds no list.")
        following = body.get("@odata.nextLink")
        if not following and "@odata.deltaLink" not in body:
            raise TransientError("Graph's list of what the library holds breaks off.")
        return [ListedItem.read(entry) for entry in body["value"]], str(following) if following else None

    def delete(self, item_id: str, *, etag: str | None = None) -> bool:
        """Send the item to the recycle bin; False when it was not there any more. With ETAG only if it is unchanged."""
        answer = self._graph.call(
            "DELETE",
            f"{self._items()}/{item_id}",
            headers={"If-Match": etag} if etag else None,
            accept=(HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND),
        )
        return answer.status == HTTPStatus.NO_CONTENT

    def make_folder(self, path: str) -> tuple[DriveItem, bool]:
        """The folder at PATH, and whether this call made it; those above it are made level by level when missing."""
        parent, _, name = path.rpartition("/")
        children = f"{self._at(parent) if parent else self._root()}/children"
        wanted = {"name": name, "folder": {}, "@microsoft.graph.conflictBehavior": "fail"}
        for may_lack_parent in (bool(parent), False):
            accept = {HTTPStatus.CREATED, HTTPStatus.CONFLICT} | ({HTTPStatus.NOT_FOUND} if may_lack_parent else set())
            answer = self._graph.call("POST", children, json=wanted, accept=accept)
            if answer.status != HTTPStatus.NOT_FOUND:
                break
            self.make_folder(parent)
        if answer.status == HTTPStatus.CREATED:
            return DriveItem.read(answer.body), True
        return self._existing_folder(path), False

    def _conflict(self, path: str, answer: Answer) -> Exception:
        """What a 409 to a write means: a folder in the file's place, or something that passes."""
        item = self.find(path)
        if item is not None and item.is_folder:
            return OccupiedError(f"A folder stands in SharePoint where the file {path} must be.")
        if item is None and (file := self._file_above(path)) is not None:
            return OccupiedError(f"A file stands in SharePoint where the folder {file} must be.")
        sentence = f"SharePoint is busy with {path} ({answer.code or 'conflict'}): another upload of it, or its own work on it."
        return TransientError(sentence, status=answer.status)

    def _file_above(self, path: str) -> str | None:
        """The path of the lowest item above PATH, if that is a file, which can hold nothing."""
        while path := path.rpartition("/")[0]:
            item = self.find(path)
            if item is not None:
                return None if item.is_folder else path
        return None

    def _existing_folder(self, path: str) -> DriveItem:
        """The folder that made the creation end in 409, ours or another worker's."""
        item = self.find(path)
        if item is None:
            raise TransientError(f"SharePoint says that {path} exists, and that it does not.")
        if not item.is_folder:
            raise OccupiedError(f"A file stands in SharePoint where the folder {path} must be.")
        return item

    def _root(self) -> str:
        return f"/drives/{self.drive.id}/root"

    def _items(self) -> str:
        return f"/drives/{self.drive.id}/items"

    def _at(self, path: str) -> str:
        """PATH in Graph's addressing, ready for a segment to follow; "/" stays literal, all else is encoded by segment."""
        return f"{self._root()}:/{'/'.join(quote(segment, safe='') for segment in path.split('/'))}:"


def _file_system_info(modified: datetime) -> dict[str, str]:
    """The dates that people see, at SharePoint's resolution of one second."""
    return {"createdDateTime": _moment(modified), "lastModifiedDateTime": _moment(modified)}


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(body: Mapping[str, Any], name: str) -> str:
    """A text that an answer must hold; TransientError when it does not (cut short, or HTML)."""
    value = body.get(name)
    if not isinstance(value, str):
        raise TransientError(f"Graph's answer holds no {name}.")
    return value


def _drive(body: Mapping[str, Any]) -> Drive:
    web_url = str(body.get("webUrl", "")).rstrip("/")
    return Drive(
        id=_text(body, "id"),
        name=str(body.get("name", "")),
        url_path=unquote(urlsplit(web_url).path),
        web_url=web_url,
    )


def _url_name(drive: Drive) -> str:
    return drive.url_path.rstrip("/").rpartition("/")[2]


def _pages(graph: Graph, path: str) -> Iterator[dict[str, Any]]:
    """All values of a paged collection; the link to the next page is followed as it is."""
    following: str | None = path
    while following:
        body = graph.call("GET", following).body
        if not isinstance(body.get("value"), list):
            raise TransientError("Graph's answer holds no list.")
        yield from body["value"]
        following = body.get("@odata.nextLink")
