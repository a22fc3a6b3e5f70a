"""Graph as a person with curl sees it: requests to one library of a simulator, and whatever it answers."""

from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import quote

import requests

from simulator.graph_server import GraphSimulator

SCOPE = "https://graph.microsoft.com/.default"
GRID = 320 * 1024
_TIMEOUT_SECONDS = 20


class PlainGraph:
    """A client without retries or knowledge; `drive` is the library's URL, `bearer` the header that a token goes into."""

    def __init__(self, simulator: GraphSimulator) -> None:
        self.simulator = simulator
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(simulator.ca_path)
        self.bearer = {"Authorization": f"Bearer {self._token()}"}
        site = self.send("GET", f"{simulator.base_url}/sites/{simulator.site_path}").json()
        self.site = f"{simulator.base_url}/sites/{site['id']}"
        self.drive = f"{simulator.base_url}/drives/{self.send('GET', f'{self.site}/drive').json()['id']}"
        simulator.clear_calls()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def ask_for_token(self, **form: str) -> requests.Response:
        """The answer to a token request with FORM over the usual fields; an empty value leaves a field out."""
        usual = {
            "client_id": self.simulator.client_id,
            "client_secret": "simulator-secret",
            "grant_type": "client_credentials",
            "scope": SCOPE,
        }
        fields = {name: value for name, value in {**usual, **form}.items() if value}
        return self.bare("POST", f"{self.simulator.authority}/oauth2/v2.0/token", data=fields)

    def bare(self, method: str, url: str, **more: Any) -> requests.Response:
        """The answer to a request without a token."""
        return self._session.request(method, url, timeout=_TIMEOUT_SECONDS, allow_redirects=False, **more)

    def send(self, method: str, url: str, *, headers: dict[str, str] | None = None, **more: Any) -> requests.Response:
        """The answer to a request with a token."""
        return self.bare(method, url, headers={**self.bearer, **(headers or {})}, **more)

    def ask(self, method: str, route: str, **more: Any) -> requests.Response:
        """The answer to a request for ROUTE below the drive, such as `root:/a.txt:/content`."""
        return self.send(method, f"{self.drive}/{route}", **more)

    def put(self, path: str, content: bytes = b"hello", **more: Any) -> requests.Response:
        """The answer to a PUT of CONTENT at PATH, which is encoded as it should be."""
        return self.ask("PUT", f"root:/{encoded(path)}:/content", data=content, **more)

    def get(self, path: str, **more: Any) -> requests.Response:
        """The answer to a GET of the item at PATH."""
        return self.ask("GET", f"root:/{encoded(path)}", **more)

    def open_session(
        self, path: str, item: Mapping[str, object] | None = None, *, headers: dict[str, str] | None = None
    ) -> requests.Response:
        """The answer to createUploadSession for PATH with ITEM in its body."""
        return self.ask(
            "POST", f"root:/{encoded(path)}:/createUploadSession", json={"item": item or {}}, headers=headers
        )

    def upload_url(self, path: str, item: Mapping[str, object] | None = None) -> str:
        """The URL of a new upload session for PATH, which replaces unless ITEM says otherwise."""
        answer = self.open_session(path, {"@microsoft.graph.conflictBehavior": "replace", **(item or {})})
        return str(answer.json()["uploadUrl"])

    def send_part(self, url: str, content: bytes, *, first: int, total: int, **headers: str) -> requests.Response:
        """The answer to a fragment that holds CONTENT from byte FIRST on."""
        span = f"bytes {first}-{first + len(content) - 1}/{total}"
        return self.bare("PUT", url, data=content, headers={"Content-Range": span, **headers})

    def _token(self) -> str:
        return str(self.ask_for_token().json()["access_token"])


def encoded(path: str) -> str:
    """PATH with each name percent-encoded."""
    return "/".join(quote(name, safe="") for name in path.split("/"))


def code(answer: requests.Response) -> str:
    """The error code of ANSWER."""
    return str(answer.json()["error"]["code"])


def inner_code(answer: requests.Response) -> str:
    """The inner error code of ANSWER, which Graph and SharePoint spell differently."""
    error = answer.json()["error"]
    return str((error.get("innerError") or error.get("innererror")).get("code"))
