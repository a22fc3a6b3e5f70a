"""Serves a WSGI application on loopback, over real sockets, until it is broken off."""

import socket
import threading
from contextlib import suppress
from wsgiref.types import WSGIApplication

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import BaseWSGIServer, make_server

HOST = "127.0.0.1"
_POLL_SECONDS = 0.02


class LoopbackServer:
    """A threaded HTTP server that keeps its port from one start to the next."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None
        self._connections: set[socket.socket] = set()

    def start(self, application: WSGIApplication) -> None:
        """Listen, and serve in a thread."""
        self._server = make_server(HOST, self.port, application, threaded=True, request_handler=self._handler())
        self.port = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="minio-server", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Refuse new connections and break off all others."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server = self._thread = None

    def _handler(self) -> type[MotoRequestHandler]:
        connections = self._connections

        class Handler(MotoRequestHandler):
            """moto's handler, which minds metadata names with underscores; quiet, and known to the server."""

            def setup(self) -> None:
                super().setup()
                connections.add(self.connection)

            def finish(self) -> None:
                connections.discard(self.connection)
                super().finish()

            def log(self, *_: object, **__: object) -> None:
                """Write nothing."""

        return Handler
