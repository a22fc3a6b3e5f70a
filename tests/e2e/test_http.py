"""The webhook as gunicorn serves it: bodies without a length, doubled headers, and requests on one connection."""

import json
import socket
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from sharepoint_proxy.web import MAX_BODY_BYTES
from simulator.service_process import SECRET
from simulator.stage import Stage

EVENT = json.dumps({"EventName": "s3:ObjectAccessed:Get", "Key": "lycee/administration/note.txt"}).encode()
HEAD = "POST /s3event HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n"
AUTHORIZATION = f"Authorization: Bearer {SECRET}\r\n"
CHUNK_BYTES = 64 * 1024


def status_of(stage: Stage, head: str, *parts: bytes) -> int:
    """The status that a request written by hand is answered with."""
    with socket.create_connection(("127.0.0.1", stage.service.port), timeout=20) as connection:
        connection.sendall(f"{head}\r\n".encode())
        for part in parts:
            connection.sendall(part)
        return int(connection.makefile("rb").readline().split()[1])


def chunked(body: bytes) -> Iterator[bytes]:
    """BODY in HTTP's chunked coding."""
    for start in range(0, len(body), CHUNK_BYTES):
        piece = body[start : start + CHUNK_BYTES]
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


@pytest.fixture
def stage(common: Stage) -> Stage:
    """One for all tests here, empty when each of them begins."""
    return common


def test_it_reads_a_body_without_a_length_up_to_its_limit(stage: Stage) -> None:
    """Chunked bodies announce no length: what counts is what comes."""
    head = f"{HEAD}{AUTHORIZATION}Transfer-Encoding: chunked\r\n"

    assert status_of(stage, head, *chunked(EVENT)) == 204
    assert status_of(stage, head, *chunked(EVENT.ljust(MAX_BODY_BYTES))) == 204
    assert status_of(stage, head, *chunked(EVENT.ljust(MAX_BODY_BYTES + 1))) == 413
    assert status_of(stage, head, *chunked(b"x" * 2 * MAX_BODY_BYTES)) == 413
    assert status_of(stage, f"{HEAD}{AUTHORIZATION}Content-Length: {10 * MAX_BODY_BYTES}\r\n") == 413


def test_it_refuses_two_authorization_headers(stage: Stage) -> None:
    for tokens in [(SECRET, "wrong"), ("wrong", SECRET)]:
        headers = "".join(f"Authorization: Bearer {token}\r\n" for token in tokens)
        assert status_of(stage, f"{HEAD}{headers}Content-Length: 2\r\n", b"{}") == 403


def test_it_serves_one_request_after_the_other_on_a_connection(stage: Stage) -> None:
    """MinIO keeps its connection, also after a refusal whose body nobody read."""
    connection = HTTPConnection("127.0.0.1", stage.service.port, timeout=20)
    statuses = []
    for token in (SECRET, "wrong", SECRET):
        connection.request("POST", "/s3event", EVENT, {"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        response.read()
        statuses.append(response.status)
    connection.close()
    assert statuses == [204, 403, 204]
