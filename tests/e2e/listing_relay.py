"""Stands between a command and MinIO: passes requests on, lets listings come in small pages, and breaks some of them."""

import http.client
import socket
import threading
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlencode, urlsplit

_PAGE_OBJECTS = "10"
_HOP_HEADERS = frozenset({"connection", "transfer-encoding", "content-length"})


class Break(Enum):
    """What becomes of a page of a listing: an answer of MinIO that says no, no whole answer, or none that can be read."""

    UNAVAILABLE = auto()
    CUT = auto()
    HALF = auto()
    NO_XML = auto()


class ListingRelay:
    """Passes on to the server at ENDPOINT; a context manager."""

    def __init__(self, endpoint: str) -> None:
        self._target = urlsplit(endpoint).netloc
        self._breaks: dict[int, Break] = {}
        self.pages = 0
        relay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                relay.answer(self)

            def do_HEAD(self) -> None:
                relay.answer(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def endpoint(self) -> str:
        """Its own address, for MINIO_ENDPOINT."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def break_page(self, number: int, how: Break, *, times: int = 1) -> None:
        """Break the page NUMBER, counted from 1 over all listings from now on, and so many TIMES each page after it."""
        self.pages = 0
        self._breaks = dict.fromkeys(range(number, number + times), how)

    def answer(self, asked: BaseHTTPRequestHandler) -> None:
        """Answer one request, by asking the server behind."""
        path, query = urlsplit(asked.path).path, dict(parse_qsl(urlsplit(asked.path).query, keep_blank_values=True))
        how = None
        if "list-type" in query:
            self.pages += 1
            how = self._breaks.get(self.pages)
            query["max-keys"] = _PAGE_OBJECTS
        status, headers, body = self._asked_behind(asked, f"{path}?{urlencode(query)}")
        match how:
            case Break.UNAVAILABLE:
                status, body = 503, b"<Error><Code>SlowDown</Code></Error>"
            case Break.NO_XML:
                body = b"<html>no list</html"
        _send(asked, status, headers, body, half=how is Break.HALF, nothing=how is Break.CUT)

    def _asked_behind(self, asked: BaseHTTPRequestHandler, path: str) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self._target)
        connection.request(asked.command, path, headers=dict(asked.headers))
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, [each for each in answer.getheaders() if each[0].lower() not in _HOP_HEADERS], body


def _send(
    asked: BaseHTTPRequestHandler,
    status: int,
    headers: list[tuple[str, str]],
    body: bytes,
    *,
    half: bool,
    nothing: bool,
) -> None:
    if nothing:
        _hang_up(asked)
        return
    asked.send_response_only(status)
    for name, value in headers:
        asked.send_header(name, value)
    asked.send_header("Content-Length", str(len(body)))
    asked.end_headers()
    asked.wfile.write(body[: len(body) // 2] if half else body)
    if half:
        _hang_up(asked)


def _hang_up(asked: BaseHTTPRequestHandler) -> None:
    asked.close_connection = True
    asked.connection.shutdown(socket.SHUT_RDWR)
