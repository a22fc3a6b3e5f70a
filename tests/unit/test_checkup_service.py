"""What the check-up says of the running service, its journal and its disk."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sharepoint_proxy.checkup_service import (
    disk_finding,
    journal_finding,
    service_finding,
    service_step,
    webhook_finding,
    webhook_step,
)
from sharepoint_proxy.errors import JournalError
from sharepoint_proxy.findings import Finding, Verdict

MIB = 1024 * 1024
DATA_DIR = Path("/data")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the service."""

    status: int
    document: dict[str, Any] = field(default_factory=dict)


def failing(error: Exception) -> Callable[[], Any]:
    """What raises ERROR when it is called."""

    def fail() -> Any:
        raise error

    return fail


def webhook(status: int, document: dict[str, Any] | None = None, *, waits: bool = True) -> Finding:
    """What is found when the webhook answers so."""
    return webhook_finding(webhook_step(8080, "lycee/x"), lambda: Reply(status, document or {}), waits=waits)


@pytest.mark.parametrize(
    ("reply", "verdict", "is_ours", "said"),
    [
        (Reply(200, {"ready": True, "reasons": []}), Verdict.OK, True, "it runs and is ready"),
        (Reply(503, {"ready": False, "reasons": ["A.", "B."]}), Verdict.FAILED, True, "not ready: A. B."),
        (Reply(200), Verdict.FAILED, False, "is not sharepoint-proxy"),
        (Reply(404, {"error": "no"}), Verdict.FAILED, False, "is not sharepoint-proxy"),
    ],
)
def test_it_tells_the_service_from_another_program(reply: Reply, verdict: Verdict, said: str, *, is_ours: bool) -> None:
    finding, is_it = service_finding(service_step(8080), lambda: reply)

    assert finding.verdict is verdict
    assert said in finding.found
    assert is_it == is_ours


@pytest.mark.parametrize(
    ("error", "said"),
    [(ConnectionRefusedError(), "the service is not running"), (TimeoutError("timed out"), "no answer: timed out")],
)
def test_it_says_that_nobody_answers(error: OSError, said: str) -> None:
    finding, is_ours = service_finding(service_step(8080), failing(error))

    assert finding.verdict is Verdict.FAILED
    assert said in finding.found
    assert "docker compose exec sharepoint-proxy sharepoint-proxy check" in finding.advice
    assert not is_ours


@pytest.mark.parametrize(
    ("status", "document", "verdict", "said"),
    [
        (204, {}, Verdict.OK, "settled"),
        (202, {"records": [{"reason": "Recorded; its turn comes."}]}, Verdict.WARNING, "Recorded; its turn comes."),
        (202, {}, Verdict.WARNING, "no reason given"),
        (401, {}, Verdict.FAILED, "does not take this WEBHOOK_SECRET"),
        (403, {}, Verdict.FAILED, "does not take this WEBHOOK_SECRET"),
        (503, {"error": "The journal cannot be written."}, Verdict.FAILED, "503: The journal cannot be written."),
        (500, {}, Verdict.FAILED, "500: no reason given"),
    ],
)
def test_each_answer_of_the_webhook_is_told(status: int, document: dict[str, Any], verdict: Verdict, said: str) -> None:
    finding = webhook(status, document)

    assert finding.verdict is verdict
    assert said in finding.found


def test_where_no_answer_waits_a_202_is_all_there_can_be() -> None:
    assert webhook(202, waits=False).verdict is Verdict.OK


def test_a_webhook_that_does_not_answer_is_a_failure() -> None:
    finding = webhook_finding(webhook_step(8080, "lycee/x"), failing(TimeoutError("timed out")), waits=True)

    assert finding.verdict is Verdict.FAILED
    assert finding.found == "no answer: timed out"


@pytest.mark.parametrize(
    ("write", "verdict", "said"),
    [
        (lambda: True, Verdict.OK, "it can be written"),
        (lambda: False, Verdict.OK, "there is none yet"),
        (failing(JournalError("The journal cannot be written: disk I/O error.")), Verdict.FAILED, "disk I/O error"),
        (failing(PermissionError(13, "Permission denied")), Verdict.FAILED, "Permission denied"),
    ],
)
def test_it_says_whether_the_journal_can_be_written(write: Callable[[], bool], verdict: Verdict, said: str) -> None:
    finding = journal_finding(write, folder=DATA_DIR, uid=10001)

    assert finding.verdict is verdict
    assert said in finding.found
    assert verdict is Verdict.OK or "chown -R 10001 /data" in finding.advice


@pytest.mark.parametrize(
    ("free", "verdict", "said"),
    [
        (0, Verdict.FAILED, "0 MiB free"),
        (100 * MIB - 1, Verdict.FAILED, "99 MiB free"),
        (100 * MIB, Verdict.WARNING, "100 MiB free"),
        (1024 * MIB - 1, Verdict.WARNING, "1023 MiB free"),
        (1024 * MIB, Verdict.OK, "1.0 GiB free"),
    ],
)
def test_the_disk_needs_room(free: int, verdict: Verdict, said: str) -> None:
    finding = disk_finding(lambda: free, folder=DATA_DIR)

    assert finding.verdict is verdict
    assert finding.found == said


def test_a_disk_that_cannot_be_measured_is_a_failure() -> None:
    assert disk_finding(failing(PermissionError(13, "Permission denied")), folder=DATA_DIR).verdict is Verdict.FAILED
