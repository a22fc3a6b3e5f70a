"""One of several mirrors that write into the same library and share no ledger, as those of a consumer group do.

Which replica looks after a key depends on who holds its partition, and that changes. Three things follow:

- The ledger is believed only as far as it was written since the last change: before that another replica may have been at work.
- Of a key that is unknown so far, SharePoint is asked first where guessing would be wrong or dear: before a removal, which the
  replica that wrote the file cannot make any more, and before a large upload, which may be a repetition.
- What a lost partition left under way is finished, and MinIO is looked at once more after each write. If it holds something else
  by then, the key's new replica may have been overwritten: the key is looked at again. So the last of all writes is right.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from sharepoint_proxy.errors import NameRefusedError, RenameUnderWayError, SourceChangedError
from sharepoint_proxy.records import Action, Job, LedgerEntry, Outcome, StoredObject, Upload

_WRITES = frozenset({Action.UPLOADED, Action.MOVED, Action.DELETED, Action.FOLDER_REMOVED})
_CREATED = "ObjectCreated:"
_COPY = "ObjectCreated:Copy"
"""A renaming, perhaps: the ledger may know the object by its old name, and then nothing is uploaded."""

_SOON_SECONDS = 0.3
_UNKNOWN_ETAG = "unknown"
_UNKNOWN_SIZE = -1


class Target(Protocol):
    """Where a key belongs in the library."""

    @property
    def path(self) -> str: ...


class Routing(Protocol):
    """Says where keys belong."""

    def target(self, bucket: str, key: str) -> Target | None: ...


class Source(Protocol):
    """What MinIO holds."""

    def stat(self, bucket: str, key: str) -> StoredObject | None: ...


class Journal(Protocol):
    """What this replica believes to know."""

    def entry(self, bucket: str, key: str) -> LedgerEntry | None: ...
    def hears_of_removal(self, bucket: str, key: str) -> bool: ...


class Handover(Protocol):
    """The ledger as a rename needs it."""

    def candidates(self, job: Job, upload: Upload, *, only_removed: bool) -> list[LedgerEntry]: ...
    def take(self, job: Job, entry: LedgerEntry) -> bool: ...


class CarefulHandover:
    """Hands an entry over only if no other replica can have written its item since, which would remove it under its old name.

    That is so if JOURNAL believes the entry, or the removal of its key comes to this replica: its partition is held here. A copy
    waits GRACE_SECONDS for that; CLOCK is the journal's.
    """

    def __init__(
        self, handover: Handover, journal: Journal, *, grace_seconds: float, clock: Callable[[], float]
    ) -> None:
        self._handover = handover
        self._journal = journal
        self._grace_seconds = grace_seconds
        self._clock = clock
        self.candidates = handover.candidates

    def take(self, job: Job, entry: LedgerEntry) -> bool:
        """Make ENTRY that of JOB's key if that may be; RenameUnderWayError while it is not known yet."""
        is_ours = self._journal.entry(entry.bucket, entry.key) is not None
        if is_ours or self._journal.hears_of_removal(entry.bucket, entry.key):
            return self._handover.take(job, entry)
        if job.marked_at + self._grace_seconds > self._clock():
            # Sooner than that removal is due.
            raise RenameUnderWayError("The removal under its old name has still to come.", retry_after=_SOON_SECONDS)
        return False


class ReplicaMirror:
    """CONVERGE, which makes SharePoint agree about a key, with what a replica has to beware of."""

    def __init__(
        self, converge: Callable[[Job], Outcome], *, routing: Routing, source: Source, journal: Journal
    ) -> None:
        self._converge = converge
        self._routing = routing
        self._source = source
        self._journal = journal

    def converge(self, job: Job) -> Outcome:
        """Make SharePoint agree about JOB's key; SourceChangedError if MinIO holds something else by the time that is done."""
        outcome = self._converge(self._in_doubt(job))
        if outcome.action in _WRITES and self._etag(job) != (outcome.entry.etag if outcome.entry else None):
            raise SourceChangedError(
                "MinIO changed the object while it was written to SharePoint; it is looked at again."
            )
        return outcome

    def _etag(self, job: Job) -> str | None:
        stored = self._source.stat(job.bucket, job.key)
        return stored.etag if stored is not None else None

    def _in_doubt(self, job: Job) -> Job:
        """JOB as if a write of its key had ended unknown, if SharePoint should be asked before anything is done."""
        if job.upload is not None or _is_simply_sent(job) or self._journal.entry(job.bucket, job.key) is not None:
            return job
        try:
            target = self._routing.target(job.bucket, job.key)
        except NameRefusedError:
            return job
        if target is None:
            return job
        return replace(job, upload=Upload(path=target.path, etag=_UNKNOWN_ETAG, size=_UNKNOWN_SIZE))


def _is_simply_sent(job: Job) -> bool:
    """True for what is sooner sent than compared: an upload that is small, or may turn out to be a renaming."""
    name = job.event.removeprefix("s3:")
    return name == _COPY or (name.startswith(_CREATED) and not job.large)
