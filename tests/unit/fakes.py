"""What several unit tests pass in: a clock that the test turns, a journal in memory, events and ledger entries."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sharepoint_proxy import paths, tables
from sharepoint_proxy.database import Database
from sharepoint_proxy.events import Kind, ObjectEvent
from sharepoint_proxy.journal import Journal
from sharepoint_proxy.records import Job, LedgerEntry, Upload

BUCKET = "lycee"
GRACE_SECONDS = 2.0


class Clock:
    """Seconds that pass only when the test says so."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def turn(self, seconds: float) -> None:
        """Let SECONDS pass."""
        self.now += seconds


@contextlib.contextmanager
def memory_folder() -> Iterator[Path]:
    """A folder of which the system keeps the files in memory, where it has such: a sync costs nothing there."""
    shared = Path("/dev/shm")  # noqa: S108 - TemporaryDirectory makes a folder of its own there
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        yield Path(folder)


def open_database(path: Path) -> Database:
    """The journal's tables in a file at PATH."""
    return Database(path, schema=tables.SCHEMA)


def open_journal(database: Database, clock: Clock) -> Journal:
    """The journal in DATABASE; removals wait GRACE_SECONDS."""
    return Journal(database, place_of=paths.comparison_key, delete_grace_seconds=GRACE_SECONDS, clock=clock)


def created(key: str, *, size: int | None = None) -> ObjectEvent:
    """What MinIO sends after a PUT."""
    return ObjectEvent(bucket=BUCKET, key=key, name="s3:ObjectCreated:Put", kind=Kind.CREATED, size=size)


def removed(key: str) -> ObjectEvent:
    """What MinIO sends after a DELETE."""
    return ObjectEvent(bucket=BUCKET, key=key, name="s3:ObjectRemoved:Delete", kind=Kind.REMOVED)


def upload(path: str, *, etag: str = "etag", size: int = 3, session_url: str | None = None) -> Upload:
    """The intent to write PATH."""
    return Upload(path=path, etag=etag, size=size, session_url=session_url)


def entry(job: Job, *, path: str | None = None, is_folder: bool = False, made: bool = False) -> LedgerEntry:
    """What the ledger is to hold of JOB's key, at the path that is the key unless told otherwise."""
    where = path if path is not None else job.key.rstrip("/")
    return LedgerEntry(
        bucket=job.bucket,
        key=job.key,
        path=where,
        item_id=f"item of {job.key}",
        size=3,
        etag="etag",
        quickxor=None if is_folder else "hash",
        is_folder=is_folder,
        made=made,
    )
