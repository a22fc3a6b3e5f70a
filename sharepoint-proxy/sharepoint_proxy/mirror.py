"""Makes SharePoint agree with MinIO about one key: looks at both, decides, acts once.

An event only says "look here". Whatever order events come in, and however often, what MinIO holds *now* is compared with what
the ledger says was last put there; nothing is done when they agree. The decisions are here; how things are done is not.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Protocol

from sharepoint_proxy import rewriting
from sharepoint_proxy.content import ObjectReader, Stretch
from sharepoint_proxy.errors import (
    AccessError,
    NameRefusedError,
    OccupiedError,
    OutageError,
    PermanentError,
    SessionsLostError,
    Subject,
    TransientError,
    is_refusal,
    is_silence,
)
from sharepoint_proxy.events import SESSION_ABOVE_BYTES
from sharepoint_proxy.records import Action, DriveItem, Job, LedgerEntry, Outcome, State, StoredObject, Upload

_DATE_MATTERS_AFTER = timedelta(hours=1)
"""The date of a younger object is close enough to the moment of its upload, which SharePoint shows by itself."""

_FULL = HTTPStatus.INSUFFICIENT_STORAGE
_PROBE_FULL_LIBRARY_EACH = timedelta(minutes=15)

_LARGEST_PUT_BYTES = 262_144_000
"""What Graph's documentation allows for a single PUT; above 4 MiB it is the last resort."""


class Target(Protocol):
    """Where a key belongs in the library."""

    @property
    def path(self) -> str: ...
    @property
    def is_folder(self) -> bool: ...


class Routing(Protocol):
    """Says where keys belong."""

    def is_routed(self, bucket: str, key: str) -> bool: ...
    def target(self, bucket: str, key: str) -> Target | None: ...


class Source(Protocol):
    """What MinIO holds."""

    def stat(self, bucket: str, key: str) -> StoredObject | None: ...
    def holds_below(self, bucket: str, prefix: str) -> bool: ...
    def open(self, stored: StoredObject, *, offset: int = 0) -> AbstractContextManager[Iterator[bytes]]: ...


class Journal(Protocol):
    """The ledger, and the intents of writes under way."""

    def entry(self, bucket: str, key: str) -> LedgerEntry | None: ...
    def begin(self, job: Job, upload: Upload) -> None: ...
    def begin_removal(self, job: Job, path: str, *, is_folder: bool) -> None: ...
    def refuse_if_occupied(self, job: Job, path: str, *, is_folder: bool) -> None: ...
    def note_session(self, job: Job, session_url: str | None) -> None: ...
    def withdraw(self, job: Job) -> None: ...


class Library(Protocol):
    """The document library."""

    def check(self) -> None: ...
    def refuse_if_too_long(self, path: str) -> None: ...
    def put(self, path: str, body: Stretch) -> DriveItem: ...
    def set_modified(self, item_id: str, modified: datetime) -> None: ...
    def find(self, path: str) -> DriveItem | None: ...
    def get(self, item_id: str) -> DriveItem | None: ...
    def delete(self, item_id: str, *, etag: str | None = None) -> bool: ...
    def make_folder(self, path: str) -> tuple[DriveItem, bool]: ...


class Sessions(Protocol):
    """Uploads by session."""

    def send(
        self,
        path: str,
        reader: ObjectReader,
        *,
        modified: datetime,
        session_url: str | None,
        keep: Callable[[str | None], None],
    ) -> DriveItem: ...
    def cancel(self, url: str) -> None: ...


class Mirror:
    """Converges keys, each in one worker at a time. APPLICATION_ID is the one that Graph knows us by; CLOCK gives the time of day."""

    def __init__(
        self,
        *,
        routing: Routing,
        source: Source,
        journal: Journal,
        library: Library,
        sessions: Sessions,
        application_id: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._routing = routing
        self._source = source
        self._journal = journal
        self._library = library
        self._sessions = sessions
        self._application_id = application_id
        self._clock = clock
        self._full_until: datetime | None = None

    def converge(self, job: Job) -> Outcome:
        """Make SharePoint agree about JOB's key. Whatever is raised leaves both sides as a later try can go on from."""
        try:
            return self._converge(job)
        except AccessError:
            # Is it this file, or the whole library? An outage keeps all events, a file that is barred must not hold them up.
            self._library.check()
            raise
        except TransientError as error:
            # One failure may be chance. At a key's second: is it this key, or does nothing work?
            if job.attempts > 0 and is_silence(error):
                self._library.check()
            raise

    def _converge(self, job: Job) -> Outcome:
        if not self._routing.is_routed(job.bucket, job.key):
            return Outcome(state=State.SETTLED, reason="The key is under no allowed prefix.")
        stored = self._source.stat(job.bucket, job.key)
        entry = self._journal.entry(job.bucket, job.key)
        if stored is None:
            return self._remove(job, entry)
        target = self._routing.target(job.bucket, job.key)
        if target is None:
            return Outcome(state=State.SETTLED, reason="The key stands for the library's root.")
        if target.is_folder:
            return self._make_folder(job, target.path, entry)
        return self._write(job, target.path, stored, entry)

    def _write(self, job: Job, path: str, stored: StoredObject, entry: LedgerEntry | None) -> Outcome:
        upload = Upload(path=path, etag=stored.etag, size=stored.size)
        if entry is not None and job.upload is None and _is_same_write(entry, upload):
            return Outcome(state=State.SETTLED, action=Action.UNCHANGED)
        if stored.size > SESSION_ABOVE_BYTES and not job.large:
            # The event's size misled: wait for one of the places that are kept for upload sessions.
            return Outcome(state=State.WAITING, large=True, counts_as_attempt=False)
        self._library.refuse_if_too_long(path)
        with ObjectReader(partial(self._open, stored), stored.size) as reader:
            return self._write_from(reader, job, upload, stored, entry)

    def _write_from(
        self, reader: ObjectReader, job: Job, upload: Upload, stored: StoredObject, entry: LedgerEntry | None
    ) -> Outcome:
        if job.upload is None and entry is not None and _holds_same_bytes(entry, upload, reader):
            return _settled(Action.UNCHANGED, _entry(job, upload, entry.item_id, reader.quickxor()))
        self._refuse_while_full()
        session_url = self._resumable(job.upload, upload)
        item = None if session_url is not None else self._landed(job.upload, upload, reader)
        action = Action.UPLOADED if item is None else Action.ADOPTED
        if item is None:
            item = self._send_unless_full(job, upload, stored, reader, session_url)
            rewriting.verify(item, path=upload.path, size=reader.size, quickxor=reader.quickxor())
        if entry is not None and entry.path != upload.path and entry.item_id != item.id:
            # The routes were changed since: what was written at the old place is taken away.
            self._library.delete(entry.item_id)
        sent = stored.size if action is Action.UPLOADED else 0
        return _settled(action, _entry(job, upload, item.id, reader.quickxor()), sent=sent)

    def _refuse_while_full(self) -> None:
        """OutageError while the library is known to be full; one upload at a time then tries whether it still is."""
        now = self._clock()
        if self._full_until is None:
            return
        if now < self._full_until:
            left = (self._full_until - now).total_seconds()
            raise OutageError("The library is full.", subject=Subject.QUOTA, retry_after=left, status=_FULL)
        self._full_until = now + _PROBE_FULL_LIBRARY_EACH

    def _send_unless_full(
        self, job: Job, upload: Upload, stored: StoredObject, reader: ObjectReader, session_url: str | None
    ) -> DriveItem:
        try:
            item = self._send(job, upload, stored, reader, session_url)
        except OutageError as error:
            if error.subject is Subject.QUOTA:
                self._full_until = self._clock() + _PROBE_FULL_LIBRARY_EACH
            raise
        self._full_until = None
        return item

    def _send(
        self, job: Job, upload: Upload, stored: StoredObject, reader: ObjectReader, session_url: str | None
    ) -> DriveItem:
        if session_url is None:
            self._journal.begin(job, upload)
        try:
            return self._send_to_place(job, upload, stored, reader, session_url)
        except OccupiedError:
            if self._makes_room(upload.path):
                return self._send_to_place(job, upload, stored, reader, None)
            # Where a folder stands nothing of ours can be; the place must not seem taken by this key.
            self._journal.withdraw(job)
            raise

    def _makes_room(self, path: str) -> bool:
        """Remove the folder that our uploads of objects below PATH left there, when it is empty by now."""
        item = self._library.find(path)
        if item is None or not item.is_folder or item.child_count != 0 or item.creator_id != self._application_id:
            return False
        return self._library.delete(item.id, etag=item.etag)

    def _send_to_place(
        self, job: Job, upload: Upload, stored: StoredObject, reader: ObjectReader, session_url: str | None
    ) -> DriveItem:
        if stored.size > SESSION_ABOVE_BYTES:
            return self._send_by_session(job, upload, stored, reader, session_url)
        item = self._put(job, upload, reader)
        if self._clock() - stored.modified > _DATE_MATTERS_AFTER:
            # The bytes are there; a date that cannot be set just now is no reason to send them again.
            with contextlib.suppress(TransientError, PermanentError):
                self._library.set_modified(item.id, stored.modified)
        return item

    def _send_by_session(
        self, job: Job, upload: Upload, stored: StoredObject, reader: ObjectReader, session_url: str | None
    ) -> DriveItem:
        keep = partial(self._journal.note_session, job)
        try:
            return self._sessions.send(
                upload.path, reader, modified=stored.modified, session_url=session_url, keep=keep
            )
        except SessionsLostError:
            # Sessions on an existing Office file get lost again and again (rclone/rclone#9767, abraunegg/onedrive#3859).
            if upload.size > _LARGEST_PUT_BYTES or not rewriting.is_rewritten(upload.path):
                raise
            return self._library.put(upload.path, Stretch(reader, 0, upload.size))

    def _put(self, job: Job, upload: Upload, reader: ObjectReader) -> DriveItem:
        try:
            return self._library.put(upload.path, Stretch(reader, 0, upload.size))
        except (TransientError, PermanentError) as error:
            # Refused, it left nothing to look for, unless an earlier write did whose answer was lost.
            if is_refusal(error) and job.upload is None:
                self._journal.withdraw(job)
            raise

    def _resumable(self, earlier: Upload | None, upload: Upload) -> str | None:
        """The session that an earlier try began for exactly this write; a session for anything else is cancelled."""
        if earlier is None or earlier.session_url is None:
            return None
        if _is_same_write(earlier, upload):
            return earlier.session_url
        self._sessions.cancel(earlier.session_url)
        return None

    def _landed(self, earlier: Upload | None, upload: Upload, reader: ObjectReader) -> DriveItem | None:
        """What is in the library already, if an earlier write ended unknown: its answer may have been lost after it took effect."""
        if earlier is None:
            return None
        item = self._library.find(upload.path)
        return item if item is not None and reader.is_content_of(item) else None

    def _remove(self, job: Job, entry: LedgerEntry | None) -> Outcome:
        if job.key.endswith("/"):
            return self._remove_folder(job, entry)
        # What is in doubt goes first: its intent is replaced by the next one.
        were_there = {item_id: self._library.delete(item_id) for item_id in self._unsettled_items(job.upload)}
        if entry is not None and entry.item_id not in were_there:
            self._journal.begin_removal(job, entry.path, is_folder=False)
            were_there[entry.item_id] = self._library.delete(entry.item_id)
        path = entry.path if entry is not None else self._path(job)
        if not were_there:
            return _gone(Action.ABSENT, path, reason="The mirror has written nothing for it.")
        return _gone(Action.DELETED if any(were_there.values()) else Action.ABSENT, path)

    def _path(self, job: Job) -> str:
        """Where the key would be in the library; "" where it cannot have a place there."""
        try:
            target = self._routing.target(job.bucket, job.key)
        except NameRefusedError:
            return ""
        return target.path if target is not None else ""

    def _unsettled_items(self, earlier: Upload | None) -> Iterator[str]:
        """The file that a write of ours left before the ledger knew of it, if so; anybody else's file is not touched."""
        if earlier is None or earlier.is_removal:
            return
        if earlier.session_url is not None:
            self._sessions.cancel(earlier.session_url)
        item = self._library.find(earlier.path)
        if item is not None and not item.is_folder and self._is_ours(item, earlier):
            yield item.id

    def _is_ours(self, item: DriveItem, earlier: Upload) -> bool:
        """True if we wrote the item last; where Graph does not say who did, its size must be that of the write."""
        if item.application_id is None:
            return item.size == earlier.size
        return item.application_id == self._application_id

    def _make_folder(self, job: Job, path: str, entry: LedgerEntry | None) -> Outcome:
        if entry is not None and job.upload is None and entry.path == path:
            return Outcome(state=State.SETTLED, action=Action.UNCHANGED)
        self._library.refuse_if_too_long(path)
        self._journal.refuse_if_occupied(job, path, is_folder=True)
        item, made_now = self._library.make_folder(path)
        # Also one that our uploads made on their way, or whose making lost its answer.
        made = made_now or item.creator_id == self._application_id
        folder = LedgerEntry(
            bucket=job.bucket,
            key=job.key,
            path=path,
            item_id=item.id,
            size=0,
            etag="",
            quickxor=None,
            is_folder=True,
            made=made,
        )
        return _settled(Action.FOLDER_MADE if made_now else Action.ADOPTED, folder)

    def _remove_folder(self, job: Job, entry: LedgerEntry | None) -> Outcome:
        """Remove a folder that the mirror made, if nothing is in it; what is removed below it later brings us here again."""
        path = entry.path if entry is not None else self._path(job)
        if not path or (entry is not None and not entry.made):
            return _gone(Action.FOLDER_KEPT, path, reason="The mirror did not make it.")
        if self._source.holds_below(job.bucket, job.key):
            return Outcome(state=State.SETTLED, action=Action.FOLDER_KEPT, reason="MinIO has objects below it.")
        try:
            # The intent holds the whole place: nobody writes below it while it is removed.
            self._journal.begin_removal(job, path, is_folder=True)
        except OccupiedError as error:
            return Outcome(state=State.SETTLED, action=Action.FOLDER_KEPT, reason=f"{error.by} is still there.")
        # Without a ledger entry it may still be ours: the answer to its making may have been lost.
        item = self._library.find(path) if entry is None else self._library.get(entry.item_id)
        if item is None or not item.is_folder:
            return _gone(Action.ABSENT, path)
        if entry is None and item.creator_id != self._application_id:
            return _gone(Action.FOLDER_KEPT, path, reason="The mirror did not make it.")
        if item.child_count != 0:
            return _gone(Action.FOLDER_KEPT, path, reason="Something that the mirror did not write is in it.")
        self._library.delete(item.id, etag=item.etag)
        return _gone(Action.FOLDER_REMOVED, path)

    def _open(self, stored: StoredObject, offset: int) -> AbstractContextManager[Iterator[bytes]]:
        return self._source.open(stored, offset=offset)


def _settled(action: Action, entry: LedgerEntry, *, sent: int = 0) -> Outcome:
    return Outcome(state=State.SETTLED, action=action, entry=entry, bytes=sent)


def _gone(action: Action, path: str, *, reason: str = "") -> Outcome:
    return Outcome(state=State.SETTLED, action=action, reason=reason, forget=True, path=path)


def _entry(job: Job, upload: Upload, item_id: str, quickxor: str) -> LedgerEntry:
    return LedgerEntry(
        bucket=job.bucket,
        key=job.key,
        path=upload.path,
        item_id=item_id,
        size=upload.size,
        etag=upload.etag,
        quickxor=quickxor,
    )


def _is_same_write(one: LedgerEntry | Upload, other: Upload) -> bool:
    return (one.path, one.etag, one.size) == (other.path, other.etag, other.size)


def _holds_same_bytes(entry: LedgerEntry, upload: Upload, reader: ObjectReader) -> bool:
    """True if the object's bytes are those put there last, although its eTag is another.

    Only where a multipart upload is involved, whose eTag is no hash of the bytes, is that worth reading the object for.
    """
    is_multipart = "-" in entry.etag or "-" in upload.etag
    is_same_place = (entry.path, entry.size) == (upload.path, upload.size)
    return is_multipart and is_same_place and reader.quickxor() == entry.quickxor
