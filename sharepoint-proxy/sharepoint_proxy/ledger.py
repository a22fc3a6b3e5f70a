"""The ledger as a reconcile reads, completes and doubts it, beside the workers: never for a key that they have before them."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from sharepoint_proxy.comparison import Known, Standing
from sharepoint_proxy.records import LedgerEntry, State

T = TypeVar("T")

_BATCH = 1000
_ENTRIES = "SELECT * FROM ledger WHERE bucket = ? AND key > ? AND key >= ? ORDER BY key LIMIT ?"
# CROSS JOIN: each name that is asked for is looked up; SQLite would rather read all of the bucket for them.
_KNOWN = "SELECT ledger.* FROM json_each(?) CROSS JOIN ledger ON ledger.bucket = ? AND ledger.key = json_each.value"
_STANDING = """
SELECT changes.key, state, blocked_by
FROM json_each(?) CROSS JOIN changes ON changes.bucket = ? AND changes.key = json_each.value
"""
_AT_PLACES = "SELECT item_id FROM json_each(?) CROSS JOIN ledger ON ledger.path_key = json_each.value"
_IS_WAITING = "SELECT 1 FROM changes WHERE bucket = :bucket AND key = :key AND state = 'waiting'"
_IS_UNFINISHED = "etag = '' AND NOT is_folder"
# A waiting key is the workers' business, and so is one whose entry they wrote since it was looked at; a place that another key
# holds, or has begun to write, is that key's.
_ADOPT = f"""
INSERT OR REPLACE INTO ledger
SELECT :bucket, :key, :path, :place, :item_id, :size, :etag, :quickxor, :is_folder, :made, :now
WHERE NOT EXISTS ({_IS_WAITING})
  AND NOT EXISTS (SELECT 1 FROM uploads WHERE path_key = :place)
  AND NOT EXISTS (SELECT 1 FROM ledger WHERE path_key = :place AND (bucket, key) <> (:bucket, :key) AND NOT (is_folder AND :is_folder))
  AND NOT EXISTS (SELECT 1 FROM ledger WHERE bucket = :bucket AND key = :key AND mirrored_at IS NOT :at)
"""  # noqa: S608 - the condition above is all that is put in
_IS_AS_IT_WAS = f"bucket = :bucket AND key = :key AND mirrored_at = :at AND NOT EXISTS ({_IS_WAITING})"
_DOUBT_FILE = f"""
INSERT OR IGNORE INTO uploads SELECT bucket, key, path, path_key, etag, size, NULL FROM ledger WHERE {_IS_AS_IT_WAS} AND NOT is_folder
"""  # noqa: S608 - as above
# The intent to write a folder would keep everybody out of it.
_DOUBT_FOLDER = f"DELETE FROM ledger WHERE {_IS_AS_IT_WAS} AND is_folder"  # noqa: S608 - as above
_FORGET = f"DELETE FROM ledger WHERE {_IS_AS_IT_WAS}"  # noqa: S608 - as above
_DROP_UNFINISHED = f"""
DELETE FROM ledger WHERE {_IS_UNFINISHED}
  AND NOT EXISTS (SELECT 1 FROM changes WHERE changes.bucket = ledger.bucket AND changes.key = ledger.key)
"""  # noqa: S608 - as above


class Database(Protocol):
    """Where the rows live."""

    def write(self, operation: Callable[[Any], T], *, durable: bool = True) -> T:
        """Run OPERATION in a transaction; returns once it is committed and, if DURABLE, synced."""

    def read(self, sql: str, parameters: tuple[object, ...] = ()) -> list[Any]:
        """The rows that SQL selects."""


class Ledger:
    """What was last put where. PLACE_OF gives the comparison key of a path; CLOCK is in seconds since the epoch."""

    def __init__(
        self, database: Database, *, place_of: Callable[[str], str], clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._place_of = place_of
        self._clock = clock

    def newest(self) -> float:
        """When the newest entry was written (seconds since the epoch), by the clock of whoever wrote it."""
        (row,) = self._database.read("SELECT MAX(mirrored_at) AS newest FROM ledger")
        return float(row["newest"] or 0.0)

    def known(self, bucket: str, keys: Sequence[str]) -> dict[str, Known]:
        """The entries of these KEYS."""
        rows = self._database.read(_KNOWN, (json.dumps(keys), bucket))
        return {row["key"]: Known(LedgerEntry.read(row), row["mirrored_at"]) for row in rows}

    def standing(self, bucket: str, keys: Sequence[str]) -> dict[str, Standing]:
        """Where those of KEYS stand that the workers have before them, or have parked."""
        rows = self._database.read(_STANDING, (json.dumps(keys), bucket))
        return {row["key"]: Standing(State(row["state"]), row["blocked_by"] is not None) for row in rows}

    def entries(self, bucket: str, prefix: str) -> Iterator[list[Known]]:
        """All entries of keys that start with PREFIX, in the order of the keys, some at a time."""
        after = ""
        while after.startswith(prefix) or not after:
            rows = self._database.read(_ENTRIES, (bucket, after, prefix, _BATCH))
            yield [Known(LedgerEntry.read(row), row["mirrored_at"]) for row in rows if row["key"].startswith(prefix)]
            if len(rows) < _BATCH:
                return
            after = rows[-1]["key"]

    def items_at(self, paths: Sequence[str]) -> set[str]:
        """The ids of the items that the mirror put at these PATHS, for whatever keys."""
        places = json.dumps([self._place_of(path) for path in paths])
        return {row["item_id"] for row in self._database.read(_AT_PLACES, (places,))}

    def adopt(self, entries: Sequence[LedgerEntry], known: Sequence[Known | None]) -> list[LedgerEntry]:
        """Write down what is in the library already, where the ledger still holds of the key what is KNOWN; the others are returned."""
        values = [self._values(entry, at) for entry, at in zip(entries, known, strict=True)]

        def operation(cursor: Any) -> list[LedgerEntry]:
            pairs = zip(entries, values, strict=True)
            return [entry for entry, row in pairs if cursor.execute(_ADOPT, row).rowcount == 0]

        return self._database.write(operation) if entries else []

    def doubt(self, known: Sequence[Known]) -> None:
        """Let the next look at these keys begin in the library, as if a write of theirs had ended unknown."""
        self._change(known, _DOUBT_FILE, _DOUBT_FOLDER)

    def forget(self, known: Sequence[Known]) -> None:
        """Know nothing of these keys any more."""
        self._change(known, _FORGET)

    def drop_unfinished(self) -> None:
        """Forget entries that were made for a deletion which was never ordered, as the reconcile was killed in between."""
        self._database.write(lambda cursor: cursor.execute(_DROP_UNFINISHED))

    def _change(self, known: Sequence[Known], *statements: str) -> None:
        """Run STATEMENTS for each entry that still is as it is KNOWN, and whose key does not wait."""
        values = [{"bucket": each.entry.bucket, "key": each.entry.key, "at": each.at} for each in known]

        def operation(cursor: Any) -> None:
            for statement in statements:
                cursor.executemany(statement, values)

        if values:
            self._database.write(operation)

    def _values(self, entry: LedgerEntry, known: Known | None) -> dict[str, object]:
        return {
            "bucket": entry.bucket,
            "key": entry.key,
            "path": entry.path,
            "place": self._place_of(entry.path),
            "item_id": entry.item_id,
            "size": entry.size,
            "etag": entry.etag,
            "quickxor": entry.quickxor,
            "is_folder": entry.is_folder,
            "made": entry.made,
            "now": self._clock(),
            "at": known.at if known is not None else None,
        }
