"""The status page of the running service in a real browser: uploads as they go, and the buttons."""

import os
from collections.abc import Iterator

import pytest
import requests
from e2e.browser import CHROMIUM, PHONE, open_browser, visit
from e2e.trouble import MIB, calm, open_stage
from playwright.sync_api import Browser, expect

from simulator.calls import CallKind
from simulator.faults import AnswerWith, Fault, Match
from simulator.service_process import SECRET
from simulator.stage import Stage

PASSWORD = "a password for people"

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"There is no {CHROMIUM}: apt-get install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests, each of which has a profile of its own."""
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def shared_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with open_stage(tmp_path_factory.mktemp("page"), settings={"ADMIN_PASSWORD": PASSWORD}) as running:
        yield running


@pytest.fixture
def stage(shared_stage: Stage) -> Iterator[Stage]:
    """A service with a status page, and nothing to do."""
    yield shared_stage
    calm(shared_stage)


def test_an_upload_is_seen_as_it_goes(stage: Stage, browser: Browser) -> None:
    """Without loading the page again, and in the end with a link to the file in SharePoint."""
    stage.graph.bandwidth = 2 * MIB
    with visit(browser, stage.service.url, password=PASSWORD) as page:
        page.evaluate("window.isTheSame = true")
        stage.put("administration/film.mp4", os.urandom(12 * MIB))
        bar = page.locator("#progress progress")
        seen = [int(bar.get_attribute("value") or 0)]
        expect(bar).not_to_have_attribute("value", str(seen[0]))
        seen.append(int(bar.get_attribute("value") or 0))
        stage.graph.bandwidth = None
        link = page.locator("#done").get_by_role("link", name="film.mp4")
        expect(link).to_be_visible()
        expect(page.locator("#hour rect")).not_to_have_count(0)
        expect(bar).to_have_count(0)
        item = stage.graph.item("administration/film.mp4")

        assert item is not None
        assert 0 < seen[0] < seen[1] <= 12 * MIB
        assert str(link.get_attribute("href")).endswith("/Shared%20Documents/administration/film.mp4?web=1")
        assert page.evaluate("window.isTheSame")


def test_a_parked_object_is_tried_again_by_its_button(stage: Stage, browser: Browser) -> None:
    key = "administration/élève & <parents>.txt"
    stage.graph.add_fault(Fault(Match(CallKind.PUT_CONTENT), AnswerWith(400, message="The library refuses it.")))
    stage.put(key, b"hello")
    stage.settle()
    with visit(browser, stage.service.url, password=PASSWORD) as page:
        parked = page.locator("#parked li")
        expect(page.locator("#verdict")).to_contain_text("One object is parked")
        expect(parked).to_contain_text("The library refuses it.")
        parked.get_by_role("button", name=f"Try again lycee/{key}").click()
        expect(page.locator("#done li").first).to_contain_text("élève & <parents>.txt")
        expect(page.locator("#parked")).to_be_hidden()
        assert page.url == f"{stage.service.url}/"
    assert b"hello" in [stage.graph.content(path) for path in stage.graph.tree() if "parents" in path]


def test_everything_parked_is_tried_again_on_a_phone_without_script(stage: Stage, browser: Browser) -> None:
    stage.graph.add_fault(Fault(Match(CallKind.PUT_CONTENT), AnswerWith(400), times=2))
    stage.put("administration/one.txt", b"1")
    stage.put("administration/two.txt", b"2")
    stage.settle()
    without_script = visit(
        browser, stage.service.url, password=PASSWORD, viewport=PHONE, java_script_enabled=False, locale="fr-FR"
    )
    with without_script as page:
        expect(page.locator("#parked li")).to_have_count(2)
        page.get_by_role("button", name="Tout réessayer").click()
        stage.settle()
        page.reload()
        expect(page.locator("#parked")).to_be_hidden()
    assert stage.graph.content("administration/one.txt") + stage.graph.content("administration/two.txt") == b"12"


def test_it_says_when_graph_is_away(stage: Stage, browser: Browser) -> None:
    stage.graph.add_fault(Fault(Match(CallKind.PUT_CONTENT), AnswerWith(429, headers={"Retry-After": "3"})))
    stage.put("administration/late.txt", b"late")
    with visit(browser, stage.service.url, password=PASSWORD) as page:
        expect(page.locator("#verdict")).to_contain_text("Microsoft asked for a pause.")
        expect(page.locator("#figures")).to_contain_text("Pause of")
        expect(page.locator("#waiting li")).to_contain_text("late.txt")


def test_a_page_that_stays_open_outlives_the_service(stage: Stage, browser: Browser) -> None:
    """It says that nobody answers, and goes on with the next start, whose token its buttons then send."""
    stage.graph.add_fault(Fault(Match(CallKind.PUT_CONTENT), AnswerWith(400)))
    stage.put("administration/again.txt", b"hello")
    stage.settle()
    with visit(browser, stage.service.url, password=PASSWORD, quiet=False) as page:
        token = page.locator("#parked [name=token]").input_value()
        stage.service.kill()
        expect(page.locator("#silence")).to_contain_text("The service does not answer.")
        stage.service.start()
        expect(page.locator("#silence")).to_be_hidden()
        expect(page.locator("#parked [name=token]")).not_to_have_value(token)
        page.get_by_role("button", name="Try again lycee/administration/again.txt").click()
        expect(page.locator("#done li")).to_contain_text("again.txt")


def test_a_program_reads_the_same(stage: Stage) -> None:
    headers = {"Authorization": f"Bearer {SECRET}"}
    status = requests.get(f"{stage.service.url}/status.json", headers=headers, timeout=10).json()

    assert status["library_url"].endswith("/Shared%20Documents")
    assert PASSWORD not in stage.service.output()
