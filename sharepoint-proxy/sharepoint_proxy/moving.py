"""Finds out that a new object is an old one's renaming, and moves the drive item instead of uploading it again.

`mc mv` is a copy and a removal some milliseconds apart, and a folder's renaming interleaves many. The item keeps its id, and with it
its sharing links and its versions. Where a move cannot be had the object is uploaded, and the old item removed: never a loss.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from sharepoint_proxy import rewriting
from sharepoint_proxy.content import ObjectReader
from sharepoint_proxy.errors import OutageError, PermanentError, RenameUnderWayError
from sharepoint_proxy.paths import comparison_key
from sharepoint_proxy.records import DriveItem, Job, LedgerEntry, StoredObject, Upload

_COPIES = ("Copy", "CompleteMultipartUpload", "reconcile")
"""How the events end that a renaming may cause: larger objects are copied part by part; and a reconcile finds any."""


class Routing(Protocol):
    """Says what may be taken away."""

    def may_remove(self, bucket: str, key: str) -> bool: ...


class Source(Protocol):
    """What MinIO holds."""

    def stat(self, bucket: str, key: str) -> StoredObject | None: ...


class Ledger(Protocol):
    """What was last put where, and the intents of writes under way."""

    def candidates(self, job: Job, upload: Upload, *, only_removed: bool) -> list[LedgerEntry]: ...
    def take(self, job: Job, entry: LedgerEntry) -> bool: ...


class Journal(Protocol):
    """The intents of writes under way."""

    def begin(self, job: Job, upload: Upload) -> None: ...


class Library(Protocol):
    """The document library."""

    def get(self, item_id: str) -> DriveItem | None: ...
    def move(self, item_id: str, path: str, modified: datetime) -> DriveItem | None: ...


@dataclass(frozen=True, slots=True)
class Moved:
    """An item that has come to its new place; IS_RIGHT if it holds the object's bytes."""

    item: DriveItem
    is_right: bool


class Moves:
    """Moves items. A copy waits GRACE_SECONDS for its source to go; CLOCK is in seconds since the epoch, as the journal's."""

    def __init__(
        self,
        *,
        routing: Routing,
        source: Source,
        ledger: Ledger,
        journal: Journal,
        library: Library,
        grace_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._routing = routing
        self._source = source
        self._ledger = ledger
        self._journal = journal
        self._library = library
        self._grace_seconds = grace_seconds
        self._clock = clock

    def inherited(self, job: Job, upload: Upload, reader: ObjectReader | None) -> LedgerEntry | None:
        """The entry of a key that is gone from MinIO and held these bytes, from now on that of JOB's key; its path is still the old one.

        Without READER the object is not read, which eTags of different kinds need. RenameUnderWayError while the source of a copy
        is still there and may go.
        """
        is_copy = job.event.endswith(_COPIES)
        left = job.marked_at + self._grace_seconds - self._clock()
        for entry in self._ledger.candidates(job, upload, only_removed=not is_copy):
            if not self._routing.may_remove(entry.bucket, entry.key) or _is_above(entry.path, upload.path):
                continue
            if entry.etag != upload.etag and (reader is None or reader.quickxor() != entry.quickxor):
                continue
            if self._is_there(entry, asked_for=job):
                if is_copy and left > 0:
                    # Sooner than the removal of the source is due: whoever is first has its entry.
                    soon = left / 2 if left > self._grace_seconds / 4 else left
                    sentence = "It may be the renaming of an object that is still there."
                    raise RenameUnderWayError(sentence, retry_after=soon)
            elif self._ledger.take(job, entry):
                return replace(entry, bucket=job.bucket, key=job.key)
        return None

    def moved(
        self,
        job: Job,
        upload: Upload,
        entry: LedgerEntry,
        modified: datetime,
        reader: ObjectReader | None,
    ) -> Moved | None:
        """The item of ENTRY at the path of UPLOAD, if it was elsewhere and held these bytes; None when it must be uploaded.

        OccupiedError when another key holds that path.
        """
        has_session = job.upload is not None and job.upload.session_url is not None
        if entry.path == upload.path or has_session or not _is_same_content(entry, upload, reader):
            return None
        is_rewritten = rewriting.is_rewritten(upload.path)
        before = self._library.get(entry.item_id) if is_rewritten else None
        # The new place is ours alone from here on.
        self._journal.begin(job, upload)
        item = self._library.move(entry.item_id, upload.path, modified)
        if item is None:
            return None
        # Of an Office document only its last author tells whether somebody changed it.
        is_edited = is_rewritten and (before is None or before.application_id == "")
        differs = rewriting.difference(item, path=upload.path, size=upload.size, quickxor=entry.quickxor)
        return Moved(item, is_right=not (is_edited or differs))

    def _is_there(self, entry: LedgerEntry, *, asked_for: Job) -> bool:
        try:
            return self._source.stat(entry.bucket, entry.key) is not None
        except PermanentError:
            # What must not be read may well be there.
            return True
        except OutageError:
            if entry.bucket == asked_for.bucket:
                raise
            # So may what is in another bucket, which may be gone by itself: that is not this key's trouble.
            return True


def _is_same_content(entry: LedgerEntry, upload: Upload, reader: ObjectReader | None) -> bool:
    if entry.size != upload.size or entry.is_folder:
        return False
    if entry.etag == upload.etag:
        return True
    is_multipart = "-" in entry.etag or "-" in upload.etag
    return is_multipart and reader is not None and reader.quickxor() == entry.quickxor


def _is_above(path: str, other: str) -> bool:
    """True if a file at PATH stands where the folder of OTHER must be: it cannot be moved into itself."""
    return comparison_key(other).startswith(f"{comparison_key(path)}/")
