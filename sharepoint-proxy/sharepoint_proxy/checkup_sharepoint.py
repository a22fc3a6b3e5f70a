"""The check-up's steps in SharePoint: site, library, the right to write, the host that takes large files.

The right is proved by doing it: a small file is written, read and removed in each folder of the routes. Whatever that made is
removed, also after an error, a folder that was not there before included.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from sharepoint_proxy.errors import (
    AccessError,
    LockedError,
    OutageError,
    PermanentError,
    ProxyError,
    Subject,
    ThrottledError,
    TransientError,
    is_refusal,
)
from sharepoint_proxy.findings import Finding, Step
from sharepoint_proxy.records import Answer, DriveItem

_CONTENT = b"Written by `sharepoint-proxy check`, which removes it at once. It may be deleted.\n"
_CONSENT_ADVICE = (
    "The application has no right that an administrator agreed to: Entra ID > App registrations > your application > API permissions >"
    " Add a permission > Microsoft Graph > Application permissions (not Delegated) > Sites.Selected, then Grant admin consent; it"
    " takes effect with a new token, up to an hour later for a running service."
)
_REACH_ADVICE = "The firewall or web proxy must let this machine reach port 443 of {host}."
_TRY_AGAIN_ADVICE = "Check again in some minutes; Microsoft's support asks for the request-id."


class Body(Protocol):
    """A request body of known length in bytes."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[bytes]: ...


class Graph(Protocol):
    """Makes calls to Graph; raises ProxyError for a status that is not in ACCEPT."""

    def call(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = ...,
    ) -> Answer: ...
    def call_upload_url(
        self,
        method: str,
        url: str,
        *,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = ...,
    ) -> Answer: ...


class Drive(Protocol):
    """A document library as it is called."""

    @property
    def name(self) -> str: ...
    @property
    def url_path(self) -> str: ...


class Library(Protocol):
    """The items of a document library."""

    def put(self, path: str, body: Body) -> DriveItem: ...
    def open(self, item_id: str) -> AbstractContextManager[Iterator[bytes]]: ...
    def find(self, path: str) -> DriveItem | None: ...
    def delete(self, item_id: str, *, etag: str | None = None) -> bool: ...
    def create_session(self, path: str, modified: datetime) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The site to look for, and how Graph and Entra ID know the two sides; `relative_path` is empty for the tenant's root site."""

    host: str
    relative_path: str
    client_id: str
    graph_url: str

    def __str__(self) -> str:
        return f"{self.host}:{self.relative_path or '/'}"

    @property
    def address(self) -> str:
        """The site's path in Graph."""
        return f"/sites/{self.host}:{quote(self.relative_path)}" if self.relative_path else f"/sites/{self.host}"

    @property
    def graph_host(self) -> str:
        """Graph's host."""
        return urlsplit(self.graph_url).hostname or ""


def site_step(site: Site) -> Step:
    """The step that looks for the site."""
    return Step("site", f"ask Graph for the site {site}")


def site_finding(step: Step, site: Site, graph: Graph) -> Finding:
    """Whether the site is there and the application may see it."""
    try:
        body = graph.call("GET", site.address).body
    except ProxyError as error:
        return step.failed(str(error), advice=_site_advice(error, site))
    return step.ok(f'"{body.get("displayName") or body.get("name", "")}", {body.get("webUrl", "")}')


def library_step(name: str | None) -> Step:
    """The step that looks for the library of NAME, or the default one."""
    return Step("library", f'look for the library "{name}"' if name else "look for the site's default library")


def library_finding(step: Step, find: Callable[[], Drive], site: Site) -> Finding:
    """Whether FIND finds the library; if not, which libraries there are."""
    try:
        drive = find()
    except PermanentError as error:
        return step.failed(
            str(error),
            advice="Correct DOCUMENT_LIBRARY, or the route's library; without a name the site's default library is taken.",
        )
    except ProxyError as error:
        return step.failed(str(error), advice=_site_advice(error, site))
    return step.ok(f'"{drive.name}" at {drive.url_path}')


def permission_step(folder: str, name: str, where: str = "") -> Step:
    """The step that tries a file of NAME in FOLDER ("" = the library's root); WHERE names the library if there are several."""
    return Step("permission", f"write, read and remove {_joined(folder, name)}{where}")


def permission_finding(step: Step, library: Library, folder: str, name: str, site: Site) -> Finding:
    """What came of writing, reading and removing a file of NAME in FOLDER."""
    trial = _Trial(library, folder, name)
    trouble: ProxyError | None = None
    try:
        trial.run()
    except ProxyError as error:
        trouble = error
    if trial.left_behind:
        advice = f"Delete {trial.path} by hand in the library, with folders above it that are empty and new. Then check again."
        return step.failed(f"the test file cannot be removed again: {trial.left_behind}", advice=advice)
    if trouble is not None:
        return step.failed(str(trouble), advice=_write_advice(trouble, site))
    return step.ok("done, and removed the folder that this made" if trial.made_folder else "done")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialUpload:
    """The large file that is announced and never sent: of NAME in FOLDER, or where that would be made."""

    folder: str
    name: str
    modified: datetime


def large_files_step(where: str = "") -> Step:
    """The step that begins an upload session; WHERE as above."""
    return Step("large files", f"begin and cancel an upload session{where}, which files above 4 MiB need")


def large_files_finding(step: Step, graph: Graph, library: Library, upload: TrialUpload, site: Site) -> Finding:
    """Whether upload sessions are given out, and the host that takes their bytes can be reached; the session's URL is a secret."""
    try:
        folder = _existing_folder(library, upload.folder)
        url = library.create_session(_joined(folder, upload.name), upload.modified)
    except ProxyError as error:
        return step.failed(str(error), advice=_write_advice(error, site))
    host = urlsplit(url).hostname or ""
    try:
        graph.call_upload_url("DELETE", url, accept=(HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND))
    except OutageError as error:
        return step.failed(f"{host}: {error}", advice=_REACH_ADVICE.format(host=host))
    except ProxyError as error:
        return step.failed(f"{host}: {error}", advice=_TRY_AGAIN_ADVICE)
    return step.ok(f"{host} takes them")


class _Trial:
    """A test file in one folder. After `run`, `left_behind` says what kept it from being removed, if anything did."""

    def __init__(self, library: Library, folder: str, name: str) -> None:
        self.path = _joined(folder, name)
        self.made_folder = False
        self.left_behind = ""
        self._library = library
        self._folder = folder
        self._may_be_there = False

    def run(self) -> None:
        """Write the file, read it, and remove it with the folders that this made; ProxyError when one of the first two fails."""
        missing = _missing_folders(self._library, self._folder)
        try:
            self._read(self._write())
        finally:
            if self._may_be_there:
                self._remove(missing)

    def _write(self) -> DriveItem:
        self._may_be_there = True
        try:
            return self._library.put(self.path, _Text(_CONTENT))
        except (TransientError, PermanentError) as error:
            self._may_be_there = not is_refusal(error)
            raise

    def _read(self, item: DriveItem) -> None:
        with self._library.open(item.id) as pieces:
            if b"".join(pieces) != _CONTENT:
                raise TransientError("SharePoint gives back other bytes than it was given.")

    def _remove(self, made: Sequence[str]) -> None:
        try:
            item = self._library.find(self.path)
            if item is not None:
                self._library.delete(item.id)
            self.made_folder = bool(made)
            for folder in made:
                self._remove_if_empty(folder)
        except ProxyError as error:
            self.left_behind = str(error)

    def _remove_if_empty(self, folder: str) -> None:
        # Somebody, or the running service, may have put something there meanwhile.
        item = self._library.find(folder)
        if item is not None and item.child_count == 0:
            self._library.delete(item.id, etag=item.etag)


class _Text:
    """A request body that is in memory."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __len__(self) -> int:
        return len(self._content)

    def __iter__(self) -> Iterator[bytes]:
        yield self._content


def _missing_folders(library: Library, folder: str) -> list[str]:
    """FOLDER and those above it that are not there, the deepest first."""
    missing = []
    while folder and library.find(folder) is None:
        missing.append(folder)
        folder = _parent(folder)
    return missing


def _existing_folder(library: Library, folder: str) -> str:
    """FOLDER, or the lowest one above it that is there; "" is the library's root."""
    missing = _missing_folders(library, folder)
    return _parent(missing[-1]) if missing else folder


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _site_advice(error: ProxyError, site: Site) -> str:
    match error:
        case OutageError(subject=Subject.TOKEN):
            return "Graph does not take the token: GRAPH_BASE_URL, GRAPH_SCOPE and AUTHORITY must be of one cloud."
        case OutageError():
            return _REACH_ADVICE.format(host=site.graph_host)
        case AccessError(status=HTTPStatus.FORBIDDEN):
            return _CONSENT_ADVICE if "scp or roles" in str(error) else _grant_advice(site)
        case AccessError():
            return (
                "Copy SITE_PATH from the browser's address line, up to the name of the site, as in"
                " https://contoso.sharepoint.com/sites/team. A site that is not open to the application can look like this, too."
            )
        case PermanentError():
            return (
                f"The site's host {site.host} and TENANT_ID must be of the same tenant: correct SITE_PATH or TENANT_ID."
            )
    return _TRY_AGAIN_ADVICE


def _write_advice(error: ProxyError, site: Site) -> str:
    match error:
        case OutageError(subject=Subject.QUOTA):
            return "The library is full: make room there, or raise the limit in SharePoint admin center > Active sites > Storage."
        case AccessError(status=HTTPStatus.FORBIDDEN):
            return (
                f"The application may see this place but not write there. {_grant_advice(site)} If it has that role already, the"
                " library or the folder has permissions of its own, or the site is archived or read-only."
            )
        case LockedError():
            return "The library is locked, or wants files to be checked out: Library settings > Versioning settings > Require Check Out: No."
        case ThrottledError():
            return "Graph asks for a pause just now: check again in some minutes."
        case PermanentError():
            return "Graph does not accept this place: correct the folder in ALLOWED_PREFIXES or ROUTES_FILE, or what stands in its way in the library."
    return _site_advice(error, site)


def _grant_advice(site: Site) -> str:
    """How an administrator opens the site (Microsoft's page "Overview of Selected permissions")."""
    colon = ":" if site.relative_path else ""
    grant = (
        f'{{"roles": ["write"], "grantedToIdentities": [{{"application": {{"id": "{site.client_id}",'
        ' "displayName": "sharepoint-proxy"}}]}'
    )
    return (
        "An administrator must open the site to the application, for example in Graph Explorer (docs/quickstart-sharepoint.md, step 5):"
        f" POST {site.graph_url}{site.address}{colon}/permissions with {grant}."
    )
