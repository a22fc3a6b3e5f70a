"""Requests to Microsoft Graph and to the upload and download URLs it gives out. The only importer of requests.

Knows tokens, throttling and what each status asks of the caller; knows nothing of files. Every thread keeps the pause that any
thread was asked for.
"""

import re
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from sharepoint_proxy import __version__
from sharepoint_proxy.backoff import PAUSE_WITHOUT_ADVICE_SECONDS, http_date, retry_after
from sharepoint_proxy.errors import (
    AccessError,
    GatewayError,
    LockedError,
    OutageError,
    PermanentError,
    ProxyError,
    StoppingError,
    Subject,
    ThrottledError,
    TransientError,
)
from sharepoint_proxy.records import Answer

USER_AGENT = f"NONISV|sharepoint-proxy|sharepoint-proxy/{__version__}"
"""The form that Microsoft asks of programs, so that its throttling can tell them apart."""

_CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0
_SLOWEST_BYTES_PER_SECOND = 100_000
"""An answer may take a minute, and longer the more was sent."""

_ANSWER_PIECE_BYTES = 64 * 1024
_NO_CONNECTION = frozenset(
    {
        *("ConnectTimeoutError", "NameResolutionError", "NewConnectionError", "ProxyError"),
        *("SSLCertVerificationError", "SSLError"),
    }
)
"""The kinds of failure, of urllib3 and ssl, after which nothing was sent at all."""
_MESSAGE_CHARACTERS = 300
_QUOTA_RETRY_SECONDS = 900.0
_BYTES_FOLLOW = frozenset({HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT})
_ANY_BYTES = {"Accept": "*/*", "Accept-Encoding": "identity"}
"""The bytes as they are stored: what was compressed on the way could not be counted, nor gone on with in its middle."""

_READ_COST = 1
_COST = 2
_URL = re.compile(r"https?://\S+")


class Tokens(Protocol):
    """Where the bearer token comes from."""

    def current(self) -> str: ...
    def drop(self, value: str) -> None: ...


class Throttle(Protocol):
    """What all threads share to stay good guests; costs in resource units, times in seconds."""

    def wait(self, cost: int) -> bool: ...
    def answered(self, cost: int) -> None: ...
    def refused(self, seconds: float) -> None: ...
    def advised(self, *, remaining: int, reset_seconds: float) -> None: ...


class Body(Protocol):
    """A request body of known length (bytes), sent piece by piece; each iteration starts it afresh."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class _Request:
    """A request to make; COST in resource units (Microsoft: reading one item 1, writing and listing 2)."""

    method: str
    url: str = field(repr=False)
    path: str
    json: Mapping[str, Any] | None = None
    body: Body | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cost: int = 0
    is_download: bool = False


class Graph:
    """One HTTP client for all threads.

    `call` and `call_upload_url` return answers whose status is in `accept` and raise for all others: PermanentError, or a
    TransientError that says of what kind it is; StoppingError when the service stops during a pause. An answer may take
    ANSWER_SECONDS, and longer the more was sent. ANSWERED is told the method, path and status of each request: "upload" and
    "download" are the paths of all such URLs, and 0 the status where no answer came.
    PACED may slow a body down.
    """

    def __init__(
        self,
        *,
        base_url: str,
        tokens: Tokens,
        throttle: Throttle,
        connections: int,
        answer_seconds: float = ANSWER_SECONDS,
        answered: Callable[[str, str, int], None] = lambda _method, _path, _status: None,
        paced: Callable[[Body], Body] = lambda body: body,
    ) -> None:
        self._base_url = base_url
        self._tokens = tokens
        self._throttle = throttle
        self._answer_seconds = answer_seconds
        self._answered = answered
        self._paced = paced
        self._session = _session(connections)

    def call(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (HTTPStatus.OK,),
    ) -> Answer:
        """One call to Graph at PATH below the base URL, or at a whole URL that Graph gave (a next page).

        After a 401 the token is renewed and the call made once more, with the body from its beginning.
        """
        url = path if path.startswith("https://") else self._base_url + path
        cost = _READ_COST if method == "GET" else _COST
        request = _Request(method, url, urlsplit(path).path, json=json, body=body, headers=headers or {}, cost=cost)
        return self._judged(self._send_with_token(request), accept)

    def call_upload_url(
        self,
        method: str,
        url: str,
        *,
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (HTTPStatus.OK,),
    ) -> Answer:
        """One request to an upload URL, which carries its own secret: a bearer token sent along is answered 401."""
        # Microsoft states no cost for upload URLs: they keep the pause, but no pace.
        request = _Request(method, url, "upload", body=body, headers=headers or {})
        return self._judged(self._send(request, None), accept)

    @contextmanager
    def download(self, path: str, *, offset: int = 0) -> Iterator[Iterator[bytes]]:
        """The bytes of the file whose content is at PATH below the base URL, from OFFSET (bytes) on, in pieces as they arrive.

        Graph answers with a URL that carries its own secret and lives for an hour at most, so each download asks for a fresh one
        (Microsoft's page "driveItem: get content"). The pieces raise TransientError where they break off.
        """
        asked = self._send_with_token(_Request("GET", self._base_url + path, path, cost=_READ_COST))
        self._judged(asked, {HTTPStatus.FOUND})
        wanted = {"Range": f"bytes={offset}-"} if offset else {}
        url = asked.headers.get("Location", "")
        request = _Request("GET", url, "download", headers=_ANY_BYTES | wanted, is_download=True)
        with closing(self._send(request, None)) as response:
            expected = HTTPStatus.PARTIAL_CONTENT if offset else HTTPStatus.OK
            if response.status_code in _BYTES_FOLLOW - {expected}:
                raise TransientError("SharePoint sent another part of the file than it was asked for.")
            if response.status_code == HTTPStatus.UNAUTHORIZED:
                # The URL is its own permission, so that this says nothing of the token.
                raise AccessError("SharePoint refuses the download.", status=response.status_code)
            if response.status_code != expected:
                self._judged(response, ())
            yield _downloaded(response)

    def _send_with_token(self, request: "_Request") -> requests.Response:
        token = self._tokens.current()
        response = self._send(request, token)
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            self._tokens.drop(token)
            response = self._send(request, self._tokens.current())
        return response

    def _send(self, request: "_Request", token: str | None) -> requests.Response:
        if not self._throttle.wait(request.cost):
            raise StoppingError("The service is stopping.")
        try:
            response = self._exchange(request, token)
        except TransientError:
            self._answered(request.method, request.path, 0)
            raise
        finally:
            self._throttle.answered(request.cost)
        self._answered(request.method, request.path, response.status_code)
        self._heed(response.headers)
        return response

    def _exchange(self, request: "_Request", token: str | None) -> requests.Response:
        headers = {"client-request-id": str(uuid.uuid4()), **request.headers}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        seconds = self._answer_seconds + len(request.body or b"") / _SLOWEST_BYTES_PER_SECOND
        try:
            response = self._session.request(
                request.method,
                request.url,
                json=request.json,
                data=self._data(request.body),
                headers=headers,
                timeout=(_CONNECT_SECONDS, seconds),
                allow_redirects=False,
                stream=True,
            )
            if not (request.is_download and response.status_code in _BYTES_FOLLOW):
                _read_within(response, seconds)
        except requests.RequestException as error:
            # The text of the cause holds the URL, which may be a secret: only its kind goes on.
            raise _unreachable(error) from None
        return response

    def _data(self, body: Body | None) -> Body | bytes | None:
        """What requests is to send; it would send a body of length 0 without a Content-Length."""
        if body is None:
            return None
        return self._paced(body) if len(body) else b""

    def _heed(self, headers: Mapping[str, str]) -> None:
        """Keep the pace that Graph advises near its limit; the headers are there only then."""
        remaining, reset_seconds = _number(headers.get("RateLimit-Remaining")), _number(headers.get("RateLimit-Reset"))
        if remaining is not None and reset_seconds is not None:
            self._throttle.advised(remaining=remaining, reset_seconds=float(reset_seconds))

    def _judged(self, response: requests.Response, accept: Collection[int]) -> Answer:
        answer = Answer(response.status_code, _json(response))
        if answer.status in accept:
            return answer
        error = _failure(answer, response.headers)
        if isinstance(error, ThrottledError):
            self._throttle.refused(error.retry_after or PAUSE_WITHOUT_ADVICE_SECONDS)
        raise error


def _read_within(response: requests.Response, seconds: float) -> None:
    """Read the answer whole; one that drips in for longer than SECONDS is no answer."""
    deadline = time.monotonic() + seconds
    pieces = []
    while piece := _next_piece(response):
        pieces.append(piece)
        if time.monotonic() > deadline:
            response.close()
            raise requests.ReadTimeout
    # Where requests keeps what it read by itself.
    response._content = b"".join(pieces)  # noqa: SLF001


def _downloaded(response: requests.Response) -> Iterator[bytes]:
    try:
        while piece := _next_piece(response):
            yield piece
    except requests.RequestException as error:
        raise _unreachable(error) from None


def _next_piece(response: requests.Response) -> bytes:
    """What has arrived; urllib3's errors, which requests translates in its own reading only, as one of requests'."""
    try:
        return bytes(response.raw.read1(_ANSWER_PIECE_BYTES, decode_content=True))
    except Exception as error:  # noqa: BLE001 - nothing but urllib3 runs here
        response.close()
        raise requests.ConnectionError(error) from None


def _unreachable(error: Exception) -> TransientError:
    """An outage where no connection was to be had at all; what broke later may be this request's own trouble."""
    kind = _kind(error)
    sentence = f"Graph cannot be reached, or broke off ({kind})."
    return OutageError(sentence, subject=Subject.GRAPH) if kind in _NO_CONNECTION else TransientError(sentence)


class _Session(requests.Session):
    """Asks the environment for proxies and certificates once for each host: to read it all with each request costs as much as TLS."""

    def __init__(self) -> None:
        super().__init__()
        self._settings: dict[tuple[str, str], Mapping[str, Any]] = {}

    def merge_environment_settings(self, url: Any, *given: Any) -> Any:
        """The settings for URL; what else is GIVEN is the same with each request of this module."""
        address = urlsplit(url)
        host = (address.scheme, address.netloc)
        if host not in self._settings:
            self._settings[host] = super().merge_environment_settings(url, *given)
        return dict(self._settings[host])


def _session(connections: int) -> requests.Session:
    session = _Session()
    # No retry in the adapter: a streamed body cannot be sent twice, and the journal owns the waiting.
    session.mount("https://", HTTPAdapter(pool_connections=4, pool_maxsize=connections, max_retries=0))
    session.headers["User-Agent"] = USER_AGENT
    session.headers["Accept"] = "application/json"
    # With an auth object of its own requests does not add one from ~/.netrc.
    session.auth = lambda request: request
    return session


def _number(header: str | None) -> int | None:
    return int(header) if header is not None and header.isascii() and header.isdigit() else None


def _json(response: requests.Response) -> dict[str, Any]:
    """The body if it is a JSON object: front ends also answer HTML, text or nothing."""
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _kind(error: Exception) -> str:
    """The innermost kind of a network failure ("ConnectionRefusedError"): requests wraps them several deep."""
    inner: BaseException = error
    while isinstance(
        reason := getattr(inner, "reason", None) or (inner.args[0] if inner.args else None), BaseException
    ):
        inner = reason
    return type(inner).__name__


def _failure(answer: Answer, headers: Mapping[str, str]) -> ProxyError:
    """The error for a status that the caller did not ask for."""
    wait = retry_after(headers.get("Retry-After"), now=http_date(headers.get("Date")))
    message = _message(answer, headers)
    status = answer.status
    match status:
        case HTTPStatus.BAD_REQUEST | HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return PermanentError(message, status=status)
        case HTTPStatus.UNAUTHORIZED:
            return OutageError(message, subject=Subject.TOKEN, status=status)
        case HTTPStatus.LOCKED:
            return LockedError(message, status=status, retry_after=wait)
        case HTTPStatus.INSUFFICIENT_STORAGE:
            return OutageError(message, subject=Subject.QUOTA, status=status, retry_after=_QUOTA_RETRY_SECONDS)
        case HTTPStatus.FORBIDDEN | HTTPStatus.NOT_FOUND:
            return AccessError(message, status=status)
        case HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.SERVICE_UNAVAILABLE if (
            wait is not None or status == HTTPStatus.TOO_MANY_REQUESTS
        ):
            return ThrottledError(message, status=status, retry_after=wait or PAUSE_WITHOUT_ADVICE_SECONDS)
        case HTTPStatus.BAD_GATEWAY | HTTPStatus.SERVICE_UNAVAILABLE | HTTPStatus.GATEWAY_TIMEOUT:
            return GatewayError(message, status=status, retry_after=wait)
    return TransientError(message, status=status, retry_after=wait)


def _message(answer: Answer, headers: Mapping[str, str]) -> str:
    """What Graph said, without URLs, with the id that Microsoft's support asks for."""
    error = answer.body.get("error")
    text = str(error.get("message", "")) if isinstance(error, dict) else ""
    said = _URL.sub("(URL)", " ".join(text.split()))[:_MESSAGE_CHARACTERS]
    request_id = headers.get("request-id")
    parts = (
        f"Graph answered {answer.status}",
        answer.code,
        said and f'"{said}"',
        request_id and f"request-id {request_id}",
    )
    return " ".join(part for part in parts if part) + "."
