"""What a reconcile makes of one object: whether the library holds its bytes, and if not, why."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC
from typing import Protocol

from sharepoint_proxy import rewriting
from sharepoint_proxy.comparison import Case, Found, Known, Target, Verdict
from sharepoint_proxy.content import ObjectReader
from sharepoint_proxy.records import LedgerEntry, PlacedItem, State, StoredObject


class Source(Protocol):
    """What MinIO holds."""

    def open(self, stored: StoredObject, *, offset: int = 0) -> AbstractContextManager[Iterator[bytes]]: ...


class Judge:
    """Judges cases, for any number of threads. APPLICATION_ID is the one that Graph knows us by; GO_ON raises when the work is to end."""

    def __init__(self, source: Source, *, application_id: str, go_on: Callable[[], None]) -> None:
        self._source = source
        self._application_id = application_id
        self._go_on = go_on

    def at_sight(self, case: Case, *, verify: bool) -> Found | None:
        """The verdict, if it needs none of the object's bytes; with VERIFY they decide wherever they can be compared."""
        if (verdict := _settled_before(case)) is not None or case.target is None:
            return Found(case, verdict or Verdict.SAME)
        if case.target.is_folder:
            return self._folder(case, case.target)
        if case.placed is None or case.placed.item.is_folder:
            return Found(case, Verdict.NEW if case.known is None else Verdict.MISSING)
        if case.known is None:
            return None if self._may_hold(case.placed, case.stored) else Found(case, Verdict.CHANGED)
        found = _compared(case, case.target, case.placed, case.known)
        return None if verify and _is_to_be_read(found, case.placed) else found

    def by_content(self, case: Case) -> Found:
        """The verdict of a case with a file in its place, from the bytes; raises whatever keeps them from being read."""
        placed, target = case.placed, case.target
        if placed is None or target is None:
            raise ValueError("there is nothing to compare the object with")
        with ObjectReader(lambda offset: self._open(case.stored, offset), case.stored.size) as reader:
            if case.known is not None:
                return _compared(case, target, placed, case.known, quickxor=reader.quickxor())
            if reader.is_content_of(placed.item) or self._is_our_writing(placed, case.stored):
                return Found(case, Verdict.ADOPTED, _entry(case.stored, target, placed, reader.quickxor()))
            return Found(case, Verdict.CHANGED)

    def _folder(self, case: Case, target: Target) -> Found:
        if case.placed is None or not case.placed.item.is_folder:
            return Found(case, Verdict.NEW if case.known is None else Verdict.MISSING)
        if case.known is not None and case.known.entry.path == target.path:
            return Found(case, Verdict.SAME)
        folder = LedgerEntry(
            bucket=case.stored.bucket,
            key=case.stored.key,
            path=target.path,
            item_id=case.placed.item.id,
            size=0,
            etag="",
            quickxor=None,
            is_folder=True,
            made=case.placed.item.creator_id == self._application_id,
        )
        return Found(case, Verdict.ADOPTED, folder)

    def _may_hold(self, placed: PlacedItem, stored: StoredObject) -> bool:
        """True if a file that the ledger does not know may hold the object's bytes, as far as its size tells."""
        return placed.item.size == stored.size or self._is_our_writing(placed, stored)

    def _is_our_writing(self, placed: PlacedItem, stored: StoredObject) -> bool:
        """True for a file of a kind that SharePoint rewrites, if we wrote it last, and gave it this object's date."""
        if placed.item.application_id != self._application_id:
            return False
        is_rewritten = rewriting.may_differ(placed.item, path=placed.path, size=stored.size)
        return is_rewritten and placed.modified == f"{stored.modified.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"

    @contextmanager
    def _open(self, stored: StoredObject, offset: int) -> Iterator[Iterator[bytes]]:
        with self._source.open(stored, offset=offset) as pieces:
            yield self._while_wanted(pieces)

    def _while_wanted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._go_on()
            yield piece


def _settled_before(case: Case) -> Verdict | None:
    """The verdict where the journal, or the name alone, gives it."""
    state = case.standing.state if case.standing is not None else None
    if state is State.WAITING:
        return Verdict.WAITING
    if case.is_refused:
        return Verdict.PARKED if state is State.PARKED else Verdict.REFUSED
    if case.standing is not None and case.standing.is_blocked:
        return Verdict.PARKED
    return Verdict.SAME if case.was_written else None


def _compared(case: Case, target: Target, placed: PlacedItem, known: Known, *, quickxor: str | None = None) -> Found:
    """The verdict on a file that the ledger knows; QUICKXOR is the hash of the object where it was read."""
    stored, item, entry = case.stored, placed.item, known.entry
    if entry.path != target.path:
        return Found(case, Verdict.CHANGED)
    differs = rewriting.difference(item, path=entry.path, size=entry.size, quickxor=quickxor or entry.quickxor)
    if differs or _is_edited_document(placed):
        return Found(case, Verdict.EDITED)
    if (entry.etag, entry.size) != (stored.etag, stored.size):
        return Found(case, Verdict.CHANGED)
    if item.id == entry.item_id:
        return Found(case, Verdict.SAME)
    if rewriting.may_differ(item, path=entry.path, size=entry.size):
        return Found(case, Verdict.EDITED)
    return Found(case, Verdict.ADOPTED, _entry(stored, target, placed, quickxor or entry.quickxor))


def _is_edited_document(placed: PlacedItem) -> bool:
    """True if a person was the last to change an Office document, of which only that tells: SharePoint itself changes it in our name."""
    return rewriting.is_rewritten(placed.path) and placed.item.application_id == ""


def _is_to_be_read(found: Found, placed: PlacedItem) -> bool:
    """True if FOUND rests on eTags alone, and the bytes can tell more."""
    is_right = found.verdict in {Verdict.SAME, Verdict.ADOPTED}
    return is_right and not rewriting.may_differ(placed.item, path=placed.path, size=found.case.stored.size)


def _entry(stored: StoredObject, target: Target, placed: PlacedItem, quickxor: str | None) -> LedgerEntry:
    # The path as the key gives it: a library without case may spell it otherwise.
    return LedgerEntry(
        bucket=stored.bucket,
        key=stored.key,
        path=target.path,
        item_id=placed.item.id,
        size=stored.size,
        etag=stored.etag,
        quickxor=quickxor,
    )
