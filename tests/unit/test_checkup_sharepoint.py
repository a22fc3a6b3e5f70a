"""The test file that the check-up writes: whatever happens to it, nothing of it stays, and nothing else goes."""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharepoint_proxy.checkup_sharepoint import (
    Body,
    Site,
    TrialUpload,
    large_files_finding,
    large_files_step,
    permission_finding,
    permission_step,
)
from sharepoint_proxy.errors import (
    AccessError,
    LockedError,
    OutageError,
    PermanentError,
    ProxyError,
    Subject,
    TransientError,
)
from sharepoint_proxy.findings import Finding, Verdict
from sharepoint_proxy.records import Answer, DriveItem

SITE = Site(host="contoso.sharepoint.com", relative_path="/sites/team", client_id="the-app", graph_url="https://graph")
NAME = "sharepoint-proxy-check-0.txt"
UPLOAD_URL = "https://contoso.sharepoint.com/_api/uploadSession?tempauth=secret"


@dataclass
class Shelf:
    """A library: what is at which path, None for a folder. Call number N fails with FAULTS[N], after its effect if LATE."""

    items: dict[str, bytes | None]
    faults: Mapping[int, ProxyError] = field(default_factory=dict)
    late: bool = False
    refused: Mapping[str, ProxyError] = field(default_factory=dict)
    meanwhile: str = ""
    asked: list[str] = field(default_factory=list)

    def put(self, path: str, body: Body) -> DriveItem:
        with self._call("put"):
            folder, _, _ = path.rpartition("/")
            for above in [folder[:end] for end, char in enumerate(folder + "/") if char == "/" and end]:
                self.items.setdefault(above, None)
            self.items[path] = b"".join(body)
            if self.meanwhile:
                self.items[self.meanwhile] = b"somebody's"
        return self._item(path)

    def find(self, path: str) -> DriveItem | None:
        with self._call("find"):
            pass
        return self._item(path) if path in self.items else None

    def delete(self, item_id: str, *, etag: str | None = None) -> bool:  # noqa: ARG002 - as the library has it
        with self._call("delete"):
            del self.items[item_id]
        return True

    @contextlib.contextmanager
    def open(self, item_id: str) -> Iterator[Iterator[bytes]]:
        with self._call("open"):
            content = self.items[item_id] or b""
        yield iter([content])

    def create_session(self, path: str, _: datetime) -> str:
        with self._call("create_session"):
            self.asked.append(path)
        return UPLOAD_URL

    @contextlib.contextmanager
    def _call(self, name: str) -> Iterator[None]:
        self.asked.append(name)
        error = self.refused.get(name) or self.faults.get(len(self.asked) - 1)
        if error is not None and not self.late:
            raise error
        yield
        if error is not None:
            raise error

    def _item(self, path: str) -> DriveItem:
        children = sum(1 for other in self.items if other.rpartition("/")[0] == path)
        content = self.items[path]
        return DriveItem(
            id=path,
            name=path,
            size=None if content is None else len(content),
            etag="1",
            is_folder=content is None,
            child_count=None if content is not None else children,
        )


@dataclass
class UploadHost:
    """Graph, of which only the host of uploads is asked here."""

    error: ProxyError | None = None
    cancelled: list[str] = field(default_factory=list)

    def call(self, *_: object, **__: object) -> Answer:
        raise AssertionError("nothing else is asked")

    def call_upload_url(
        self,
        method: str,
        url: str,
        *,
        body: Body | None = None,  # noqa: ARG002 - as Graph has it
        headers: Mapping[str, str] | None = None,  # noqa: ARG002
        accept: Collection[int] = (),  # noqa: ARG002
    ) -> Answer:
        if self.error is not None:
            raise self.error
        self.cancelled.append(f"{method} {url}")
        return Answer(204)


def _interrupt(_: str) -> bytes:
    raise KeyboardInterrupt


def tried(shelf: Shelf, folder: str = "Archives/2024") -> Finding:
    """What comes of the test file in FOLDER."""
    return permission_finding(permission_step(folder, NAME), shelf, folder, NAME, SITE)


def test_it_writes_reads_and_removes() -> None:
    shelf = Shelf({"Archives": None, "Archives/2024": None})
    finding = tried(shelf)

    assert finding.verdict is Verdict.OK
    assert finding.found == "done"
    assert shelf.items == {"Archives": None, "Archives/2024": None}
    assert [name for name in shelf.asked if name != "find"] == ["put", "open", "delete"]


@pytest.mark.parametrize("there", [[], ["Archives"]])
def test_folders_that_it_made_go_and_others_stay(there: Sequence[str]) -> None:
    before: dict[str, bytes | None] = dict.fromkeys(there)
    shelf = Shelf(dict(before))
    finding = tried(shelf)

    assert finding.found == "done, and removed the folder that this made"
    assert shelf.items == before


def test_a_folder_that_somebody_uses_meanwhile_stays() -> None:
    shelf = Shelf({}, meanwhile="Archives/somebody.txt")
    finding = tried(shelf)

    assert finding.verdict is Verdict.OK
    assert shelf.items == {"Archives": None, "Archives/somebody.txt": b"somebody's"}


def test_in_the_root_there_is_no_folder_to_make() -> None:
    shelf = Shelf({})

    assert tried(shelf, "").verdict is Verdict.OK
    assert shelf.items == {}


@given(
    there=st.sampled_from([[], ["Archives"], ["Archives", "Archives/2024"]]),
    call=st.integers(min_value=0, max_value=8),
    late=st.booleans(),
    error=st.sampled_from(
        [
            TransientError("It broke off."),
            OutageError("Nobody answers.", subject=Subject.GRAPH),
            AccessError("Not you.", status=403),
            LockedError("Open.", status=423),
        ]
    ),
)
def test_one_failure_leaves_nothing_behind_or_is_told(
    there: Sequence[str], call: int, *, late: bool, error: ProxyError
) -> None:
    before: dict[str, bytes | None] = dict.fromkeys(there)
    # A refusal after the effect is what no server does.
    shelf = Shelf(dict(before), faults={call: error}, late=late and getattr(error, "status", None) is None)
    finding = tried(shelf)

    assert shelf.items == before or "cannot be removed again" in finding.found
    assert finding.verdict is Verdict.OK or finding.advice


def test_a_write_that_was_refused_is_not_looked_for() -> None:
    shelf = Shelf({"Archives": None, "Archives/2024": None}, refused={"put": AccessError("No.", status=403)})
    finding = tried(shelf)

    assert finding.verdict is Verdict.FAILED
    assert shelf.asked == ["find", "put"]


def test_a_write_without_an_answer_is_looked_for_and_removed() -> None:
    shelf = Shelf({}, faults={2: TransientError("It broke off.")}, late=True)
    finding = tried(shelf)

    assert finding.verdict is Verdict.FAILED
    assert "It broke off." in finding.found
    assert shelf.items == {}


def test_other_bytes_than_were_written_are_a_failure() -> None:
    class Rewriting(Shelf):
        @contextlib.contextmanager
        def open(self, item_id: str) -> Iterator[Iterator[bytes]]:  # noqa: ARG002
            yield iter([b"something else"])

    shelf = Rewriting({})

    assert "other bytes" in tried(shelf).found
    assert shelf.items == {}


def test_somebody_who_interrupts_it_leaves_nothing_behind_either() -> None:
    class Interrupted(Shelf):
        @contextlib.contextmanager
        def open(self, item_id: str) -> Iterator[Iterator[bytes]]:
            yield map(_interrupt, [item_id])

    shelf = Interrupted({})
    with pytest.raises(KeyboardInterrupt):
        tried(shelf)

    assert shelf.items == {}


@pytest.mark.parametrize(
    ("error", "advised"),
    [
        (AccessError("Graph answered 403 accessDenied.", status=403), '"roles": ["write"]'),
        (AccessError('"Either scp or roles claim need to be present in the token."', status=403), '"roles": ["write"]'),
        (OutageError("Full.", subject=Subject.QUOTA, status=507), "Active sites > Storage"),
        (LockedError("Locked.", status=423), "Require Check Out"),
        (PermanentError("Graph answered 400.", status=400), "ALLOWED_PREFIXES"),
        (OutageError("Graph cannot be reached.", subject=Subject.GRAPH), "port 443 of"),
        (TransientError("Graph answered 500."), "request-id"),
    ],
)
def test_a_refused_write_says_what_to_do(error: ProxyError, advised: str) -> None:
    assert advised in tried(Shelf({}, refused={"put": error})).advice


def test_an_upload_session_is_cancelled_again_and_its_url_not_told() -> None:
    host, shelf = UploadHost(), Shelf({"Archives": None})
    upload = TrialUpload(folder="Archives/2024", name=NAME, modified=datetime.now(UTC))
    finding = large_files_finding(large_files_step(), host, shelf, upload, SITE)

    assert finding.verdict is Verdict.OK
    assert host.cancelled == [f"DELETE {UPLOAD_URL}"]
    assert f"Archives/{NAME}" in shelf.asked
    assert "tempauth" not in str(finding)


def test_an_upload_host_that_is_barred_is_named() -> None:
    host = UploadHost(error=OutageError("Graph cannot be reached.", subject=Subject.GRAPH))
    upload = TrialUpload(folder="", name=NAME, modified=datetime.now(UTC))
    finding = large_files_finding(large_files_step(), host, Shelf({}), upload, SITE)

    assert finding.verdict is Verdict.FAILED
    assert "port 443 of contoso.sharepoint.com" in finding.advice
    assert "tempauth" not in str(finding)


def test_the_root_site_has_an_address_without_colons() -> None:
    root = Site(host="contoso.sharepoint.com", relative_path="", client_id="app", graph_url="https://graph")
    error = AccessError("No.", status=403)
    finding = permission_finding(permission_step("", NAME), Shelf({}, refused={"put": error}), "", NAME, root)

    assert root.address == "/sites/contoso.sharepoint.com"
    assert "POST https://graph/sites/contoso.sharepoint.com/permissions with" in finding.advice
