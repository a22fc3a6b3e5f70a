"""Makes reads of objects fail on demand."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from simulator.minio_requests import Answer, ErrorCode, S3Error, S3Request


class ReadFault(Enum):
    """How a GET or HEAD fails: 503, 403, or a connection that ends in the middle of the body (of HEAD: at once)."""

    UNAVAILABLE = auto()
    FORBIDDEN = auto()
    RESET = auto()


@dataclass(slots=True)
class _Plan:
    fault: ReadFault
    remaining: int
    key: str | None


class Faults:
    """The failures that are still to come, and the time that every answer takes more than it must."""

    def __init__(self) -> None:
        self.latency_seconds = 0.0
        self._plans: list[_Plan] = []
        self._lock = threading.Lock()

    def plan(self, fault: ReadFault, *, count: int, key: str | None) -> None:
        """Let the next ``count`` reads fail, of this key or, with None, of any."""
        with self._lock:
            self._plans.append(_Plan(fault, count, key))

    def clear(self) -> None:
        """Let reads succeed again, without delay."""
        with self._lock:
            self._plans.clear()
            self.latency_seconds = 0.0

    def take(self, key: str) -> ReadFault | None:
        """The failure that is due for a read of this key."""
        with self._lock:
            plan = next((each for each in self._plans if each.remaining and each.key in {None, key}), None)
            if plan is None:
                return None
            plan.remaining -= 1
            return plan.fault


def refuse(fault: ReadFault | None) -> None:
    """Raise the S3Error of a fault that is an answer."""
    if fault is ReadFault.UNAVAILABLE:
        raise S3Error(ErrorCode.SLOW_DOWN)
    if fault is ReadFault.FORBIDDEN:
        raise S3Error(ErrorCode.ACCESS_DENIED)


def torn(answer: Answer, request: S3Request) -> Answer:
    """The answer, but the connection ends after half of its body."""
    half = int(answer.headers["Content-Length"]) // 2
    return Answer(answer.status, answer.headers, _first_bytes(answer, half, request.environ["werkzeug.socket"]))


def _first_bytes(answer: Answer, count: int, connection: socket.socket) -> Iterator[bytes]:
    for piece in answer.body:
        if len(piece) >= count:
            yield piece[:count]
            break
        count -= len(piece)
        yield piece
    # The other side may have gone by itself.
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError("the stand-in was told to break off this answer")
