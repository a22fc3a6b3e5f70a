"""The webhook under load and under abuse: everything is recorded, everybody is answered, nothing else is touched."""

import json
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import quote
from xml.etree.ElementTree import ParseError

import pytest
import requests
from measure.health import HealthProbe
from measure.senders import Answered, Sender, graph_is_away
from minio.error import MinioException

from sharepoint_proxy.web import MAX_BODY_BYTES
from simulator.service_process import SECRET, ServiceProcess
from simulator.stage import Stage

MIB = 1024 * 1024
SENDERS = 8
LOAD_SECONDS = 3.0
LONG_AGO = "2026-01-31T11:04:33.844Z"
PIECE_BYTES = 64 * 1024
STALLED = 40
MORE_THAN_THREADS = 120
AUTHORIZATION = {"Authorization": f"Bearer {SECRET}"}


@pytest.fixture
def waiting_stage(make_stage: Callable[..., Stage]) -> Stage:
    """A stage whose service cannot reach Graph: it records events and mirrors none."""
    stage = make_stage(settings=graph_is_away())
    stage.service.start(wait=False)
    stage.service.wait_for_line(lambda line: line["event"] == "not_ready")
    return stage


@pytest.fixture(scope="module")
def recording_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Such a stage for tests with keys of their own."""
    with Stage(tmp_path_factory.mktemp("recording"), settings=graph_is_away()) as stage:
        stage.service.start(wait=False)
        stage.service.wait_for_line(lambda line: line["event"] == "not_ready")
        yield stage


def record_of(key: str, **members: object) -> dict[str, Any]:
    """A record as MinIO writes it, of long ago: the answer does not wait for its outcome. KEY is encoded already."""
    event = {"eventName": "s3:ObjectCreated:Put", "eventTime": LONG_AGO, **members}
    return {**event, "s3": {"bucket": {"name": "lycee"}, "object": {"key": key}}}


def body_of(records: Sequence[object]) -> bytes:
    """A webhook body, as compact as MinIO writes it."""
    return json.dumps({"Records": records}, separators=(",", ":")).encode()


def load(service: ServiceProcess) -> list[Answered]:
    """Everything that eight senders were answered in a few seconds."""
    begin_at = time.monotonic()
    senders = [
        Sender(number=number, port=service.port, begin_at=begin_at, seconds=LOAD_SECONDS) for number in range(SENDERS)
    ]
    with ThreadPoolExecutor(SENDERS) as threads:
        return [answer for answers in threads.map(Sender.run, senders) for answer in answers]


def test_it_records_what_eight_senders_post_while_graph_is_away(waiting_stage: Stage) -> None:
    """/health answers all the while, and what waits is kept on the disk and not in memory."""
    service = waiting_stage.service

    with HealthProbe(f"{service.url}/health") as health:
        answers = load(service)

    assert len(answers) > SENDERS
    assert {answer.status for answer in answers} == {202}
    assert len(service.unsettled()) == len(answers)
    assert set(health.statuses) == {200}
    assert service.memory_peak_bytes() < 120 * MIB


def test_what_was_answered_is_still_there_after_a_kill(waiting_stage: Stage) -> None:
    service = waiting_stage.service
    answers = load(service)
    service.kill()
    service.start(wait=False)
    service.wait_for_line(lambda line: line["event"] == "not_ready")

    assert len(service.unsettled()) == len(answers)


@contextmanager
def stalled_senders(port: int, beginning: bytes, *, count: int = STALLED) -> Iterator[None]:
    """So many connections that send the BEGINNING of a request, and then nothing."""
    with ExitStack() as connections:
        for _ in range(count):
            connection = connections.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            connection.sendall(beginning)
        yield


HALF_HEADER = b"POST /s3event HTTP/1.1\r\nHost: proxy\r\nAuthoriza"
HALF_BODY = (
    f"POST /s3event HTTP/1.1\r\nHost: proxy\r\nAuthorization: Bearer {SECRET}\r\nContent-Length: 100\r\n\r\n".encode()
)


NOT_CLOSED = b"GET /health HTTP/1.0\r\n\r\n"


@pytest.mark.parametrize(
    "beginning",
    [b"", HALF_HEADER, HALF_BODY + b'{"Records": [', NOT_CLOSED],
    ids=["nothing", "half a header", "half a body", "not closed after the answer"],
)
def test_stalled_senders_hold_up_nobody_else(
    recording_stage: Stage, request: pytest.FixtureRequest, beginning: bytes
) -> None:
    service, key = recording_stage.service, f"administration/{request.node.name}"

    with stalled_senders(service.port, beginning):
        assert service.get("/health").status_code == 200
        assert service.post({"Records": [record_of(quote(key))]}, timeout=20).status_code == 202

    assert ("lycee", key) in service.unsettled()


def test_more_stalled_senders_than_threads_are_let_go(recording_stage: Stage) -> None:
    """They hold up others for a moment, not for as long as they please."""
    service = recording_stage.service

    with stalled_senders(service.port, HALF_HEADER, count=MORE_THAN_THREADS):
        assert requests.get(f"{service.url}/health", timeout=40).status_code == 200


@pytest.mark.parametrize("is_chunked", [False, True], ids=["with its length", "in chunks"])
def test_it_takes_ten_thousand_records_in_one_body(waiting_stage: Stage, *, is_chunked: bool) -> None:
    """As short as they can be, so many fit into the limit; each key is in the answer and in the journal."""
    keys = [f"bts-sio/{number}" for number in range(10_000)]
    old, *others = [
        {"eventName": "s3:ObjectCreated:Put", "s3": {"bucket": {"name": "lycee"}, "object": {"key": key}}}
        for key in keys
    ]
    body = body_of([{**old, "eventTime": LONG_AGO}, *others])
    pieces = (body[start : start + PIECE_BYTES] for start in range(0, len(body), PIECE_BYTES))

    answer = requests.post(
        f"{waiting_stage.service.url}/s3event", data=pieces if is_chunked else body, headers=AUTHORIZATION, timeout=60
    )

    assert len(body) <= MAX_BODY_BYTES
    assert answer.status_code == 202
    assert [record["key"] for record in answer.json()["records"]] == keys
    assert sorted(waiting_stage.service.unsettled()) == sorted(("lycee", key) for key in keys)


TRAPS = (
    "..",
    "../outside.txt",
    "administration/..",
    "administration/../outside.txt",
    "administration/../../outside.txt",
    "administration/./../outside.txt",
    "administration/%2e%2e/outside.txt",
    "administration/%2E%2E%2Foutside.txt",
    "administration/%252e%252e%252foutside.txt",
    "administration/..%2f..%2foutside.txt",
    "administration/..%c0%af../outside.txt",
    "administration/ .. /outside.txt",
    "administration/\uff0e\uff0e/outside.txt",
    "administration\\..\\outside.txt",
    "administration/..\\..\\outside.txt",
    "..\\outside.txt",
    "/outside.txt",
    "//outside.txt",
    "/administration/../outside.txt",
    "administration//outside.txt",
    "administration/:/../outside.txt",
    "administration/note.txt:/../../outside.txt",
    "administration/note.txt?x=1#/../outside.txt",
    "administration/\0/../outside.txt",
    "outside.txt\0administration/",
    "archives/2024/../2023/report.txt",
    "archives/2024/../../outside.txt",
    "ADMINISTRATION/../outside.txt",
    "https://graph.microsoft.com/v1.0/outside.txt",
    "C:\\outside.txt",
)
"""Keys that lead elsewhere where somebody decodes, joins or normalises once too often."""

TREASURES = {"outside.txt": b"theirs", "Archives/2023/report.txt": b"theirs, too", "private/outside.txt": b"not ours"}
HOMES = ("administration", "bts-sio", "Archives/2024")


def spellings(key: str) -> list[str]:
    """KEY as MinIO would write it into a record, as it is, and encoded twice."""
    return [quote(key, safe=""), key, quote(quote(key, safe=""), safe="")]


def is_stored(stage: Stage, key: str) -> bool:
    """Store an object under KEY; False where the server or its client does not allow that."""
    try:
        stage.put(key, b"a trap")
    except (MinioException, ParseError, ValueError):
        return False
    return True


def is_at_home(path: str) -> bool:
    """True for what lies in, is, or leads to a folder into which keys are mirrored."""
    return any(f"{path}/".startswith(f"{home}/") or home.startswith(f"{path}/") for home in HOMES)


def is_theirs(path: str) -> bool:
    """True for what lies at or above the place of a file that was there before."""
    return any(f"{treasure}/".startswith(f"{path}/") for treasure in TREASURES)


def test_no_key_reaches_out_of_the_folders_that_are_mirrored(make_stage: Callable[..., Stage]) -> None:
    """Neither a creation nor a removal, however the key is written, whether or not MinIO has such an object."""
    stage = make_stage(settings={"DELETE_GRACE_SECONDS": "0", "MAX_ATTEMPTS": "1"})
    for path, content in TREASURES.items():
        stage.graph.put_foreign(path, content)
    stage.begin()
    stored = [key for key in TRAPS if is_stored(stage, key)]
    stage.minio.drain()

    for name in ("s3:ObjectCreated:Put", "s3:ObjectRemoved:Delete"):
        records = [record_of(spelling, eventName=name) for key in TRAPS for spelling in spellings(key)]
        assert stage.service.post(body_of(records)).status_code == 202
        stage.service.wait_until_idle(60)

    assert {path: stage.graph.content(path) for path in TREASURES} == TREASURES
    assert stage.graph.recycle_bin() == []
    assert [path for path in stage.graph.tree() if not is_at_home(path) and not is_theirs(path)] == []
    assert len(stored) > 5
    assert not {key for _, key, state in stage.service.journal() if state == "parked"} & set(stored)
