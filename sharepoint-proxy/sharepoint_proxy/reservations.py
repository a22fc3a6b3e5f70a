"""What a restore writes into the journal beside the running service: keys that it brings back, so that their events find nothing to do.

Before an object is written its key gets an intent, as before an upload: whoever looks at the key meanwhile looks at SharePoint
first, finds the object's bytes there, and adopts them instead of sending them. Once it is written, the ledger knows it and the
intent goes. A key that the service has before it is never touched.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

from sharepoint_proxy.records import LedgerEntry, State

T = TypeVar("T")

# No eTag: an intent on whose account nothing in the library is removed. And of a size that no other intent has: it is a restore's.
_MARK = ("", -1)
_NAME = "bucket = :bucket AND key = :key"
_OTHERS = "path_key = :place AND (bucket, key) <> (:bucket, :key)"
_OCCUPANT = f"SELECT bucket, key FROM ledger WHERE {_OTHERS} UNION ALL SELECT bucket, key FROM uploads WHERE {_OTHERS}"  # noqa: S608 - the condition above is all that is put in
_CHANGE = f"SELECT state, event, reason FROM changes WHERE {_NAME}"  # noqa: S608 - as above
_WORKED_ON = f"SELECT 1 FROM claims WHERE {_NAME}"  # noqa: S608 - as above
_UNFINISHED = f"SELECT 1 FROM uploads WHERE {_NAME} AND (etag, size) <> (:etag, :size)"  # noqa: S608 - as above
_GIVE_BACK = f"DELETE FROM uploads WHERE {_NAME} AND (etag, size) = (:etag, :size)"  # noqa: S608 - as above
_RESERVE = """
INSERT OR REPLACE INTO uploads (bucket, key, path, path_key, etag, size, session_url)
VALUES (:bucket, :key, :path, :place, :etag, :size, NULL)
"""
_ENTER = """
INSERT OR REPLACE INTO ledger (bucket, key, path, path_key, item_id, size, etag, quickxor, is_folder, made, mirrored_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?)
"""


class Database(Protocol):
    """Where the rows live; another process may write at the same time."""

    def write(self, operation: Callable[[Any], T], *, durable: bool = True) -> T:
        """Run OPERATION in a transaction; returns once it is committed and, if DURABLE, synced."""

    def read(self, sql: str, parameters: tuple[object, ...] = ()) -> list[Any]:
        """The rows that SQL selects."""


class Reservations:
    """The keys of one journal. PLACE_OF gives the comparison key of a path; CLOCK is in seconds since the epoch.

    Every method raises JournalError when the file cannot be used.
    """

    def __init__(
        self, database: Database, *, place_of: Callable[[str], str], clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._place_of = place_of
        self._clock = clock

    def name_of(self, path: str, *, is_folder: bool) -> tuple[str, str] | None:
        """The bucket and key, to the letter, of what the mirror put at PATH; None if that is not known."""
        statement = "SELECT bucket, key FROM ledger WHERE path_key = ? AND is_folder = ?"
        rows = self._database.read(statement, (self._place_of(path), int(is_folder)))
        return (rows[0]["bucket"], rows[0]["key"]) if rows else None

    def obstacle(self, bucket: str, key: str, path: str) -> str:
        """Why the key must be left alone, in a sentence; "" if nothing is in the way."""
        values = self._values(bucket, key, path)
        return self._database.write(lambda cursor: _obstacle(cursor, values), durable=False)

    def take(self, bucket: str, key: str, path: str) -> str:
        """Reserve the key, which belongs at PATH, and return ""; or leave it alone and return why."""
        values = self._values(bucket, key, path)

        def operation(cursor: Any) -> str:
            reason = _obstacle(cursor, values)
            if not reason:
                cursor.execute(_RESERVE, values)
            return reason

        return self._database.write(operation)

    def settle(self, entry: LedgerEntry) -> None:
        """The object is written as ENTRY says. If the service settled the key meanwhile, or looks at it now, its word counts."""
        values = self._values(entry.bucket, entry.key, entry.path)
        identity = (entry.bucket, entry.key, entry.path, values["place"])
        content = (entry.item_id, entry.size, entry.etag, entry.quickxor)

        def operation(cursor: Any) -> None:
            if cursor.execute(_WORKED_ON, values).fetchone() is None and cursor.execute(_GIVE_BACK, values).rowcount:
                cursor.execute(_ENTER, (*identity, *content, self._clock()))

        self._database.write(operation)

    def give_back(self, bucket: str, key: str) -> None:
        """Nothing was written: the key is as it was."""
        values = self._values(bucket, key, "")
        self._database.write(lambda cursor: cursor.execute(_GIVE_BACK, values))

    def _values(self, bucket: str, key: str, path: str) -> dict[str, object]:
        etag, size = _MARK
        place = self._place_of(path)
        return {"bucket": bucket, "key": key, "path": path, "place": place, "etag": etag, "size": size}


def _obstacle(cursor: Any, values: dict[str, object]) -> str:
    return next(_obstacles(cursor, values), "")


def _obstacles(cursor: Any, values: dict[str, object]) -> Iterator[str]:
    if cursor.execute(_WORKED_ON, values).fetchone() is not None:
        yield "The service is at work on this key just now: run the restore again."
    if (change := cursor.execute(_CHANGE, values).fetchone()) is not None:
        if change["state"] == State.PARKED:
            yield f"The key is parked: {change['reason']}"
        yield f"A change of this key waits in the journal ({change['event']}): let the service settle it first."
    if cursor.execute(_UNFINISHED, values).fetchone() is not None:
        yield "The service has begun to write this key, and not ended: let it settle that first."
    if (other := cursor.execute(_OCCUPANT, values).fetchone()) is not None:
        yield f"The place in SharePoint belongs to the object {other['bucket']}/{other['key']}."
