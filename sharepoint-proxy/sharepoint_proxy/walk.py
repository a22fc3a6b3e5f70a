"""Walks the part of the library that a prefix is mirrored into, folder by folder, so that memory holds one page at a time."""

from collections.abc import Iterator
from functools import partial
from typing import Protocol

from sharepoint_proxy.errors import AccessError, PermanentError
from sharepoint_proxy.paths import Routing, comparison_key, split_library
from sharepoint_proxy.patience import Patience
from sharepoint_proxy.records import ListedItem, PlacedItem


class Files(Protocol):
    """What the library holds."""

    def find(self, path: str) -> ListedItem | None: ...
    def page(self, folder_id: str, link: str | None = None) -> tuple[list[ListedItem], str | None]: ...


class Walk:
    """Walks through FILES. A PREFIX is a folder of keys, or one key; "" stands for all that is mirrored of its bucket."""

    def __init__(self, *, routing: Routing, files: Files, patience: Patience) -> None:
        self._routing = routing
        self._files = files
        self._patience = patience

    def starts(self, bucket: str, prefix: str) -> list[PlacedItem]:
        """The folders, or the one file, where objects of BUCKET under PREFIX have their places.

        PermanentError when the mirror is not in charge of PREFIX, or the library has nothing there.
        """
        paths = self._start_paths(bucket, prefix)
        if not paths:
            raise PermanentError(
                f"{bucket}/{prefix} is under no prefix that is mirrored: see ALLOWED_PREFIXES or ROUTES_FILE."
            )
        found = [(path, self._patience.run(partial(self._files.find, path))) for path in paths]
        starts = [_placed(path, listed) for path, listed in found if listed is not None]
        if not starts:
            raise PermanentError(f"The library holds nothing at {', '.join(paths)}, where {bucket}/{prefix} belongs.")
        return starts

    def items(self, bucket: str, prefix: str) -> Iterator[tuple[PlacedItem, AccessError | None]]:
        """All files and folders there. A folder that cannot be read comes once more, with the reason."""
        waiting = self.starts(bucket, prefix)
        while waiting:
            placed = waiting.pop()
            yield placed, None
            if not placed.item.is_folder:
                continue
            try:
                for child in self._children(placed):
                    if child.item.is_folder:
                        waiting.append(child)
                    else:
                        yield child, None
            except AccessError as error:
                yield placed, error

    def _start_paths(self, bucket: str, prefix: str) -> list[str]:
        # A folder of keys may hold what a glob lets pass, although it is not let pass itself.
        routing = self._routing.unfiltered()
        folder = f"{prefix}/" if prefix else ""
        routes = [route for route in routing.routes if route.bucket == bucket and route.prefix.startswith(folder)]
        targets = [target for key in (folder, prefix) if (target := routing.target(bucket, key)) is not None]
        paths = {*(route.folder for route in routes), *(target.path for target in targets)}
        return sorted(path for path in paths if not any(_is_inside(path, other) for other in paths))

    def _children(self, folder: PlacedItem) -> Iterator[PlacedItem]:
        link: str | None = None
        while True:
            page, link = self._patience.run(partial(self._files.page, folder.item.id, link))
            for listed in page:
                yield _placed(f"{folder.path}/{listed.item.name}".lstrip("/"), listed)
            if link is None:
                return


def _placed(path: str, listed: ListedItem) -> PlacedItem:
    return PlacedItem(path=path, item=listed.item, modified=listed.modified)


def _is_inside(path: str, folder: str) -> bool:
    """True if PATH is below FOLDER, in the same library; a folder is not inside itself."""
    (library, place), (other, above) = (split_library(comparison_key(each)) for each in (path, folder))
    return library == other and place != above and (not above or place.startswith(f"{above}/"))
