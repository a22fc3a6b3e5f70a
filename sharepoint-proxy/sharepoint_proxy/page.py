"""The status page: what the service does, for a person with the password; the same as JSON, for programs.

It asks nobody but this process and its journal, so it also answers while Graph and MinIO are away. The script of the page fetches the page
itself again and again, so there is one template and nothing that only the script knows.
"""

import hmac
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import quote, unquote

from flask import Blueprint, Response, jsonify, make_response, redirect, render_template, request

from sharepoint_proxy import chart
from sharepoint_proxy.activity import Snapshot
from sharepoint_proxy.door import CLOSED_SECONDS, Door, Entry
from sharepoint_proxy.errors import JournalError
from sharepoint_proxy.paths import split_library
from sharepoint_proxy.wording import ENGLISH, WORDINGS, Wording

_log = logging.getLogger(__name__)

FEW_DAYS = 30
_SHOWN_DONE = 20
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


class Backlog(Protocol):
    """Where what is parked can be let go."""

    def retry(self, bucket: str, key: str) -> bool: ...
    def retry_all(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the page shows and may do, and who may see it: there is a page for people only if there is a `password`.

    `snapshot` raises JournalError when the journal cannot be read. `secrets` are the webhook's. `places` is how many uploads may run
    at once when Graph has refused none.
    """

    snapshot: Callable[[], Snapshot]
    backlog: Backlog
    wake: Callable[[], None]
    password: str | None
    secrets: Callable[[], tuple[str, ...]]
    places: int


class Level(StrEnum):
    """How it goes, in a word that the style sheet knows."""

    GOOD = "good"
    CAREFUL = "careful"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How it goes, and what to know about that: `reasons` are sentences of the service, `remarks` those of the page."""

    level: Level
    heading: str
    reasons: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def blueprint(desk: Desk) -> Blueprint:
    """The addresses of the page, and of the JSON."""
    page = _Page(desk)
    made = Blueprint("page", __name__, static_folder="static" if desk.password else None)
    made.before_request(page.refusal)
    made.after_request(_guarded)
    made.add_url_rule("/status.json", view_func=page.status)
    if desk.password:
        made.add_url_rule("/", view_func=page.show)
        made.add_url_rule("/retry", view_func=page.retry, methods=["POST"])
        made.add_url_rule("/retry-all", view_func=page.retry_all, methods=["POST"])
    return made


class _Page:
    """The views."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._door = Door(desk.password) if desk.password else None

    def refusal(self) -> Response | None:
        """Why this request is not answered, if so; asked before each."""
        given = request.authorization
        if given is None:
            return self._challenge()
        if given.type == "basic" and self._door is not None:
            return self._tried(self._door, given.password or "") or self._foreign(self._door)
        if given.type == "bearer" and given.token and request.endpoint == "page.status":
            matches = [hmac.compare_digest(given.token.encode(), secret.encode()) for secret in self._desk.secrets()]
            return None if any(matches) else _refused(HTTPStatus.FORBIDDEN, "The bearer token is not WEBHOOK_SECRET.")
        return self._challenge()

    def show(self) -> Response:
        """The page; 503 with what can be said when the journal cannot be read."""
        try:
            return self._rendered(self._desk.snapshot())
        except JournalError as error:
            return self._broken(error)

    def status(self) -> Response:
        """The snapshot as JSON."""
        return jsonify(self._desk.snapshot().as_json())

    def retry(self) -> Response:
        """Look at the parked object that the form names again."""
        # Percent-encoded, because a browser would send other line breaks than it was given.
        bucket, _, key = unquote(request.form.get("object", "")).partition("/")
        return self._retried(lambda: self._desk.backlog.retry(bucket, key))

    def retry_all(self) -> Response:
        """Look at everything that is parked again."""
        return self._retried(self._desk.backlog.retry_all)

    def _retried(self, order: Callable[[], int]) -> Response:
        try:
            order()
        except JournalError as error:
            return self._broken(error)
        self._desk.wake()
        # Relative, as all addresses of the page are: it may stand in a folder of a reverse proxy.
        return make_response(redirect("./", HTTPStatus.SEE_OTHER))

    def _tried(self, door: Door, password: str) -> Response | None:
        match door.try_password(password, address=request.remote_addr or ""):
            case Entry.OPEN:
                return None
            case Entry.CLOSED:
                refusal = _refused(HTTPStatus.TOO_MANY_REQUESTS, _wording().too_many_tries)
                refusal.headers["Retry-After"] = str(int(CLOSED_SECONDS))
                return refusal
        _log.warning("wrong_password", extra={"address": request.remote_addr})
        return self._challenge()

    def _foreign(self, door: Door) -> Response | None:
        """A refusal of what another site makes a browser post with the password that the browser keeps."""
        if request.method != "POST" or (_is_from_here() and door.knows(request.form.get("token", ""))):
            return None
        return _refused(HTTPStatus.FORBIDDEN, _wording().not_from_here)

    def _challenge(self) -> Response:
        if self._door is None:
            refusal = _refused(HTTPStatus.UNAUTHORIZED, "Send the header Authorization: Bearer WEBHOOK_SECRET.")
            refusal.headers["WWW-Authenticate"] = "Bearer"
            return refusal
        refusal = _refused(HTTPStatus.UNAUTHORIZED, _wording().how_to_enter)
        refusal.headers["WWW-Authenticate"] = 'Basic realm="sharepoint-proxy", charset="UTF-8"'
        return refusal

    def _rendered(self, snapshot: Snapshot) -> Response:
        wording = _wording()
        return self._page(
            wording,
            _verdict(snapshot, wording),
            snapshot=snapshot,
            link=partial(_link, snapshot),
            days_left=_days_left(snapshot),
            few_days=FEW_DAYS,
            places=self._desk.places,
            waiting=[change for change in snapshot.waiting if not change.is_working],
            done=snapshot.done[:_SHOWN_DONE],
            # An empty file counts as one byte, so that it shows.
            chart=chart.draw([minute.bytes + minute.files for minute in snapshot.minutes]),
        )

    def _broken(self, error: JournalError) -> Response:
        wording = _wording()
        verdict = Verdict(
            level=Level.BAD, heading=wording.bad, reasons=(str(error),), remarks=(wording.journal_unreadable,)
        )
        response = self._page(wording, verdict, snapshot=None)
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return response

    def _page(self, wording: Wording, verdict: Verdict, **values: Any) -> Response:
        token = self._door.token if self._door is not None else ""
        response = make_response(render_template("page.html", w=wording, verdict=verdict, token=token, **values))
        response.headers["Vary"] = "Accept-Language"
        return response


def _verdict(snapshot: Snapshot, wording: Wording) -> Verdict:
    if snapshot.reasons:
        return Verdict(level=Level.BAD, heading=wording.bad, reasons=snapshot.reasons, remarks=(wording.nothing_lost,))
    failed = snapshot.reconciled.error if snapshot.reconciled is not None else ""
    remarks = (*_remarks(snapshot, wording), *([wording.comparison_failed] if failed else []))
    if remarks:
        reasons = (failed,) if failed else ()
        return Verdict(level=Level.CAREFUL, heading=wording.careful, reasons=reasons, remarks=remarks)
    is_at_work = snapshot.counts.working or snapshot.counts.waiting
    remark = wording.at_work if is_at_work else wording.all_mirrored
    return Verdict(level=Level.GOOD, heading=wording.good, remarks=(remark,))


def _remarks(snapshot: Snapshot, wording: Wording) -> Iterator[str]:
    """What a person should look at although it works."""
    if snapshot.counts.parked:
        yield wording.parked_objects(snapshot.counts.parked)
    if snapshot.paused_seconds:
        yield wording.pause_asked
    days = _days_left(snapshot)
    if days < 0:
        yield wording.certificate_ended
    elif days < FEW_DAYS:
        yield wording.certificate_ends.format(days=wording.days.format(count=days))


def _days_left(snapshot: Snapshot) -> int:
    """Whole days until the certificate ends, negative after that."""
    return (snapshot.certificate_ends_at - datetime.fromtimestamp(snapshot.at, UTC)).days


def _link(snapshot: Snapshot, path: str = "") -> str:
    """Where a browser finds the library, or the item at PATH, an Office document opened in it; "" while the library is not known."""
    alias, rest = split_library(path)
    url = snapshot.library_urls.get(alias, "") if alias else snapshot.library_url
    if not url.startswith("https://"):
        return ""
    return f"{url}/{quote(rest)}?web=1" if rest else url


def _wording() -> Wording:
    """The language that the browser prefers, of those that there are."""
    language = request.accept_languages.best_match(WORDINGS, default=ENGLISH.language)
    return WORDINGS[language or ENGLISH.language]


def _is_from_here() -> bool:
    """What the browser says of the page that sent the request; without a word of it the form's token alone decides.

    Sec-Fetch-Site (W3C, "Fetch Metadata Request Headers") is sent to HTTPS and to localhost. Origin is "null" under our own Referrer-Policy
    (WHATWG, "Fetch": a request's Origin header).
    """
    if site := request.headers.get("Sec-Fetch-Site"):
        return site == "same-origin"
    origin = request.headers.get("Origin", "null")
    return origin == "null" or origin.partition("://")[2] == request.host


def _refused(status: HTTPStatus, sentence: str) -> Response:
    """Plain for a person, JSON for a program."""
    if request.endpoint == "page.status":
        response = jsonify({"error": sentence})
        response.status_code = status
        return response
    return Response(f"{sentence}\n", status, mimetype="text/plain")


def _guarded(response: Response) -> Response:
    """RESPONSE with what keeps browsers from keeping, framing, guessing and running anything else."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Security-Policy"] = _CONTENT_SECURITY_POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
