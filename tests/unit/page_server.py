"""The status page over a snapshot that a test invents, behind a real HTTP server on loopback."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import urlencode

from unit.snapshots import IDLE
from unit.web_server import PREVIOUS_SECRET, SECRET, Answered, WebServer

from sharepoint_proxy.activity import Snapshot
from sharepoint_proxy.errors import JournalError
from sharepoint_proxy.page import Desk, blueprint

PASSWORD = "pässword: with a colon"
NASTY_KEYS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>/&amp;.txt',
    "notes/<img src=x onerror=alert(1)>",
    """notes/" autofocus onfocus="alert(1)' onfocus='alert(1)""",
    "{{ 7 * 7 }}{% include 'page.html' %}",
    "a\nb\r\nc",
    " spaces and %2F + ",
    "dossier/",
    "a//b",
    "/",
    "دروس/\u202egnp.exe",
    "👩🏽‍🎓/fête.txt",
    "x" * 1024,
)
"""Keys that would break a page that took them for anything but text."""

BROKEN = JournalError("The journal cannot be read (disk I/O error).")


@dataclass
class FakeBacklog:
    """Keeps what was to be tried again; raises what `broken` holds instead."""

    retried: list[tuple[str, str]] = field(default_factory=list)
    retried_all: int = 0
    broken: JournalError | None = None

    def retry(self, bucket: str, key: str) -> bool:
        self._raise_if_broken()
        self.retried.append((bucket, key))
        return True

    def retry_all(self) -> int:
        self._raise_if_broken()
        self.retried_all += 1
        return 1

    def _raise_if_broken(self) -> None:
        if self.broken is not None:
            raise self.broken


class PageServer(WebServer):
    """Shows `snapshot`, whatever it is at that moment; raises what `unreadable` holds instead."""

    def __init__(self, snapshot: Snapshot = IDLE, *, password: str | None = PASSWORD) -> None:
        self.snapshot = snapshot
        self.unreadable: JournalError | None = None
        self.backlog = FakeBacklog()
        desk = Desk(
            snapshot=self._look,
            backlog=self.backlog,
            wake=self._wake,
            password=password,
            secrets=lambda: (SECRET, PREVIOUS_SECRET),
            places=16,
        )
        super().__init__(pages=[blueprint(desk)])

    def open(
        self,
        path: str = "/",
        *,
        password: str = PASSWORD,
        user: str = "admin",
        headers: Mapping[str, str] | None = None,
    ) -> Answered:
        """GET with the password."""
        return self.request("GET", path, headers={**basic(password, user), **(headers or {})})

    def html(self, language: str = "en") -> str:
        """The page in this language."""
        return self.open(headers={"Accept-Language": language}).body.decode()

    def token(self) -> str:
        """What its forms send back."""
        (token,) = re.findall(r'name="token" value="([^"]+)"', self.html())
        return str(token)

    def objects(self) -> list[str]:
        """What the buttons of the parked objects send."""
        return [unescape(value) for value in re.findall(r'name="object" value="([^"]*)"', self.html())]

    def send(self, path: str, fields: Mapping[str, str], *, headers: Mapping[str, str] | None = None) -> Answered:
        """POST a form with the password."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(fields).encode()
        return self.request("POST", path, body=body, headers={**basic(PASSWORD), **kind, **(headers or {})})

    def _look(self) -> Snapshot:
        if self.unreadable is not None:
            raise self.unreadable
        return self.snapshot


def basic(password: str, user: str = "admin") -> dict[str, str]:
    """The header that a browser makes of a password."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
