"""Senders with the right token whose bodies come a byte at a time: they are let go, and those who are only slow are heard."""

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

import pytest
import requests
from measure.senders import graph_is_away

from simulator.service_process import SECRET
from simulator.stage import Stage

MORE_THAN_THREADS = 120
DRIP_SECONDS = 0.5
ENDS_WITHIN_SECONDS = 40
BODY = json.dumps({"EventName": "s3:ObjectCreated:Put", "Key": "lycee/bts-sio/slow.txt"}).encode()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for all tests here, whose service records events and mirrors none: Graph is away."""
    settings = {**graph_is_away(), "SYNC_WAIT_SECONDS": "0"}
    with Stage(tmp_path_factory.mktemp("drip"), settings=settings) as stage:
        stage.service.start(wait=False)
        stage.service.wait_for_line(lambda line: line["event"] == "not_ready")
        yield stage


def header(length: int) -> bytes:
    """The header of a POST with a body of LENGTH bytes."""
    lines = ("POST /s3event HTTP/1.1", "Host: proxy", f"Authorization: Bearer {SECRET}", f"Content-Length: {length}")
    return "\r\n".join((*lines, "", "")).encode()


def drip(connections: Sequence[socket.socket], pieces: Iterator[bytes], over: threading.Event) -> None:
    """Send each of PIECES to all CONNECTIONS, with a pause after it, until it is OVER."""
    for piece in pieces:
        for connection in connections:
            with suppress(OSError):
                connection.sendall(piece)
        if over.wait(DRIP_SECONDS):
            return


@contextmanager
def dripping(port: int, count: int, length: int, pieces: Iterator[bytes]) -> Iterator[list[socket.socket]]:
    """COUNT connections on which a body of LENGTH bytes comes in PIECES."""
    over = threading.Event()
    with ExitStack() as opened:
        connections = [
            opened.enter_context(socket.create_connection(("127.0.0.1", port), timeout=ENDS_WITHIN_SECONDS))
            for _ in range(count)
        ]
        for connection in connections:
            connection.sendall(header(length))
        feeder = threading.Thread(target=drip, args=(connections, pieces, over))
        feeder.start()
        try:
            yield connections
        finally:
            over.set()
            feeder.join()


def status_of(connection: socket.socket) -> int:
    """The status of the answer on CONNECTION, whenever it comes."""
    return int(connection.makefile("rb").readline().split()[1])


def endless() -> Iterator[bytes]:
    """A body that never ends, a byte at a time."""
    while True:
        yield b" "


def test_more_dripping_senders_than_threads_are_let_go(stage: Stage) -> None:
    """With the answer 400; others are heard meanwhile."""
    service = stage.service

    with dripping(service.port, MORE_THAN_THREADS, 1_000_000, endless()) as connections:
        assert requests.get(f"{service.url}/health", timeout=ENDS_WITHIN_SECONDS).status_code == 200
        assert service.post(BODY, timeout=ENDS_WITHIN_SECONDS).status_code == 202
        assert status_of(connections[0]) == 400


def test_a_slow_sender_is_heard(stage: Stage) -> None:
    """Its body comes in four pieces, half a second apart."""
    size = -(-len(BODY) // 4)
    pieces = (BODY[start : start + size] for start in range(0, len(BODY), size))

    with dripping(stage.service.port, 1, len(BODY), pieces) as (connection,):
        assert status_of(connection) == 202

    assert stage.service.unsettled() == [("lycee", "bts-sio/slow.txt")]
