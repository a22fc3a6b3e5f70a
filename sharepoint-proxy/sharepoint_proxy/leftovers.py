"""What a reconcile does about files without an object: finds them, and removes those it may, by telling the workers to look.

A file goes only if that is asked for, if the share of files that would go is small, and if the mirror wrote it; one that somebody
else wrote only if that is asked for too. The workers ask MinIO once more before anything is removed.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from sharepoint_proxy.comparison import CAUSE, Difference, Known, Order, Standing, Verdict
from sharepoint_proxy.events import Kind, ObjectEvent
from sharepoint_proxy.records import LedgerEntry, PlacedItem, State

_BATCH = 1000

Scopes = Sequence[tuple[str, str]]


class Routing(Protocol):
    """Says which key a path of the library stands for, and what may go."""

    def key(self, path: str) -> tuple[str, str] | None: ...
    def may_remove(self, bucket: str, key: str) -> bool: ...


class Ledger(Protocol):
    """What was last put where."""

    def known(self, bucket: str, keys: Sequence[str]) -> dict[str, Known]: ...
    def standing(self, bucket: str, keys: Sequence[str]) -> dict[str, Standing]: ...
    def entries(self, bucket: str, prefix: str) -> Iterator[list[Known]]: ...
    def items_at(self, paths: Sequence[str]) -> set[str]: ...
    def forget(self, known: Sequence[Known]) -> None: ...
    def adopt(self, entries: Sequence[LedgerEntry], known: Sequence[Known | None]) -> list[LedgerEntry]: ...


class Journal(Protocol):
    """Where keys are marked."""

    def mark(self, events: Sequence[ObjectEvent]) -> list[int]: ...


class Inventory(Protocol):
    """What was found in the library and in MinIO."""

    def holds(self, item_id: str) -> bool: ...
    def may_be_removed(self, folder_id: str) -> bool: ...
    def absent(self, bucket: str, keys: Sequence[str]) -> list[str]: ...
    def unseen_files(self) -> Iterator[list[PlacedItem]]: ...


class Progress(Protocol):
    """Is told how far it is."""

    def begin(self, title: str, total: int | None) -> None: ...
    def advance(self, count: int) -> None: ...
    def tell(self, difference: Difference) -> None: ...


@dataclass(frozen=True, slots=True)
class _Leftover:
    """An entry for what has no object any more; KNOWN is what the ledger holds."""

    verdict: Verdict
    entry: LedgerEntry
    known: Known | None


class Leftovers:
    """Deals with them once the library and MinIO are compared. APPLICATION_ID is the one that Graph knows us by."""

    def __init__(
        self, *, routing: Routing, ledger: Ledger, journal: Journal, inventory: Inventory, application_id: str
    ) -> None:
        self._routing = routing
        self._ledger = ledger
        self._journal = journal
        self._inventory = inventory
        self._application_id = application_id

    def settle(
        self, scopes: Scopes, order: Order, progress: Progress, *, in_library: int, since: float
    ) -> tuple[Counter[Verdict], int, str]:
        """What was found, how many keys were marked for deletion, and why that was refused, if so.

        IN_LIBRARY files have an object; what was written SINCE the run began (by the clock of the ledger) is left alone.
        """
        progress.begin("Looking for files without an object", None)
        found: Counter[Verdict] = Counter()
        for leftover in self._all(scopes, since):
            found[leftover.verdict] += 1
            entry = leftover.entry
            progress.tell(Difference(verdict=leftover.verdict, bucket=entry.bucket, key=entry.key, path=entry.path))
            progress.advance(1)
        doomed = {Verdict.STALE, Verdict.FOREIGN} if order.foreign else {Verdict.STALE}
        count = sum(found[verdict] for verdict in doomed) if order.delete else 0
        refused = _refusal(count, in_library + found[Verdict.STALE] + found[Verdict.FOREIGN], order)
        if order.dry_run:
            return found, 0, refused
        # What is nowhere any more only has to be forgotten; the workers then see to what it was in the way of.
        self._mark(scopes, since, {Verdict.GONE}, at_most=found[Verdict.GONE])
        return found, self._mark(scopes, since, doomed, at_most=0 if refused else count), refused

    def _all(self, scopes: Scopes, since: float) -> Iterator[_Leftover]:
        for bucket, prefix in scopes:
            for known in self._ledger.entries(bucket, prefix):
                yield from self._in_ledger(bucket, [each for each in known if each.at <= since])
        for batch in self._inventory.unseen_files():
            yield from self._in_library(batch, scopes)

    def _in_ledger(self, bucket: str, known: Sequence[Known]) -> Iterator[_Leftover]:
        keys = [each.entry.key for each in known if self._routing.may_remove(bucket, each.entry.key)]
        without_object = self._without_object(bucket, keys)
        for each in known:
            entry = each.entry
            if entry.key in without_object and (verdict := self._verdict(entry)) is not None:
                yield _Leftover(verdict, entry, each)

    def _verdict(self, entry: LedgerEntry) -> Verdict | None:
        if not self._inventory.holds(entry.item_id):
            return Verdict.GONE
        if entry.is_folder:
            # One that is not empty stays, and so does one that is another marker's too.
            return Verdict.STALE if self._inventory.may_be_removed(entry.item_id) else None
        # An earlier run was to delete it, and nothing came of that: it may be anybody's.
        return Verdict.STALE if entry.etag else Verdict.FOREIGN

    def _in_library(self, files: Sequence[PlacedItem], scopes: Scopes) -> Iterator[_Leftover]:
        named = [(placed, name) for placed in files if (name := self._routing.key(placed.path)) is not None]
        names = [(placed, name) for placed, name in named if _is_in(name, scopes) and self._routing.may_remove(*name)]
        known = self._ledger.items_at([placed.path for placed, _ in names])
        for bucket in {name[0] for _, name in names}:
            without_object = self._without_object(bucket, [name[1] for _, name in names if name[0] == bucket])
            for placed, name in names:
                if name[0] == bucket and name[1] in without_object and placed.item.id not in known:
                    yield _Leftover(self._author(placed), _entry(bucket, name[1], placed), None)

    def _author(self, placed: PlacedItem) -> Verdict:
        return Verdict.STALE if placed.item.application_id == self._application_id else Verdict.FOREIGN

    def _without_object(self, bucket: str, keys: Sequence[str]) -> set[str]:
        """Those of KEYS that have no object, and that the workers will not look at anyway."""
        absent = self._inventory.absent(bucket, keys) if keys else []
        standing = self._ledger.standing(bucket, absent) if absent else {}
        return {key for key in absent if key not in standing or standing[key].state is not State.WAITING}

    def _mark(self, scopes: Scopes, since: float, verdicts: Collection[Verdict], *, at_most: int) -> int:
        """Tell the workers to look at the keys of these VERDICTS; how many there were, of which AT_MOST were found before."""
        if not at_most:
            return 0
        doomed = islice((each for each in self._all(scopes, since) if each.verdict in verdicts), at_most)
        marked = 0
        while batch := list(islice(doomed, _BATCH)):
            # The workers remove what the ledger knows, by the id of the item, and nothing else.
            unknown = [each.entry for each in batch if each.known is None]
            self._ledger.adopt(unknown, [None] * len(unknown))
            self._ledger.forget([each.known for each in batch if each.known and each.verdict is Verdict.GONE])
            self._journal.mark([_event(each.entry) for each in batch])
            marked += len(batch)
        return marked


def _is_in(name: tuple[str, str], scopes: Scopes) -> bool:
    return any(name[0] == bucket and name[1].startswith(prefix) for bucket, prefix in scopes)


def _refusal(doomed: int, files: int, order: Order) -> str:
    if order.force or doomed * 100 <= order.most_percent * files:
        return ""
    return (
        f"{doomed} of {files} files would be deleted, more than {order.most_percent:g} %: nothing was."
        " See which with --dry-run; if that is right, use --force."
    )


def _event(entry: LedgerEntry) -> ObjectEvent:
    return ObjectEvent(bucket=entry.bucket, key=entry.key, name=CAUSE, kind=Kind.REMOVED)


def _entry(bucket: str, key: str, placed: PlacedItem) -> LedgerEntry:
    return LedgerEntry(
        bucket=bucket,
        key=key,
        path=placed.path,
        item_id=placed.item.id,
        size=placed.item.size or 0,
        etag="",
        quickxor=placed.item.quickxor,
    )
