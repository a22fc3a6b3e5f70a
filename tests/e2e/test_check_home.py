"""The check-up with one thing wrong at home at a time: MinIO, its event rules, the running service, the journal, the disk."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from e2e.checking import Report, checked, report_of, sound_stage, variables_of

from sharepoint_proxy.checkup import Checkup
from sharepoint_proxy.checkup_parts import make_checkup, make_parts
from sharepoint_proxy.findings import Verdict
from simulator.service_process import free_port
from simulator.stage import ALLOWED_PREFIXES, Stage

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for all tests here."""
    with sound_stage(tmp_path_factory.mktemp("check")) as stage:
        yield stage


@pytest.fixture
def stage(shared: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """The stage, trusted by this process as by the service."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(shared.graph.ca_path))
    return shared


@pytest.fixture
def check(stage: Stage) -> Callable[..., Report]:
    """Checks the stage with some settings changed."""
    return partial(checked, stage)


def test_minio_does_not_know_the_user(check: Callable[..., Report]) -> None:
    report = check(MINIO_ACCESS_KEY="nobody")

    assert report.steps(Verdict.FAILED) == {"MinIO"}
    assert "InvalidAccessKeyId" in report.one("MinIO").found
    assert "scripts/configure-minio" in report.one("MinIO").advice
    assert report.steps(Verdict.SKIPPED) == {"bucket", "objects", "versioning", "event rules"}


def test_minio_is_not_there(check: Callable[..., Report]) -> None:
    report = check(MINIO_ENDPOINT=f"http://127.0.0.1:{free_port()}")

    assert report.steps(Verdict.FAILED) == {"MinIO"}
    assert "start MinIO, or correct MINIO_ENDPOINT" in report.one("MinIO").advice


def test_a_bucket_is_missing(check: Callable[..., Report]) -> None:
    report = check(MINIO_BUCKETS="lycee,absent", BUCKET_AS_FOLDER="true")
    there, missing = report.all("bucket")

    assert report.steps(Verdict.FAILED) == {"bucket"}
    assert there.verdict is Verdict.OK
    assert missing.tried == "look for the bucket absent"
    assert [finding.verdict for finding in report.all("event rules")] == [Verdict.OK] * 3 + [Verdict.SKIPPED] * 3


def test_a_prefix_has_no_rule(check: Callable[..., Report]) -> None:
    report = check(ALLOWED_PREFIXES=f"{ALLOWED_PREFIXES},salle des profs/")
    finding = report.all("event rules")[-1]

    assert report.steps(Verdict.FAILED) == {"event rules"}
    assert finding.verdict is Verdict.FAILED
    assert (
        "mc event add ALIAS/lycee arn:minio:sqs::STANDIN:webhook --event put,delete --prefix 'salle des profs/'"
        in finding.advice
    )


def test_a_rule_does_not_take_deletions(check: Callable[..., Report], stage: Stage) -> None:
    stage.minio.add_rule("lycee", prefix="puts/", events=frozenset({"put"}))
    finding = check(ALLOWED_PREFIXES=f"{ALLOWED_PREFIXES},puts/").all("event rules")[-1]

    assert finding.verdict is Verdict.FAILED
    assert "does not take delete" in finding.found
    assert "--event delete --prefix puts/" in finding.advice


def test_a_rule_takes_reads_too(check: Callable[..., Report], stage: Stage) -> None:
    stage.minio.add_rule("lycee", prefix="reads/", events=frozenset({"put", "delete", "get"}))
    finding = check(ALLOWED_PREFIXES=f"{ALLOWED_PREFIXES},reads/").all("event rules")[-1]

    assert finding.verdict is Verdict.WARNING
    assert "mc event remove ALIAS/lycee" in finding.advice


def test_the_service_does_not_run(check: Callable[..., Report]) -> None:
    report = check(PORT=str(free_port()))

    assert report.steps(Verdict.FAILED) == {"service"}
    assert "the service is not running" in report.one("service").found
    assert report.one("webhook").verdict is Verdict.SKIPPED


def test_another_program_has_the_port_and_is_not_told_the_secret(check: Callable[..., Report], stage: Stage) -> None:
    report = check(PORT=stage.minio.endpoint.rpartition(":")[2])

    assert report.steps(Verdict.FAILED) == {"service"}
    assert "is not sharepoint-proxy" in report.one("service").found
    assert report.one("webhook").verdict is Verdict.SKIPPED


def test_the_webhook_has_another_secret(check: Callable[..., Report]) -> None:
    report = check(WEBHOOK_SECRET="another-secret-than-that-of-the-service")

    assert report.steps(Verdict.FAILED) == {"webhook"}
    assert "another WEBHOOK_SECRET" in report.one("webhook").advice


def test_the_service_is_not_ready(make_stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps the event, and does not settle it while it looks for its library."""
    waiting = make_stage(settings={"DOCUMENT_LIBRARY": "Dokumente", "SYNC_WAIT_SECONDS": "0.5"})
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(waiting.graph.ca_path))
    waiting.service.start(wait=False)
    waiting.service.wait_for_line(lambda line: line["event"] == "not_ready")
    report = report_of(make_checkup(variables_of(waiting)))

    assert {"library", "service"} == report.steps(Verdict.FAILED)
    assert "not ready: The site has no library" in report.one("service").found
    assert report.one("webhook").verdict is Verdict.WARNING


def test_the_journal_cannot_be_written(check: Callable[..., Report]) -> None:
    """Not even root may make a folder there."""
    report = check(DATA_DIR="/proc/sharepoint-proxy")

    assert "journal" in report.steps(Verdict.FAILED)
    assert f"chown -R {os.geteuid()}" in report.one("journal").advice


def test_the_journal_is_damaged(check: Callable[..., Report], tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"this is no database" * 1000)
    report = check(DATA_DIR=str(tmp_path))

    assert report.steps(Verdict.FAILED) == {"journal"}
    assert "it keeps the damaged file under another name" in report.one("journal").advice


def test_a_journal_that_is_not_there_yet_is_not_made(check: Callable[..., Report], tmp_path: Path) -> None:
    report = check(DATA_DIR=str(tmp_path / "new" / "data"))

    assert report.one("journal").verdict is Verdict.OK
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("free", "verdict"), [(50 * MIB, Verdict.FAILED), (500 * MIB, Verdict.WARNING)])
def test_the_disk_is_nearly_full(stage: Stage, free: int, verdict: Verdict) -> None:
    parts = replace(make_parts(variables_of(stage)), free_bytes=lambda: free)
    disk = report_of(Checkup(parts)).one("disk")

    assert disk.verdict is verdict
    assert disk.found == f"{free // MIB} MiB free"


def test_without_any_setting_everything_else_is_still_tried() -> None:
    report = report_of(make_checkup({"PORT": str(free_port()), "AUTHORITY": "https://login.invalid"}))

    assert "TENANT_ID is not set" in report.all("settings")[0].found
    assert report.steps(Verdict.FAILED) >= {"settings", "DNS", "service"}
    assert report.one("certificate").found == "not tried: it needs the setting CERT_PATH and KEY_PATH"
    assert report.one("MinIO").found == "not tried: it needs the setting MINIO_ACCESS_KEY and MINIO_SECRET_KEY"
    assert report.one("disk").verdict in {Verdict.OK, Verdict.WARNING}
