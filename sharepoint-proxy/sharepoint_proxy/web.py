"""The webhook: checks the sender, records the events, waits for their outcome as long as that holds nobody up, answers.

MinIO delivers one event at a time from its queue directory, so waiting while it has a backlog would make the mirror serial.
Two signs of a backlog: the event is old, or it comes right after the previous answer (or before it, from a second sender).
"""

import hmac
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Protocol

from flask import Blueprint, Flask, Response, g, jsonify, request
from werkzeug.exceptions import MethodNotAllowed, RequestEntityTooLarge

from sharepoint_proxy import events
from sharepoint_proxy.errors import BadEventError, JournalError
from sharepoint_proxy.events import Kind, ObjectEvent, Rejection
from sharepoint_proxy.records import Outcome, State
from sharepoint_proxy.waiting import Name, Ticket, WaitingRoom

_log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024
_JOURNAL_RETRY_SECONDS = 5
_RIGHT_AFTER_SECONDS = 0.1


class Journal(Protocol):
    """Where events are recorded."""

    def mark(self, events: Sequence[ObjectEvent]) -> list[int]: ...
    def reject(self, reasons: Sequence[str], *, body: bytes) -> None: ...


class Routing(Protocol):
    """Says which keys are mirrored."""

    def is_routed(self, bucket: str, key: str) -> bool: ...


class Metrics(Protocol):
    """Counts the webhook's answers, and has a page that a monitoring system reads."""

    @property
    def content_type(self) -> str: ...
    def answered(self, kinds: Sequence[str], *, status: int, seconds: float) -> None: ...
    def page(self) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What the webhook needs: who may post, where events go, and for how many seconds an answer may wait."""

    secrets: Callable[[], Sequence[str]]
    routing: Routing
    journal: Journal
    room: WaitingRoom
    wake: Callable[[], None]
    not_ready: Callable[[], Sequence[str]]
    sync_wait_seconds: float
    sync_max_lag_seconds: float
    metrics: Metrics | None = None


def create_app(intake: Intake, *, pages: Sequence[Blueprint] = ()) -> Flask:
    """The WSGI application over INTAKE, with PAGES beside it."""
    app = Flask("sharepoint_proxy", static_folder=None)
    # One byte more than is allowed: werkzeug cuts a chunked body at its limit without a word, and the length then tells.
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES + 1
    webhook = Webhook(intake)
    app.add_url_rule("/s3event", view_func=webhook.receive, methods=["POST"], provide_automatic_options=False)
    app.add_url_rule("/health", view_func=_health)
    app.add_url_rule("/ready", view_func=lambda: _ready(intake.not_ready()))
    if intake.metrics is not None:
        _measure(app, intake.metrics)
    for page in pages:
        app.register_blueprint(page)
    app.register_error_handler(JournalError, _journal_failed)
    app.register_error_handler(HTTPStatus.NOT_FOUND, lambda _: _problem(HTTPStatus.NOT_FOUND, "There is nothing here."))
    app.register_error_handler(MethodNotAllowed, _method_not_allowed)
    app.register_error_handler(RequestEntityTooLarge, _too_large)
    return app


def _measure(app: Flask, metrics: Metrics) -> None:
    """Show METRICS at /metrics, to anybody; they are told how each request to the webhook is answered, by whichever way."""

    def arrived() -> None:
        g.arrived, g.kinds = time.monotonic(), ()

    def answered(response: Response) -> Response:
        if request.path == "/s3event":
            metrics.answered(g.kinds, status=response.status_code, seconds=time.monotonic() - g.arrived)
        return response

    def page() -> Response:
        return Response(metrics.page(), content_type=metrics.content_type)

    app.before_request(arrived)
    app.after_request(answered)
    app.add_url_rule("/metrics", view_func=page)


class Webhook:
    """POST /s3event."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._answered_at = float("-inf")

    def receive(self) -> Response:
        """Answer one request; a 2xx means that its events are on disk."""
        arrived = time.monotonic()
        if (refusal := self._refusal()) is not None:
            return refusal
        body = request.get_data()
        if len(body) > MAX_BODY_BYTES:
            raise RequestEntityTooLarge
        try:
            parsed = events.parse(body)
        except BadEventError as error:
            return _problem(HTTPStatus.BAD_REQUEST, str(error))
        g.kinds = [_kind(record) for record in parsed]
        self._record_rejections(parsed, body)
        wanted = [event for event in parsed if isinstance(event, ObjectEvent) and self._is_wanted(event)]
        response = self._answer(wanted, arrived)
        self._answered_at = time.monotonic()
        return response

    def _refusal(self) -> Response | None:
        """Why the sender may not post, if so; all secrets are compared whole, so that the time taken tells nothing."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            refusal = _problem(HTTPStatus.UNAUTHORIZED, "Send the header Authorization: Bearer WEBHOOK_SECRET.")
            refusal.headers["WWW-Authenticate"] = "Bearer"
            return refusal
        given = token.strip().encode("utf-8", "surrogateescape")
        matches = [hmac.compare_digest(given, secret.encode()) for secret in self._intake.secrets()]
        return None if any(matches) else _problem(HTTPStatus.FORBIDDEN, "The bearer token is not WEBHOOK_SECRET.")

    def _record_rejections(self, parsed: Sequence[ObjectEvent | Rejection], body: bytes) -> None:
        reasons = [record.reason for record in parsed if isinstance(record, Rejection)]
        if reasons:
            self._intake.journal.reject(reasons, body=body)
            _log.warning("rejected", extra={"reason": reasons[0], "records": len(reasons)})

    def _is_wanted(self, event: ObjectEvent) -> bool:
        return event.kind is not Kind.OTHER and self._intake.routing.is_routed(event.bucket, event.key)

    def _answer(self, wanted: Sequence[ObjectEvent], arrived: float) -> Response:
        if not wanted:
            return _no_content()
        with self._intake.room.ticket([(event.bucket, event.key) for event in wanted]) as ticket:
            marked = self._intake.journal.mark(wanted)
            self._intake.wake()
            generations = {(event.bucket, event.key): at for event, at in zip(wanted, marked, strict=True)}
            if ticket is None:
                return _accepted(dict.fromkeys(generations))
            if not self._has_backlog(wanted, arrived):
                self._intake.room.wait(ticket, generations, seconds=self._intake.sync_wait_seconds)
            return _told(ticket, generations)

    def _has_backlog(self, wanted: Sequence[ObjectEvent], arrived: float) -> bool:
        """True when waiting would hold up what the sender has still to send."""
        if arrived - self._answered_at < _RIGHT_AFTER_SECONDS:
            return True
        now = datetime.now(UTC)
        ages = [(now - event.at).total_seconds() for event in wanted if event.at is not None]
        return max(ages, default=0.0) > self._intake.sync_max_lag_seconds


def _kind(record: ObjectEvent | Rejection) -> str:
    return record.kind.value if isinstance(record, ObjectEvent) else "rejected"


def _told(ticket: Ticket, generations: dict[Name, int]) -> Response:
    """204 when everything is settled, or parked for good; otherwise 202 and where each key stands."""
    outcomes = {name: ticket.outcome(name, at) for name, at in generations.items()}
    if all(outcome is not None and outcome.state is not State.WAITING for outcome in outcomes.values()):
        return _no_content()
    return _accepted(outcomes)


def _accepted(outcomes: dict[Name, Outcome | None]) -> Response:
    records = [_record(name, outcome) for name, outcome in outcomes.items()]
    response = jsonify({"records": records})
    response.status_code = HTTPStatus.ACCEPTED
    return response


def _record(name: Name, outcome: Outcome | None) -> dict[str, Any]:
    bucket, key = name
    if outcome is None:
        return {"bucket": bucket, "key": key, "state": State.WAITING.value, "reason": "Recorded; its turn comes."}
    return {"bucket": bucket, "key": key, "state": outcome.state.value, "reason": outcome.reason}


def _health() -> Response:
    """Liveness: says that the process answers, and asks nobody else."""
    return jsonify({"service": "sharepoint-proxy", "status": "ok"})


def _ready(reasons: Sequence[str]) -> Response:
    """Readiness: 503 with the reasons while events are kept but cannot be mirrored."""
    response = jsonify({"service": "sharepoint-proxy", "ready": not reasons, "reasons": list(reasons)})
    response.status_code = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
    return response


def _no_content() -> Response:
    return Response(status=HTTPStatus.NO_CONTENT)


def _problem(status: HTTPStatus, message: str) -> Response:
    response = jsonify({"error": message})
    response.status_code = status
    return response


def _method_not_allowed(error: MethodNotAllowed) -> Response:
    allowed = ", ".join(sorted(error.valid_methods or ()))
    response = _problem(HTTPStatus.METHOD_NOT_ALLOWED, f"Use {allowed} for {request.path}.")
    response.headers["Allow"] = allowed
    return response


def _too_large(_: Exception) -> Response:
    return _problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A body has at most {MAX_BODY_BYTES} bytes.")


def _journal_failed(error: Exception) -> Response:
    """503: MinIO keeps the event and sends it again."""
    _log.error("journal_failed", extra={"reason": str(error)})
    response = _problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
    response.headers["Retry-After"] = str(_JOURNAL_RETRY_SECONDS)
    return response
