"""A real browser without a window, which complains of what it does not like."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
DESKTOP = ViewportSize(width=1080, height=800)
PHONE = ViewportSize(width=320, height=640)
_PATIENCE_MILLISECONDS = 20_000
# The page waits two seconds between two looks at the service; a test has other things to do.
_HURRY = "const patient = window.setTimeout; window.setTimeout = (work, wait) => patient(work, wait / 20);"


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Debian's Chromium; as root it runs without its sandbox."""
    expect.set_options(timeout=_PATIENCE_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visit(browser: Browser, url: str, *, password: str, quiet: bool = True, **options: Any) -> Iterator[Page]:
    """The page at URL as a user with PASSWORD sees it, whose timers run twenty times as fast.

    QUIET raises in the end if the browser reported an error, as it does of a breach of the page's policy.
    """
    credentials = {"username": "admin", "password": password}
    context = browser.new_context(http_credentials=credentials, **{"viewport": DESKTOP, "locale": "en-GB", **options})  # type: ignore[arg-type] # plain dictionaries
    complaints: list[str] = []
    try:
        context.add_init_script(_HURRY)
        page = context.new_page()
        page.set_default_timeout(_PATIENCE_MILLISECONDS)
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        yield page
    finally:
        context.close()
    if quiet and complaints:
        raise AssertionError(complaints)
