"""The access token for Graph: one for all threads, fetched by MSAL with the application's certificate. The only importer of msal."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import msal

from sharepoint_proxy.errors import OutageError, Subject

_TIMEOUT_SECONDS = 30
_RENEW_BEFORE_SECONDS = 300.0
_RENEW_BEFORE_SHARE = 0.2
_RENEW_AGAIN_SECONDS = 15.0
_CLOCKS_AGREE = timedelta(minutes=4)
"""Entra ID allows five minutes."""


class Credential(Protocol):
    """The certificate and its key, as text."""

    @property
    def certificate_pem(self) -> str: ...
    @property
    def private_key_pem(self) -> str: ...


@dataclass(frozen=True, slots=True)
class _Token:
    value: str = field(repr=False)
    renew_at: float
    ends_at: float


class Tokens:
    """Hands out the current token; fetches a new one in good time, one thread at a time.

    MSAL guards its cache against corruption but not against several threads fetching at once, and holds a token of under five
    minutes for expired; so the token in use is kept here. CREDENTIAL gives the one of the moment, as files are replaced. CLOCK is
    monotonic, in seconds.
    """

    def __init__(
        self,
        *,
        client_id: str,
        authority: str,
        known_authority: bool,
        scope: str,
        credential: Callable[[], Credential],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client_id = client_id
        self._authority = authority
        self._known_authority = known_authority
        self._scope = scope
        self._credential = credential
        self._clock = clock
        self._fetching = threading.Lock()
        self._token: _Token | None = None

    def current(self) -> str:
        """A token that is valid now; OutageError, saying what Entra ID answered, when none can be had."""
        token = self._token
        if token is not None and self._clock() < min(token.renew_at, token.ends_at):
            return token.value
        with self._fetching:
            return self._renewed().value

    def drop(self, value: str) -> None:
        """Forget the token VALUE, which Graph refused; a newer one that another thread fetched meanwhile stays."""
        with self._fetching:
            if self._token is not None and self._token.value == value:
                self._token = None

    def _renewed(self) -> _Token:
        token = self._token
        if token is not None and self._clock() < min(token.renew_at, token.ends_at):
            return token
        try:
            self._token = self._fetch()
        except OutageError:
            if token is None or self._clock() >= token.ends_at:
                raise
            # Renewal is early: while Entra ID is away the old token still does.
            self._token = replace(token, renew_at=self._clock() + _RENEW_AGAIN_SECONDS)
        return self._token

    def _fetch(self) -> _Token:
        try:
            answer = self._application().acquire_token_for_client(scopes=[self._scope])
        # MSAL lets the errors of requests, ValueError (authority not found) and its own through; all mean "not now".
        except Exception as error:
            sentence = f"No token: {self._authority} cannot be used ({type(error).__name__})."
            raise OutageError(sentence, subject=Subject.TOKEN) from error
        if "access_token" not in answer:
            raise OutageError(f"No token: {_advice(answer)}{_clock_note(answer)}", subject=Subject.TOKEN)
        return self._kept(answer)

    def _application(self) -> Any:
        """MSAL's application object, a new one for each token; building it asks the authority for its endpoints.

        What it remembers, tokens and signed assertions, it judges by the time of day: set back by an hour, it would show an
        assertion for an hour that Entra ID holds for expired.
        """
        credential = self._credential()
        return msal.ConfidentialClientApplication(
            self._client_id,
            authority=self._authority,
            # Without a SHA-1 thumbprint MSAL signs with PS256 and names the certificate by its SHA-256 (x5t#S256).
            client_credential={
                "private_key": credential.private_key_pem,
                "public_certificate": credential.certificate_pem,
            },
            instance_discovery=None if self._known_authority else False,
            timeout=_TIMEOUT_SECONDS,
        )

    def _kept(self, answer: dict[str, Any]) -> _Token:
        lifetime = float(answer.get("expires_in", 0))
        before_end = min(_RENEW_BEFORE_SECONDS, lifetime * _RENEW_BEFORE_SHARE)
        now = self._clock()
        return _Token(value=answer["access_token"], renew_at=now + lifetime - before_end, ends_at=now + lifetime)


def _advice(answer: dict[str, Any]) -> str:
    """Entra ID's own first line ("AADSTS700027: ..."), which names the cause; it holds no secret."""
    description = str(answer.get("error_description") or answer.get("error") or "no reason given")
    return f"Entra ID answered: {description.splitlines()[0]}"


def _clock_note(answer: dict[str, Any]) -> str:
    """What to add where Entra ID's time and this machine's are far apart: it refuses what is signed here then (AADSTS700024)."""
    try:
        apart = abs(datetime.now(UTC) - datetime.fromisoformat(str(answer.get("timestamp"))))
    except (TypeError, ValueError):
        return ""
    if apart < _CLOCKS_AGREE:
        return ""
    return (
        f" This machine's clock and Entra ID's are {round(apart / timedelta(minutes=1))} minutes apart: set it right."
    )
