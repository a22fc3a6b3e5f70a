"""The journal and the ledger: what has still to be looked at, and what was last put where.

`changes` holds one row per (bucket, key) that may differ from SharePoint, and nothing else: a settled row is removed, so that
claiming costs the same with ten rows and with a million. `uploads` holds the intent of each write that has begun; `ledger`
what is in the library by our hand. One transaction settles a key in all three.
"""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from sharepoint_proxy import tables
from sharepoint_proxy.backoff import LONGEST_PAUSE_SECONDS
from sharepoint_proxy.errors import OccupiedError, SourceChangedError
from sharepoint_proxy.events import SESSION_ABOVE_BYTES, Kind, ObjectEvent
from sharepoint_proxy.records import Counts, Job, LedgerEntry, Outcome, State, Upload

T = TypeVar("T")

KEPT_REJECTIONS = 1000
KEPT_BODY_BYTES = 64 * 1024
_ROOM_BYTES = 64 * 1024
_SHORT_WAIT_SECONDS = 60.0


class Database(Protocol):
    """Where the rows live: SQLite, whose cursors and rows are untyped."""

    def write(self, operation: Callable[[Any], T], *, durable: bool = True) -> T:
        """Run OPERATION in a transaction; returns once it is committed and, if DURABLE, synced."""

    def read(self, sql: str, parameters: tuple[object, ...] = ()) -> list[Any]:
        """The rows that SQL selects."""


class Journal:
    """All rows of one service. Every method raises JournalError when the file cannot be written or read.

    PLACE_OF gives the comparison key of a library path: equal where SharePoint sees one place. CLOCK is in seconds since the epoch.
    """

    def __init__(
        self,
        database: Database,
        *,
        place_of: Callable[[str], str],
        delete_grace_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._place_of = place_of
        self._delete_grace_seconds = delete_grace_seconds
        self._clock = clock
        self._believed_since = 0.0

    def recover(self) -> None:
        """Give back what a process that died was working on; call it once, before the first claim."""

        def operation(cursor: Any) -> None:
            cursor.execute("DELETE FROM claims")
            # A restart is a good moment to try again; and a clock that was wrong may have written any date.
            now = self._clock()
            cursor.execute(
                "UPDATE changes SET due_at = ? WHERE state = 'waiting' AND large IN (0, 1) AND due_at > ?",
                (now, now + _SHORT_WAIT_SECONDS),
            )

        self._database.write(operation)

    def doubt_ledger(self) -> None:
        """Believe of the ledger only what is written from now on: somebody else may have changed what it tells of until now."""
        self._believed_since = self._clock()

    def check_writable(self) -> None:
        """JournalError when there is no room for what an event may need."""
        statement = "INSERT OR REPLACE INTO notes VALUES ('room', ?)"
        self._database.write(lambda cursor: cursor.execute(statement, ("x" * _ROOM_BYTES,)), durable=False)

    def schedule_reconcile(self, reason: str) -> None:
        """Keep in mind that the whole library must be compared with MinIO, and why."""
        statement = "INSERT OR REPLACE INTO notes VALUES ('reconcile', ?)"
        self._database.write(lambda cursor: cursor.execute(statement, (reason,)))

    def keep_pause(self, seconds: float) -> None:
        """Keep in mind that Graph wants no request for SECONDS from now on."""
        statement = "INSERT OR REPLACE INTO notes VALUES ('pause', ?)"
        note = f"{self._clock() + seconds} {seconds}"
        self._database.write(lambda cursor: cursor.execute(statement, (note,)))

    def pause_left(self) -> float:
        """How many seconds of the pause kept last are left; 0 when it is over."""
        rows = self._database.read("SELECT text FROM notes WHERE name = 'pause'")
        if not rows:
            return 0.0
        until, seconds = map(float, rows[0]["text"].split())
        # A clock that was set back meanwhile makes it no longer than it was.
        return max(0.0, min(until - self._clock(), seconds, LONGEST_PAUSE_SECONDS))

    def mark(self, events: Sequence[ObjectEvent]) -> list[int]:
        """Record that these keys must be looked at; their generations, in order, once they are on disk."""

        def operation(cursor: Any) -> list[int]:
            return [self._mark(cursor, event) for event in events]

        return self._database.write(operation) if events else []

    def reject(self, reasons: Sequence[str], *, body: bytes) -> None:
        """Keep a body of which something could not be used, with the different reasons; the newest thousand are kept."""

        def operation(cursor: Any) -> None:
            said = _writable(" ".join(dict.fromkeys(reasons)))
            cursor.execute("INSERT INTO rejected VALUES (?, ?, ?)", (self._clock(), said, body[:KEPT_BODY_BYTES]))
            cursor.execute(
                "DELETE FROM rejected WHERE rowid <= (SELECT MAX(rowid) FROM rejected) - ?", (KEPT_REJECTIONS,)
            )

        self._database.write(operation)

    def claim(self, *, places: int, large_places: int) -> list[Job]:
        """Take at most PLACES keys that are due, the longest due first, of which LARGE_PLACES may need an upload session.

        A claimed key is nobody else's until it is settled or `recover` gives it back.
        """

        def operation(cursor: Any) -> list[Job]:
            now = self._clock()
            due = [
                row
                for large, limit in ((0, places), (1, min(places, large_places)))
                for row in cursor.execute(tables.DUE, (large, now, limit)).fetchall()
            ]
            taken = sorted(due, key=lambda row: row["due_at"])[:places]
            cursor.executemany("INSERT INTO claims VALUES (?, ?)", [(row["bucket"], row["key"]) for row in taken])
            return [_job(row) for row in taken]

        return self._database.write(operation, durable=False)

    def seconds_until_due(self, *, large_places: int) -> float | None:
        """How long until `claim` would find something: 0 when it would now, None when nothing waits."""
        kinds = (0, 1) if large_places else (0,)
        due = [row["due_at"] for large in kinds for row in self._database.read(tables.NEXT_DUE, (large,))]
        return max(0.0, min(due) - self._clock()) if due else None

    def due(self, *, most: int) -> int:
        """How many keys are due, worked on or not, counted up to MOST: those that were postponed for their own troubles are not."""
        now = self._clock()
        return min(most, sum(len(self._database.read(tables.ANY_DUE, (large, now, most))) for large in (0, 1)))

    def begin(self, job: Job, upload: Upload) -> None:
        """Put the intent to write UPLOAD on disk; OccupiedError when another key holds its place, or one above or below it.

        While an intent stands, the ledger's word for the key is in doubt: whoever finds it looks at SharePoint first.
        """

        def operation(cursor: Any) -> None:
            self._refuse_if_occupied(cursor, job, upload.path, is_folder=False)
            self._write_intent(cursor, job, upload)

        self._database.write(operation)

    def begin_removal(self, job: Job, path: str, *, is_folder: bool, item_id: str | None = None) -> None:
        """Put the intent to remove what is at PATH on disk; of a folder OccupiedError while the mirror has anything below it.

        SourceChangedError when the item ITEM_ID is another key's by now: the object was renamed.
        """

        def operation(cursor: Any) -> None:
            if item_id is not None and not _has_item(cursor, job, item_id):
                raise SourceChangedError("The object was renamed meanwhile; it is looked at again.")
            if is_folder:
                self._refuse_if_occupied(cursor, job, path, is_folder=False)
            self._write_intent(cursor, job, Upload(path=path, etag="", size=0))

        self._database.write(operation)

    def withdraw(self, job: Job) -> None:
        """Take back the intent of a write that SharePoint refused: nothing of it can be there."""

        def operation(cursor: Any) -> None:
            cursor.execute("DELETE FROM uploads WHERE bucket = ? AND key = ?", (job.bucket, job.key))
            self._free_blocked(cursor, job.name)

        self._database.write(operation, durable=False)

    def refuse_if_occupied(self, job: Job, path: str, *, is_folder: bool) -> None:
        """OccupiedError when another key holds PATH, or a file one above it, or (for a file) anything below it."""
        self._database.write(
            lambda cursor: self._refuse_if_occupied(cursor, job, path, is_folder=is_folder), durable=False
        )

    def note_session(self, job: Job, session_url: str | None) -> None:
        """Keep the upload session's URL, so that a later try goes on where this one ended."""
        statement = "UPDATE uploads SET session_url = ? WHERE bucket = ? AND key = ?"
        self._database.write(lambda cursor: cursor.execute(statement, (session_url, job.bucket, job.key)))

    def settle(self, job: Job, outcome: Outcome) -> None:
        """Write down what came of JOB. If an event came in since it was claimed, the key waits for another look."""

        def operation(cursor: Any) -> None:
            if outcome.forget:
                self._look_at_emptied_folders(cursor, job, outcome.path)
            self._write_ledger(cursor, job, outcome)
            if outcome.emptied is not None:
                self._look_at_folder(cursor, *outcome.emptied)
            if outcome.state is State.SETTLED:
                self._finish(cursor, job)
                self._free_blocked(cursor, job.name)
                return
            self._keep(cursor, job, outcome)
            if outcome.blocked_by is not None and not _holds_a_place(cursor, outcome.blocked_by):
                self._free_blocked(cursor, outcome.blocked_by)

        self._database.write(operation)

    def place(self, job: Job, entry: LedgerEntry) -> None:
        """Write ENTRY into the ledger before JOB is settled: its write has ended well, and something else is still to do."""

        def operation(cursor: Any) -> None:
            self._put_entry(cursor, entry)
            cursor.execute("DELETE FROM uploads WHERE bucket = ? AND key = ?", (job.bucket, job.key))

        self._database.write(operation)

    def forget(self, job: Job) -> None:
        """Remove JOB's key from the ledger: nothing of it is in the library any more."""

        def operation(cursor: Any) -> None:
            cursor.execute("DELETE FROM ledger WHERE bucket = ? AND key = ?", (job.bucket, job.key))
            self._free_blocked(cursor, job.name)

        self._database.write(operation)

    def entry(self, bucket: str, key: str) -> LedgerEntry | None:
        """What the ledger holds of a key, as far as it is believed."""
        statement = "SELECT * FROM ledger WHERE bucket = ? AND key = ? AND mirrored_at > ?"
        rows = self._database.read(statement, (bucket, key, self._believed_since))
        return LedgerEntry.read(rows[0]) if rows else None

    def hears_of_removal(self, bucket: str, key: str) -> bool:
        """True if the key waits because it was removed, and that was recorded since the ledger was doubted last."""
        return bool(self._database.read(tables.NEW_REMOVAL, (bucket, key, self._believed_since)))

    def counts(self) -> Counts:
        """How many rows there are in each state, and since when the oldest waits; it costs the same however many there are."""
        (row,) = self._database.read(tables.COUNTS)
        return Counts(
            waiting=row["waiting"] - row["working"],
            working=row["working"],
            parked=row["parked"],
            oldest_marked_at=row["oldest"],
        )

    def _mark(self, cursor: Any, event: ObjectEvent) -> int:
        now = self._clock()
        grace = self._delete_grace_seconds if event.kind is Kind.REMOVED else 0.0
        large = (event.size or 0) > SESSION_ABOVE_BYTES
        generation = _next_generation(cursor)
        cursor.execute(
            tables.MARK, (event.bucket, event.key, generation, _writable(event.name), large, now, now + grace)
        )
        return generation

    def _refuse_if_occupied(self, cursor: Any, job: Job, path: str, *, is_folder: bool) -> None:
        place = self._place_of(path)
        question = {"place": place, "parents": _parents(place), "is_folder": is_folder}
        rows = cursor.execute(tables.OCCUPANT, question).fetchall()
        others = [row for row in rows if (row["bucket"], row["key"]) != (job.bucket, job.key)]
        if others:
            by = f"{others[0]['bucket']}/{others[0]['key']}"
            raise OccupiedError(f"The place {path} in SharePoint belongs to the object {by}.", by=by)

    def _write_intent(self, cursor: Any, job: Job, upload: Upload) -> None:
        place = self._place_of(upload.path)
        values = (job.bucket, job.key, upload.path, place, upload.etag, upload.size, None)
        cursor.execute("INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def _look_at_emptied_folders(self, cursor: Any, job: Job, path: str) -> None:
        """Mark the folders that the mirror made at or above the PATH of a key that is gone: they may be empty now."""
        place = self._place_of(path)
        question = {"places": _parents(place, and_itself=True), "bucket": job.bucket, "key": job.key}
        for folder in cursor.execute(tables.FOLDERS_MADE, question).fetchall():
            event = ObjectEvent(bucket=folder["bucket"], key=folder["key"], name="emptied", kind=Kind.OTHER)
            self._mark(cursor, event)

    def _look_at_folder(self, cursor: Any, bucket: str, key: str) -> None:
        """Mark a folder out of which something went, if the mirror has nothing below it any more."""
        if cursor.execute(tables.ANYTHING_BELOW, (bucket, key, key.removesuffix("/") + "0")).fetchone() is None:
            self._mark(cursor, ObjectEvent(bucket=bucket, key=key, name="emptied", kind=Kind.OTHER))

    def _write_ledger(self, cursor: Any, job: Job, outcome: Outcome) -> None:
        if outcome.forget:
            cursor.execute(tables.FORGET_FIELDS, (job.bucket, job.key))
            cursor.execute("DELETE FROM ledger WHERE bucket = ? AND key = ?", (job.bucket, job.key))
        if outcome.entry is not None:
            self._put_entry(cursor, outcome.entry)

    def _put_entry(self, cursor: Any, entry: LedgerEntry) -> None:
        place = self._place_of(entry.path)
        identity = (entry.bucket, entry.key, entry.path, place, entry.item_id, entry.size, entry.etag, entry.quickxor)
        cursor.execute(tables.PUT_ENTRY, (*identity, entry.is_folder, entry.made, self._clock()))

    def _finish(self, cursor: Any, job: Job) -> None:
        name = (job.bucket, job.key)
        cursor.execute("DELETE FROM uploads WHERE bucket = ? AND key = ?", name)
        cursor.execute("DELETE FROM changes WHERE bucket = ? AND key = ? AND generation = ?", (*name, job.generation))
        cursor.execute("DELETE FROM claims WHERE bucket = ? AND key = ?", name)

    def _keep(self, cursor: Any, job: Job, outcome: Outcome) -> None:
        name = (job.bucket, job.key)
        cursor.execute("DELETE FROM claims WHERE bucket = ? AND key = ?", name)
        large = job.large if outcome.large is None else outcome.large
        due_at = self._clock() + outcome.delay
        values = (outcome.state, _writable(outcome.reason), outcome.status, outcome.blocked_by, large, due_at)
        cursor.execute(
            "UPDATE changes SET state = ?, reason = ?, status = ?, blocked_by = ?, large = ?, due_at = ?, attempts = attempts + ?"
            " WHERE bucket = ? AND key = ? AND generation = ?",
            (*values, int(outcome.counts_as_attempt), *name, job.generation),
        )

    def _free_blocked(self, cursor: Any, name: str) -> None:
        """Keys that were parked because the object NAME held their place are looked at again."""
        cursor.execute(
            "UPDATE changes SET state = 'waiting', due_at = ?, attempts = 0, blocked_by = NULL WHERE blocked_by = ?",
            (self._clock(), name),
        )


def _writable(text: str) -> str:
    """TEXT with halves of surrogate pairs, which JSON can spell and UTF-8 cannot, written out."""
    return text.encode("utf-8", "backslashreplace").decode()


def _parents(place: str, *, and_itself: bool = False) -> str:
    """The places of all folders above PLACE, as a JSON list for `json_each`."""
    above = [place[:end] for end, character in enumerate(place) if character == "/"]
    return json.dumps([*above, place] if and_itself else above)


def _holds_a_place(cursor: Any, name: str) -> bool:
    """False when the object that blocked another one went away between the refusal and its being written down."""
    parts = name.split("/", 1)
    tables = ("ledger", "uploads")
    query = "SELECT 1 FROM {} WHERE bucket = ? AND key = ?"
    return any(cursor.execute(query.format(table), parts).fetchone() for table in tables)


def _has_item(cursor: Any, job: Job, item_id: str) -> bool:
    query = "SELECT 1 FROM ledger WHERE bucket = ? AND key = ? AND item_id = ?"
    return cursor.execute(query, (job.bucket, job.key, item_id)).fetchone() is not None


def _next_generation(cursor: Any) -> int:
    row = cursor.execute("UPDATE counter SET generation = generation + 1 RETURNING generation").fetchone()
    return int(row["generation"])


def _job(row: Any) -> Job:
    return Job(
        bucket=row["bucket"],
        key=row["key"],
        generation=row["generation"],
        attempts=row["attempts"],
        event=row["event"],
        large=bool(row["large"]),
        marked_at=row["marked_at"],
        upload=None if row["path"] is None else _upload(row),
    )


def _upload(row: Any) -> Upload:
    return Upload(path=row["path"], etag=row["etag"], size=row["size"], session_url=row["session_url"])
