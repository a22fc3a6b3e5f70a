"""Makes reads of objects fail on demand."""

import contextlib
import socket
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto

from simulator.minio_requests import Answer, ErrorCode, S3Error, S3Request

_MOST_SKEW = timedelta(minutes=15)
_SURPLUS = b"\0" * 1000


class ReadFault(Enum):
    """How a GET or HEAD fails: 503, 403, or a connection that ends in the middle of the body (of HEAD: at once).

    The others meet a GET only, and contradict what HEAD says of the object's size: half of the bytes or a thousand too many,
    announced so by the GET's own Content-Length, or without any; or a thousand bytes on the connection after those announced.
    """

    UNAVAILABLE = auto()
    FORBIDDEN = auto()
    RESET = auto()
    SHORT = auto()
    SHORT_UNANNOUNCED = auto()
    LONG = auto()
    LONG_UNANNOUNCED = auto()
    SURPLUS = auto()


_REFUSALS = {ReadFault.UNAVAILABLE: ErrorCode.SLOW_DOWN, ReadFault.FORBIDDEN: ErrorCode.ACCESS_DENIED}
_MEETS_HEAD = frozenset({*_REFUSALS, ReadFault.RESET})


@dataclass(slots=True)
class _Plan:
    fault: ReadFault
    remaining: int
    key: str | None

    def meets(self, request: S3Request) -> bool:
        is_asked_so = request.method != "HEAD" or self.fault in _MEETS_HEAD
        return self.remaining > 0 and is_asked_so and self.key in {None, request.key}


class Faults:
    """The failures that are still to come, the time that every answer takes more than it must, and how far the clock is off."""

    def __init__(self) -> None:
        self.latency_seconds = 0.0
        self.clock_ahead_seconds = 0.0
        self._plans: list[_Plan] = []
        self._lock = threading.Lock()

    def plan(self, fault: ReadFault, *, count: int, key: str | None) -> None:
        """Let the next ``count`` reads fail, of this key or, with None, of any."""
        with self._lock:
            self._plans.append(_Plan(fault, count, key))

    def clear(self) -> None:
        """Let reads succeed again, without delay, by the right time."""
        with self._lock:
            self._plans.clear()
            self.latency_seconds = 0.0
            self.clock_ahead_seconds = 0.0

    def take(self, request: S3Request) -> ReadFault | None:
        """The failure that is due for this read."""
        with self._lock:
            plan = next((each for each in self._plans if each.meets(request)), None)
            if plan is None:
                return None
            plan.remaining -= 1
            return plan.fault

    def refuse_if_skewed(self, request: S3Request) -> None:
        """Refuse a request that was signed over a quarter of an hour ago, or so far ahead, as ``cmd/auth-handler.go`` does."""
        signed = request.headers.get("x-amz-date")
        if signed is None:
            return
        at = datetime.strptime(signed, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if abs(datetime.now(UTC) + timedelta(seconds=self.clock_ahead_seconds) - at) > _MOST_SKEW:
            raise S3Error(ErrorCode.TIME_TOO_SKEWED)


def refuse(fault: ReadFault | None) -> None:
    """Raise the S3Error of a fault that is an answer."""
    if fault in _REFUSALS:
        raise S3Error(_REFUSALS[fault])


def spoiled(answer: Answer, fault: ReadFault | None, request: S3Request) -> Answer:
    """The answer as the fault leaves it."""
    size = int(answer.headers["Content-Length"])
    match fault:
        case ReadFault.RESET:
            body = _broken_off(_first_bytes(answer.body, size // 2), request.environ["werkzeug.socket"])
            return Answer(answer.status, answer.headers, body)
        case ReadFault.SHORT | ReadFault.SHORT_UNANNOUNCED:
            return _restated(answer, fault, size // 2, _first_bytes(answer.body, size // 2))
        case ReadFault.LONG | ReadFault.LONG_UNANNOUNCED:
            return _restated(answer, fault, size + len(_SURPLUS), _with_surplus(answer.body))
        case ReadFault.SURPLUS:
            body = _followed(answer.body, request.environ["werkzeug.socket"])
            return Answer(answer.status, answer.headers, body)
    return answer


def _restated(answer: Answer, fault: ReadFault, size: int, body: Iterable[bytes]) -> Answer:
    headers = {name: value for name, value in answer.headers.items() if name != "Content-Length"}
    if fault in {ReadFault.SHORT, ReadFault.LONG}:
        headers["Content-Length"] = str(size)
    return Answer(answer.status, headers, body)


def _first_bytes(pieces: Iterable[bytes], count: int) -> Iterator[bytes]:
    for piece in pieces:
        if len(piece) >= count:
            yield piece[:count]
            return
        count -= len(piece)
        yield piece


def _with_surplus(pieces: Iterable[bytes]) -> Iterator[bytes]:
    yield from pieces
    yield _SURPLUS


def _followed(pieces: Iterable[bytes], connection: socket.socket) -> Iterator[bytes]:
    yield from pieces
    # The other side may have gone by itself.
    with contextlib.suppress(OSError):
        connection.sendall(_SURPLUS)


def _broken_off(pieces: Iterable[bytes], connection: socket.socket) -> Iterator[bytes]:
    yield from pieces
    # As above.
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError("the stand-in was told to break off this answer")
