"""Takes out of the library what is gone from MinIO: files by the id of the item that was written, folders only when they are empty."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from sharepoint_proxy.errors import NameRefusedError, OccupiedError
from sharepoint_proxy.records import Action, DriveItem, Job, LedgerEntry, Outcome, State, Upload


class Target(Protocol):
    """Where a key belongs in the library."""

    @property
    def path(self) -> str: ...


class Routing(Protocol):
    """Says where keys belong."""

    def target(self, bucket: str, key: str) -> Target | None: ...
    def may_remove(self, bucket: str, key: str) -> bool: ...
    def is_front(self, bucket: str, key: str) -> bool: ...
    def folder_above(self, path: str) -> tuple[str, str] | None: ...


class Source(Protocol):
    """What MinIO holds."""

    def holds_below(self, bucket: str, prefix: str) -> bool: ...


class Journal(Protocol):
    """The intents of removals under way."""

    def begin_removal(self, job: Job, path: str, *, is_folder: bool, item_id: str | None = None) -> None: ...


class Library(Protocol):
    """The document library."""

    def find(self, path: str) -> DriveItem | None: ...
    def get(self, item_id: str) -> DriveItem | None: ...
    def delete(self, item_id: str, *, etag: str | None = None) -> bool: ...


class Sessions(Protocol):
    """Uploads by session."""

    def cancel(self, url: str) -> None: ...


class Remover:
    """Removes what one key left. APPLICATION_ID is the one that Graph knows us by."""

    def __init__(
        self,
        *,
        routing: Routing,
        source: Source,
        journal: Journal,
        library: Library,
        sessions: Sessions,
        application_id: str,
    ) -> None:
        self._routing = routing
        self._source = source
        self._journal = journal
        self._library = library
        self._sessions = sessions
        self._application_id = application_id

    def remove(self, job: Job, entry: LedgerEntry | None) -> Outcome:
        """Remove what the mirror wrote for JOB's key; anybody else's stays, and so does everything where the route keeps files."""
        if not self._routing.may_remove(job.bucket, job.key):
            return self._keep(job)
        if job.key.endswith("/"):
            return self._remove_folder(job, entry)
        # What is in doubt goes first: its intent is replaced by the next one.
        were_there = {item_id: self._library.delete(item_id) for item_id in self._unsettled_items(job.upload)}
        if entry is not None and entry.item_id not in were_there:
            self._journal.begin_removal(job, entry.path, is_folder=False, item_id=entry.item_id)
            were_there[entry.item_id] = self._library.delete(entry.item_id)
        path = entry.path if entry is not None else self._path(job)
        if not were_there:
            return _gone(Action.ABSENT, path, reason="The mirror has written nothing for it.")
        return _gone(Action.DELETED if any(were_there.values()) else Action.ABSENT, path)

    def _keep(self, job: Job) -> Outcome:
        """Leave all as it is; only where a write or removal is in doubt the ledger's word for the key cannot be kept either."""
        if job.upload is not None and job.upload.session_url is not None:
            self._sessions.cancel(job.upload.session_url)
        return Outcome(state=State.SETTLED, reason="This route keeps files.", forget=job.upload is not None)

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

    def _remove_folder(self, job: Job, entry: LedgerEntry | None) -> Outcome:
        """Remove a folder that the mirror made, if nothing is in it; what is removed below it later brings us here again."""
        path = entry.path if entry is not None else self._path(job)
        if self._routing.is_front(job.bucket, job.key):
            return _gone(Action.FOLDER_KEPT, path, reason="The folder of a route stays.")
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
            # The one above may have been looked at while this intent held its place.
            return replace(_gone(Action.ABSENT, path), emptied=self._routing.folder_above(path))
        if entry is None and item.creator_id != self._application_id:
            return _gone(Action.FOLDER_KEPT, path, reason="The mirror did not make it.")
        if item.child_count != 0:
            return _gone(Action.FOLDER_KEPT, path, reason="Something that the mirror did not write is in it.")
        self._library.delete(item.id, etag=item.etag)
        return replace(_gone(Action.FOLDER_REMOVED, path), emptied=self._routing.folder_above(path))


def _gone(action: Action, path: str, *, reason: str = "") -> Outcome:
    return Outcome(state=State.SETTLED, action=action, reason=reason, forget=True, path=path)
