"""How fast the journal marks, claims and settles while more and more keys wait in it and are known to its ledger."""

import argparse
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median
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
_ROUNDS = 100
_LOOKS = 200
_HEADINGS = (
    "rows waiting",
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
    with (
        tempfile.TemporaryDirectory(prefix="measure-", dir=chosen.folder) as folder,
        ThreadPoolExecutor(_WORKERS) as threads,
    ):
        samples = [_Sample(Path(folder), rows=rows, threads=threads) for rows in sorted(chosen.rows)]
        # By turns, so that a busy moment of the machine falls on all of them alike.
        for _ in range(chosen.runs):
            for sample in samples:
                sample.run(cold=chosen.cold)
        table(_HEADINGS, (sample.figures() for sample in samples))
        for sample in samples:
            sample.close()
    say(f"medians of {chosen.runs} runs; next due: one look at when a key is due; counts: rows by state;")
    say("check: the whole file, as before each start")
    say(machine())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="measure journal", description=__doc__, allow_abbrev=False)
    rows = [1_000, 10_000, 100_000, 1_000_000]
    parser.add_argument(
        "--rows", type=int, nargs="+", default=rows, help="that wait (default: 1000 to 1000000, by tens)"
    )
    parser.add_argument("--runs", type=int, default=5, help="at each number of rows (default: 5)")
    parser.add_argument(
        "--cold", action="store_true", help="have the system forget what it holds of the file before each run"
    )
    parser.add_argument(
        "--folder", type=Path, help="on the disk to measure (default: the system's for temporary files)"
    )
    return parser


class _Sample:
    """A journal in FOLDER where ROWS keys wait, and as many others are in the ledger."""

    def __init__(self, folder: Path, *, rows: int, threads: ThreadPoolExecutor) -> None:
        self._path = folder / f"{rows}.db"
        self._rows = rows
        self._threads = threads
        self._database = Database(self._path, schema=tables.SCHEMA)
        self._journal = Journal(self._database, place_of=paths.comparison_key, delete_grace_seconds=2.0)
        self._marked = 0
        self._rates: list[tuple[float, ...]] = []
        for begin in range(0, rows, _BATCH):
            numbers = range(begin, min(rows, begin + _BATCH))
            self._journal.mark([self._next_event() for _ in numbers])
            self._database.write(partial(_enter, numbers=numbers))

    def run(self, *, cold: bool) -> None:
        """Take each measure once, of as many keys each; never are more claimed than there are workers."""
        _settle_file(self._path, forget=cold)
        keys = _ROUNDS * _WORKERS
        marking = _seconds(lambda: self._at_once(self._mark_one, range(keys)))
        rounds = [self._round() for _ in range(_ROUNDS)]
        self._rates.append(tuple(keys / seconds for seconds in (marking, *map(sum, zip(*rounds, strict=True)))))

    def figures(self) -> tuple[object, ...]:
        """A row of the table."""
        return (
            f"{self._rows:,}",
            *(f"{median(each):,.0f}" for each in zip(*self._rates, strict=True)),
            milliseconds(_seconds(lambda: self._journal.seconds_until_due(large_places=4), times=_LOOKS)),
            milliseconds(_seconds(self._journal.counts, times=_LOOKS)),
            milliseconds(_seconds(self._database.check)),
            round(self._path.stat().st_size / 1024 / 1024),
        )

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _round(self) -> tuple[float, float, float]:
        """The seconds in which a key for each worker is claimed, all are begun, and all are settled."""
        jobs: list[Job] = []
        return (
            _seconds(lambda: jobs.extend(self._journal.claim(places=_WORKERS, large_places=4))),
            _seconds(lambda: self._at_once(self._begin, jobs)),
            _seconds(lambda: self._at_once(self._settle, jobs)),
        )

    def _next_event(self) -> ObjectEvent:
        self._marked += 1
        key = f"bts-sio/promotion-{self._marked % 997}/sujet-{self._marked}.pdf"
        return ObjectEvent(bucket=_BUCKET, key=key, name="s3:ObjectCreated:Put", kind=Kind.CREATED, size=48_213)

    def _mark_one(self, _: int) -> None:
        self._journal.mark([self._next_event()])

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

    def _at_once(self, operation: Callable[[T], None], values: Iterable[T]) -> None:
        """Do it for each of VALUES, on as many threads as the service has workers."""
        for _ in self._threads.map(operation, values):
            pass


def _enter(cursor: Cursor, *, numbers: Iterable[int]) -> None:
    """Put keys of these NUMBERS into the ledger: they were mirrored earlier and do not wait."""
    names = [f"administration/{number % 997}/acte-{number}.pdf" for number in numbers]
    values = [(_BUCKET, name, name, name, f"item-{name}", 48_213, "etag", "hash", 0, 0, 0.0) for name in names]
    cursor.executemany(tables.PUT_ENTRY, values)


def _settle_file(path: Path, *, forget: bool) -> None:
    """Move what the write-ahead log holds to the file; with FORGET leave nothing of it in the system's cache."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if forget:
        subprocess.run(["dd", f"if={path}", "iflag=nocache", "count=0", "status=none"], check=True)


def _seconds(action: Callable[[], object], *, times: int = 1) -> float:
    """How long ACTION takes, on average of TIMES."""
    began = time.perf_counter()
    for _ in range(times):
        action()
    return (time.perf_counter() - began) / times
