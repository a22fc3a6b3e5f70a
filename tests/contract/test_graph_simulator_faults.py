"""The simulator fails on command, throttles, slows down, and keeps a log by which tests wait."""

import socket
import struct
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
import requests
from contract.plain_graph import GRID, PlainGraph, code, inner_code

from simulator.calls import CallKind
from simulator.faults import (
    Action,
    AnswerWith,
    CorruptBytes,
    CutConnection,
    CutPoint,
    Fault,
    FaultBody,
    Hang,
    LoseSession,
    Match,
    TruncateAnswer,
)
from simulator.options import ThrottleBody

MIB = 1024 * 1024
ANY = Match()


def order(client: PlainGraph, action: Action, match: Match = ANY, *, times: int | None = 1, after: int = 0) -> None:
    client.simulator.add_fault(Fault(match, action, times=times, after=after))


def test_a_fault_meets_the_calls_it_names_as_often_as_it_says(client: PlainGraph) -> None:
    order(client, AnswerWith(503), Match(CallKind.PUT_CONTENT, path="b.txt"), times=2, after=1)

    assert [client.put(name).status_code for name in ("a.txt", "b.txt", "a.txt", "b.txt", "b.txt", "b.txt")] == [
        201,
        201,
        200,
        503,
        503,
        200,
    ]
    assert client.simulator.pending_faults() == []


def test_a_fault_finds_an_item_by_its_path_whatever_its_address(client: PlainGraph) -> None:
    item = client.put("a/b.txt").json()
    order(client, AnswerWith(423), Match(path="a/b.txt"), times=None)

    locked = client.ask("DELETE", f"items/{item['id']}")

    assert (locked.status_code, code(locked), inner_code(locked)) == (423, "notAllowed", "resourceLocked")
    client.simulator.clear_faults()
    assert client.ask("DELETE", f"items/{item['id']}").status_code == 204


def test_an_ordered_answer_has_no_effect_unless_told_so(client: PlainGraph) -> None:
    order(client, AnswerWith(507), times=1)
    order(client, AnswerWith(500, after_effect=True), times=1)

    full, failed = client.put("a.txt"), client.put("b.txt")

    assert [(answer.status_code, code(answer)) for answer in (full, failed)] == [
        (507, "quotaLimitReached"),
        (500, "generalException"),
    ]
    assert client.simulator.tree() == {"b.txt": 5}


@pytest.mark.parametrize(
    ("body", "content_type", "begins"),
    [
        (FaultBody.HTML, "text/html", "<!DOCTYPE html>"),
        (FaultBody.TEXT, "text/plain", "The simulator was told"),
        (FaultBody.NULL, "application/json", "null"),
        (FaultBody.EMPTY, None, ""),
        (FaultBody.JSON, "application/json", '{"error":{"code":"serviceNotAvailable"'),
    ],
)
def test_bodies_are_not_always_json(client: PlainGraph, body: FaultBody, content_type: str | None, begins: str) -> None:
    order(client, AnswerWith(503, body))

    answer = client.get("a.txt")

    assert answer.status_code == 503
    assert answer.text.startswith(begins)
    assert (answer.headers.get("Content-Type") or "").partition(";")[0] == (content_type or "")


def test_retry_after_is_sent_as_it_was_ordered(client: PlainGraph) -> None:
    """In lower case, as a decimal fraction, as a date, or not at all."""
    date = format_datetime(datetime.now(UTC), usegmt=True)
    for headers in ({"retry-after": "3"}, {"Retry-After": "2.128"}, {"Retry-After": date}, {}):
        order(client, AnswerWith(429, headers=headers))

    answers = [client.get("a.txt").raw.headers for _ in range(4)]

    assert [[value for name, value in raw.items() if name.lower() == "retry-after"] for raw in answers] == [
        ["3"],
        ["2.128"],
        [date],
        [],
    ]
    assert "retry-after" in list(answers[0])


def test_the_token_endpoint_fails_in_its_own_words(client: PlainGraph) -> None:
    order(client, AnswerWith(503), Match(CallKind.TOKEN))

    answer = client.ask_for_token()

    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")


@pytest.mark.parametrize(
    ("at", "bytes_received", "is_stored"),
    [(CutPoint.BEFORE_BODY, 0, False), (CutPoint.HALF_BODY, 2 * MIB, False), (CutPoint.AFTER_EFFECT, 4 * MIB, True)],
)
def test_a_connection_is_cut_at_three_places(
    client: PlainGraph, *, at: CutPoint, bytes_received: int, is_stored: bool
) -> None:
    order(client, CutConnection(at), Match(CallKind.PUT_CONTENT))

    with pytest.raises(requests.ConnectionError):
        client.put("a.bin", bytes(4 * MIB))

    client.simulator.wait_for(client.simulator.calls)
    assert [(call.status, call.bytes_received) for call in client.simulator.calls()] == [(0, bytes_received)]
    assert ("a.bin" in client.simulator.tree()) == is_stored


def test_half_a_fragment_is_kept(client: PlainGraph) -> None:
    url = client.upload_url("a.bin")
    order(client, CutConnection(CutPoint.HALF_BODY), Match(CallKind.FRAGMENT))

    with pytest.raises(requests.ConnectionError):
        client.send_part(url, b"x" * GRID, first=0, total=2 * GRID)

    assert client.bare("GET", url).json()["nextExpectedRanges"] == [f"{GRID // 2}-"]


def test_a_fragment_may_be_stored_though_the_answer_is_an_error(client: PlainGraph) -> None:
    url = client.upload_url("a.bin")
    order(client, AnswerWith(504, after_effect=True), Match(CallKind.FRAGMENT))

    answer = client.send_part(url, b"x" * GRID, first=0, total=2 * GRID)

    assert answer.status_code == 504
    assert client.bare("GET", url).json()["nextExpectedRanges"] == [f"{GRID}-"]


def test_the_last_answer_may_be_lost(client: PlainGraph) -> None:
    """The file is there, the session is not."""
    url = client.upload_url("a.bin")
    order(client, CutConnection(CutPoint.AFTER_EFFECT), Match(CallKind.FRAGMENT))

    with pytest.raises(requests.ConnectionError):
        client.send_part(url, b"x" * GRID, first=0, total=GRID)

    assert client.bare("GET", url).status_code == 404
    assert client.simulator.tree() == {"a.bin": GRID}


@pytest.mark.parametrize(("name_stays_taken", "status"), [(False, 200), (True, 409)])
def test_a_session_may_be_lost(client: PlainGraph, *, name_stays_taken: bool, status: int) -> None:
    url = client.upload_url("a.docx")
    order(client, LoseSession(name_stays_taken), Match(CallKind.FRAGMENT, path="a.docx"))

    lost = client.send_part(url, b"x" * GRID, first=0, total=GRID)

    assert (lost.status_code, code(lost)) == (404, "itemNotFound")
    assert client.bare("GET", url).status_code == 404
    assert client.open_session("a.docx").status_code == status


def test_the_name_of_a_lost_session_is_freed_by_a_delete(client: PlainGraph) -> None:
    url = client.upload_url("a.docx")
    order(client, LoseSession(name_stays_taken=True), Match(CallKind.FRAGMENT))
    client.send_part(url, b"x" * GRID, first=0, total=GRID)

    assert client.bare("DELETE", url).status_code == 204
    assert client.open_session("a.docx").status_code == 200


def test_bytes_may_be_stored_wrong(client: PlainGraph) -> None:
    good = client.put("a.txt").json()["file"]["hashes"]
    order(client, CorruptBytes(), Match(CallKind.PUT_CONTENT))

    assert client.put("b.txt").json()["file"]["hashes"] != good
    assert client.simulator.content("b.txt") != b"hello"


def test_an_answer_may_break_off(client: PlainGraph) -> None:
    order(client, TruncateAnswer(), Match(CallKind.PUT_CONTENT))

    with pytest.raises(requests.RequestException):
        client.put("a.txt")
    assert client.simulator.tree() == {"a.txt": 5}

    location = client.ask("GET", "root:/a.txt:/content").headers["Location"]
    order(client, TruncateAnswer(), Match(CallKind.DOWNLOAD_BYTES))
    with pytest.raises(requests.RequestException):
        client.bare("GET", location)


def test_a_call_may_hang(client: PlainGraph) -> None:
    order(client, Hang(0.2))
    assert elapsed(lambda: client.put("a.txt")) >= 0.2

    order(client, Hang(30, after_effect=True))
    with pytest.raises(requests.Timeout):
        requests.put(
            f"{client.drive}/root:/b.txt:/content",
            data=b"hello",
            headers=client.bearer,
            verify=str(client.simulator.ca_path),
            timeout=0.3,
        )
    assert client.simulator.tree() == {"a.txt": 5, "b.txt": 5}


def test_a_put_of_unknown_length_that_breaks_off_leaves_a_truncated_file(client: PlainGraph) -> None:
    def breaking() -> object:
        yield b"x" * 1000
        raise OSError("the source is gone")

    with pytest.raises((requests.RequestException, OSError)):
        client.put("a.bin", breaking())  # type: ignore[arg-type] # a stream of unknown length
    client._session.close()

    client.simulator.wait_for(lambda: client.simulator.tree() == {"a.bin": 1000})


def test_units_run_out_and_come_back(client: PlainGraph) -> None:
    """2 for a write and 1 for a read of 10 a minute; the last fifth is announced; what is refused counts as well."""
    client.simulator.resource_units = 10
    writes = [client.put("a.txt") for _ in range(4)]
    read = client.get("a.txt")
    refused = client.put("a.txt")

    assert [answer.headers.get("RateLimit-Remaining") for answer in (*writes, read)] == [None, None, None, "2", "1"]
    assert read.headers["RateLimit-Limit"] == "10"
    assert (refused.status_code, code(refused), inner_code(refused)) == (
        429,
        "activityLimitReached",
        "throttledRequest",
    )
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert client.get("a.txt").status_code == 429

    client.simulator.advance(int(refused.headers["Retry-After"]))
    assert [client.put("a.txt").status_code for _ in range(5)] == [200, 200, 200, 200, 429]
    client.simulator.resource_units = None
    assert client.put("a.txt").status_code == 200


def test_what_a_call_costs_is_in_the_log(client: PlainGraph) -> None:
    client.put("a.txt")
    client.get("a.txt")
    client.ask("GET", "root/children")
    client.ask("GET", "root/delta")
    client.ask("GET", "root/delta", params={"token": "latest"})
    client.send_part(client.upload_url("b.bin"), b"x" * GRID, first=0, total=GRID)

    assert [(call.kind.name, call.resource_units) for call in client.simulator.calls()] == [
        ("PUT_CONTENT", 2),
        ("ITEM_GET", 1),
        ("CHILDREN", 2),
        ("DELTA", 2),
        ("DELTA", 1),
        ("SESSION_CREATE", 2),
        ("FRAGMENT", 0),
    ]


def test_there_are_two_bodies_for_a_429(client: PlainGraph) -> None:
    client.simulator.resource_units = 1
    client.simulator.change(throttle_body=ThrottleBody.TOO_MANY_REQUESTS)

    refused = client.put("a.txt")

    assert (code(refused), inner_code(refused)) == ("TooManyRequests", "429")


def test_every_call_takes_the_latency_and_no_call_waits_for_another(client: PlainGraph) -> None:
    client.simulator.latency = 0.15
    assert elapsed(lambda: client.put("a.txt")) >= 0.15
    assert elapsed(lambda: client.get("missing.txt")) >= 0.15

    threads = [threading.Thread(target=PlainGraph.get, args=(client, "a.txt")) for _ in range(8)]
    assert elapsed(lambda: run_all(threads)) < 8 * 0.15


def test_bandwidth_limits_each_stream_both_ways(client: PlainGraph) -> None:
    """1 MiB at 2 MiB/s takes half a second."""
    client.simulator.bandwidth = 2 * MIB
    assert elapsed(lambda: client.put("a.bin", bytes(MIB))) >= 0.45
    location = client.ask("GET", "root:/a.bin:/content").headers["Location"]
    assert elapsed(lambda: client.bare("GET", location)) >= 0.45

    client.simulator.bandwidth = None
    assert elapsed(lambda: client.put("a.bin", bytes(MIB))) < 0.45


def test_the_log_never_holds_a_secret(client: PlainGraph) -> None:
    url = client.upload_url("a.bin")
    client.send_part(url, b"x" * GRID, first=0, total=GRID)
    client.bare("GET", client.ask("GET", "root:/a.bin:/content").headers["Location"])
    client.ask_for_token()

    log = repr(client.simulator.calls())

    assert "tempauth" not in log
    assert client.bearer["Authorization"].split()[1] not in log
    assert "simulator-secret" not in log


def test_the_log_tells_what_arrived(client: PlainGraph) -> None:
    before = time.time()
    client.put("a/b c.txt", headers={"client-request-id": "mine"})

    (call,) = client.simulator.calls()

    assert (call.kind, call.method, call.status, call.bytes_received) == (CallKind.PUT_CONTENT, "PUT", 201, 5)
    assert call.path.endswith("/root:/a/b c.txt:/content")
    assert (call.item_path, call.client_request_id) == ("a/b c.txt", "mine")
    assert before <= call.at <= time.time()


def test_a_test_can_wait_for_what_another_thread_causes(client: PlainGraph) -> None:
    timer = threading.Timer(0.1, client.put, ("a.txt",))
    timer.start()

    assert client.simulator.wait_for(lambda: "a.txt" in client.simulator.tree())
    assert client.simulator.wait_for(lambda: client.put("b.txt").status_code == 200)
    timer.join()
    with pytest.raises(TimeoutError, match=r"201 PUT_CONTENT PUT a\.txt 5 B"):
        client.simulator.wait_for(lambda: False, timeout=0.05)


def test_a_switch_must_exist(client: PlainGraph) -> None:
    with pytest.raises(ValueError, match="No such switch: puts_limit"):
        client.simulator.change(puts_limit=1)


def test_a_client_that_vanishes_is_logged_as_cut(client: PlainGraph) -> None:
    """An abrupt end in the middle of TLS leaves the simulator well."""
    host, port = client.simulator.base_url.removeprefix("https://").removesuffix("/v1.0").split(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.sendall(b"\x16\x03\x01")

    assert client.put("a.txt").status_code == 201


def elapsed(act: Callable[[], object]) -> float:
    start = time.monotonic()
    act()
    return time.monotonic() - start


def run_all(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
