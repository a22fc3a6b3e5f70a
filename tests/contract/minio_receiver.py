"""A webhook that keeps what it gets and answers what it is told."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


@dataclass(frozen=True, slots=True)
class Received:
    """One request: how many came before it, over which connection it came, and its content."""

    number: int
    connection: tuple[str, int]
    path: str
    headers: dict[str, str]
    body: str


class Receiver:
    """Listens on loopback; ``answer`` gives the status of each answer, and None closes the connection without one.

    With ``hangs_up`` it closes the connection after each answer without having said so.
    """

    def __init__(self, answer: Callable[[Received], int | None] = lambda _: 204, *, hangs_up: bool = False) -> None:
        self.answer = answer
        self.hangs_up = hangs_up
        self.received: list[Received] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def keys(self) -> list[str]:
        """The keys of all requests in their order."""
        return [json.loads(request.body)["Key"] for request in self.received]

    @property
    def url(self) -> str:
        """Where to send."""
        return f"http://127.0.0.1:{self._server.server_port}/s3event"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                with receiver._lock:
                    request = Received(len(receiver.received), self.client_address, self.path, dict(self.headers), body)
                    receiver.received.append(request)
                status = receiver.answer(request)
                if status is None:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                self.close_connection = receiver.hangs_up

            def log_message(self, *_: object) -> None:
                """Write nothing."""

        return Handler
