"""How the status page looks and behaves in a real browser, whatever it has to show."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from e2e.browser import CHROMIUM, DESKTOP, PHONE, open_browser, visit
from playwright.sync_api import Browser, expect
from unit.page_server import BROKEN, NASTY_KEYS, PASSWORD, PageServer
from unit.snapshots import AWAY, BUSY, CAREFUL, IDLE, done, parked, transfer

from sharepoint_proxy.activity import Snapshot

NASTY = replace(
    parked(*NASTY_KEYS),
    transfers=tuple(transfer(key, position=1, size=2) for key in NASTY_KEYS),
    waiting=parked(*NASTY_KEYS).parked,
    done=tuple(done(key, ago=1) for key in NASTY_KEYS),
    reasons=("x" * 2000,),
    library_name="Documents partagés " * 12,
)
SCENES = {"idle": IDLE, "busy": BUSY, "careful": CAREFUL, "away": AWAY, "nasty": NASTY}

# The contrast of each text with what is behind it, as WCAG 2.2 defines it; the texts that have too little.
TOO_PALE = """() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = channels(colour).map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    const colour = getComputedStyle(node).backgroundColor;
    const [, , , alpha = 1] = channels(colour);
    return alpha === 1 || !node.parentElement ? colour : behind(node.parentElement);
  };
  const contrast = (node) => {
    const [one, other] = [light(getComputedStyle(node).color), light(behind(node))].sort((a, b) => b - a);
    return (one + 0.05) / (other + 0.05);
  };
  return [...document.querySelectorAll("body *")]
    .filter((node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()))
    .filter((node) => node.checkVisibility() && contrast(node) < 4.5)
    .map((node) => node.textContent);
}"""

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"There is no {CHROMIUM}: apt-get install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests, each of which has a profile of its own."""
    with open_browser() as opened:
        yield opened


@pytest.fixture
def server() -> Iterator[PageServer]:
    with PageServer() as running:
        yield running


@pytest.mark.parametrize("snapshot", SCENES.values(), ids=SCENES)
def test_it_can_be_read_at_any_width_and_in_either_scheme(
    server: PageServer, browser: Browser, snapshot: Snapshot
) -> None:
    server.snapshot = snapshot
    grounds = set()
    with visit(browser, server.url, password=PASSWORD, viewport=PHONE) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        page.set_viewport_size(DESKTOP)
        assert page.evaluate("document.documentElement.scrollWidth") <= DESKTOP["width"]
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
            assert page.evaluate(TOO_PALE) == []
    assert len(grounds) == 2


def test_what_has_the_focus_keeps_it_while_the_page_changes(server: PageServer, browser: Browser) -> None:
    """The same button, wherever it stands then."""
    server.snapshot = parked("one.txt", "two.txt")
    with visit(browser, server.url, password=PASSWORD) as page:
        page.get_by_role("button", name="Try again lycee/two.txt").focus()
        server.snapshot = parked("zero.txt", "one.txt", "two.txt")
        expect(page.locator("#parked li")).to_have_count(3)
        expect(page.get_by_role("button", name="Try again lycee/two.txt")).to_be_focused()
        with page.expect_navigation():
            page.keyboard.press("Enter")
    assert server.backlog.retried == [("lycee", "two.txt")]


def test_it_asks_nothing_while_nobody_sees_it(server: PageServer, browser: Browser) -> None:
    with visit(browser, server.url, password=PASSWORD) as page:
        page.clock.install()
        page.reload()
        page.evaluate(_seen(visible=False))
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.resource_type))
        page.clock.run_for(60_000)
        assert "fetch" not in asked
        server.snapshot = BUSY
        page.evaluate(_seen(visible=True))
        expect(page.locator("#progress progress")).to_have_count(2)
        assert "fetch" in asked


def test_it_goes_on_when_the_journal_can_be_read_again(server: PageServer, browser: Browser) -> None:
    server.unreadable = BROKEN
    with visit(browser, server.url, password=PASSWORD, quiet=False) as page:
        expect(page.locator("#verdict")).to_contain_text(str(BROKEN))
        expect(page.locator("section:visible")).to_have_count(1)
        server.unreadable = None
        expect(page.locator("#verdict h1")).to_have_text("Healthy")
        expect(page.locator("#hour")).to_be_visible()
        expect(page).to_have_title("Healthy - sharepoint-proxy")


def test_an_order_that_failed_can_be_repeated_where_it_was_told(server: PageServer, browser: Browser) -> None:
    """The page is shown at the order's own address then, and goes on from there."""
    server.snapshot = parked("one.txt")
    server.backlog.broken = BROKEN
    with visit(browser, server.url, password=PASSWORD, quiet=False) as page:
        button = page.locator("#parked li").get_by_role("button")
        with page.expect_response("**/retry") as told:
            button.click()
        server.backlog.broken = None
        page.wait_for_url("**/retry")
        button.click()
        page.wait_for_url(f"{server.url}/")
        assert told.value.status == 503
    assert server.backlog.retried == [("lycee", "one.txt")]


def test_without_script_it_loads_itself_again(server: PageServer, browser: Browser) -> None:
    with visit(browser, server.url, password=PASSWORD, java_script_enabled=False, locale="fr") as page:
        refresh = page.locator("meta[http-equiv=refresh]")
        expect(refresh).to_have_attribute("content", "10; url=./")
        expect(page.locator("h1")).to_have_text("Tout va bien")


def test_the_name_of_the_page_may_hold_the_password(server: PageServer, browser: Browser) -> None:
    """Somebody may have it as a bookmark, although no browser needs that."""
    address = server.url.replace("//", "//admin:p%C3%A4ssword%3A%20with%20a%20colon@")
    with visit(browser, address, password=PASSWORD) as page:
        server.snapshot = BUSY
        expect(page.locator("#progress progress")).to_have_count(2)


def _seen(*, visible: bool) -> str:
    """Lets the page believe that its tab was brought to the front, or left."""
    hidden = str(not visible).lower()
    return (
        f"Object.defineProperty(document, 'hidden', {{value: {hidden}, configurable: true}});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
