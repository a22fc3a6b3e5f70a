"""Requests to Microsoft Graph and to the upload URLs it gives out. The only importer of requests.

Knows tokens, pauses and what each status asks of the caller; knows nothing of files. Every thread keeps the pause that any
thread was asked for.
"""

import re
import uuid
from collections.abc import Collection, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Protocol

import requests
from requests.adapters import HTTPAdapter

from sharepoint_proxy.backoff import PAUSE_WITHOUT_ADVICE_SECONDS, retry_after
from sharepoint_proxy.errors import (
    LockedError,
    PermanentError,
    ProxyError,
    StoppingError,
    ThrottledError,
    TransientError,
)
from sharepoint_proxy.records import Answer

USER_AGENT = "NONISV|sharepoint-proxy|sharepoint-proxy/0.1.0"
"""The form that Microsoft asks of programs, so that its throttling can tell them apart."""

_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 120.0
_MESSAGE_CHARACTERS = 300
_QUOTA_RETRY_SECONDS = 900.0
_URL = re.compile(r"https?://\S+")


class Tokens(Protocol):
    """Where the bearer token comes from."""

    def current(self) -> str: ...
    def drop(self, value: str) -> None: ...


class Pauses(Protocol):
    """The pause that all threads share, in seconds."""

    def ask(self, seconds: float) -> None: ...
    def wait(self) -> bool: ...


class Body(Protocol):
    """A request body of known length (bytes), sent piece by piece; each iteration starts it afresh."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[bytes]: ...


class Graph:
    """One HTTP client for all threads.

    `call` and `call_upload_url` return answers whose status is in `accept` and raise for all others: ThrottledError, LockedError,
    PermanentError or TransientError, and StoppingError when the service stops during a pause.
    """

    def __init__(self, *, base_url: str, tokens: Tokens, pauses: Pauses, connections: int) -> None:
        self._base_url = base_url
        self._tokens = tokens
        self._pauses = pauses
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
        url = path if path.startswith(self._base_url) else self._base_url + path
        token = self._tokens.current()
        response = self._send(method, url, token=token, json=json, body=body, headers=headers)
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            self._tokens.drop(token)
            response = self._send(method, url, token=self._tokens.current(), json=json, body=body, headers=headers)
        return self._judged(response, accept)

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
        return self._judged(self._send(method, url, token=None, json=None, body=body, headers=headers), accept)

    def _send(
        self,
        method: str,
        url: str,
        *,
        token: str | None,
        json: Mapping[str, Any] | None,
        body: Body | None,
        headers: Mapping[str, str] | None,
    ) -> requests.Response:
        if not self._pauses.wait():
            raise StoppingError("The service is stopping.")
        sent = {"client-request-id": str(uuid.uuid4()), **(headers or {})}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        try:
            return self._session.request(
                method,
                url,
                json=json,
                data=None if body is None else body or b"",
                headers=sent,
                timeout=(_CONNECT_SECONDS, _ANSWER_SECONDS),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            # The text of the cause holds the URL, which may be a secret: only its kind goes on.
            raise TransientError(f"Graph cannot be reached, or broke off ({_kind(error)}).") from None

    def _judged(self, response: requests.Response, accept: Collection[int]) -> Answer:
        answer = Answer(response.status_code, _json(response))
        if answer.status in accept:
            return answer
        error = _failure(answer, response.headers)
        if isinstance(error, ThrottledError):
            self._pauses.ask(error.retry_after or PAUSE_WITHOUT_ADVICE_SECONDS)
        raise error


def _session(connections: int) -> requests.Session:
    session = requests.Session()
    # No retry in the adapter: a streamed body cannot be sent twice, and the journal owns the waiting.
    session.mount("https://", HTTPAdapter(pool_connections=4, pool_maxsize=connections, max_retries=0))
    session.headers["User-Agent"] = USER_AGENT
    session.headers["Accept"] = "application/json"
    # With an auth object of its own requests does not add one from ~/.netrc.
    session.auth = lambda request: request
    return session


def _json(response: requests.Response) -> dict[str, Any]:
    """The body if it is a JSON object: front ends also answer HTML, text or nothing."""
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _kind(error: requests.RequestException) -> str:
    """The innermost kind of a network failure ("ConnectionRefusedError"): requests wraps them several deep."""
    inner: BaseException = error
    while isinstance(
        reason := getattr(inner, "reason", None) or (inner.args[0] if inner.args else None), BaseException
    ):
        inner = reason
    return type(inner).__name__


def _failure(answer: Answer, headers: Mapping[str, str]) -> ProxyError:
    """The error for a status that the caller did not ask for."""
    wait = retry_after(headers.get("Retry-After"))
    message = _message(answer, headers)
    status = answer.status
    match status:
        case HTTPStatus.BAD_REQUEST | HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return PermanentError(message, status=status)
        case HTTPStatus.LOCKED:
            return LockedError(message, status=status, retry_after=wait)
        case HTTPStatus.INSUFFICIENT_STORAGE:
            return TransientError(message, status=status, retry_after=_QUOTA_RETRY_SECONDS)
        case HTTPStatus.TOO_MANY_REQUESTS:
            return ThrottledError(message, status=status, retry_after=wait or PAUSE_WITHOUT_ADVICE_SECONDS)
        case HTTPStatus.SERVICE_UNAVAILABLE if wait is not None:
            return ThrottledError(message, status=status, retry_after=wait)
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
