"""Reads what MinIO and the library hold into the inventory, page by page, for a reconcile to compare."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from http import HTTPStatus
from itertools import islice
from typing import Protocol, TypeVar

from sharepoint_proxy.errors import TransientError
from sharepoint_proxy.records import ListedItem, StoredObject

T = TypeVar("T")

_BATCH = 1000
_BEGINNINGS = 4
"""Graph may drop an enumeration, and want it begun again; not for ever."""


class Source(Protocol):
    """What MinIO holds."""

    def listed(self, bucket: str, prefix: str, *, after: str = "") -> Iterator[StoredObject]: ...


class Library(Protocol):
    """What the library holds."""

    def listed(self, link: str | None = None) -> tuple[list[ListedItem], str | None]: ...


class Inventory(Protocol):
    """Where what was found is kept."""

    def add(self, listed: Sequence[ListedItem]) -> None: ...
    def clear(self) -> None: ...
    def complete(self) -> None: ...
    def note_objects(self, found: Sequence[StoredObject]) -> None: ...


class Halt(Protocol):
    """Ends the work, and tries again what may pass."""

    def patiently(self, step: Callable[[], T], *, delayed: Callable[[str], None]) -> T: ...


class Progress(Protocol):
    """Is told how far it is, and why it does not go on just now."""

    def begin(self, title: str, total: int | None) -> None: ...
    def advance(self, count: int) -> None: ...
    def delayed(self, reason: str) -> None: ...


class Gathering:
    """Fills an inventory; both of its methods raise TransientError when the other side stays away for minutes.

    IS_ROUTED says of a bucket and key whether the mirror is in charge of it.
    """

    def __init__(
        self,
        *,
        is_routed: Callable[[str, str], bool],
        source: Source,
        library: Library,
        inventory: Inventory,
        halt: Halt,
    ) -> None:
        self._is_routed = is_routed
        self._source = source
        self._library = library
        self._inventory = inventory
        self._halt = halt

    def library(self, progress: Progress) -> None:
        """Read all items of the library."""
        progress.begin("Reading the library", None)
        for beginning in range(1, _BEGINNINGS + 1):
            try:
                self._read_feed(progress)
            except TransientError as error:
                if error.status != HTTPStatus.GONE or beginning == _BEGINNINGS:
                    raise
                progress.delayed(f"{error} Reading the library from its beginning.")
            else:
                break
        self._inventory.complete()

    def objects(self, scopes: Sequence[tuple[str, str]], progress: Progress) -> int:
        """List all routed objects of SCOPES; how many there are."""
        progress.begin("Listing objects", None)
        count = 0
        for bucket, prefix in scopes:
            for listed in self._batches(bucket, prefix, progress):
                batch = [stored for stored in listed if self._is_routed(stored.bucket, stored.key)]
                self._inventory.note_objects(batch)
                progress.advance(len(batch))
                count += len(batch)
        return count

    def _read_feed(self, progress: Progress) -> None:
        self._inventory.clear()
        link: str | None = None
        while True:
            page, link = self._halt.patiently(partial(self._library.listed, link), delayed=progress.delayed)
            self._inventory.add(page)
            progress.advance(len(page))
            if link is None:
                return

    def _batches(self, bucket: str, prefix: str, progress: Progress) -> Iterator[list[StoredObject]]:
        """MinIO's listing; one that breaks off goes on after the last key."""
        after = ""
        while batch := self._halt.patiently(partial(self._listed, bucket, prefix, after), delayed=progress.delayed):
            after = batch[-1].key
            yield batch
            if len(batch) < _BATCH:
                return

    def _listed(self, bucket: str, prefix: str, after: str) -> list[StoredObject]:
        return list(islice(self._source.listed(bucket, prefix, after=after), _BATCH))
