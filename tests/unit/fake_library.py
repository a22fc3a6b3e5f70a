"""SharePoint as a dictionary, on a wire where every request can break before or after its effect, or the proxy can die."""

import contextlib
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from http import HTTPStatus
from itertools import count, islice
from typing import Any

from sharepoint_proxy.column_values import Column
from sharepoint_proxy.content import Stretch
from sharepoint_proxy.errors import (
    AccessError,
    LockedError,
    OccupiedError,
    OutageError,
    PermanentError,
    Subject,
    ThrottledError,
    TransientError,
)
from sharepoint_proxy.paths import comparison_key
from sharepoint_proxy.quickxor import QuickXorHash
from sharepoint_proxy.records import Answer, DriveItem

SESSION_SECONDS = 900.0
APPLICATION_ID = "the mirror"
PROPERTIES = b" and properties"
"""What SharePoint writes into an Office file that it is given."""


class Death(BaseException):
    """The proxy's process ends here."""


class Fault(StrEnum):
    """What can become of one request."""

    FAILED = "failed"
    THROTTLED = "throttled"
    LOCKED = "locked"
    REFUSED = "refused"
    BARRED = "barred"
    FULL = "full"
    AWAY = "away"
    DIED_BEFORE = "died before"
    CUT = "cut"
    ANSWER_LOST = "answer lost"
    DIED_AFTER = "died after"


_BEFORE: dict[Fault, Callable[[], BaseException]] = {
    Fault.FAILED: lambda: TransientError("Nobody answers."),
    Fault.THROTTLED: lambda: ThrottledError("Slow down.", retry_after=3, status=429),
    Fault.LOCKED: lambda: LockedError("Somebody has it open.", status=423),
    Fault.REFUSED: lambda: PermanentError("No.", status=400),
    Fault.BARRED: lambda: AccessError("Not you.", status=403),
    Fault.FULL: lambda: OutageError("No room.", subject=Subject.QUOTA, status=507, retry_after=900),
    Fault.AWAY: lambda: OutageError("Nobody is there.", subject=Subject.GRAPH),
    Fault.DIED_BEFORE: Death,
}
_AFTER: dict[Fault, Callable[[], BaseException]] = {
    Fault.CUT: lambda: TransientError("It broke off."),
    Fault.ANSWER_LOST: lambda: TransientError("The answer was lost."),
    Fault.DIED_AFTER: Death,
}


def _break_if(fault: Fault | None, errors: Mapping[Fault, Callable[[], BaseException]]) -> None:
    if fault is not None and fault in errors:
        error = errors[fault]()
        raise error


class Wire:
    """Where requests pass: counts them, and gives each the next of the planned faults. MEANWHILE happens before and after each."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self.calls: list[str] = []
        self.faults: deque[Fault | None] = deque()
        self._meanwhile = meanwhile

    @contextlib.contextmanager
    def request(self, what: str) -> Iterator[bool]:
        """A request whose effect is the block; true if it is to break off in the middle of its body."""
        self.calls.append(what)
        self._meanwhile()
        fault = self.faults.popleft() if self.faults else None
        _break_if(fault, _BEFORE)
        yield fault is Fault.CUT
        self._meanwhile()
        _break_if(fault, _AFTER)


@dataclass(slots=True)
class Item:
    """A file, or a folder if CONTENT is None."""

    id: str
    path: str
    content: bytes | None
    version: int = 1
    by: str = ""

    @property
    def shown(self) -> bytes:
        """The bytes that SharePoint makes of a file: Office files get its properties."""
        return (self.content or b"") + (PROPERTIES if self.path.endswith(".docx") else b"")


@dataclass(slots=True)
class Session:
    """An upload session: what came so far of the SIZE bytes."""

    path: str
    expires_at: float
    content: bytes = b""


class FakeLibrary:
    """A document library without case. A folder that nobody asked for is there as long as something is in it."""

    def __init__(self, wire: Wire, clock: Callable[[], float]) -> None:
        self.items: dict[str, Item] = {}
        self.sessions: dict[str, Session] = {}
        self.repeated: list[str] = []
        """Paths of files that were sent although the same bytes were there, as their hash shows."""
        self._wire = wire
        self._clock = clock
        self._ids = count(1)

    def put_directly(self, path: str, content: bytes) -> Item:
        """Write a file as a user does."""
        return self._write(path, content, by="")

    def is_folder(self, path: str) -> bool:
        """True if a folder is there."""
        place = comparison_key(path)
        item = self.items.get(place)
        return self._children(place) > 0 if item is None else item.content is None

    def check(self, path: str) -> None:
        """The library as a whole is always there."""

    def refuse_if_too_long(self, path: str) -> None:
        """Accept every path."""

    def put(self, path: str, body: Stretch) -> DriveItem:
        with self._wire.request(f"PUT {path}") as is_cut:
            content = b"".join(islice(body, 1 if is_cut else None))
            item = None if is_cut else self._write(path, content)
        assert item is not None, "a request that was cut raises"
        return self._drive_item(item)

    def set_modified(self, item_id: str, modified: datetime) -> None:
        del modified
        with self._wire.request(f"PATCH {item_id}"):
            if self._by_id(item_id) is None:
                raise TransientError("Not there.", status=404)

    def move(self, item_id: str, path: str, modified: datetime) -> DriveItem | None:
        del modified
        with self._wire.request(f"MOVE {item_id} {path}"):
            item, place = self._by_id(item_id), comparison_key(path)
            other = self.items.get(place)
            if item is None or (other is not None and other is not item) or self._children(place):
                return None
            self._refuse_folder_and_file(place)
            del self.items[comparison_key(item.path)]
            item.path, item.by = path, APPLICATION_ID
            self.items[place] = item
        return self._drive_item(item)

    def columns(self, path: str) -> list[Column]:
        """No columns: nothing asks for any."""
        del path
        return []

    def set_fields(self, item_id: str, values: Mapping[str, object]) -> None:
        raise AssertionError((item_id, values))

    def find(self, path: str) -> DriveItem | None:
        with self._wire.request(f"GET {path}"):
            item = self.items.get(comparison_key(path))
            if item is None and self.is_folder(path):
                item = Item(id=f"folder {path}", path=path, content=None)
        return None if item is None else self._drive_item(item)

    def get(self, item_id: str) -> DriveItem | None:
        with self._wire.request(f"GET {item_id}"):
            item = self._by_id(item_id)
        return None if item is None else self._drive_item(item)

    def delete(self, item_id: str, *, etag: str | None = None) -> bool:
        with self._wire.request(f"DELETE {item_id}"):
            item = self._by_id(item_id)
            if item is None:
                return False
            if etag not in (None, self._drive_item(item).etag):
                raise TransientError("It changed.", status=412)
            assert not self._children(comparison_key(item.path)), f"{item.path} goes with all that is in it"
            del self.items[comparison_key(item.path)]
        return True

    def make_folder(self, path: str) -> tuple[DriveItem, bool]:
        with self._wire.request(f"POST {path}"):
            place = comparison_key(path)
            made = not self.is_folder(path)
            if place in self.items and made:
                raise PermanentError(f"A file stands where the folder {path} must be.")
            folder = self.items.setdefault(place, Item(id=self._new_id(), path=path, content=None))
        return self._drive_item(folder), made

    def create_session(self, path: str, modified: datetime) -> str:
        del modified
        with self._wire.request(f"POST session {path}"):
            self._refuse_folder_and_file(comparison_key(path))
            if any(comparison_key(other.path) == comparison_key(path) for other in self._living().values()):
                raise TransientError("Another session lives.", status=409)
            url = f"https://upload.example/{self._new_id()}"
            self.sessions[url] = Session(path=path, expires_at=self._clock() + SESSION_SECONDS)
        return url

    def call_upload_url(
        self,
        method: str,
        url: str,
        *,
        body: Stretch | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (HTTPStatus.OK,),
    ) -> Answer:
        with self._wire.request(f"{method} session") as is_cut:
            sent = b"".join(islice(body or (), 1 if is_cut else None))
            answer = self._session_answer(method, url, sent[: len(sent) // 2] if is_cut else sent, headers or {})
        if answer.status not in accept:
            raise TransientError(f"{answer.status}.", status=answer.status)
        return answer

    def _session_answer(self, method: str, url: str, received: bytes, headers: Mapping[str, str]) -> Answer:
        session = self._living().get(url)
        if session is None:
            return Answer(HTTPStatus.NOT_FOUND)
        if method == "DELETE":
            del self.sessions[url]
            return Answer(HTTPStatus.NO_CONTENT)
        if method == "GET":
            return Answer(HTTPStatus.OK, _expected(session))
        return self._take_fragment(url, session, received, headers["Content-Range"])

    def _take_fragment(self, url: str, session: Session, received: bytes, content_range: str) -> Answer:
        stretch, _, total = content_range.removeprefix("bytes ").partition("/")
        if int(stretch.partition("-")[0]) != len(session.content):
            return Answer(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
        session.content += received
        if len(session.content) < int(total):
            return Answer(HTTPStatus.ACCEPTED, _expected(session))
        del self.sessions[url]
        return Answer(HTTPStatus.CREATED, self._json(self._write(session.path, session.content)))

    def _write(self, path: str, content: bytes, *, by: str = APPLICATION_ID) -> Item:
        place = comparison_key(path)
        self._refuse_folder_and_file(place)
        item = self.items.get(place)
        if item is None:
            self.items[place] = item = Item(id=self._new_id(), path=path, content=content, by=by)
            return item
        if item.shown == content:
            self.repeated.append(path)
        item.content = content
        item.by = by
        item.version += 1
        return item

    def _refuse_folder_and_file(self, place: str) -> None:
        above = [place[:end] for end, character in enumerate(place) if character == "/"]
        blocked = [other for other in above if other in self.items and self.items[other].content is not None]
        if self.is_folder(place):
            raise OccupiedError(f"A folder stands where the file {place} must be.")
        if blocked:
            raise TransientError(f"{place} cannot be a file.", status=409)

    def _living(self) -> dict[str, Session]:
        return {url: session for url, session in self.sessions.items() if session.expires_at > self._clock()}

    def _by_id(self, item_id: str) -> Item | None:
        return next((item for item in self.items.values() if item.id == item_id), None)

    def _children(self, place: str) -> int:
        return sum(other.startswith(f"{place}/") for other in self.items)

    def _new_id(self) -> str:
        return f"id{next(self._ids)}"

    def _drive_item(self, item: Item) -> DriveItem:
        return DriveItem.read(self._json(item))

    def _json(self, item: Item) -> dict[str, Any]:
        kind: dict[str, Any] = {"folder": {"childCount": self._children(comparison_key(item.path))}}
        if item.content is not None:
            kind = {"file": {"hashes": {"quickXorHash": _quickxor(item.shown)}}, "size": len(item.shown)}
        who: dict[str, Any] = {"application": {"id": item.by}} if item.by else {"user": {"id": "ana"}}
        name = item.path.rpartition("/")[2]
        return {
            "id": item.id,
            "name": name,
            "eTag": f"{item.id},{item.version}",
            "lastModifiedBy": who,
            "createdBy": who,
            **kind,
        }


def _expected(session: Session) -> dict[str, Any]:
    return {"nextExpectedRanges": [f"{len(session.content)}-"]}


@lru_cache(maxsize=64)
def _quickxor(content: bytes) -> str:
    quickxor = QuickXorHash()
    quickxor.update(content)
    return quickxor.base64()
