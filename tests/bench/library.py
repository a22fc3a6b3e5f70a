"""A plain client of Graph, signed in with a secret: for the loop that a first script would be, and to find the library."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import requests

CLIENT_SECRET = "simulator-secret"
SCOPE = "https://graph.microsoft.com/.default"
_TIMEOUT_SECONDS = 120


class PlainLibrary:
    """The default library of the site that ENVIRONMENT, the settings of a service, names; one connection, one call at a time."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._base_url = environment["GRAPH_BASE_URL"]
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = environment["REQUESTS_CA_BUNDLE"]
        self._session.headers["Authorization"] = f"Bearer {self._token()}"
        site = self._json("GET", f"/sites/{environment['SITE_PATH']}")
        self.drive_id = str(self._json("GET", f"/sites/{site['id']}/drive")["id"])

    def put(self, path: str, content: bytes) -> None:
        """Store CONTENT at PATH in one call."""
        self._json("PUT", f"{self._at(path)}/content", data=content)

    def send(self, path: str, size: int, fragments: Iterator[bytes]) -> None:
        """Store SIZE bytes at PATH by an upload session, one of FRAGMENTS after the other."""
        url = self.new_session(path)
        position = 0
        for fragment in fragments:
            end = position + len(fragment)
            headers = {"Authorization": None, "Content-Range": f"bytes {position}-{end - 1}/{size}"}
            self._session.put(url, data=fragment, headers=headers, timeout=_TIMEOUT_SECONDS).raise_for_status()
            position = end

    def new_session(self, path: str) -> str:
        """The URL of a new upload session for PATH."""
        return str(self._json("POST", f"{self._at(path)}/createUploadSession", json={})["uploadUrl"])

    def content_url(self, path: str) -> str:
        """Where the content of the file at PATH is put."""
        return f"{self._base_url}{self._at(path)}/content"

    @property
    def authorization(self) -> str:
        """The header with its token."""
        return str(self._session.headers["Authorization"])

    def make_folder(self, path: str) -> None:
        """Make the folder PATH, and those above it, where they are missing."""
        parent, _, name = path.rpartition("/")
        if parent:
            self.make_folder(parent)
        address = f"/drives/{self.drive_id}/root" + (f":/{quote(parent)}:" if parent else "")
        wanted = {"name": name, "folder": {}, "@microsoft.graph.conflictBehavior": "fail"}
        answer = self._request("POST", f"{address}/children", json=wanted)
        if answer.status_code != requests.codes.conflict:
            answer.raise_for_status()

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _at(self, path: str) -> str:
        return f"/drives/{self.drive_id}/root:/{quote(path)}:"

    def _token(self) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._environment["CLIENT_ID"],
            "client_secret": CLIENT_SECRET,
            "scope": SCOPE,
        }
        url = f"{self._environment['AUTHORITY']}/oauth2/v2.0/token"
        answer = self._session.post(url, data=form, timeout=_TIMEOUT_SECONDS)
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def _json(self, method: str, path: str, *, data: bytes | None = None, json: object = None) -> dict[str, Any]:
        answer = self._request(method, path, data=data, json=json)
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document

    def _request(self, method: str, path: str, *, data: bytes | None = None, json: object = None) -> requests.Response:
        return self._session.request(method, self._base_url + path, data=data, json=json, timeout=_TIMEOUT_SECONDS)
