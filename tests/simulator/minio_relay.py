"""Passes the webhook requests of a real MinIO server on, so that its deliveries can be seen and held up."""

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from simulator.minio_events import Event, EventName
from simulator.minio_sender import DeliveryLog, Sender, Target
from simulator.minio_server import HOST

_UNAVAILABLE = 503
_POLL_SECONDS = 0.02


class Relay:
    """A webhook that forwards each request to the target and gives back its answer; one that gets none answers 503."""

    def __init__(self, log: DeliveryLog, *, answer_seconds: float) -> None:
        self._log = log
        self._answer_seconds = answer_seconds
        self._sender: Sender | None = None
        self._is_paused = False
        self._lock = threading.Lock()
        self._attempts: Counter[bytes] = Counter()
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where MinIO is to send."""
        return f"http://{HOST}:{self._server.server_port}/"

    def aim(self, target: Target) -> None:
        """Forward to this target from now on."""
        with self._lock:
            self._sender = Sender(target, answer_seconds=self._answer_seconds)

    def pause(self) -> None:
        """Refuse all events, so that MinIO keeps them."""
        self._is_paused = True

    def resume(self) -> None:
        """Let events through; MinIO tries again within its interval."""
        self._is_paused = False

    def start(self) -> None:
        """Listen."""
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()
        if self._thread:
            self._thread.join()

    def _forward(self, body: bytes) -> int:
        # MinIO with a queue directory sends one event at a time; the lock keeps its retries apart, too.
        with self._lock:
            if self._is_paused or self._sender is None:
                return _UNAVAILABLE
            said = json.loads(body)
            event = Event(name=EventName(said["EventName"]), key=said["Key"], body=body, raised_ns=0)
            self._attempts[body] += 1
            delivery = self._sender.send(event, attempt=self._attempts[body])
            self._log.add(delivery)
            return delivery.status or _UNAVAILABLE

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        forward = self._forward

        class Handler(BaseHTTPRequestHandler):
            """Answers POST with what the target answered."""

            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                """Forward one event."""
                self.send_response(forward(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Write nothing."""

        return Handler
