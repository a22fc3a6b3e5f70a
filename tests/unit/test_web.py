"""POST /s3event over HTTP: who may post, what is recorded, and which answer each sender gets."""

from collections.abc import Callable, Iterator
from http import HTTPMethod
from typing import Any

import pytest
from unit.web_server import KEY, PREVIOUS_SECRET, SECRET, Answered, WebServer, body_of, now_text, record_of

from sharepoint_proxy.errors import JournalError
from sharepoint_proxy.records import Action, Outcome, State
from sharepoint_proxy.web import MAX_BODY_BYTES

UPLOADED = Outcome(state=State.SETTLED, action=Action.UPLOADED)
PARKED = Outcome(state=State.PARKED, reason="The name is refused.")
FULL_DISK = JournalError("The journal cannot be written (disk full).")


@pytest.fixture
def web() -> Iterator[WebServer]:
    """A webhook whose workers settle every key as soon as they are woken."""
    with WebServer() as server:
        server.on_wake = lambda: server.publish(UPLOADED, generation=len(server.journal.marked))
        yield server


def test_it_works(web: WebServer) -> None:
    answer = web.post(body_of(record_of()))

    assert (answer.status, answer.body) == (204, b"")
    assert [(event.bucket, event.key) for event in web.journal.marked] == [("lycee", KEY)]


@pytest.mark.parametrize(
    "authorization",
    [f"Bearer {SECRET}", f"bearer {SECRET}", f"BEARER  {SECRET}", f"Bearer {PREVIOUS_SECRET}"],
)
def test_it_accepts_the_present_and_the_previous_secret(web: WebServer, authorization: str) -> None:
    assert web.post(body_of(record_of()), token=None, headers={"Authorization": authorization}).status == 204


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Basic dTpw", SECRET, f"Token {SECRET}"])
def test_it_asks_for_a_bearer_token(web: WebServer, authorization: str) -> None:
    answer = web.post(body_of(record_of()), token=None, headers={"Authorization": authorization})

    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "Authorization" in answer.error
    assert not web.journal.marked


def test_it_asks_for_a_bearer_token_where_there_is_no_header(web: WebServer) -> None:
    assert web.post(body_of(record_of()), token=None).status == 401


@pytest.mark.parametrize(
    "token",
    ["wrong", SECRET[:-1], f"{SECRET}x", f"{SECRET} {SECRET}", SECRET.upper(), f"{SECRET},{PREVIOUS_SECRET}", "\xe9"],
)
def test_it_refuses_a_wrong_token(web: WebServer, token: str) -> None:
    answer = web.post(body_of(record_of()), token=token)

    assert answer.status == 403
    assert answer.error
    assert not web.journal.marked


@pytest.mark.parametrize("tokens", [(SECRET, "wrong"), ("wrong", SECRET), (SECRET, SECRET)])
def test_it_refuses_two_authorization_headers(web: WebServer, tokens: tuple[str, str]) -> None:
    headers = "".join(f"Authorization: Bearer {token}\r\n" for token in tokens)
    head = f"POST /s3event HTTP/1.1\r\nHost: proxy\r\nContent-Length: 2\r\n{headers}".encode()
    assert web.send_raw(head, b"{}") == 403


@pytest.mark.parametrize("body", [b"", b"hello", b"[]", b"{}", b"[" * 100_000, b"\xff"], ids=lambda body: body[:6])
def test_it_tells_a_person_what_is_wrong_with_a_body(web: WebServer, body: bytes) -> None:
    answer = web.post(body)

    assert answer.status == 400
    assert answer.error.endswith(".")
    assert not web.journal.marked
    assert not web.journal.rejected


def test_it_tells_a_stranger_nothing_about_a_body(web: WebServer) -> None:
    assert web.post(b"hello", token="wrong").status == 403


@pytest.mark.parametrize("method", [method for method in HTTPMethod if method not in {"POST", "OPTIONS", "CONNECT"}])
def test_events_are_only_posted(web: WebServer, method: HTTPMethod) -> None:
    answer = web.request(method, "/s3event", headers={"Authorization": f"Bearer {SECRET}"})

    assert answer.status == 405
    assert answer.headers["Allow"] == "POST"
    assert method == "HEAD" or "/s3event" in answer.error


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_pages_are_only_read(web: WebServer, path: str) -> None:
    answer = web.request("POST", path, body=b"{}")

    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("path", ["/", "/s3event/", "/s3event/x", "/metrics", "/%00", "/static/x"])
def test_there_is_nothing_else(web: WebServer, path: str) -> None:
    answer = web.request("GET", path)
    assert (answer.status, bool(answer.error)) == (404, True)


def test_it_takes_a_body_of_the_largest_size(web: WebServer) -> None:
    assert web.post(body_of(record_of()).ljust(MAX_BODY_BYTES)).status == 204


def test_it_refuses_a_larger_body_by_its_announced_length(web: WebServer) -> None:
    head = f"POST /s3event HTTP/1.1\r\nHost: proxy\r\nAuthorization: Bearer {SECRET}\r\n"
    assert web.send_raw(f"{head}Content-Length: {MAX_BODY_BYTES + 1}\r\n".encode()) == 413
    assert not web.journal.marked


@pytest.mark.parametrize("record", [record_of(), {"eventName": "s3:ObjectCreated:Put"}], ids=["event", "rejection"])
def test_it_keeps_the_sender_trying_while_the_journal_cannot_be_written(web: WebServer, record: object) -> None:
    """What was refused with 503 is recorded when it comes again, and only then."""
    web.journal.broken = FULL_DISK
    refused = web.post(body_of(record))
    web.journal.broken = None

    assert (refused.status, refused.error) == (503, str(FULL_DISK))
    assert int(refused.headers["Retry-After"]) > 0
    assert web.journal.marked == []
    assert web.journal.rejected == []
    assert web.post(body_of(record)).status == 204
    assert len(web.journal.marked) + len(web.journal.rejected) == 1


def test_a_failing_journal_costs_no_seat() -> None:
    with WebServer(seats=1) as web:
        web.journal.broken = FULL_DISK
        assert [web.post(body_of(record_of())).status for _ in range(3)] == [503] * 3
        web.journal.broken = None
        web.on_wake = lambda: web.publish(UPLOADED)
        assert web.post(body_of(record_of())).status == 204


@pytest.mark.parametrize(
    "record",
    [
        record_of(name="s3:ObjectAccessed:Get"),
        record_of(name="s3:ObjectAccessed:Head"),
        record_of(name="s3:Scanner:BigPrefix"),
        record_of("elsewhere/note.txt"),
        record_of("administration"),
        record_of(bucket="other"),
    ],
)
def test_it_acknowledges_what_does_not_concern_it_and_records_nothing(web: WebServer, record: object) -> None:
    assert web.post(body_of(record)).status == 204
    assert web.journal.marked == []
    assert not web.woken.is_set()


def test_it_acknowledges_a_test_event_of_aws(web: WebServer) -> None:
    assert web.post(b'{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "lycee"}').status == 204


def test_it_records_what_has_the_shape_of_an_event_but_cannot_be_used(web: WebServer) -> None:
    """MinIO would repeat a refusal for ever and hold everything behind it."""
    body = body_of(record_of("%FF"), {"eventName": "s3:ObjectCreated:Put"})

    assert web.post(body).status == 204
    ((reasons, recorded_body),) = web.journal.rejected
    assert (len(reasons), recorded_body) == (2, body)


def test_it_records_the_good_records_of_a_body_beside_the_bad_ones(web: WebServer) -> None:
    assert web.post(body_of(record_of("%FF"), record_of(), record_of("elsewhere/x"))).status == 204
    assert [event.key for event in web.journal.marked] == [KEY]
    assert len(web.journal.rejected) == 1


def test_it_says_where_each_key_stands_when_not_all_are_settled() -> None:
    keys = [f"administration/{number}" for number in range(3)]
    with WebServer(wait_seconds=0.3) as web:
        web.on_wake = lambda: [
            web.publish(UPLOADED, key=keys[0], generation=1),
            web.publish(Outcome(state=State.WAITING, reason="Locked.", delay=60), key=keys[1], generation=2),
        ][:0] and None
        answer = web.post(body_of(*map(record_of, keys)))

    assert answer.status == 202
    assert [(entry["bucket"], entry["key"], entry["state"]) for entry in answer.records] == [
        ("lycee", keys[0], "settled"),
        ("lycee", keys[1], "waiting"),
        ("lycee", keys[2], "waiting"),
    ]
    assert [entry["reason"] for entry in answer.records] == ["", "Locked.", "Recorded; its turn comes."]


def test_it_is_as_content_with_a_key_that_is_parked_for_good(web: WebServer) -> None:
    web.on_wake = lambda: web.publish(PARKED)
    assert web.post(body_of(record_of())).status == 204


def test_it_answers_with_the_reason_at_once_when_the_next_try_is_beyond_the_wait(web: WebServer) -> None:
    web.on_wake = lambda: web.publish(Outcome(state=State.WAITING, reason="Throttled.", delay=60))
    answer = web.post(body_of(record_of()))

    assert answer.status == 202
    assert answer.records == [{"bucket": "lycee", "key": KEY, "state": "waiting", "reason": "Throttled."}]


def test_it_waits_on_when_the_next_try_is_within_the_wait(web: WebServer) -> None:
    def work() -> None:
        web.publish(Outcome(state=State.WAITING, reason="Busy.", delay=0.5))
        web.publish(UPLOADED)

    web.on_wake = work
    assert web.post(body_of(record_of())).status == 204


def test_it_does_not_take_the_outcome_of_an_earlier_look_for_that_of_this_event() -> None:
    with WebServer(wait_seconds=0.2) as web:
        web.on_wake = lambda: web.publish(UPLOADED, generation=0)
        assert web.post(body_of(record_of())).status == 202


def test_it_waits_only_so_long() -> None:
    with WebServer(wait_seconds=0.2) as web:
        answer = web.post(body_of(record_of()))
        assert (answer.status, answer.records[0]["state"]) == (202, "waiting")


def never_waits(prepare: Callable[[WebServer], None], **members: object) -> Answered:
    """The answer to an event that no worker ever settles, from a server that would wait long."""
    with WebServer(wait_seconds=600) as web:
        prepare(web)
        answer = web.post(body_of(record_of(**members)))  # type: ignore[arg-type] # members of the record
        assert web.journal.marked
        return answer


def test_it_does_not_wait_when_the_event_is_old() -> None:
    """An old event means that the sender has a backlog, which waiting would hold up."""
    assert never_waits(lambda _: None, eventTime="2026-01-31T11:04:33.844Z").status == 202


def test_it_does_not_wait_when_the_service_is_stopping() -> None:
    assert never_waits(lambda web: web.room.close()).status == 202


def test_it_waits_for_a_fresh_event(web: WebServer) -> None:
    assert web.post(body_of(record_of(eventTime=now_text()))).status == 204
