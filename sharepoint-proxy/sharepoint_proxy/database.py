"""One SQLite file: transactions that are on disk when they return, shared by threads that write at the same moment.

A write waits for the disk, so writers queue up: whoever gets the lock commits everything that waits, in one transaction with
one fsync. A single writer pays one fsync, a hundred at once share it.
"""

import contextlib
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from sharepoint_proxy.errors import JournalDamagedError, JournalError

T = TypeVar("T")

Cursor = sqlite3.Cursor
Row = sqlite3.Row

_BUSY_SECONDS = 10.0
_CHECKPOINT_PAGES = 4000
"""At 16 MiB the write-ahead log is moved to the file: more transactions share its writes and syncs than at SQLite's 4 MiB."""


class _Ticket(Generic[T]):
    """An operation in the queue of writers, and what came of it."""

    def __init__(self, operation: Callable[[Cursor], T], *, durable: bool) -> None:
        self.operation = operation
        self.durable = durable
        self.done = False
        self._result: T | None = None
        self._error: Exception | None = None

    def run(self, cursor: Cursor) -> None:
        """Run the operation; its own error undoes only its own work, not that of the others in the transaction."""
        cursor.execute("SAVEPOINT one")
        try:
            self._result = self.operation(cursor)
        except Exception as error:  # noqa: BLE001 - handed to the caller by `result`
            self._error = error
            self._undo(cursor, error)
        cursor.execute("RELEASE one")

    def _undo(self, cursor: Cursor, error: Exception) -> None:
        try:
            cursor.execute("ROLLBACK TO one")
        except sqlite3.Error:
            # A full disk, for one, ends the whole transaction: then it is everybody's error.
            raise error from None

    def fail(self, error: BaseException) -> None:
        self._error = (
            error if isinstance(error, sqlite3.Error) else JournalError("The journal's writer was interrupted.")
        )

    def result(self) -> T:
        if isinstance(self._error, sqlite3.Error):
            raise JournalError(f"The journal cannot be written: {self._error}.") from self._error
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value] # None only where the operation returned None


class Database:
    """A SQLite database in WAL mode at PATH, readable by its owner only.

    Raises JournalError from every method when the file cannot be read or written.
    """

    def __init__(self, path: Path, *, schema: str) -> None:
        self._queue: deque[_Ticket[Any]] = deque()
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        with _translated():
            _create_private(path)
            self._writer = _connect(path)
            self._writer.execute("PRAGMA journal_mode=WAL")
            self._writer.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
            # In one transaction: a start that is killed leaves the tables as they were, or as they shall be.
            self._writer.executescript(f"BEGIN IMMEDIATE; {schema}; COMMIT;")
            self._reader = _connect(path)
            self._reader.execute("PRAGMA query_only=ON")

    def write(self, operation: Callable[[Cursor], T], *, durable: bool = True) -> T:
        """Run OPERATION in a transaction and return its result once that is committed, and if DURABLE, synced to the disk."""
        ticket = _Ticket(operation, durable=durable)
        self._queue.append(ticket)
        with self._writing:
            if not ticket.done:
                self._commit_everything_queued()
        return ticket.result()

    def read(self, sql: str, parameters: tuple[object, ...] | dict[str, object] = ()) -> list[Row]:
        """The rows that SQL selects; sees every write that has returned."""
        with self._reading, _translated():
            return self._reader.execute(sql, parameters).fetchall()

    def check(self) -> None:
        """JournalDamagedError when the file is not what SQLite wrote; reads all of it."""
        (row,) = self.read("PRAGMA quick_check(1)")
        if row[0] != "ok":
            raise JournalDamagedError(f"The journal is damaged: {row[0]}.")

    def close(self) -> None:
        """Close the file; the last writer also empties the write-ahead log into it."""
        with self._writing, self._reading:
            self._reader.close()
            self._writer.close()

    def _commit_everything_queued(self) -> None:
        batch: list[_Ticket[Any]] = []
        while self._queue:
            batch.append(self._queue.popleft())
        try:
            self._run_in_one_transaction(batch)
        except BaseException as error:
            self._roll_back()
            for ticket in batch:
                ticket.fail(error)
            # What is no error of SQLite's (an interrupt) goes on up in the thread that it hit.
            if not isinstance(error, sqlite3.Error):
                raise
        finally:
            for ticket in batch:
                ticket.done = True

    def _run_in_one_transaction(self, batch: list[_Ticket[Any]]) -> None:
        # FULL syncs the write-ahead log at each commit; NORMAL leaves it to the system, which survives a killed process.
        durable = any(ticket.durable for ticket in batch)
        self._writer.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        cursor = self._writer.execute("BEGIN IMMEDIATE")
        for ticket in batch:
            ticket.run(cursor)
        self._writer.execute("COMMIT")

    def _roll_back(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._writer.execute("ROLLBACK")


def open_or_replace(path: Path, *, schema: str, now: datetime) -> tuple[Database, Path | None]:
    """The database at PATH, checked; a damaged one is set aside under the name returned beside a new, empty one."""
    database = None
    try:
        database = Database(path, schema=schema)
        database.check()
    except JournalDamagedError:
        if database is not None:
            database.close()
        kept = _set_aside(path, now)
        return Database(path, schema=schema), kept
    return database, None


def _set_aside(path: Path, now: datetime) -> Path:
    """Give the file, and those that SQLite keeps beside it, a dated name; somebody may want to look at it."""
    kept = path.with_name(f"{path.stem}.damaged-{now:%Y%m%dT%H%M%SZ}{path.suffix}")
    with _translated():
        for beside in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + beside).rename(kept.with_name(kept.name + beside))
    return kept


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    return connection


def _create_private(path: Path) -> None:
    """Make the file with mode 0600, which SQLite then gives to its -wal and -shm files too: it holds upload URLs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        # A plain DatabaseError is a file that is no database, or no whole one; its subclasses are other troubles.
        kind = JournalDamagedError if type(error) is sqlite3.DatabaseError else JournalError
        raise kind(f"The journal cannot be opened or read: {error}.") from error
