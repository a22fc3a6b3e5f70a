"""Faults that a test or a demo orders: which calls they meet, and what happens to those calls.

simulator.add_fault(Fault(Match(CallKind.FRAGMENT, path="film.mp4"), AnswerWith(503, headers={"Retry-After": "2"})))
simulator.add_fault(Fault(Match(CallKind.PUT_CONTENT), CutConnection(CutPoint.AFTER_EFFECT), times=3, after=1))
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from simulator.calls import CallKind


class FaultBody(Enum):
    """What an ordered answer carries; front ends of Graph do not always send JSON (OneDrive/onedrive-api-docs#757)."""

    JSON = "json"
    HTML = "html"
    TEXT = "text"
    NULL = "null"
    EMPTY = "empty"


class CutPoint(Enum):
    """When a connection is reset; AFTER_EFFECT means that the call worked and its answer is lost."""

    BEFORE_BODY = "before_body"
    HALF_BODY = "half_body"
    AFTER_EFFECT = "after_effect"


@dataclass(frozen=True, slots=True)
class AnswerWith:
    """Answer STATUS; the call has no effect unless `after_effect`. CODE and INNER default to what Graph sends."""

    status: int
    body: FaultBody = FaultBody.JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    code: str | None = None
    inner: str | None = None
    message: str = "The simulator was told to answer this."
    after_effect: bool = False


@dataclass(frozen=True, slots=True)
class CutConnection:
    """Reset the connection."""

    at: CutPoint = CutPoint.BEFORE_BODY


@dataclass(frozen=True, slots=True)
class Hang:
    """Say nothing for SECONDS, then go on as if nothing had been; before the effect, or after it."""

    seconds: float
    after_effect: bool = False


@dataclass(frozen=True, slots=True)
class TruncateAnswer:
    """Do the call, announce the whole answer, send half of it and close."""


@dataclass(frozen=True, slots=True)
class LoseSession:
    """Forget the upload session and answer 404; its name may stay taken until a DELETE (abraunegg/onedrive#3859)."""

    name_stays_taken: bool = False


@dataclass(frozen=True, slots=True)
class RewindSession:
    """Take a fragment, then give up so many FRAGMENTS of the session, this one among them, and expect them again.

    The answer says so, or, unless TOLD, only the next fragment's 416 and the session's status do: what was accepted may still be
    asked for again ("nextExpectedRanges" of "driveItem: createUploadSession", learn.microsoft.com). A question for the session's
    status may meet this too.
    """

    fragments: int = 1
    told: bool = True


@dataclass(frozen=True, slots=True)
class CorruptBytes:
    """Store other bytes than were sent, so that the hash in the answer differs; or send other bytes than are stored."""


Action = AnswerWith | CutConnection | Hang | TruncateAnswer | LoseSession | RewindSession | CorruptBytes


@dataclass(frozen=True, slots=True)
class Match:
    """The calls of KIND (None: any) whose URL path or library path contains PATH."""

    kind: CallKind | None = None
    path: str = ""

    def meets(self, kind: CallKind, *paths: str) -> bool:
        """True if a call of KIND with PATHS is meant."""
        return self.kind in (None, kind) and any(self.path in path for path in paths)


@dataclass(frozen=True, slots=True)
class Fault:
    """ACTION for the next TIMES matching calls (None: all), after letting the first AFTER of them pass."""

    match: Match
    action: Action
    times: int | None = 1
    after: int = 0


@dataclass(slots=True)
class _Queued:
    fault: Fault
    met: int = 0

    def meets(self, kind: CallKind, *paths: str) -> bool:
        if not self.fault.match.meets(kind, *paths):
            return False
        self.met += 1
        return self.met > self.fault.after

    @property
    def is_spent(self) -> bool:
        return self.fault.times is not None and self.met >= self.fault.after + self.fault.times


class FaultQueue:
    """Faults in the order in which they were added; a call meets at most one."""

    def __init__(self) -> None:
        self._queue: list[_Queued] = []

    def add(self, fault: Fault) -> None:
        """Append FAULT."""
        self._queue.append(_Queued(fault))

    def clear(self) -> None:
        """Drop all faults."""
        self._queue.clear()

    def pending(self) -> list[Fault]:
        """The faults that still wait for calls."""
        return [queued.fault for queued in self._queue]

    def take(self, kind: CallKind, *paths: str) -> Action | None:
        """What is to happen to a call of KIND with PATHS, if anything."""
        for queued in self._queue:
            if queued.meets(kind, *paths):
                self._queue = [other for other in self._queue if not other.is_spent]
                return queued.fault.action
        return None
