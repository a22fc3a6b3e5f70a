"""Hands a ledger entry from a key that is gone to the key that its object was renamed to."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from sharepoint_proxy.records import Job, LedgerEntry, Upload

T = TypeVar("T")

_MOST_CANDIDATES = 5
_LOOKED_AT = 200

# Same size, and the same eTag or one of the other kind: a multipart object that is copied gets the MD5 of its bytes as its eTag.
# Of thousands of equal files only some are looked at.
_CANDIDATES = """
SELECT * FROM (
    SELECT * FROM (SELECT * FROM ledger WHERE size = :size AND etag = :etag LIMIT :looked_at)
    UNION ALL
    SELECT * FROM (
        SELECT * FROM ledger INDEXED BY ledger_multipart WHERE size = :size AND instr(etag, '-') > 0 AND instr(:etag, '-') = 0 LIMIT :looked_at)
    UNION ALL
    SELECT * FROM (
        SELECT * FROM ledger WHERE size = :size AND instr(etag, '-') = 0 AND instr(:etag, '-') > 0 LIMIT :looked_at)
) AS likely
WHERE NOT is_folder AND (bucket, key) <> (:bucket, :key)
  AND (NOT :only_removed OR EXISTS (
      SELECT 1 FROM changes WHERE bucket = likely.bucket AND key = likely.key AND state = 'waiting' AND event LIKE '%ObjectRemoved%'))
ORDER BY etag = :etag DESC, substr(key, -length(:name)) = :name DESC LIMIT :most
"""

# Not one whose write or removal has begun, nor one that a worker has before it, unless to remove it: it will find that out in time.
_TAKE = """
UPDATE ledger SET bucket = :bucket, key = :key
WHERE bucket = :from_bucket AND key = :from_key AND item_id = :item_id
  AND NOT EXISTS (
      SELECT 1 FROM claims JOIN changes USING (bucket, key)
      WHERE bucket = :from_bucket AND key = :from_key AND event NOT LIKE '%ObjectRemoved%')
  AND NOT EXISTS (SELECT 1 FROM uploads WHERE bucket = :from_bucket AND key = :from_key)
  AND NOT EXISTS (SELECT 1 FROM ledger WHERE bucket = :bucket AND key = :key)
"""


class Database(Protocol):
    """Where the rows live."""

    def write(self, operation: Callable[[Any], T], *, durable: bool = True) -> T:
        """Run OPERATION in a transaction; returns once it is committed and, if DURABLE, synced."""

    def read(self, sql: str, parameters: tuple[object, ...] | dict[str, object] = ()) -> list[Any]:
        """The rows that SQL selects."""


class Handover:
    """The ledger as a rename needs it. Every method raises JournalError when the file cannot be used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def candidates(self, job: Job, upload: Upload, *, only_removed: bool) -> list[LedgerEntry]:
        """The likeliest entries of other keys for the bytes of UPLOAD; with ONLY_REMOVED those whose removal has been announced."""
        question = {
            "bucket": job.bucket,
            "key": job.key,
            "size": upload.size,
            "etag": upload.etag,
            "only_removed": only_removed,
            "name": job.key.rpartition("/")[2],
            "most": _MOST_CANDIDATES,
            "looked_at": _LOOKED_AT,
        }
        return [LedgerEntry.read(row) for row in self._database.read(_CANDIDATES, question)]

    def take(self, job: Job, entry: LedgerEntry) -> bool:
        """Make ENTRY that of JOB's key; False when its own key is being worked on, or it changed meanwhile."""
        values = {
            "bucket": job.bucket,
            "key": job.key,
            "from_bucket": entry.bucket,
            "from_key": entry.key,
            "item_id": entry.item_id,
        }
        return self._database.write(lambda cursor: int(cursor.execute(_TAKE, values).rowcount)) > 0
