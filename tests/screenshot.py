"""Takes the picture of the status page in the documentation: `PYTHONPATH=sharepoint-proxy:tests .venv/bin/python -m screenshot docs/status-page.png`."""

import argparse
import logging
from pathlib import Path

from e2e.browser import DESKTOP, open_browser, visit
from unit.page_server import PASSWORD, PageServer
from unit.snapshots import CAREFUL

_HEIGHT = 896


def main() -> None:
    """Show an invented moment to a browser and keep what it draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--width", type=int, default=DESKTOP["width"], help="in pixels; a phone has 375")
    parser.add_argument("--language", default="en", help="en or fr")
    chosen = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    options = {
        "color_scheme": "dark" if chosen.dark else "light",
        "locale": chosen.language,
        "viewport": {"width": chosen.width, "height": _HEIGHT},
    }
    with (
        PageServer(CAREFUL) as server,
        open_browser() as browser,
        visit(browser, server.url, password=PASSWORD, **options) as page,
    ):
        page.screenshot(path=chosen.file)


if __name__ == "__main__":
    main()
