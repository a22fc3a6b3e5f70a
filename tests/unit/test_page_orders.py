"""The orders that the status page takes over HTTP, and that no other site can give them."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from unit.page_server import BROKEN, NASTY_KEYS, PageServer, basic
from unit.snapshots import CAREFUL, parked
from unit.web_server import Answered


@pytest.fixture
def page() -> Iterator[PageServer]:
    """A page that shows an idle service."""
    with PageServer() as server:
        yield server


def refused(page: PageServer, answer: Answered) -> None:
    """Check that ANSWER refuses, advises, and that nothing was done."""
    assert answer.status == 403
    assert "Load the page again" in answer.body.decode()
    assert (page.backlog.retried, page.backlog.retried_all, page.woken.is_set()) == ([], 0, False)


@pytest.mark.parametrize("key", NASTY_KEYS)
def test_a_button_has_its_object_tried_again(page: PageServer, key: str) -> None:
    page.snapshot = parked(key)
    answer = page.send("/retry", {"token": page.token(), "object": page.objects()[0]})

    assert (answer.status, urlsplit(answer.headers["Location"]).path) == (303, "./")
    assert page.backlog.retried == [("lycee", key)]
    assert page.woken.is_set()


def test_a_button_has_everything_tried_again(page: PageServer) -> None:
    page.snapshot = CAREFUL
    assert page.send("/retry-all", {"token": page.token()}).status == 303
    assert page.backlog.retried_all == 1
    assert page.woken.is_set()


@pytest.mark.parametrize("path", ["/retry", "/retry-all"])
@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "null"}, {"Origin": "http://{host}"}]
)
def test_it_takes_orders_from_its_own_page(page: PageServer, path: str, headers: dict[str, str]) -> None:
    page.snapshot = CAREFUL
    host = urlsplit(page.url).netloc
    sent = {name: value.format(host=host) for name, value in headers.items()}

    assert page.send(path, {"token": page.token(), "object": "lycee/x"}, headers=sent).status == 303


@pytest.mark.parametrize("path", ["/retry", "/retry-all"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://["},
    ],
)
def test_it_takes_no_orders_from_another_site(page: PageServer, path: str, headers: dict[str, str]) -> None:
    page.snapshot = CAREFUL
    fields = {"token": page.token(), "object": "lycee/x"}
    refused(page, page.send(path, fields, headers=headers))


@pytest.mark.parametrize("path", ["/retry", "/retry-all"])
@pytest.mark.parametrize("fields", [{}, {"token": ""}, {"token": "x" * 43}, {"token": "é\udcff"}])
def test_it_takes_no_orders_without_the_token_of_the_page(page: PageServer, path: str, fields: dict[str, str]) -> None:
    sent = {name: value.encode("utf-8", "replace").decode() for name, value in fields.items()}
    refused(page, page.send(path, sent | {"object": "lycee/x"}))


def test_it_takes_no_token_from_an_address(page: PageServer) -> None:
    page.snapshot = CAREFUL
    refused(page, page.send(f"/retry-all?token={page.token()}", {}))


def test_it_takes_no_orders_without_the_password(page: PageServer) -> None:
    page.snapshot = CAREFUL
    body = f"token={page.token()}".encode()
    kind = {"Content-Type": "application/x-www-form-urlencoded"}

    assert page.request("POST", "/retry-all", body=body, headers=kind).status == 401
    assert page.request("POST", "/retry-all", body=body, headers={**kind, **basic("guess")}).status == 401
    assert page.backlog.retried_all == 0


def test_orders_are_only_posted(page: PageServer) -> None:
    answer = page.open("/retry")
    assert (answer.status, answer.headers["Allow"]) == (405, "OPTIONS, POST")


@pytest.mark.parametrize("path", ["/retry", "/retry-all"])
def test_an_order_that_the_journal_cannot_take_is_not_lost_in_silence(page: PageServer, path: str) -> None:
    page.snapshot = CAREFUL
    fields = {"token": page.token(), "object": "lycee/x"}
    page.backlog.broken = BROKEN
    answer = page.send(path, fields)

    assert (answer.status, str(BROKEN) in answer.body.decode()) == (503, True)
