"""Brings files of the library back into MinIO: what of them is missing there, under the keys that they came from.

Every file is looked at by itself: what MinIO holds already is left alone, so that a second run goes on where the first one ended.
The service may run at the same time. What it has before it in the journal is left to it (a removal that still waits must be
settled first), and what is brought back is in the ledger before anybody can take it for news.
"""

import mimetypes
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from sharepoint_proxy import rewriting
from sharepoint_proxy.content import ObjectReader
from sharepoint_proxy.download import BrokenDownloadError, Download
from sharepoint_proxy.errors import (
    AccessError,
    NameRefusedError,
    OutageError,
    PermanentError,
    StoppingError,
    TransientError,
    is_refusal,
)
from sharepoint_proxy.fates import Fate, Request, Restored
from sharepoint_proxy.paths import Routing, comparison_key
from sharepoint_proxy.patience import Patience
from sharepoint_proxy.records import LedgerEntry, PlacedItem, StoredObject

_AHEAD = 4
"""How many files wait for each that is worked on: memory stays flat however many there are."""

_UNKNOWN_TYPE = "application/octet-stream"
_ANY_KEY = "any"
_NO_KEY = "No key leads to this place: it is left out of what is mirrored, or its name is none that the mirror gives."


class Walk(Protocol):
    """Finds what is where in the library."""

    def starts(self, bucket: str, prefix: str) -> list[PlacedItem]: ...
    def items(self, bucket: str, prefix: str) -> Iterator[tuple[PlacedItem, AccessError | None]]: ...


class Files(Protocol):
    """The bytes of the library's files."""

    def open(self, item_id: str, *, offset: int = 0) -> AbstractContextManager[Iterator[bytes]]: ...


class Source(Protocol):
    """What MinIO holds."""

    def stat(self, bucket: str, key: str) -> StoredObject | None: ...
    def open(self, stored: StoredObject, *, offset: int = 0) -> AbstractContextManager[Iterator[bytes]]: ...


class Writer(Protocol):
    """Writes objects."""

    def put(
        self, bucket: str, key: str, stream: Download, *, size: int, content_type: str, metadata: Mapping[str, str]
    ) -> str: ...


class Metadata(Protocol):
    """What an object is told of its file."""

    def of(self, placed: PlacedItem) -> dict[str, str]: ...


class Journal(Protocol):
    """The ledger."""

    def entry(self, bucket: str, key: str) -> LedgerEntry | None: ...


class Reservations(Protocol):
    """The keys that are being brought back, as the running service sees them."""

    def name_of(self, path: str, *, is_folder: bool) -> tuple[str, str] | None: ...
    def obstacle(self, bucket: str, key: str, path: str) -> str: ...
    def take(self, bucket: str, key: str, path: str) -> str: ...
    def settle(self, entry: LedgerEntry) -> None: ...
    def give_back(self, bucket: str, key: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """A file or folder and the object that it is to become; IS_HOME if the mirror would put that object there, so that the journal counts."""

    placed: PlacedItem
    bucket: str
    key: str
    is_home: bool

    @property
    def size(self) -> int:
        return 0 if self.placed.item.is_folder else self.placed.item.size or 0

    def became(self, fate: Fate, reason: str = "") -> Restored:
        """The task's end."""
        return Restored(
            path=self.placed.path, bucket=self.bucket, key=self.key, fate=fate, bytes=self.size, reason=reason
        )


class Restorer:
    """Restores with the help of its parts: SOURCE is MinIO as the proxy sees it, ELSEWHERE as the user who may write sees it.

    APPLICATION_ID is the one that Graph knows us by; ON_STOP ends what else may wait (Graph's pauses). FILES_AT_ONCE threads work.
    """

    def __init__(
        self,
        *,
        routing: Routing,
        walk: Walk,
        files: Files,
        source: Source,
        elsewhere: Source,
        writer: Writer,
        metadata: Metadata,
        journal: Journal,
        reservations: Reservations,
        patience: Patience,
        application_id: str,
        on_stop: Callable[[], None],
        files_at_once: int,
    ) -> None:
        self._routing = routing
        self._walk = walk
        self._files = files
        self._source = source
        self._elsewhere = elsewhere
        self._writer = writer
        self._metadata = metadata
        self._journal = journal
        self._reservations = reservations
        self._patience = patience
        self._application_id = application_id
        self._on_stop = on_stop
        self._files_at_once = files_at_once

    def run(
        self,
        *,
        bucket: str,
        prefix: str,
        to: tuple[str, str] | None,
        dry_run: bool,
        overwrite: bool,
        on_bytes: Callable[[int], None],
    ) -> Generator[Restored, None, None]:
        """The fate of each file in the folder PREFIX of BUCKET ("" for all that is routed), or of the one object of that key, as it is known.

        TO is the bucket and folder of keys that they go to instead of their own. ON_BYTES is told, from several threads, how many
        bytes came in. Raises PermanentError when there is nothing to restore from, and whatever ends all work: AccessError for a
        missing right, OutageError, JournalError. Closed early it leaves no object half-written, and the Restorer is of no use
        any more.
        """
        request = Request(
            bucket=bucket, prefix=prefix.strip("/"), to=to, dry_run=dry_run, overwrite=overwrite, on_bytes=on_bytes
        )
        # Without patience, and before the first file is fetched: a bucket that is missing is told at once.
        self._looker(request).stat(*request.destination(bucket, request.prefix or _ANY_KEY))
        yield from self._in_parallel(self._steps(request))

    def expected_bytes(self, *, bucket: str, prefix: str) -> int:
        """How many bytes the library holds there, an upper bound of what is to be fetched."""
        return sum(start.item.size or 0 for start in self._walk.starts(bucket, prefix.strip("/")))

    def _in_parallel(self, steps: Iterator[Callable[[], Restored | None]]) -> Iterator[Restored]:
        pending: set[Future[Restored | None]] = set()
        with ThreadPoolExecutor(self._files_at_once, thread_name_prefix="restore") as pool:
            try:
                for step in steps:
                    pending.add(pool.submit(step))
                    if len(pending) > _AHEAD * self._files_at_once:
                        done, pending = wait(pending, return_when=FIRST_COMPLETED)
                        yield from _told(done)
                while pending:
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    yield from _told(done)
            finally:
                if pending:
                    self._break_off(pending)

    def _break_off(self, pending: set[Future[Restored | None]]) -> None:
        self._patience.stop()
        self._on_stop()
        for future in pending:
            future.cancel()

    def _steps(self, request: Request) -> Iterator[Callable[[], Restored | None]]:
        for placed, trouble in self._walk.items(request.bucket, request.prefix):
            step = self._restored if trouble is None else partial(_without_key, Fate.FAILED, str(trouble))
            yield partial(step, placed, request)

    def _restored(self, placed: PlacedItem, request: Request) -> Restored | None:
        """What came of one file or folder; None for what is not asked for."""
        name = self._name(placed, request.bucket)
        if name is None:
            return None if placed.item.is_folder else _without_key(Fate.SKIPPED, _NO_KEY, placed, request)
        if not request.covers(*name):
            return None
        if not placed.item.is_folder and placed.item.size is None:
            return _without_key(Fate.FAILED, "Graph does not say how large the file is.", placed, request)
        bucket, key = request.destination(*name)
        task = _Task(placed=placed, bucket=bucket, key=key, is_home=self._is_home(bucket, key, placed.path))
        try:
            return self._patience.run(partial(self._look, task, request))
        except BrokenDownloadError as error:
            if isinstance(error.cause, OutageError):
                raise error.cause from error
            return task.became(Fate.FAILED, str(error))
        except (OutageError, AccessError, StoppingError):
            # What every file needs is away or refused, or it is time to stop.
            raise
        except (TransientError, PermanentError) as error:
            return task.became(Fate.FAILED, str(error))

    def _name(self, placed: PlacedItem, bucket: str) -> tuple[str, str] | None:
        """The bucket and key that the file came from, or belongs to; a folder has one only if the ledger knows its marker."""
        known = self._reservations.name_of(placed.path, is_folder=placed.item.is_folder)
        # The ledger has the key to the letter; a name has lost its Unicode normalization.
        if known is not None and self._is_home(*known, placed.path):
            return known
        if placed.item.is_folder:
            return None
        of_bucket = tuple(route for route in self._routing.routes if route.bucket == bucket)
        return Routing(of_bucket).key(placed.path)

    def _is_home(self, bucket: str, key: str, path: str) -> bool:
        try:
            target = self._routing.target(bucket, key)
        except NameRefusedError:
            return False
        return target is not None and comparison_key(target.path) == comparison_key(path)

    def _look(self, task: _Task, request: Request) -> Restored:
        """Compare the file with what MinIO holds, and restore it if that is missing, or may be overwritten."""
        source = self._looker(request)
        stored = source.stat(task.bucket, task.key)
        if stored is not None and self._is_there(task, stored, source):
            return task.became(Fate.ALREADY_THERE)
        if stored is not None and not request.overwrite:
            return task.became(Fate.KEPT, "MinIO holds another content under this key; --overwrite replaces it.")
        if request.dry_run:
            obstacle = self._reservations.obstacle(task.bucket, task.key, task.placed.path) if task.is_home else ""
            return task.became(Fate.SKIPPED, obstacle) if obstacle else task.became(Fate.WOULD_RESTORE)
        # The marker of a folder needs no reservation: an event for it changes nothing while the ledger has it.
        if not task.is_home or task.placed.item.is_folder:
            self._fetch(task, request)
            return task.became(Fate.RESTORED)
        return self._bring_home(task, request)

    def _looker(self, request: Request) -> Source:
        return self._source if request.to is None else self._elsewhere

    def _is_there(self, task: _Task, stored: StoredObject, source: Source) -> bool:
        item = task.placed.item
        if item.is_folder or (task.is_home and self._is_mirrored(task.placed, stored)):
            return True
        if item.size != stored.size:
            return False
        with ObjectReader(lambda offset: source.open(stored, offset=offset), stored.size) as reader:
            return item.quickxor is None or reader.is_content_of(item)

    def _is_mirrored(self, placed: PlacedItem, stored: StoredObject) -> bool:
        """True if the ledger says that this object became this file, and nobody but SharePoint itself has changed that since."""
        entry = self._journal.entry(stored.bucket, stored.key)
        if entry is None or (entry.item_id, entry.etag, entry.size) != (placed.item.id, stored.etag, stored.size):
            return False
        if placed.item.quickxor is not None and placed.item.quickxor == entry.quickxor:
            return True
        return rewriting.is_rewritten(placed.path) and placed.item.application_id == self._application_id

    def _bring_home(self, task: _Task, request: Request) -> Restored:
        obstacle = self._reservations.take(task.bucket, task.key, task.placed.path)
        if obstacle:
            return task.became(Fate.SKIPPED, obstacle)
        self._reservations.settle(self._fetch(task, request))
        return task.became(Fate.RESTORED)

    def _fetch(self, task: _Task, request: Request) -> LedgerEntry:
        """Send the file to MinIO as it comes; what the ledger is to know of it."""
        item = task.placed.item
        with ObjectReader(lambda offset: self._files.open(item.id, offset=offset), task.size) as reader:
            download = Download(reader, quickxor=item.quickxor, patience=self._patience, on_bytes=request.on_bytes)
            try:
                etag = self._put(task, download)
            except (TransientError, PermanentError) as error:
                # Once all was read the object may have been written, and its answer lost: then the reservation stays.
                if task.is_home and (not download.is_complete or is_refusal(error)):
                    self._reservations.give_back(task.bucket, task.key)
                raise
            return LedgerEntry(
                bucket=task.bucket,
                key=task.key,
                path=task.placed.path,
                item_id=item.id,
                size=task.size,
                etag=etag,
                quickxor=reader.quickxor(),
            )

    def _put(self, task: _Task, download: Download) -> str:
        guessed, encoding = mimetypes.guess_type(task.key)
        return self._writer.put(
            task.bucket,
            task.key,
            download,
            size=task.size,
            content_type=guessed if guessed and encoding is None else _UNKNOWN_TYPE,
            metadata=self._metadata.of(task.placed),
        )


def _told(done: set[Future[Restored | None]]) -> Iterator[Restored]:
    """The results, those first that are no errors."""
    for future in sorted(done, key=lambda future: future.exception() is not None):
        result = future.result()
        if result is not None:
            yield result


def _without_key(fate: Fate, reason: str, placed: PlacedItem, request: Request) -> Restored:
    size = 0 if placed.item.is_folder else placed.item.size or 0
    return Restored(path=placed.path, bucket=request.bucket, key="", fate=fate, bytes=size, reason=reason)
