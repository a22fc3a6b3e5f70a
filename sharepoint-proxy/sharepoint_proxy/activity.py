"""What the service is doing just now and did lately, kept in memory for the status page and the command `status`.

It is for people to look at: nothing is decided by it, and a restart begins with an empty one.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from sharepoint_proxy.records import Action, Change, Counts, Job, Outcome, Reconciled, State, StoredObject

KEPT_OUTCOMES = 50
KEPT_MINUTES = 60
_NOTHING_DONE = frozenset({Action.UNCHANGED, Action.ABSENT, Action.FOLDER_KEPT, Action.NONE})


class Source(Protocol):
    """What MinIO holds."""

    def stat(self, bucket: str, key: str, *, read_ahead: bool = ...) -> StoredObject | None: ...
    def holds_below(self, bucket: str, prefix: str) -> bool: ...
    def open(self, stored: StoredObject, *, offset: int = 0) -> AbstractContextManager[Iterator[bytes]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """A key that is worked on: since when (seconds since the epoch) and how far, in bytes; `size` is 0 while nothing is read."""

    bucket: str
    key: str
    began_at: float
    position: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Something that was mirrored; `path` is where in the library, "" where nothing is there any more."""

    bucket: str
    key: str
    path: str
    action: Action
    bytes: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """What was uploaded in the minute that began at `at` (seconds since the epoch)."""

    at: float
    files: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The service at one moment (`at`, seconds since the epoch), as people are shown it.

    `reasons` says why nothing can be mirrored just now; it is empty when all is well. `waiting` and `parked` are the oldest of
    those that `counts` counts. `library_urls` are the addresses of the libraries by their aliases, `library_url` that of the first. Graph asked for `paused_seconds` more without requests; `places` uploads may run at once.
    """

    at: float
    version: str
    started_at: float
    reasons: tuple[str, ...]
    counts: Counts
    transfers: tuple[Transfer, ...]
    waiting: tuple[Change, ...]
    parked: tuple[Change, ...]
    done: tuple[Done, ...]
    minutes: tuple[Minute, ...]
    paused_seconds: float
    places: int
    library_name: str
    library_url: str
    certificate_ends_at: datetime
    reconciled: Reconciled | None
    library_urls: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The same in JSON's types; the certificate's end in ISO 8601."""
        return asdict(self) | {"certificate_ends_at": self.certificate_ends_at.isoformat()}


class Activity:
    """One for the process; for any number of threads. CLOCK is in seconds since the epoch."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._changing = threading.Lock()
        self._transfers: dict[tuple[str, str], Transfer] = {}
        self._done: deque[Done] = deque(maxlen=KEPT_OUTCOMES)
        self._minutes: deque[Minute] = deque(maxlen=KEPT_MINUTES)

    def began(self, job: Job) -> None:
        """A worker looks at JOB's key."""
        with self._changing:
            self._transfers[job.bucket, job.key] = Transfer(bucket=job.bucket, key=job.key, began_at=self._clock())

    def ended(self, job: Job, outcome: Outcome, _seconds: float) -> None:
        """That look brought this OUTCOME."""
        with self._changing:
            self._transfers.pop((job.bucket, job.key), None)
            if outcome.state is State.SETTLED and outcome.action not in _NOTHING_DONE:
                self._keep(job, outcome)

    def watched(self, source: Source) -> Source:
        """SOURCE, with what is read from it counted as the progress of its key."""
        return _WatchedSource(source, self._read)

    def transfers(self) -> list[Transfer]:
        """What is worked on now, the oldest first."""
        with self._changing:
            return sorted(self._transfers.values(), key=lambda transfer: transfer.began_at)

    def done(self) -> list[Done]:
        """What was mirrored last, the newest first."""
        with self._changing:
            return list(reversed(self._done))

    def minutes(self) -> list[Minute]:
        """The last hour, minute by minute up to this one; minutes in which nothing was uploaded too."""
        this = self._this_minute()
        with self._changing:
            known = {minute.at: minute for minute in self._minutes}
        return [known.get(at, Minute(at=at)) for at in (this - 60.0 * ago for ago in reversed(range(KEPT_MINUTES)))]

    def _keep(self, job: Job, outcome: Outcome) -> None:
        path = outcome.entry.path if outcome.entry is not None else ""
        self._done.append(
            Done(
                bucket=job.bucket,
                key=job.key,
                path=path,
                action=outcome.action,
                bytes=outcome.bytes,
                at=self._clock(),
            )
        )
        if outcome.action is Action.UPLOADED:
            self._count(outcome.bytes)

    def _count(self, sent: int) -> None:
        at = self._this_minute()
        if not self._minutes or self._minutes[-1].at != at:
            self._minutes.append(Minute(at=at))
        last = self._minutes[-1]
        self._minutes[-1] = replace(last, files=last.files + 1, bytes=last.bytes + sent)

    def _this_minute(self) -> float:
        return self._clock() // 60 * 60.0

    def _read(self, stored: StoredObject, position: int) -> None:
        name = (stored.bucket, stored.key)
        with self._changing:
            if (transfer := self._transfers.get(name)) is not None:
                self._transfers[name] = replace(transfer, position=position, size=stored.size)


class _WatchedSource:
    """A source that tells READ how far each object was read."""

    def __init__(self, source: Source, read: Callable[[StoredObject, int], None]) -> None:
        self._source = source
        self._read = read
        self.stat = source.stat
        self.holds_below = source.holds_below

    @contextmanager
    def open(self, stored: StoredObject, *, offset: int = 0) -> Iterator[Iterator[bytes]]:
        with self._source.open(stored, offset=offset) as pieces:
            yield self._counted(stored, offset, pieces)

    def _counted(self, stored: StoredObject, position: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            position += len(piece)
            self._read(stored, position)
            yield piece
