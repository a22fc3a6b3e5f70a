"""Several document libraries behind the face of one: each path and item id says which of them it is in, and calls go there.

A library that is closed to us, or gone, makes only its own keys wait. What belongs into it is refused without a call until
`reopened` finds that it answers again. With one library alone there is no difference to that library itself.
"""

import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from sharepoint_proxy.column_values import Column
from sharepoint_proxy.errors import AccessError, OutageError, PermanentError, ProxyError, Subject, TransientError
from sharepoint_proxy.paths import split_library
from sharepoint_proxy.records import DriveItem, ListedItem

_CLOSED_SECONDS = 1800.0
"""The least that a key waits for a closed library; `reopened` tells when it need not wait any longer."""


class Body(Protocol):
    """A request body of known length in bytes."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[bytes]: ...


class Drive(Protocol):
    """A document library as Graph and people call it."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def url_path(self) -> str: ...
    @property
    def web_url(self) -> str: ...


class Library(Protocol):
    """One library, whose paths and ids know nothing of others."""

    @property
    def drive(self) -> Drive: ...
    def refuse_if_too_long(self, path: str) -> None: ...
    def check(self) -> None: ...
    def put(self, path: str, body: Body) -> DriveItem: ...
    def set_modified(self, item_id: str, modified: datetime) -> None: ...
    def move(self, item_id: str, path: str, modified: datetime) -> DriveItem | None: ...
    def columns(self) -> list[Column]: ...
    def set_fields(self, item_id: str, values: Mapping[str, object]) -> None: ...
    def create_session(self, path: str, modified: datetime) -> str: ...
    def find(self, path: str) -> DriveItem | None: ...
    def get(self, item_id: str) -> DriveItem | None: ...
    def listed(self, link: str | None = None) -> tuple[list[ListedItem], str | None]: ...
    def delete(self, item_id: str, *, etag: str | None = None) -> bool: ...
    def make_folder(self, path: str) -> tuple[DriveItem, bool]: ...


class Files(Protocol):
    """The files of one library, to be read."""

    def find(self, path: str) -> ListedItem | None: ...
    def page(self, folder_id: str, link: str | None = None) -> tuple[list[ListedItem], str | None]: ...
    def open(self, item_id: str, *, offset: int = 0) -> AbstractContextManager[Iterator[bytes]]: ...


class Shelf:
    """The place of one library: FIND finds it when it is first needed, NAME is what a sentence calls it."""

    def __init__(self, *, alias: str, name: str, find: Callable[[], Library]) -> None:
        self.alias = alias
        self.name = name
        self.find = find
        self.finding = threading.Lock()
        self.found: Library | None = None
        self.closed = ""

    def close(self, error: ProxyError) -> OutageError:
        """Put the library aside; the outage to raise, whose text stays the same until it is open again."""
        self.closed = self.closed or f"The objects for {self.name} wait. {error}"
        return self.outage(status=getattr(error, "status", None))

    def outage(self, *, status: int | None = None) -> OutageError:
        """What a key meets whose library is put aside; many of them come back at different times."""
        seconds = _CLOSED_SECONDS * random.uniform(1, 2)  # noqa: S311 - it only scatters
        return OutageError(self.closed, subject=Subject.LIBRARY, library=self.alias, retry_after=seconds, status=status)


class Libraries:
    """The libraries on SHELVES. Every method raises OutageError for a closed one, which then tells its alias.

    What is in a library that no route names any more is as if it were not there.
    """

    def __init__(self, shelves: Sequence[Shelf]) -> None:
        self._shelves = {shelf.alias: shelf for shelf in shelves}
        self._is_alone = len(shelves) == 1
        self._comparing = threading.Lock()

    @property
    def are_several(self) -> bool:
        """True if there is more than one."""
        return not self._is_alone

    @property
    def any_closed(self) -> bool:
        """True while one of several is put aside."""
        return any(shelf.closed for shelf in self._shelves.values())

    def connect(self) -> list[OutageError]:
        """Find the libraries; why some of them are closed. Raises what kept the first one from being found when none was.

        One that could not be asked just now is found when it is needed.
        """
        troubles: list[ProxyError] = []
        for alias in self._shelves:
            try:
                with self.reached(alias):
                    pass
            except (TransientError, PermanentError) as error:
                troubles.append(error)
        if not self.drives():
            raise troubles[0]
        return [error for error in troubles if isinstance(error, OutageError) and self._is_of_one(error)]

    def drives(self) -> dict[str, Drive]:
        """The libraries that were found, by alias."""
        return {alias: shelf.found.drive for alias, shelf in self._shelves.items() if shelf.found is not None}

    def open_ones(self) -> tuple["Libraries", dict[str, str]]:
        """The libraries that are open just now, by asking each, and why the others are not, by alias; raises when none is."""
        if self._is_alone:
            return self, {}
        closed = {}
        for alias in self._shelves:
            try:
                self.check(f"{alias}:" if alias else "")
            except OutageError as error:
                if not self._is_of_one(error):
                    raise
                closed[alias] = str(error)
        if len(closed) == len(self._shelves):
            raise next(iter(self._shelves.values())).outage()
        return Libraries([shelf for shelf in self._shelves.values() if shelf.alias not in closed]), closed

    def reopened(self) -> list[tuple[str, str]]:
        """Ask those that are closed; the aliases of those that answer again, with what was said of them before."""
        answering = []
        for shelf in [shelf for shelf in self._shelves.values() if shelf.closed]:
            try:
                self._opened(shelf).check()
            except (TransientError, PermanentError):
                continue
            answering.append((shelf.alias, shelf.closed))
            shelf.closed = ""
        return answering

    @contextmanager
    def reached(self, alias: str) -> Iterator[Library]:
        """The library, for one call. Where a refusal of that turns out to mean the whole library, it is closed from then on."""
        shelf = self._shelves.get(alias)
        if shelf is None:
            raise PermanentError(f"No route leads to the library {alias} any more.")
        if self._is_alone:
            yield self._opened(shelf)
            return
        if shelf.closed:
            raise shelf.outage()
        try:
            library = self._opened(shelf)
        except (AccessError, PermanentError) as error:
            raise shelf.close(error) from error
        try:
            yield library
        except AccessError:
            self._check(shelf)
            raise

    def check(self, path: str) -> None:
        """OutageError when the library that PATH is in cannot be reached as a whole; it is closed if Graph answers for another."""
        shelf = self._shelves.get(split_library(path)[0]) or next(iter(self._shelves.values()))
        try:
            self._check(shelf)
        except OutageError as error:
            if self._is_of_one(error) or not self._is_answered_elsewhere(shelf):
                raise
            raise shelf.close(error) from error

    def refuse_if_too_long(self, path: str) -> None:
        """NameRefusedError when the path is too long for its library."""
        alias, rest = split_library(path)
        with self.reached(alias) as library:
            library.refuse_if_too_long(rest)

    def put(self, path: str, body: Body) -> DriveItem:
        """Write a whole file in one call."""
        alias, rest = split_library(path)
        with self.reached(alias) as library:
            return _named(alias, library.put(rest, body))

    def set_modified(self, item_id: str, modified: datetime) -> None:
        """Show MODIFIED as the file's date."""
        alias, own_id = split_library(item_id)
        with self.reached(alias) as library:
            library.set_modified(own_id, modified)

    def move(self, item_id: str, path: str, modified: datetime) -> DriveItem | None:
        """The item at PATH; None when it cannot be had so, as from one library to another."""
        (alias, own_id), (other, rest) = split_library(item_id), split_library(path)
        if alias != other:
            return None
        with self.reached(alias) as library:
            item = library.move(own_id, rest, modified)
        return None if item is None else _named(alias, item)

    def columns(self, path: str) -> list[Column]:
        """The columns of the library that PATH is in."""
        with self.reached(split_library(path)[0]) as library:
            return library.columns()

    def set_fields(self, item_id: str, values: Mapping[str, object]) -> None:
        """Write VALUES into the item's columns."""
        alias, own_id = split_library(item_id)
        with self.reached(alias) as library:
            library.set_fields(own_id, values)

    def create_session(self, path: str, modified: datetime) -> str:
        """The URL, a secret, of a new upload session for PATH."""
        alias, rest = split_library(path)
        with self.reached(alias) as library:
            return library.create_session(rest, modified)

    def find(self, path: str) -> DriveItem | None:
        """The item at PATH, or None."""
        alias, rest = split_library(path)
        if alias not in self._shelves:
            return None
        with self.reached(alias) as library:
            item = library.find(rest)
        return None if item is None else _named(alias, item)

    def get(self, item_id: str) -> DriveItem | None:
        """The item of this id, or None."""
        alias, own_id = split_library(item_id)
        if alias not in self._shelves:
            return None
        with self.reached(alias) as library:
            item = library.get(own_id)
        return None if item is None else _named(alias, item)

    def delete(self, item_id: str, *, etag: str | None = None) -> bool:
        """Send the item to the recycle bin; False when it was not there any more."""
        alias, own_id = split_library(item_id)
        if alias not in self._shelves:
            return False
        with self.reached(alias) as library:
            return library.delete(own_id, etag=etag)

    def make_folder(self, path: str) -> tuple[DriveItem, bool]:
        """The folder at PATH, and whether this call made it."""
        alias, rest = split_library(path)
        with self.reached(alias) as library:
            item, made = library.make_folder(rest)
        return _named(alias, item), made

    def listed(self, link: str | None = None) -> tuple[list[ListedItem], str | None]:
        """A page of all that is in the libraries, one after the other, and the link to the next page.

        The root of another library than the main one is named by its alias and a colon, as in paths.
        """
        aliases = list(self._shelves)
        alias, _, own_link = link.partition(":") if link else (aliases[0], "", "")
        with self.reached(alias) as library:
            page, following = library.listed(own_link or None)
        after = aliases[aliases.index(alias) + 1 :]
        named = [_listed(alias, entry) for entry in page]
        if following is not None:
            return named, f"{alias}:{following}"
        return named, f"{after[0]}:" if after else None

    def _opened(self, shelf: Shelf) -> Library:
        with shelf.finding:
            if shelf.found is None:
                library = shelf.find()
                with self._comparing:
                    self._refuse_twin(library)
                    shelf.found = library
            return shelf.found

    def _refuse_twin(self, library: Library) -> None:
        """PermanentError when another shelf has this library: its places would not be seen to be the same."""
        for other in self._shelves.values():
            if other.found is not None and other.found.drive.id == library.drive.id:
                raise PermanentError(
                    f"It is the same as {other.name}: name site and library in all routes alike, also in SITE_PATH and DOCUMENT_LIBRARY."
                )

    def _check(self, shelf: Shelf) -> None:
        """OutageError when the library as a whole is closed; one of several is put aside."""
        try:
            self._opened(shelf).check()
        except (AccessError, PermanentError, OutageError) as error:
            is_of_one = self._is_of_one(error) if isinstance(error, OutageError) else not self._is_alone
            if is_of_one:
                raise shelf.close(error) from error
            raise

    def _is_answered_elsewhere(self, silent: Shelf) -> bool:
        """True if Graph answers for another library than this one."""
        for shelf in self._shelves.values():
            with suppress(OutageError):
                if shelf is not silent and not shelf.closed:
                    self._check(shelf)
                    return True
        return False

    def _is_of_one(self, error: OutageError) -> bool:
        return not self._is_alone and error.subject is Subject.LIBRARY


class LibraryFiles:
    """The files of LIBRARIES, to be read; FILES_OF makes those of one drive, by its id."""

    def __init__(self, libraries: Libraries, files_of: Callable[[str], Files]) -> None:
        self._libraries = libraries
        self._files_of = files_of

    def find(self, path: str) -> ListedItem | None:
        """The file or folder at PATH, or None."""
        alias, rest = split_library(path)
        with self._reached(alias) as files:
            found = files.find(rest)
        return None if found is None else _listed(alias, found)

    def page(self, folder_id: str, link: str | None = None) -> tuple[list[ListedItem], str | None]:
        """What is in the folder itself, the first page of it or the one at LINK, and the link to the next."""
        alias, own_id = split_library(folder_id)
        with self._reached(alias) as files:
            page, following = files.page(own_id, link)
        return [_listed(alias, entry) for entry in page], following

    def open(self, item_id: str, *, offset: int = 0) -> AbstractContextManager[Iterator[bytes]]:
        """The bytes of the file from OFFSET on."""
        alias, own_id = split_library(item_id)
        with self._reached(alias) as files:
            return files.open(own_id, offset=offset)

    @contextmanager
    def _reached(self, alias: str) -> Iterator[Files]:
        with self._libraries.reached(alias) as library:
            yield self._files_of(library.drive.id)


def _named(alias: str, item: DriveItem) -> DriveItem:
    return replace(item, id=f"{alias}:{item.id}") if alias else item


def _listed(alias: str, entry: ListedItem) -> ListedItem:
    if not alias:
        return entry
    item = _named(alias, entry.item)
    if entry.is_root:
        item = replace(item, name=f"{alias}:")
    return replace(entry, item=item, parent_id=f"{alias}:{entry.parent_id}" if entry.parent_id else "")
