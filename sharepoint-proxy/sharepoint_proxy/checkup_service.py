"""The check-up's steps at home: the running service, its webhook, the journal and the disk under it."""

from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol

from sharepoint_proxy.errors import JournalDamagedError, JournalError
from sharepoint_proxy.findings import Finding, Step

MIB = 1024 * 1024
_LEAST_BYTES = 100 * MIB
_COMFORTABLE_BYTES = 1024 * MIB

_START_ADVICE = (
    "Start it (`docker compose up -d sharepoint-proxy`, or scripts/serve) and check again. In Docker the check must run where the"
    " service does: `docker compose exec sharepoint-proxy sharepoint-proxy check`."
)
_PORT_ADVICE = "Another program has this port: correct PORT, or stop that program."
_REFUSED_ADVICE = (
    "The running service has another WEBHOOK_SECRET than this check was given: start the service again after a change, and let"
    " MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_SHAREPOINT of MinIO be the same."
)
_LOG_ADVICE = "See the service's log (`docker compose logs sharepoint-proxy`), and GET /ready."
_DAMAGED_ADVICE = (
    "Start the service again: it keeps the damaged file under another name, begins a new one, and says what to do then."
)
_DISK_ADVICE = (
    "Make room on the disk of DATA_DIR: while it is full, events are refused, and wait in MinIO's queue directory."
)


class Reply(Protocol):
    """What the service answered; DOCUMENT is empty where that was no JSON object."""

    @property
    def status(self) -> int: ...
    @property
    def document(self) -> dict[str, Any]: ...


def service_step(port: int) -> Step:
    """The step that looks for the running service."""
    return Step("service", f"GET http://127.0.0.1:{port}/ready")


def service_finding(step: Step, ask: Callable[[], Reply]) -> tuple[Finding, bool]:
    """Whether the service runs and is ready, by ASK, which raises OSError; and whether it is the service that answers there."""
    try:
        reply = ask()
    except ConnectionRefusedError:
        return step.failed("nothing listens there: the service is not running", advice=_START_ADVICE), False
    except OSError as error:
        return step.failed(f"no answer: {error.strerror or error}", advice=f"{_START_ADVICE} {_PORT_ADVICE}"), False
    if "ready" not in reply.document:
        return step.failed(f"what answers there ({reply.status}) is not sharepoint-proxy", advice=_PORT_ADVICE), False
    if reply.status == HTTPStatus.OK:
        return step.ok("it runs and is ready"), True
    reasons = " ".join(map(str, reply.document.get("reasons") or ["no reason given"]))
    return step.failed(f"it runs but is not ready: {reasons}", advice=_LOG_ADVICE), True


def webhook_step(port: int, name: str) -> Step:
    """The step that posts an event about the object NAME ("bucket/key")."""
    return Step("webhook", f"POST http://127.0.0.1:{port}/s3event with an event about {name}, which does not exist")


def webhook_finding(step: Step, post: Callable[[], Reply], *, waits: bool) -> Finding:
    """What came of POST, which raises OSError; WAITS is false where no answer waits for its outcome."""
    try:
        reply = post()
    except OSError as error:
        return step.failed(f"no answer: {error.strerror or error}", advice=_LOG_ADVICE)
    match reply.status:
        case HTTPStatus.NO_CONTENT:
            return step.ok("204: recorded, looked for in MinIO, settled")
        case HTTPStatus.ACCEPTED if not waits:
            return step.ok("202: recorded; with SYNC_WAIT_SECONDS=0 no answer says more")
        case HTTPStatus.ACCEPTED:
            found = f"202: recorded, but not settled yet ({_reason(reply)})"
            return step.warning(found, advice=f"A busy service answers so. If it stays so: {_LOG_ADVICE}")
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return step.failed(f"{reply.status}: the service does not take this WEBHOOK_SECRET", advice=_REFUSED_ADVICE)
    said = reply.document.get("error") or "no reason given"
    return step.failed(f"{reply.status}: {said}", advice=_LOG_ADVICE)


def journal_finding(write: Callable[[], bool], *, folder: Path, uid: int) -> Finding:
    """What came of WRITE, which raises OSError or JournalError; it is false where no journal is yet, but one can be made in FOLDER."""
    step = Step("journal", f"write to the journal in {folder}")
    advice = (
        f"DATA_DIR {folder} must be a folder on a local disk that uid {uid} may write: `chown -R {uid} {folder}`. In Docker it is the"
        " volume proxy-data, and the service runs as uid 10001."
    )
    try:
        is_there = write()
    except JournalDamagedError as error:
        return step.failed(str(error), advice=_DAMAGED_ADVICE)
    except JournalError as error:
        return step.failed(str(error), advice=advice)
    except OSError as error:
        return step.failed(f"it cannot be written: {error.strerror or error}", advice=advice)
    return step.ok("it can be written" if is_there else "there is none yet, and it can be made")


def disk_finding(free_bytes: Callable[[], int], *, folder: Path) -> Finding:
    """Whether FREE_BYTES, which raises OSError, are enough for what FOLDER will hold."""
    step = Step("disk", f"measure the room on the disk of {folder}")
    try:
        free = free_bytes()
    except OSError as error:
        return step.failed(f"it cannot be measured: {error.strerror or error}", advice="Correct DATA_DIR.")
    found = f"{free / MIB / 1024:.1f} GiB free" if free >= _COMFORTABLE_BYTES else f"{free // MIB} MiB free"
    if free < _LEAST_BYTES:
        return step.failed(found, advice=_DISK_ADVICE)
    if free < _COMFORTABLE_BYTES:
        return step.warning(found, advice=_DISK_ADVICE)
    return step.ok(found)


def _reason(reply: Reply) -> str:
    match reply.document.get("records"):
        case [{"reason": str(reason)}, *_]:
            return reason
    return "no reason given"
