"""The cable between the service and Graph, which can be pulled out, cut, or plugged into something else."""

import contextlib
import socket
import struct
import threading
import time
from enum import Enum, auto
from types import TracebackType
from typing import Self

_PIECE_BYTES = 64 * 1024
_DRIP_BYTES = 256
_DRIP_SECONDS = 0.02
_HOST = "127.0.0.1"


class Plug(Enum):
    """What the other end of the cable does with a connection."""

    THROUGH = auto()
    REFUSES = auto()
    RESETS = auto()
    SPEAKS_NO_TLS = auto()
    DRIPS = auto()


class Cable:
    """Passes connections on to PORT of this machine, unread; a context manager."""

    def __init__(self, port: int) -> None:
        self.target = port
        self._plug = Plug.THROUGH
        self._listener = socket.create_server((_HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: set[socket.socket] = set()

    def __enter__(self) -> Self:
        self._listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hang_up()

    def plug(self, plug: Plug) -> None:
        """Break off all connections, and treat new ones as PLUG says."""
        self._hang_up()
        self._plug = plug
        if plug is not Plug.REFUSES:
            self._listener = socket.create_server((_HOST, self.port))
            self._listen()

    def _hang_up(self) -> None:
        for connection in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._open.clear()

    def _listen(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self._open.add(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            match self._plug:
                case Plug.RESETS:
                    _reset(connection)
                case Plug.SPEAKS_NO_TLS:
                    connection.recv(_PIECE_BYTES)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                    connection.close()
                case _:
                    self._pass_on(connection)

    def _pass_on(self, connection: socket.socket) -> None:
        far = socket.create_connection((_HOST, self.target))
        self._open.add(far)
        threading.Thread(target=self._pump, args=(connection, far), daemon=True).start()
        self._pump(far, connection, drips=self._plug is Plug.DRIPS)

    def _pump(self, source: socket.socket, target: socket.socket, *, drips: bool = False) -> None:
        try:
            while piece := source.recv(_DRIP_BYTES if drips else _PIECE_BYTES):
                target.sendall(piece)
                time.sleep(_DRIP_SECONDS if drips else 0.0)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            _reset(source)
            _reset(target)


def _reset(connection: socket.socket) -> None:
    """Break CONNECTION off: without lingering the kernel sends RST, as a firewall does."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)
    connection.close()
