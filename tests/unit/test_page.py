"""What the status page says over HTTP, in which language, and that names stay text."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from html.parser import HTMLParser

import pytest
from unit.page_server import BROKEN, NASTY_KEYS, PageServer
from unit.snapshots import AT, AWAY, BUSY, CAREFUL, IDLE, LIBRARY_URL, change, done, parked, transfer

from sharepoint_proxy.activity import Snapshot
from sharepoint_proxy.records import Action, Reconciled


@pytest.fixture
def page() -> Iterator[PageServer]:
    """A page that shows an idle service."""
    with PageServer() as server:
        yield server


def texts_of(page: PageServer, language: str = "en") -> str:
    """What a person reads there, in one line."""
    bare = re.sub(r"<[^>]*>", " ", page.html(language))
    return " ".join(unescape(bare).replace("\u00a0", " ").split())


def test_it_says_that_all_is_well(page: PageServer) -> None:
    assert "Healthy Everything that MinIO announced is in SharePoint." in texts_of(page)


def test_it_shows_what_is_uploaded_and_what_waits(page: PageServer) -> None:
    page.snapshot = BUSY
    texts = texts_of(page)

    assert "What MinIO announced is on its way to SharePoint." in texts
    assert "soutenance groupe B.mp4 lycee/bts-sio/projets/2027 1 min 412 MB of 655 MB 62 %" in texts
    assert "emplois du temps.xlsx lycee/administration next try in 3 min The file is open in Office" in texts
    assert "and 35 more" in texts
    assert page.html().count("<progress ") == 2
    assert page.html().count("<rect ") == sum(minute.files > 0 for minute in BUSY.minutes)


def test_it_says_what_is_wrong(page: PageServer) -> None:
    page.snapshot = AWAY
    texts = texts_of(page)

    assert f"Cannot mirror just now {AWAY.reasons[0]} What MinIO announces is kept" in texts
    assert "Throttling Pause of 43 s" in texts
    assert "Certificate 12 days" in texts


def test_it_says_what_needs_a_look(page: PageServer) -> None:
    page.snapshot = CAREFUL
    assert "Running, but have a look 2 objects are parked" in texts_of(page)
    page.snapshot = replace(IDLE, paused_seconds=3.0)
    assert "Running, but have a look Microsoft asked for a pause." in texts_of(page)
    page.snapshot = replace(IDLE, reconciled=Reconciled(at=AT, seconds=1, error="The bucket is missing."))
    assert "The bucket is missing. The last comparison of MinIO with SharePoint failed" in texts_of(page)


@pytest.mark.parametrize(
    ("days", "words"), [(29.5, "ends in 29 days"), (0.5, "ends in 0 days"), (-0.5, "has ended"), (30.5, "Everything")]
)
def test_it_warns_a_month_before_the_certificate_ends(page: PageServer, days: float, words: str) -> None:
    page.snapshot = replace(IDLE, certificate_ends_at=datetime.fromtimestamp(AT, UTC) + timedelta(days=days))
    assert words in texts_of(page)


def test_it_says_that_fewer_uploads_run_after_a_refusal(page: PageServer) -> None:
    page.snapshot = replace(IDLE, places=8)
    assert "Throttling Slowed down" in texts_of(page)


def test_it_links_what_is_in_sharepoint(page: PageServer) -> None:
    made = done("administration/q?#%.txt", ago=1, path="administration/q?#%.txt")
    gone = done("administration/gone.txt", ago=1, action=Action.DELETED, path="")
    page.snapshot = replace(IDLE, done=(made, gone))
    links = [unescape(link) for link in re.findall(r'<a href="([^"]*)"', page.html())]

    assert links == [LIBRARY_URL, f"{LIBRARY_URL}/administration/q%3F%23%25.txt?web=1"]


def test_it_links_what_is_in_another_library_to_that_one(page: PageServer) -> None:
    other = "https://contoso.sharepoint.com/sites/compta/Factures"
    known = done("a.txt", ago=1, path="compta~1:/Re\u00e7ues/a.txt")
    unknown = done("b.txt", ago=1, path="gone~1:/b.txt")
    page.snapshot = replace(BUSY, done=(known, unknown), library_urls={"compta~1": other})
    links = [unescape(link) for link in re.findall(r'<a href="([^"]*)"', page.html())]

    assert links == [LIBRARY_URL, f"{other}/Re%C3%A7ues/a.txt?web=1"]


def test_it_links_nothing_but_https(page: PageServer) -> None:
    page.snapshot = replace(BUSY, library_url="javascript:alert(1)")
    assert "javascript" not in page.html()


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("fr", "fr"), ("fr-CA,fr;q=0.9,en;q=0.8", "fr"), ("de,fr;q=0.5", "fr"), ("de", "en"), ("", "en"), (";;q=x", "en")],
)
def test_it_speaks_the_reader_s_language(page: PageServer, accepted: str, language: str) -> None:
    page.snapshot = CAREFUL
    answer = page.open(headers={"Accept-Language": accepted})
    texts = texts_of(page, accepted)

    assert f'<html lang="{language}">'.encode() in answer.body
    assert answer.headers["Vary"] == "Accept-Language"
    assert ("2 objets sont mis de côté" in texts) == (language == "fr")
    assert ("jusqu'au 14/08/2027" in texts) == (language == "fr")


class _Shape(HTMLParser):
    """The elements of a page and the names of their attributes, without any text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attributes)))


def full_of(key: str) -> Snapshot:
    """KEY wherever a key can stand, and in what is said."""
    row, here = change(key, reason=key), transfer(key, position=1, size=2)
    return replace(
        parked(key), parked=(row,), waiting=(row,), transfers=(here,), done=(done(key, ago=1),), reasons=(key,)
    )


@pytest.mark.parametrize("key", NASTY_KEYS)
def test_a_name_is_text_wherever_it_stands(page: PageServer, key: str) -> None:
    """It changes nothing of what the page is built of."""
    page.snapshot = full_of("administration/note.txt")
    expected = _Shape(page.html()).elements
    page.snapshot = full_of(key)

    assert _Shape(page.html()).elements == expected


def test_nothing_stands_in_the_page_that_the_policy_forbids(page: PageServer) -> None:
    page.snapshot = CAREFUL
    shape = _Shape(page.html()).elements

    assert [names for tag, names in shape if tag == "script"] == [("defer", "src")]
    assert not {tag for tag, _ in shape} & {"style", "iframe", "object", "base"}
    assert not [name for _, names in shape for name in names if name == "style" or name.startswith("on")]


def test_it_may_stand_in_a_folder_of_a_reverse_proxy(page: PageServer) -> None:
    """All its addresses but those in SharePoint are relative."""
    page.snapshot = CAREFUL
    addresses = re.findall(r' (?:href|src|action|formaction)="([^"]*)"', page.html())

    assert {"static/page.css", "static/page.js", "retry", "retry-all"} <= set(addresses)
    assert not [address for address in addresses if not address.startswith(("static/", "retry", "https://"))]


def test_it_answers_when_the_journal_cannot_be_read(page: PageServer) -> None:
    page.unreadable = BROKEN
    answer = page.open(headers={"Accept-Language": "fr"})

    assert answer.status == 503
    assert str(BROKEN).encode() in answer.body
    assert "Le journal ne peut pas être lu".encode() in answer.body
