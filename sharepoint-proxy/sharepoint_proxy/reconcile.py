"""Compares all of MinIO's objects with the library and the ledger, and marks the keys that differ for the ordinary workers.

Nothing is uploaded or removed here: there is one way into the library in the whole program. What the library holds already is
adopted into the ledger without a call for each file; that is how the first run on a library full of files ends without an upload.

It runs beside the workers on the same journal. What they have before them, or have written since the run began, is theirs.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar

from sharepoint_proxy.comparison import (
    CAUSE,
    MARKED,
    Case,
    Difference,
    Found,
    Known,
    Order,
    Standing,
    Summary,
    Target,
    Verdict,
)
from sharepoint_proxy.errors import NameRefusedError, OutageError, PermanentError, StoppingError, TransientError
from sharepoint_proxy.events import Kind, ObjectEvent
from sharepoint_proxy.records import LedgerEntry, PlacedItem, StoredObject

T = TypeVar("T")

_IN_DOUBT = frozenset({Verdict.MISSING, Verdict.EDITED})
"""The ledger says that the library is right, and it is not: the workers must not believe the ledger."""

_READERS = 4
_WRITE_SECONDS = 5.0
"""What was read is written down so often: a run that is interrupted has not read for nothing."""

_OBJECT_TRIES = 4
"""Some seconds."""


class Routing(Protocol):
    """Says where keys belong."""

    def scopes(self, bucket: str | None, prefix: str) -> Sequence[tuple[str, str]]: ...
    def target(self, bucket: str, key: str) -> Target | None: ...


class Gathering(Protocol):
    """Reads both sides into the inventory."""

    def library(self, progress: "Progress") -> None: ...
    def objects(self, scopes: Sequence[tuple[str, str]], progress: "Progress") -> int: ...


class Inventory(Protocol):
    """What was found on both sides."""

    def take(self, paths: Collection[str]) -> dict[str, PlacedItem]: ...
    def objects(self, bucket: str, prefix: str) -> Iterator[list[StoredObject]]: ...


class Source(Protocol):
    """What MinIO holds now."""

    def listed(self, bucket: str, prefix: str, *, after: str = "") -> Iterator[StoredObject]: ...


class Library(Protocol):
    """Knows how long a path may be."""

    def refuse_if_too_long(self, path: str) -> None: ...


class Judge(Protocol):
    """Says what to make of an object."""

    def at_sight(self, case: Case, *, verify: bool) -> Found | None: ...
    def by_content(self, case: Case) -> Found: ...


class Ledger(Protocol):
    """What was last put where."""

    def newest(self) -> float: ...
    def known(self, bucket: str, keys: Sequence[str]) -> dict[str, Known]: ...
    def standing(self, bucket: str, keys: Sequence[str]) -> dict[str, Standing]: ...
    def adopt(self, entries: Sequence[LedgerEntry], known: Sequence[Known | None]) -> list[LedgerEntry]: ...
    def doubt(self, known: Sequence[Known]) -> None: ...
    def drop_unfinished(self) -> None: ...


class Journal(Protocol):
    """Where keys are marked."""

    def mark(self, events: Sequence[ObjectEvent]) -> list[int]: ...


class Leftovers(Protocol):
    """Deals with what is in the library or the ledger without an object."""

    def settle(
        self, scopes: Sequence[tuple[str, str]], order: Order, progress: "Progress", *, in_library: int, since: float
    ) -> tuple[Counter[Verdict], int, str]:
        """What was found, how many keys were marked for deletion, and why that was refused, if so."""


class Readers(Protocol):
    """Threads that read objects."""

    def map(self, function: Callable[[Case], Found], cases: Sequence[Case], /) -> Iterator[Found]: ...


class Halt(Protocol):
    """Ends the work on all threads, and tries again what may pass."""

    def now(self) -> None: ...
    def go_on(self) -> None: ...
    def patiently(self, step: Callable[[], T], *, tries: int = ..., delayed: Callable[[str], None] = ...) -> T: ...


class Progress(Protocol):
    """Is told how far it is: steps with a title and, where it is known, how much there is to do; and why it does not go on just now."""

    def begin(self, title: str, total: int | None) -> None: ...
    def advance(self, count: int) -> None: ...
    def tell(self, difference: Difference) -> None: ...
    def delayed(self, reason: str) -> None: ...


class Reconciler:
    """Runs once. CLOCK is in seconds since the epoch; HALT ends the run with StoppingError; READERS makes the threads that read."""

    def __init__(
        self,
        *,
        routing: Routing,
        gathering: Gathering,
        inventory: Inventory,
        source: Source,
        library: Library,
        judge: Judge,
        ledger: Ledger,
        journal: Journal,
        leftovers: Leftovers,
        halt: Halt,
        clock: Callable[[], float] = time.time,
        readers: Callable[[], AbstractContextManager[Readers]] = lambda: ThreadPoolExecutor(_READERS),
    ) -> None:
        self._routing = routing
        self._gathering = gathering
        self._inventory = inventory
        self._source = source
        self._library = library
        self._judge = judge
        self._ledger = ledger
        self._journal = journal
        self._leftovers = leftovers
        self._halt = halt
        self._clock = clock
        self._make_readers = readers
        self._since = 0.0
        self._tally: Counter[Verdict] = Counter()
        self._in_library = 0

    def run(self, order: Order, progress: Progress) -> Summary:
        """Compare all that ORDER names. TransientError when MinIO or Graph stay away; what was marked until then stays marked.

        PermanentError when nothing that ORDER names is mirrored, or a bucket is missing.
        """
        began_at = self._clock()
        scopes = self._routing.scopes(order.bucket, order.prefix)
        if not scopes:
            raise PermanentError(
                f"Nothing that begins with {order.bucket}/{order.prefix} is mirrored: see ALLOWED_PREFIXES and MINIO_BUCKETS, or ROUTES_FILE."
            )
        if not order.dry_run:
            self._ledger.drop_unfinished()
        # By the clock of whoever writes there, which need not be this process.
        self._since = self._ledger.newest()
        self._gathering.library(progress)
        objects = self._gathering.objects(scopes, progress)
        self._compare(scopes, objects, order, progress)
        leftovers, removed, refused = self._leftovers.settle(
            scopes, order, progress, in_library=self._in_library, since=self._since
        )
        return Summary(
            found=dict(self._tally + leftovers),
            objects=objects,
            removed=removed,
            refused=refused,
            began_at=began_at,
            seconds=self._clock() - began_at,
        )

    def _compare(self, scopes: Sequence[tuple[str, str]], objects: int, order: Order, progress: Progress) -> None:
        progress.begin("Comparing objects", objects)
        with self._readers() as readers:
            for bucket, prefix in scopes:
                after = ""
                for found in self._pieces(bucket, prefix, order, readers):
                    self._act(found, order, progress, prefix=prefix, after=after)
                    after = found[-1].case.stored.key

    @contextmanager
    def _readers(self) -> Iterator[Readers]:
        """The threads that read objects; they end soon when the run does."""
        with self._make_readers() as readers:
            try:
                yield readers
            except BaseException:
                self._halt.now()
                raise

    def _pieces(self, bucket: str, prefix: str, order: Order, readers: Readers) -> Iterator[list[Found]]:
        """What is found below PREFIX, in the order of the keys, some at a time."""
        for batch in self._inventory.objects(bucket, prefix):
            self._halt.go_on()
            found: list[Found] = []
            began = time.monotonic()
            for each in self._judged(self._cases(bucket, batch), order, readers):
                found.append(each)
                if time.monotonic() - began > _WRITE_SECONDS:
                    yield found
                    found, began = [], time.monotonic()
            if found:
                yield found

    def _judged(self, cases: Sequence[Case], order: Order, readers: Readers) -> Iterator[Found]:
        at_sight = [self._judge.at_sight(case, verify=order.verify) for case in cases]
        pairs = list(zip(cases, at_sight, strict=True))
        read = readers.map(self._by_content, [case for case, found in pairs if found is None])
        for _, found in pairs:
            yield found or next(read)

    def _by_content(self, case: Case) -> Found:
        try:
            return self._halt.patiently(partial(self._judge.by_content, case), tries=_OBJECT_TRIES)
        except StoppingError:
            raise
        except OutageError:
            # Is it this object, or all of them?
            next(self._source.listed(case.stored.bucket, case.stored.key), None)
        except (TransientError, PermanentError):
            pass
        # The workers will meet the same trouble with this object, and know what to do about it.
        return Found(case, Verdict.CHANGED)

    def _cases(self, bucket: str, batch: Sequence[StoredObject]) -> list[Case]:
        keys = [stored.key for stored in batch]
        targets, refused = self._targets(bucket, keys)
        placed = self._inventory.take([target.path for target in targets.values()])
        known, standing = self._ledger.known(bucket, keys), self._ledger.standing(bucket, keys)
        return [
            Case(
                stored=stored,
                target=targets.get(stored.key),
                is_refused=stored.key in refused,
                placed=placed.get(targets[stored.key].path) if stored.key in targets else None,
                known=known.get(stored.key),
                standing=standing.get(stored.key),
                was_written=stored.key in known and known[stored.key].at > self._since,
            )
            for stored in batch
        ]

    def _targets(self, bucket: str, keys: Sequence[str]) -> tuple[dict[str, Target], set[str]]:
        """Where those keys belong that have a place, and the keys whose names are refused."""
        targets: dict[str, Target] = {}
        refused = set()
        for key in keys:
            try:
                target = self._routing.target(bucket, key)
                if target is not None:
                    self._library.refuse_if_too_long(target.path)
                    targets[key] = target
            except NameRefusedError:
                refused.add(key)
        return targets, refused

    def _act(self, found: Sequence[Found], order: Order, progress: Progress, *, prefix: str, after: str) -> None:
        """Write down what was FOUND of the objects that follow the key AFTER below PREFIX."""
        if not order.dry_run:
            found = self._adopted(found, progress, prefix=prefix, after=after)
        marked = [each for each in found if each.verdict in MARKED]
        self._tally.update(each.verdict for each in found)
        self._in_library += sum(each.case.placed is not None for each in found)
        for each in marked:
            progress.tell(_difference(each))
        if not order.dry_run:
            doubtful = [each.case.known for each in marked if each.verdict in _IN_DOUBT]
            self._ledger.doubt([known for known in doubtful if known is not None])
            self._journal.mark([_event(each.case.stored) for each in marked])
        progress.advance(len(found))

    def _adopted(self, found: Sequence[Found], progress: Progress, *, prefix: str, after: str) -> list[Found]:
        """FOUND once the ledger holds what was adopted; an object that cannot be, or is not as it was, is for the workers to look at."""
        adopted = [each for each in found if each.verdict is Verdict.ADOPTED]
        if not adopted:
            return list(found)
        left_alone = self._ledger.adopt(
            [each.entry for each in adopted if each.entry is not None], [each.case.known for each in adopted]
        )
        unsure = {entry.key for entry in left_alone}
        # It may have been removed while it was read, and the workers may have dealt with that before it was adopted.
        listing = partial(self._etags, adopted, prefix=prefix, after=after)
        there = self._halt.patiently(listing, delayed=progress.delayed)
        unsure |= {each.case.stored.key for each in adopted if there.get(each.case.stored.key) != each.case.stored.etag}
        return [replace(each, verdict=Verdict.CHANGED) if each.case.stored.key in unsure else each for each in found]

    def _etags(self, found: Sequence[Found], *, prefix: str, after: str) -> dict[str, str]:
        """The eTags by key that MinIO has now for the objects between the key AFTER and the last one FOUND."""
        last = found[-1].case.stored
        etags = {}
        for stored in self._source.listed(last.bucket, prefix, after=after):
            if stored.key <= last.key:
                etags[stored.key] = stored.etag
            if stored.key >= last.key:
                break
        return etags


def _event(stored: StoredObject) -> ObjectEvent:
    return ObjectEvent(bucket=stored.bucket, key=stored.key, name=CAUSE, kind=Kind.CREATED, size=stored.size)


def _difference(found: Found) -> Difference:
    case = found.case
    path = case.target.path if case.target is not None else ""
    return Difference(verdict=found.verdict, bucket=case.stored.bucket, key=case.stored.key, path=path)
