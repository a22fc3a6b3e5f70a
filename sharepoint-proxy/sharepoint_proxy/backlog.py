"""The journal as a person sees and changes it: what waits and why, what is parked, and orders to try again or to forget.

Every change is one transaction, so that it may run beside the service, which works on the same file.
"""

import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from sharepoint_proxy.records import Change, State, Upload

T = TypeVar("T")

# Finds its rows, and whether a worker has them, by indexes.
_ROWS = """
SELECT changes.*, claims.key IS NOT NULL AS is_claimed FROM changes LEFT JOIN claims USING (bucket, key)
"""
_RETRY = "UPDATE changes SET state = 'waiting', due_at = ?, attempts = 0, blocked_by = NULL"
_HASTEN = "UPDATE changes SET due_at = ? WHERE state = 'waiting' AND reason = ?"
_IS_FREE = "NOT EXISTS (SELECT 1 FROM claims WHERE bucket = changes.bucket AND key = changes.key)"
_IS_NAMED_AND_FREE = f"bucket = ? AND key = ? AND {_IS_FREE}"
_FORGET = f"DELETE FROM changes WHERE {_IS_NAMED_AND_FREE}"  # noqa: S608 - our own condition


class Database(Protocol):
    """Where the rows live."""

    def write(self, operation: Callable[[Any], T], *, durable: bool = True) -> T:
        """Run OPERATION in a transaction; returns once it is committed and, if DURABLE, synced."""

    def read(self, sql: str, parameters: tuple[object, ...] = ()) -> list[Any]:
        """The rows that SQL selects."""


class Backlog:
    """What the journal has still to do. Every method raises JournalError when the file cannot be used.

    CLOCK is in seconds since the epoch.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def changes(self, state: State, *, limit: int) -> list[Change]:
        """At most LIMIT rows of this state, those that wait longest first."""
        rows = self._database.read(f"{_ROWS} WHERE state = ? ORDER BY marked_at LIMIT ?", (state.value, limit))
        return [_change(row) for row in rows]

    def change(self, bucket: str, key: str) -> Change | None:
        """The row of one key."""
        rows = self._database.read(f"{_ROWS} WHERE bucket = ? AND key = ?", (bucket, key))
        return _change(rows[0]) if rows else None

    def intent(self, bucket: str, key: str) -> Upload | None:
        """The write of a key that began and is not known to have ended."""
        rows = self._database.read("SELECT * FROM uploads WHERE bucket = ? AND key = ?", (bucket, key))
        if not rows:
            return None
        (row,) = rows
        return Upload(path=row["path"], etag=row["etag"], size=row["size"], session_url=row["session_url"])

    def mirrored_at(self, bucket: str, key: str) -> float | None:
        """When the ledger's entry of a key was written."""
        rows = self._database.read("SELECT mirrored_at FROM ledger WHERE bucket = ? AND key = ?", (bucket, key))
        return rows[0]["mirrored_at"] if rows else None

    def retry(self, bucket: str, key: str) -> bool:
        """Look at this key again now, with all its tries ahead of it; False when the journal does not have it waiting or parked."""
        return self._count(f"{_RETRY} WHERE {_IS_NAMED_AND_FREE}", (self._clock(), bucket, key)) > 0

    def retry_all(self) -> int:
        """Look at all parked keys again; how many there are."""
        return self._count(f"{_RETRY} WHERE state = 'parked' AND {_IS_FREE}", (self._clock(),))

    def hasten(self, reason: str) -> int:
        """Look now at all keys that wait for this REASON, which has passed; how many there are."""
        return self._count(_HASTEN, (self._clock(), reason))

    def forget(self, bucket: str, key: str) -> bool:
        """Drop a key's row: SharePoint stays as it is until the next event for it. False when there is none, or a worker has it."""
        return self._count(_FORGET, (bucket, key)) > 0

    def _count(self, statement: str, values: tuple[object, ...]) -> int:
        """Run STATEMENT; how many rows it changed."""
        return self._database.write(lambda cursor: int(cursor.execute(statement, values).rowcount))


def _change(row: Any) -> Change:
    return Change(
        bucket=row["bucket"],
        key=row["key"],
        state=State(row["state"]),
        is_working=bool(row["is_claimed"]),
        event=row["event"],
        marked_at=row["marked_at"],
        due_at=row["due_at"],
        attempts=row["attempts"],
        reason=row["reason"],
        status=row["status"],
        blocked_by=row["blocked_by"],
    )
