"""Brings one object into the library: as it is there already, by a move, by one PUT, or by an upload session."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Protocol

from sharepoint_proxy import rewriting
from sharepoint_proxy.content import ObjectReader, Stretch
from sharepoint_proxy.errors import (
    OccupiedError,
    OutageError,
    PermanentError,
    SessionsLostError,
    Subject,
    TransientError,
    is_refusal,
)
from sharepoint_proxy.events import SESSION_ABOVE_BYTES
from sharepoint_proxy.paths import split_library
from sharepoint_proxy.records import Action, DriveItem, Job, LedgerEntry, Outcome, State, StoredObject, Upload

_DATE_MATTERS_AFTER = timedelta(hours=1)
"""The date of a younger object is close enough to the moment of its upload, which SharePoint shows by itself."""

_FULL = HTTPStatus.INSUFFICIENT_STORAGE
_PROBE_FULL_LIBRARY_EACH = timedelta(minutes=15)

_LARGEST_PUT_BYTES = 262_144_000
"""What Graph's documentation allows for a single PUT; above 4 MiB it is the last resort."""


class Source(Protocol):
    """What MinIO holds."""

    def open(self, stored: StoredObject, *, offset: int = 0) -> AbstractContextManager[Iterator[bytes]]: ...


class Journal(Protocol):
    """The intents of writes under way."""

    def begin(self, job: Job, upload: Upload) -> None: ...
    def note_session(self, job: Job, session_url: str | None) -> None: ...
    def withdraw(self, job: Job) -> None: ...
    def forget(self, job: Job) -> None: ...


class Library(Protocol):
    """The document library."""

    def refuse_if_too_long(self, path: str) -> None: ...
    def put(self, path: str, body: Stretch) -> DriveItem: ...
    def set_modified(self, item_id: str, modified: datetime) -> None: ...
    def find(self, path: str) -> DriveItem | None: ...
    def delete(self, item_id: str, *, etag: str | None = None) -> bool: ...


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


class Moved(Protocol):
    """An item that has come to its new place; `is_right` if it holds the object's bytes."""

    @property
    def item(self) -> DriveItem: ...
    @property
    def is_right(self) -> bool: ...


class Moves(Protocol):
    """Moves items whose objects were renamed."""

    def inherited(self, job: Job, upload: Upload, reader: ObjectReader | None) -> LedgerEntry | None: ...
    def moved(
        self,
        job: Job,
        upload: Upload,
        entry: LedgerEntry,
        modified: datetime,
        reader: ObjectReader | None,
    ) -> Moved | None: ...


class Writer:
    """Writes files.

    FOLDER_ABOVE gives the folder (bucket, key) above a path, if that may be removed once it is empty; KEY_OF the bucket and key whose
    place a path is. APPLICATION_ID is the one that Graph knows us by; CLOCK gives the time of day.
    """

    def __init__(
        self,
        *,
        source: Source,
        journal: Journal,
        library: Library,
        sessions: Sessions,
        moves: Moves,
        folder_above: Callable[[str], tuple[str, str] | None],
        key_of: Callable[[str], tuple[str, str] | None],
        application_id: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._source = source
        self._journal = journal
        self._library = library
        self._sessions = sessions
        self._moves = moves
        self._folder_above = folder_above
        self._key_of = key_of
        self._application_id = application_id
        self._clock = clock
        self._full_until: dict[str, datetime] = {}

    def write(self, job: Job, path: str, stored: StoredObject, entry: LedgerEntry | None) -> Outcome:
        """Make the file at PATH what STORED is, which was last put where ENTRY says."""
        upload = Upload(path=path, etag=stored.etag, size=stored.size)
        if entry is not None and job.upload is None and _is_same_write(entry, upload):
            return Outcome(state=State.SETTLED, action=Action.UNCHANGED)
        self._library.refuse_if_too_long(path)
        has_place = job.large or stored.size <= SESSION_ABOVE_BYTES
        with ObjectReader(partial(self._open, stored), stored.size) as reader:
            moved, entry = self._moved(job, upload, stored, entry, reader if has_place else None)
            if moved is not None:
                return moved
            if not has_place:
                # The event's size misled: wait for one of the places that are kept for upload sessions.
                return Outcome(state=State.WAITING, large=True, counts_as_attempt=False)
            try:
                return self._write_from(reader, job, upload, stored, entry)
            except PermanentError:
                self._drop_what_was_inherited(job, entry)
                raise

    def _moved(
        self,
        job: Job,
        upload: Upload,
        stored: StoredObject,
        entry: LedgerEntry | None,
        reader: ObjectReader | None,
    ) -> tuple[Outcome | None, LedgerEntry | None]:
        """What a move came to, or None if the object must be sent; and the entry of the key from here on."""
        if entry is None and job.upload is None:
            entry = self._moves.inherited(job, upload, reader)
        if entry is None:
            return None, None
        try:
            moved = self._moves.moved(job, upload, entry, stored.modified, reader)
        except PermanentError:
            self._drop_what_was_inherited(job, entry)
            raise
        if moved is None or not moved.is_right:
            return None, entry
        placed = _entry(job, upload, moved.item.id, entry.quickxor)
        emptied = self._folder_above(entry.path)
        return Outcome(state=State.SETTLED, action=Action.MOVED, entry=placed, emptied=emptied), entry

    def _drop_what_was_inherited(self, job: Job, entry: LedgerEntry | None) -> None:
        """Remove the item of an object that was renamed to what cannot be written: its old key is gone, and so must it be."""
        if entry is not None and self._key_of(entry.path) not in {None, (job.bucket, job.key)}:
            self._library.delete(entry.item_id)
            self._journal.forget(job)

    def _write_from(
        self, reader: ObjectReader, job: Job, upload: Upload, stored: StoredObject, entry: LedgerEntry | None
    ) -> Outcome:
        if job.upload is None and entry is not None and _holds_same_bytes(entry, upload, reader):
            return _settled(Action.UNCHANGED, _entry(job, upload, entry.item_id, reader.quickxor()))
        self._refuse_while_full(upload)
        session_url = self._resumable(job.upload, upload)
        item = None if session_url is not None else self._landed(job.upload, upload, reader)
        action = Action.UPLOADED if item is None else Action.ADOPTED
        if item is None:
            item = self._send_unless_full(job, upload, stored, reader, session_url)
            rewriting.verify(item, path=upload.path, size=reader.size, quickxor=reader.quickxor())
        emptied = None
        if entry is not None and entry.path != upload.path and entry.item_id != item.id:
            # It could not be moved, or the routes were changed since: what was written at the old place is taken away.
            self._library.delete(entry.item_id)
            emptied = self._folder_above(entry.path)
        sent = stored.size if action is Action.UPLOADED else 0
        return replace(_settled(action, _entry(job, upload, item.id, reader.quickxor()), sent=sent), emptied=emptied)

    def _refuse_while_full(self, upload: Upload) -> None:
        """OutageError while the library is known to be full; one upload at a time then tries whether it still is."""
        library, _ = split_library(upload.path)
        now = self._clock()
        left = (self._full_until.get(library, now) - now).total_seconds()
        if left > 0:
            sentence = f"The library {library} is full." if library else "The library is full."
            raise OutageError(sentence, subject=Subject.QUOTA, library=library, retry_after=left, status=_FULL)
        if library in self._full_until:
            self._full_until[library] = now + _PROBE_FULL_LIBRARY_EACH

    def _send_unless_full(
        self, job: Job, upload: Upload, stored: StoredObject, reader: ObjectReader, session_url: str | None
    ) -> DriveItem:
        library, _ = split_library(upload.path)
        try:
            item = self._send(job, upload, stored, reader, session_url)
        except OutageError as error:
            if error.subject is Subject.QUOTA:
                error.library = library
                self._full_until[library] = self._clock() + _PROBE_FULL_LIBRARY_EACH
            raise
        self._full_until.pop(library, None)
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

    def _open(self, stored: StoredObject, offset: int) -> AbstractContextManager[Iterator[bytes]]:
        return self._source.open(stored, offset=offset)


def _settled(action: Action, entry: LedgerEntry, *, sent: int = 0) -> Outcome:
    return Outcome(state=State.SETTLED, action=action, entry=entry, bytes=sent)


def _entry(job: Job, upload: Upload, item_id: str, quickxor: str | None) -> LedgerEntry:
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
