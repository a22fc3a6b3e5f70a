"""POST /s3event over HTTP: who may post, what is recorded, and how senders and people are refused."""

from collections.abc import Iterator
from http import HTTPMethod

import pytest
from unit.web_server import KEY, PREVIOUS_SECRET, SECRET, UPLOADED, WebServer, body_of, record_of

from sharepoint_proxy.errors import JournalError
from sharepoint_proxy.web import MAX_BODY_BYTES

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


def test_it_refuses_a_body_of_one_byte_more(web: WebServer) -> None:
    answer = web.post(body_of(record_of()).ljust(MAX_BODY_BYTES + 1))

    assert answer.status == 413
    assert str(MAX_BODY_BYTES) in answer.error
    assert not web.journal.marked


def test_it_refuses_a_large_body_by_its_announced_length_before_it_comes(web: WebServer) -> None:
    head = f"POST /s3event HTTP/1.1\r\nHost: proxy\r\nAuthorization: Bearer {SECRET}\r\n"
    assert web.send_raw(f"{head}Content-Length: {10 * MAX_BODY_BYTES}\r\n".encode()) == 413


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


def test_health_asks_nobody_else(web: WebServer) -> None:
    web.journal.broken = FULL_DISK
    web.not_ready = ["The library was not found."]
    answer = web.request("GET", "/health")
    assert (answer.status, answer.json["status"]) == (200, "ok")


def test_ready_gives_the_reasons_why_it_is_not(web: WebServer) -> None:
    web.not_ready = ["The library was not found.", "The disk is full."]
    answer = web.request("GET", "/ready")
    assert (answer.status, answer.json["ready"], answer.json["reasons"]) == (503, False, web.not_ready)


def test_ready_says_so_as_soon_as_it_is(web: WebServer) -> None:
    answer = web.request("GET", "/ready")
    assert (answer.status, answer.json["ready"], answer.json["reasons"]) == (200, True, [])


def test_no_answer_holds_a_secret(web: WebServer) -> None:
    """Not the service's own, nor the one that a stranger tried."""
    body = body_of(record_of())
    answers = [web.post(body), web.post(b"hello"), web.post(body, token="guess"), web.post(body, token=None)]
    answers += [web.request("GET", path, headers={"Authorization": "Bearer guess"}) for path in ("/s3event", "/ready")]
    web.journal.broken = FULL_DISK
    answers.append(web.post(body, token=PREVIOUS_SECRET))

    assert {answer.status for answer in answers} == {204, 400, 403, 401, 405, 200, 503}
    for answer in answers:
        told = answer.headers.as_string() + answer.body.decode()
        assert not any(secret in told for secret in (SECRET, PREVIOUS_SECRET, "guess"))
