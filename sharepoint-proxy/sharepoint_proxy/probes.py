"""Looks at what lies around the service, by the standard library alone: names, TLS, clocks, the local webhook, the disk.

It goes the way that the service's own clients go: through the web proxy and with the authorities that the environment names.
"""

import base64
import http.client
import json
import shutil
import socket
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import proxy_bypass

_CONNECT_SECONDS = 10.0
_ANSWER_BYTES = 256 * 1024
_PROXY_VARIABLES = ("https_proxy", "all_proxy")
_PROXY_PORT = 80
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebProxy:
    """The web proxy that VARIABLE names; PROBLEM says why none can be asked there, if so. It never shows its password."""

    variable: str
    host: str
    port: int
    problem: str = ""
    authorization: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """What a host answered over TLS, whose certificate was found good; DATE is by its clock, AT by ours."""

    protocol: str
    issuer: str
    status: int
    body: bytes
    at: datetime
    date: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the local service answered; DOCUMENT is empty where it was no JSON object."""

    status: int
    document: dict[str, Any]


def web_proxy(host: str, variables: Mapping[str, str]) -> WebProxy | None:
    """The web proxy between us and HOST, as requests chooses it."""
    exempt = variables.get("no_proxy") or variables.get("NO_PROXY") or ""
    if exempt and proxy_bypass(host, {"no": exempt}):
        return None
    # Its twin in small letters counts before a variable, even when it is empty.
    names = [name if name in variables else name.upper() for name in _PROXY_VARIABLES]
    variable = next((name for name in names if variables.get(name)), None)
    return _read_proxy(variable, variables[variable]) if variable else None


def resolve(host: str) -> tuple[str, ...]:
    """The addresses of HOST; OSError when it has none."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def greet(url: str, *, proxy: WebProxy | None, authorities: str) -> Greeting:
    """The answer to a GET of URL; OSError when there is no connection, or none that can be trusted.

    AUTHORITIES is a file or folder of certificates.
    """
    connection = _connection(url, proxy, _context(authorities))
    try:
        connection.connect()
        secured: ssl.SSLSocket = connection.sock
        protocol, issuer = secured.version() or "TLS", _issuer(secured.getpeercert() or {})
        connection.request("GET", urlsplit(url).path, headers={"Accept": "application/json"})
        response = connection.getresponse()
        return Greeting(
            protocol=protocol,
            issuer=issuer,
            status=response.status,
            at=datetime.now(UTC),
            date=_date(response.getheader("Date")),
            body=response.read(_ANSWER_BYTES),
        )
    except http.client.HTTPException as error:
        raise ConnectionError(f"what answers there speaks no HTTP ({type(error).__name__})") from error
    finally:
        connection.close()


def ask_service(
    method: str, path: str, *, port: int, seconds: float, token: str = "", document: object = None
) -> Reply:
    """The answer of what listens on PORT of this machine; OSError when nothing does, or nothing that speaks HTTP.

    A web proxy is never asked.
    """
    connection = http.client.HTTPConnection(_LOOPBACK, port, timeout=seconds)
    body = None if document is None else json.dumps(document)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return Reply(status=response.status, document=_document(response.read(_ANSWER_BYTES)))
    except http.client.HTTPException as error:
        raise ConnectionError(f"what listens there speaks no HTTP ({type(error).__name__})") from error
    finally:
        connection.close()


def free_bytes(folder: Path) -> int:
    """The room on the disk of FOLDER, or of the place where it would be made; OSError when that cannot be told."""
    return shutil.disk_usage(_existing(folder)).free


def write_and_remove(folder: Path) -> None:
    """Make a small file in FOLDER, or where it would be made, and remove it; OSError when that is refused."""
    with tempfile.NamedTemporaryFile(dir=_existing(folder), prefix="sharepoint-proxy-check-") as file:
        file.write(b"x")
        file.flush()


def _read_proxy(variable: str, text: str) -> WebProxy:
    url = urlsplit(text if "://" in text else f"http://{text}")
    try:
        host, port = url.hostname or "", url.port or _PROXY_PORT
    except ValueError:
        host, port = "", _PROXY_PORT
    problem = ""
    if not host:
        problem = "it names no host: write http://host:port"
    elif url.scheme != "http":
        problem = f"it is reached by {url.scheme}: this check can only go through one that begins with http://"
    authorization = f"{unquote(url.username)}:{unquote(url.password or '')}" if url.username else None
    return WebProxy(variable=variable, host=host, port=port, problem=problem, authorization=authorization)


def _context(authorities: str) -> ssl.SSLContext:
    is_folder = Path(authorities).is_dir()
    return ssl.create_default_context(
        cafile=None if is_folder else authorities, capath=authorities if is_folder else None
    )


def _connection(url: str, proxy: WebProxy | None, context: ssl.SSLContext) -> http.client.HTTPSConnection:
    target = urlsplit(url)
    host, port = target.hostname or "", target.port or http.client.HTTPS_PORT
    if proxy is None:
        return http.client.HTTPSConnection(host, port, timeout=_CONNECT_SECONDS, context=context)
    connection = http.client.HTTPSConnection(proxy.host, proxy.port, timeout=_CONNECT_SECONDS, context=context)
    headers = {}
    if proxy.authorization is not None:
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(proxy.authorization.encode()).decode()}"
    connection.set_tunnel(host, port, headers)
    return connection


def _issuer(certificate: Mapping[str, Any]) -> str:
    """Who signed a certificate, as `SSLSocket.getpeercert` tells it."""
    names = {name: value for part in certificate.get("issuer", ()) for name, value in part}
    return str(names.get("organizationName") or names.get("commonName") or "somebody without a name")


def _date(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _existing(folder: Path) -> Path:
    """FOLDER, or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())
