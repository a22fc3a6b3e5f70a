"""Who sees the status page and its JSON over HTTP, and what every answer forbids a browser."""

from collections.abc import Iterator

import pytest
from unit.page_server import BROKEN, PASSWORD, PageServer, basic
from unit.snapshots import CAREFUL
from unit.web_server import PREVIOUS_SECRET, SECRET

from sharepoint_proxy.door import WRONG_TRIES


@pytest.fixture
def page() -> Iterator[PageServer]:
    """A page that shows an idle service."""
    with PageServer() as server:
        yield server


@pytest.fixture
def no_page() -> Iterator[PageServer]:
    """A service without ADMIN_PASSWORD."""
    with PageServer(password=None) as server:
        yield server


@pytest.mark.parametrize("path", ["/", "/status.json", "/static/page.css"])
def test_it_asks_for_the_password(page: PageServer, path: str) -> None:
    answer = page.request("GET", path)

    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert "ADMIN_PASSWORD" in answer.body.decode()


@pytest.mark.parametrize("user", ["admin", "", "anybody", "élève"])
def test_it_takes_any_user_name(page: PageServer, user: str) -> None:
    assert page.open(user=user).status == 200


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic",
        "Basic !",
        "Basic //8=",
        "Basic YWRtaW4=",
        *(basic(password)["Authorization"] for password in ("", "admin", PASSWORD[:-1], f"{PASSWORD}x", SECRET)),
        f"Bearer {PASSWORD.encode().decode('latin-1')}",
        f"Bearer {SECRET}",
        f'Digest username="admin", response="{SECRET}"',
    ],
)
def test_it_is_shown_to_nobody_else(page: PageServer, authorization: str) -> None:
    assert page.request("GET", "/", headers={"Authorization": authorization}).status == 401


def test_without_a_password_there_is_no_page(no_page: PageServer) -> None:
    answers = [no_page.request("GET", path, headers=basic("")) for path in ("/", "/static/page.css", "/retry")]
    answers += [no_page.request("POST", path, headers=basic("")) for path in ("/", "/retry", "/retry-all")]
    assert {answer.status for answer in answers} == {404}


def test_guessing_ends_soon(page: PageServer) -> None:
    told = [page.open(password=f"guess {number}").status for number in range(WRONG_TRIES)]
    refused = [page.open(), page.open("/status.json"), page.send("/retry-all", {})]

    assert told == [401] * WRONG_TRIES
    assert {answer.status for answer in refused} == {429}
    assert {answer.headers["Retry-After"] for answer in refused} == {"60"}


def test_guessing_at_the_page_stops_nothing_else(page: PageServer) -> None:
    for number in range(WRONG_TRIES + 1):
        page.open(password=f"guess {number}")

    assert page.request("GET", "/health").status == 200
    assert page.post(b"{}").status == 400
    assert page.request("GET", "/status.json", headers={"Authorization": f"Bearer {SECRET}"}).status == 200


@pytest.mark.parametrize("path", ["/", "/status.json", "/static/page.js", "/static/no-such-file"])
def test_every_answer_forbids_to_keep_to_frame_and_to_guess(page: PageServer, path: str) -> None:
    for answer in (page.open(path), page.request("GET", path)):
        policy = answer.headers["Content-Security-Policy"].split("; ")
        assert policy[0] == "default-src 'none'"
        assert {"form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(policy)
        assert not any("unsafe" in rule or "http" in rule or "*" in rule for rule in policy)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_it_tells_no_secret(page: PageServer) -> None:
    page.snapshot = CAREFUL
    token = page.token()
    answers = [page.open(path) for path in ("/", "/status.json", "/static/page.js")]
    answers += [page.open(password="guess"), page.request("GET", "/", headers={"Authorization": f"Bearer {SECRET}"})]
    answers += [page.send("/retry", {"token": "guess"}), page.send("/retry-all", {"token": token})]

    for answer in answers:
        told = answer.headers.as_string() + answer.body.decode()
        assert not any(secret in told for secret in (SECRET, PREVIOUS_SECRET, PASSWORD, "guess"))
        assert token not in answer.headers.as_string()


@pytest.mark.parametrize("secret", [SECRET, PREVIOUS_SECRET])
def test_a_program_reads_the_snapshot_with_the_webhook_s_secret(no_page: PageServer, secret: str) -> None:
    no_page.snapshot = CAREFUL
    answer = no_page.request("GET", "/status.json", headers={"Authorization": f"Bearer {secret}"})

    assert (answer.status, answer.json["counts"]["parked"]) == (200, 2)
    assert answer.json["certificate_ends_at"] == CAREFUL.certificate_ends_at.isoformat()
    assert [change["key"] for change in answer.json["parked"]] == [change.key for change in CAREFUL.parked]
    assert answer.json["done"][0]["action"] == "uploaded"


def test_the_snapshot_can_be_read_with_the_password_too(page: PageServer) -> None:
    assert page.open("/status.json").json == page.snapshot.as_json() | {
        name: list(getattr(page.snapshot, name)) for name in ("reasons", "transfers", "waiting", "parked", "done")
    } | {"minutes": page.open("/status.json").json["minutes"]}


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), (basic(PASSWORD), 401), ({"Authorization": "Bearer guess"}, 403), ({"Authorization": "Bearer"}, 401)],
)
def test_a_stranger_reads_no_snapshot(no_page: PageServer, headers: dict[str, str], status: int) -> None:
    answer = no_page.request("GET", "/status.json", headers=headers)
    assert (answer.status, "WEBHOOK_SECRET" in answer.error) == (status, True)


def test_a_program_is_told_that_the_journal_cannot_be_read(no_page: PageServer) -> None:
    no_page.unreadable = BROKEN
    answer = no_page.request("GET", "/status.json", headers={"Authorization": f"Bearer {SECRET}"})
    assert (answer.status, answer.error) == (503, str(BROKEN))
