"""How fast the journal marks, claims and settles while more and more keys wait in it and are known to its ledger."""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from measure.report import machine, milliseconds, say, table
from sharepoint_proxy import paths, tables
from sharepoint_proxy.database import Cursor, Database
from sharepoint_proxy.events import Kind, ObjectEvent
from sharepoint_proxy.journal import Journal
from sharepoint_proxy.records import Action, Job, LedgerEntry, Outcome, State, Upload

T = TypeVar("T")

_BUCKET = "lycee"
_BATCH = 20_000
_WORKERS = 16
_JOBS = 1600
_LOOKS = 200
_HEADINGS = (
    "rows waiting",
    "ledger",
    "marks/s",
    "claims/s",
    "begins/s",
    "settles/s",
    "next due",
    "counts",
    "check",
    "file MiB",
)


def main(arguments: Sequence[str]) -> None:
    """Measure as ARGUMENTS say, and print."""
    chosen = _parser().parse_args(arguments)
    say(machine())
    with tempfile.TemporaryDirectory(prefix="measure-", dir=chosen.folder) as folder:
        path = Path(folder) / "journal.db"
        database = Database(path, schema=tables.SCHEMA)
        journal = Journal(database, place_of=paths.comparison_key, delete_grace_seconds=2.0)
        curve = _Curve(database, journal, path)
        table(_HEADINGS, (curve.measure(rows) for rows in sorted(chosen.rows)))
        database.close()
    say("next due: one look at when a key is due; counts: rows by state; check: the whole file, as before each start")
    say(machine())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="measure journal", description=__doc__, allow_abbrev=False)
    rows = [1_000, 10_000, 100_000, 1_000_000]
    parser.add_argument(
        "--rows", type=int, nargs="+", default=rows, help="that wait (default: 1000 to 1000000, by tens)"
    )
    parser.add_argument(
        "--folder", type=Path, help="on the disk to measure (default: the system's for temporary files)"
    )
    return parser


class _Curve:
    """One journal that grows from measurement to measurement."""

    def __init__(self, database: Database, journal: Journal, path: Path) -> None:
        self._database = database
        self._journal = journal
        self._path = path
        self._marked = 0
        self._known = 0

    def measure(self, rows: int) -> tuple[object, ...]:
        """Fill up to ROWS waiting keys, and as many in the ledger, then take each measure; a row of the table."""
        self._fill(rows)
        marks = _per_second(_JOBS, lambda: _at_once(self._mark_one, range(_JOBS)))
        jobs: list[Job] = []
        claims = _per_second(_JOBS, lambda: jobs.extend(self._claim()))
        begins = _per_second(_JOBS, lambda: _at_once(self._begin, jobs))
        settles = _per_second(_JOBS, lambda: _at_once(self._settle, jobs))
        return (
            f"{rows:,}",
            f"{self._known:,}",
            *(f"{rate:,.0f}" for rate in (marks, claims, begins, settles)),
            milliseconds(_seconds(lambda: self._journal.seconds_until_due(large_places=4), times=_LOOKS)),
            milliseconds(_seconds(self._journal.counts)),
            milliseconds(_seconds(self._database.check)),
            round(self._path.stat().st_size / 1024 / 1024),
        )

    def _fill(self, rows: int) -> None:
        while (missing := rows - self._journal.counts().waiting) > 0:
            self._journal.mark([self._next_event() for _ in range(min(_BATCH, missing))])
        while (missing := rows - self._known) > 0:
            self._database.write(partial(self._enter, count=min(_BATCH, missing)))

    def _next_event(self) -> ObjectEvent:
        self._marked += 1
        key = f"bts-sio/promotion-{self._marked % 997}/sujet-{self._marked}.pdf"
        return ObjectEvent(bucket=_BUCKET, key=key, name="s3:ObjectCreated:Put", kind=Kind.CREATED, size=48_213)

    def _enter(self, cursor: Cursor, *, count: int) -> None:
        """COUNT keys more that were mirrored earlier and do not wait."""
        numbers = range(self._known, self._known + count)
        names = [f"administration/{number % 997}/acte-{number}.pdf" for number in numbers]
        values = [(_BUCKET, name, name, name, f"item-{name}", 48_213, "etag", "hash", 0, 0, 0.0) for name in names]
        cursor.executemany(tables.PUT_ENTRY, values)
        self._known += count

    def _mark_one(self, _: int) -> None:
        self._journal.mark([self._next_event()])

    def _claim(self) -> Iterator[Job]:
        for _ in range(_JOBS // _WORKERS):
            yield from self._journal.claim(places=_WORKERS, large_places=4)

    def _begin(self, job: Job) -> None:
        self._journal.begin(job, Upload(path=job.key, etag="etag", size=48_213))

    def _settle(self, job: Job) -> None:
        entry = LedgerEntry(
            bucket=job.bucket,
            key=job.key,
            path=job.key,
            item_id=f"item-{job.key}",
            size=48_213,
            etag="etag",
            quickxor="hash",
        )
        self._journal.settle(job, Outcome(state=State.SETTLED, action=Action.UPLOADED, entry=entry))


def _at_once(operation: Callable[[T], None], values: Sequence[T]) -> None:
    """Do it for each of VALUES, on as many threads as the service has workers."""
    with ThreadPoolExecutor(_WORKERS) as threads:
        list(threads.map(operation, values))


def _per_second(count: int, action: Callable[[], None]) -> float:
    return count / _seconds(action)


def _seconds(action: Callable[[], object], *, times: int = 1) -> float:
    """How long ACTION takes, on average of TIMES."""
    began = time.perf_counter()
    for _ in range(times):
        action()
    return (time.perf_counter() - began) / times
