"""The webhook behind a real HTTP server on loopback, with a journal, routes and workers that a test plays."""

import json
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPMessage
from types import TracebackType
from typing import Any, Self

from flask import Blueprint
from werkzeug.serving import make_server

from sharepoint_proxy.errors import JournalError
from sharepoint_proxy.events import ObjectEvent
from sharepoint_proxy.records import Action, Job, Outcome, State
from sharepoint_proxy.waiting import WaitingRoom
from sharepoint_proxy.web import Intake, Metrics, create_app

SECRET = "the-present-secret"
PREVIOUS_SECRET = "the-previous-secret"
KEY = "administration/note.txt"
UPLOADED = Outcome(state=State.SETTLED, action=Action.UPLOADED)

_TIMEOUT_SECONDS = 20.0


def record_of(key: str = KEY, *, name: str = "s3:ObjectCreated:Put", bucket: str = "lycee", **members: object) -> Any:
    """A record of a webhook body."""
    return {"eventName": name, "s3": {"bucket": {"name": bucket}, "object": {"key": key}}, **members}


def body_of(*records: object) -> bytes:
    """A webhook body."""
    return json.dumps({"Records": list(records)}).encode()


def now_text() -> str:
    """The present as senders write it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back."""

    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The sentence of a refusal."""
        return str(self.json["error"])


@dataclass
class FakeJournal:
    """Numbers the events that it is given; raises what `broken` holds instead."""

    broken: JournalError | None = None
    marked: list[ObjectEvent] = field(default_factory=list)
    rejected: list[tuple[list[str], bytes]] = field(default_factory=list)

    def mark(self, events: Sequence[ObjectEvent]) -> list[int]:
        self._raise_if_broken()
        first = len(self.marked) + 1
        self.marked += events
        return list(range(first, first + len(events)))

    def reject(self, reasons: Sequence[str], *, body: bytes) -> None:
        self._raise_if_broken()
        self.rejected.append((list(reasons), body))

    def _raise_if_broken(self) -> None:
        if self.broken is not None:
            raise self.broken


class FakeRouting:
    """Mirrors administration/ of the bucket lycee."""

    def is_routed(self, bucket: str, key: str) -> bool:
        return bucket == "lycee" and key.startswith("administration/")


class WebServer:
    """The application over fakes with PAGES, served until the end of the `with` block; `on_wake` plays the workers."""

    def __init__(
        self,
        *,
        seats: int = 8,
        wait_seconds: float = 15.0,
        max_lag_seconds: float = 5.0,
        metrics: Metrics | None = None,
        pages: Sequence[Blueprint] = (),
    ) -> None:
        self.journal = FakeJournal()
        self.room = WaitingRoom(seats=seats)
        self.on_wake: Callable[[], object] = lambda: None
        self.woken = threading.Event()
        self.not_ready: list[str] = []
        app = create_app(
            Intake(
                secrets=lambda: (SECRET, PREVIOUS_SECRET),
                routing=FakeRouting(),
                journal=self.journal,
                room=self.room,
                wake=self._wake,
                not_ready=lambda: self.not_ready,
                sync_wait_seconds=wait_seconds,
                sync_max_lag_seconds=max_lag_seconds,
                metrics=metrics,
            ),
            pages=pages,
        )
        self._server = make_server("127.0.0.1", 0, app, threaded=True)
        # The interval is how long a shutdown takes.
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.room.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def post(self, body: bytes, *, token: str | None = SECRET, headers: Mapping[str, str] | None = None) -> Answered:
        """Post BODY to the webhook, with TOKEN unless it is None."""
        authorization = {"Authorization": f"Bearer {token}"} if token is not None else {}
        return self.request("POST", "/s3event", body=body, headers={**authorization, **(headers or {})})

    def request(
        self, method: str, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answered:
        """One request on a connection of its own."""
        connection = HTTPConnection("127.0.0.1", self._server.server_port, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            return Answered(response.status, response.headers, response.read())
        finally:
            connection.close()

    def send_raw(self, head: bytes, body: bytes = b"") -> int:
        """Send a request as it is written here; the status of its answer."""
        with socket.create_connection(("127.0.0.1", self._server.server_port), timeout=_TIMEOUT_SECONDS) as connection:
            connection.sendall(head + b"Connection: close\r\n\r\n" + body)
            status_line = connection.makefile("rb").readline()
        return int(status_line.split()[1])

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def publish(self, outcome: Outcome, *, key: str = KEY, generation: int = 1) -> None:
        """Tell the waiting requests what came of a look at KEY, as a worker does."""
        job = Job(bucket="lycee", key=key, generation=generation, attempts=0, event="", large=False)
        self.room.publish(job, outcome)

    def _wake(self) -> None:
        self.woken.set()
        self.on_wake()
