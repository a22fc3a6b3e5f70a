"""Makes SharePoint agree with MinIO about one key: looks at both, decides, acts once.

An event only says "look here". Whatever order events come in, and however often, what MinIO holds *now* is compared with what
the ledger says was last put there; nothing is done when they agree. How a file is written is in `writing`, how one is removed in
`removing`.
"""

from typing import Protocol

from sharepoint_proxy.errors import AccessError, NameRefusedError, TransientError, is_silence
from sharepoint_proxy.records import Action, DriveItem, Job, LedgerEntry, Outcome, State, StoredObject


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

    def stat(self, bucket: str, key: str, *, read_ahead: bool = ...) -> StoredObject | None: ...


class Journal(Protocol):
    """The ledger, and which places are taken."""

    def entry(self, bucket: str, key: str) -> LedgerEntry | None: ...
    def refuse_if_occupied(self, job: Job, path: str, *, is_folder: bool) -> None: ...


class Library(Protocol):
    """The document library."""

    def check(self, path: str) -> None: ...
    def refuse_if_too_long(self, path: str) -> None: ...
    def make_folder(self, path: str) -> tuple[DriveItem, bool]: ...


class Writer(Protocol):
    """Writes files."""

    def write(self, job: Job, path: str, stored: StoredObject, entry: LedgerEntry | None) -> Outcome: ...


class Remover(Protocol):
    """Removes files and folders."""

    def remove(self, job: Job, entry: LedgerEntry | None) -> Outcome: ...


class Columns(Protocol):
    """Writes metadata into columns."""

    def filled(self, job: Job, stored: StoredObject, entry: LedgerEntry | None, outcome: Outcome) -> Outcome: ...


class Mirror:
    """Converges keys, each in one worker at a time. APPLICATION_ID is the one that Graph knows us by."""

    def __init__(
        self,
        *,
        routing: Routing,
        source: Source,
        journal: Journal,
        library: Library,
        writer: Writer,
        remover: Remover,
        columns: Columns,
        application_id: str,
    ) -> None:
        self._routing = routing
        self._source = source
        self._journal = journal
        self._library = library
        self._writer = writer
        self._remover = remover
        self._columns = columns
        self._application_id = application_id

    def converge(self, job: Job) -> Outcome:
        """Make SharePoint agree about JOB's key. Whatever is raised leaves both sides as a later try can go on from."""
        try:
            return self._converge(job)
        except AccessError:
            # Is it this file, or the whole library? An outage keeps all events, a file that is barred must not hold them up.
            self._library.check(self._path(job))
            raise
        except TransientError as error:
            # One failure may be chance. At a key's second: is it this key, or does nothing work?
            if job.attempts > 0 and is_silence(error):
                self._library.check(self._path(job))
            raise

    def _path(self, job: Job) -> str:
        """Where the key belongs, "" where it has no place."""
        try:
            target = self._routing.target(job.bucket, job.key)
        except NameRefusedError:
            return ""
        return target.path if target is not None else ""

    def _converge(self, job: Job) -> Outcome:
        if not self._routing.is_routed(job.bucket, job.key):
            return Outcome(state=State.SETTLED, reason="No route takes the key.")
        stored = self._source.stat(job.bucket, job.key, read_ahead=not job.large)
        entry = self._journal.entry(job.bucket, job.key)
        if stored is None:
            return self._remover.remove(job, entry)
        target = self._routing.target(job.bucket, job.key)
        if target is None:
            return Outcome(state=State.SETTLED, reason="The key stands for the library's root.")
        if target.is_folder:
            return self._make_folder(job, target.path, entry)
        outcome = self._writer.write(job, target.path, stored, entry)
        return self._columns.filled(job, stored, entry, outcome)

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
        return Outcome(state=State.SETTLED, action=Action.FOLDER_MADE if made_now else Action.ADOPTED, entry=folder)
