"""gunicorn's threads, guarded against senders that stall or drip: nobody holds a thread with half a request, or the service by not closing.

gunicorn 27 waits for the rest of a request that has begun without any time-out, in one of its threads, and for the other side to close a
connection in its only main thread. No token is needed for either, so both would stop /health and the webhook alike.
"""

import contextlib
import socket
import time
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

_READ_SECONDS = 10.0
_LINGER_SECONDS = 2.0


class Listener(ThreadWorker):  # type: ignore[misc] # gunicorn has no types
    """gunicorn's worker with threads, which lets go of whoever takes over `_READ_SECONDS` for a header, or for a body."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._reading: dict[Any, float] = {}

    def handle(self, conn: Any) -> Any:
        """Read a request and answer it; what is true or pending afterwards keeps the connection."""
        self._reading[conn] = time.monotonic() + _READ_SECONDS
        try:
            kept = super().handle(conn)
        finally:
            self._reading.pop(conn, None)
        if not kept:
            _linger(conn.sock)
        return kept

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer a request whose header has come; one whose body is not there in time is answered 400."""
        self._reading.pop(conn, None)
        conn.sock.settimeout(_READ_SECONDS)
        unreader = conn.parser.unreader
        unreader.sock = _InTime(conn.sock, time.monotonic() + _READ_SECONDS)
        try:
            return super().handle_request(req, conn)
        finally:
            unreader.sock = conn.sock

    def murder_pending(self) -> None:
        """Let threads that wait for the rest of a header go on as if its sender had left; runs once a second."""
        super().murder_pending()
        now = time.monotonic()
        for conn, deadline in list(self._reading.items()):
            if now > deadline:
                with contextlib.suppress(OSError):
                    conn.sock.shutdown(socket.SHUT_RD)


class _InTime:
    """The reading side of a socket until ENDS_AT: a time-out for each read alone would go on for ever with a byte now and then."""

    def __init__(self, sock: socket.socket, ends_at: float) -> None:
        self._sock = sock
        self._ends_at = ends_at

    def recv(self, size: int) -> bytes:
        """What has come; TimeoutError when nothing came in time."""
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        try:
            return self._sock.recv(size)
        finally:
            self._sock.settimeout(_READ_SECONDS)


def _linger(sock: socket.socket) -> None:
    """Give the other side time to read the answer and to close (RFC 9112, 9.6): gunicorn would do that in its main thread."""
    deadline = time.monotonic() + _LINGER_SECONDS
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        while (left := deadline - time.monotonic()) > 0:
            sock.settimeout(left)
            if not sock.recv(65536):
                break
    with contextlib.suppress(OSError):
        # So that gunicorn finds the end at once.
        sock.shutdown(socket.SHUT_RD)
