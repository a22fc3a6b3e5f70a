"""Sends one event to a webhook over HTTP as MinIO's Go client does, and keeps the record of all attempts."""

import http.client
import itertools
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from simulator.minio_events import Event

CONNECT_SECONDS = 5.0
IDLE_CONNECTION_SECONDS = 15.0
_SUCCESS = range(200, 300)


@dataclass(frozen=True, slots=True)
class Target:
    """Where events go: MINIO_NOTIFY_WEBHOOK_ENDPOINT and _AUTH_TOKEN."""

    url: str
    token: str = field(repr=False)

    @property
    def authorization(self) -> str:
        """One word becomes a bearer token, two words are sent as they are, anything else sends no header."""
        words = self.token.split()
        if len(words) == 1:
            return f"Bearer {words[0]}"
        return self.token if len(words) == 2 else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One attempt to deliver one event, made ``at`` so many seconds since 1970.

    ``status`` is None when no answer came, and ``error`` then says why.
    """

    event_name: str
    key: str
    status: int | None
    answer_body: bytes
    seconds: float
    attempt: int
    at: float
    error: str = ""
    body: bytes = field(default=b"", repr=False)

    @property
    def is_delivered(self) -> bool:
        """Whether MinIO takes the event for delivered."""
        return self.status in _SUCCESS


class DeliveryLog:
    """All attempts in their order, and a way to await one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._deliveries: list[Delivery] = []

    def add(self, delivery: Delivery) -> None:
        """Record an attempt and wake those who wait for it."""
        with self._changed:
            self._deliveries.append(delivery)
            self._changed.notify_all()

    def snapshot(self) -> list[Delivery]:
        """The attempts so far, oldest first."""
        with self._changed:
            return list(self._deliveries)

    def follow(self, report: Callable[[Delivery], None]) -> None:
        """Report every attempt, past and coming, for ever."""
        for number in itertools.count():
            with self._changed:
                self._changed.wait_for(lambda: len(self._deliveries) > number)  # noqa: B023 - called at once
                delivery = self._deliveries[number]
            report(delivery)

    def wait_for(self, predicate: Callable[[Delivery], bool], timeout: float) -> Delivery:
        """The first attempt, past or coming, that satisfies the predicate; raises TimeoutError after ``timeout`` seconds."""
        with self._changed:
            found = self._changed.wait_for(lambda: next(filter(predicate, self._deliveries), None), timeout)
            if found is None:
                seen = ", ".join(f"{each.event_name} {each.key} {each.status}" for each in self._deliveries[-20:])
                raise TimeoutError(f"no such delivery within {timeout} s; the last ones were: {seen or 'none'}")
            return found


class Sender:
    """Sends events over one kept-alive HTTP/1.1 connection, as Go's http.Client does."""

    def __init__(self, target: Target, *, answer_seconds: float) -> None:
        self._target = target
        self._url = urlsplit(target.url)
        self._answer_seconds = answer_seconds
        self._connection: http.client.HTTPConnection | None = None
        self._used_at = 0.0

    def send(self, event: Event, *, attempt: int) -> Delivery:
        """Make one attempt and report it; no failure of the receiver raises."""
        started, at = time.monotonic(), time.time()
        status: int | None = None
        answer, error = b"", ""
        try:
            status, answer = self._exchange(event.body)
        except (OSError, http.client.HTTPException) as problem:
            self.close()
            error = f"{type(problem).__name__}: {problem}"
        return Delivery(
            event_name=event.name.value,
            key=event.key,
            status=status,
            answer_body=answer,
            seconds=time.monotonic() - started,
            attempt=attempt,
            at=at,
            error=error,
            body=event.body,
        )

    def close(self) -> None:
        """Close the connection; only for the thread that sends."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def interrupt(self) -> None:
        """Break off the request that another thread has under way."""
        connection = self._connection
        sock = connection.sock if connection is not None else None
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _exchange(self, body: bytes) -> tuple[int, bytes]:
        connection = self._connected()
        connection.putrequest("POST", self._path(), skip_accept_encoding=True)
        for name, value in self._headers(body).items():
            connection.putheader(name, value)
        connection.endheaders(body)
        with connection.getresponse() as response:
            answer = response.read()
        self._used_at = time.monotonic()
        return response.status, answer

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is not None and self._is_stale(self._connection):
            self.close()
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _is_stale(self, connection: http.client.HTTPConnection) -> bool:
        """Whether the connection was idle too long, or the receiver has closed it, which makes it readable."""
        if time.monotonic() - self._used_at > IDLE_CONNECTION_SECONDS or connection.sock is None:
            return True
        return bool(select.select([connection.sock], [], [], 0)[0])

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._url.hostname or "", self._url.port, timeout=CONNECT_SECONDS)
        connection.connect()
        connection.sock.settimeout(self._answer_seconds)
        return connection

    def _path(self) -> str:
        query = f"?{self._url.query}" if self._url.query else ""
        return (self._url.path or "/") + query

    def _headers(self, body: bytes) -> dict[str, str]:
        authorization = {"Authorization": self._target.authorization} if self._target.authorization else {}
        return {
            "User-Agent": "Go-http-client/1.1",
            "Content-Length": str(len(body)),
            **authorization,
            "Content-Type": "application/json",
        }
