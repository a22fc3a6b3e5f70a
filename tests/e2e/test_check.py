"""The check-up with one thing wrong on the way to SharePoint at a time: its own step tells it, with what to do."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from e2e.checking import YEAR, Report, checked, sound_stage, write_pair

from sharepoint_proxy.findings import Verdict
from simulator import tls
from simulator.calls import CallKind
from simulator.faults import AnswerWith, CutConnection, CutPoint, Fault, Match
from simulator.stage import Stage

SHAREPOINT_STEPS = {"site", "library", "permission", "large files"}
OTHER_TENANT = "33333333-3333-3333-3333-333333333333"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for all tests here."""
    with sound_stage(tmp_path_factory.mktemp("check")) as stage:
        yield stage


@pytest.fixture
def stage(shared: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """The stage, trusted by this process as by the service, and afterwards again as it was."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(shared.graph.ca_path))
    yield shared
    shared.graph.clear_faults()
    shared.graph.change(app_roles=("Sites.Selected",), granted_sites=None)


@pytest.fixture
def check(stage: Stage) -> Callable[..., Report]:
    """Checks the stage with some settings changed."""
    return partial(checked, stage)


def test_all_is_well(check: Callable[..., Report], stage: Stage) -> None:
    stage.graph.clear_calls()
    report = check()
    thumbprint = report.one("certificate").found

    assert {finding.step: finding.verdict for finding in report.findings if finding.verdict is not Verdict.OK} == {}
    assert [finding.step for finding in report.findings[:6]] == [
        "settings",
        "certificate",
        "DNS",
        "TLS",
        "clock",
        "tenant",
    ]
    assert "364 days left" in thumbprint
    assert "SHA-1, as Entra ID shows it" in thumbprint
    assert len(report.all("permission")) == len(report.all("objects")) == len(report.all("event rules")) == 3
    assert report.one("webhook").found.startswith("204")


def test_it_leaves_nothing_behind(check: Callable[..., Report], stage: Stage) -> None:
    stage.graph.put_foreign("bts-sio/kept.txt", b"x")
    stage.graph.make_folder_foreign("Archives/2024")
    before = stage.graph.tree()
    check()

    assert stage.graph.tree() == before
    assert stage.graph.pending_sessions() == []
    assert stage.service.unsettled() == []
    assert list(stage.service.data_dir.glob("*check*")) == []


def test_the_event_does_not_touch_sharepoint(check: Callable[..., Report], stage: Stage) -> None:
    check()
    stage.graph.clear_calls()
    report = check(TENANT_ID="")

    assert report.one("webhook").verdict is Verdict.OK
    assert [call.kind for call in stage.graph.calls()] == [CallKind.OPENID]


def test_the_tenant_is_wrong(check: Callable[..., Report], stage: Stage) -> None:
    authority = stage.graph.authority.replace(stage.graph.tenant_id, OTHER_TENANT)
    report = check(TENANT_ID=OTHER_TENANT, AUTHORITY=authority)

    assert report.steps(Verdict.FAILED) == {"tenant"}
    assert "AADSTS90002" in report.one("tenant").found
    assert "copy TENANT_ID from Entra ID > App registrations" in report.one("tenant").advice
    assert report.steps(Verdict.SKIPPED) == {"token", *SHAREPOINT_STEPS}
    assert report.one("token").found == "not tried: it needs the step tenant"


def test_the_application_is_wrong(check: Callable[..., Report]) -> None:
    report = check(CLIENT_ID=OTHER_TENANT)

    assert report.steps(Verdict.FAILED) == {"token"}
    assert "AADSTS700016" in report.one("token").found
    assert "copy CLIENT_ID" in report.one("token").advice


def test_the_certificate_is_not_registered(check: Callable[..., Report], tmp_path: Path) -> None:
    stranger = tls.issue("stranger", lifetime=YEAR)
    report = check(**write_pair(tmp_path, stranger, stranger))

    assert report.steps(Verdict.FAILED) == {"token"}
    assert "AADSTS700027" in report.one("token").found
    assert "Certificates & secrets > Certificates" in report.one("token").advice


def test_the_certificate_has_expired(check: Callable[..., Report], tmp_path: Path) -> None:
    expired = tls.issue("expired", lifetime=-timedelta(days=2), begins_in=-timedelta(days=9))
    report = check(**write_pair(tmp_path, expired, expired))

    assert report.steps(Verdict.FAILED) == {"certificate"}
    assert "expired on" in report.one("certificate").found
    assert report.one("tenant").verdict is Verdict.OK
    assert report.one("token").found == "not tried: it needs the step certificate"


def test_the_certificate_ends_soon(check: Callable[..., Report], stage: Stage, tmp_path: Path) -> None:
    short = tls.issue("short", lifetime=timedelta(days=20))
    stage.graph.register(short.certificate)
    report = check(**write_pair(tmp_path, short, short))

    assert report.steps(Verdict.FAILED) == set()
    assert report.steps(Verdict.WARNING) == {"certificate"}


def test_the_key_is_that_of_another_certificate(check: Callable[..., Report], tmp_path: Path) -> None:
    one, other = tls.issue("one", lifetime=YEAR), tls.issue("other", lifetime=YEAR)
    report = check(**write_pair(tmp_path, one, other))

    assert report.steps(Verdict.FAILED) == {"certificate"}
    assert "does not belong to the certificate" in report.one("certificate").found


def test_the_authority_of_the_certificates_is_missing(check: Callable[..., Report]) -> None:
    report = check(REQUESTS_CA_BUNDLE="")

    assert report.steps(Verdict.FAILED) == {"TLS"}
    assert "its certificate is not trusted" in report.one("TLS").found
    assert "REQUESTS_CA_BUNDLE" in report.one("TLS").advice


def test_the_login_host_does_not_exist(check: Callable[..., Report]) -> None:
    report = check(AUTHORITY=f"https://login.invalid/{OTHER_TENANT}", TENANT_ID=OTHER_TENANT)

    assert report.steps(Verdict.FAILED) == {"DNS"}
    assert report.one("TLS").found == "not tried: it needs the step DNS"


@pytest.mark.parametrize(
    ("seconds", "verdict"), [(-600, Verdict.FAILED), (150, Verdict.WARNING), (600, Verdict.FAILED)]
)
def test_the_clock_is_wrong(check: Callable[..., Report], stage: Stage, seconds: int, verdict: Verdict) -> None:
    stage.graph.advance(seconds)
    try:
        report = check()
    finally:
        stage.graph.advance(-seconds)

    assert report.one("clock").verdict is verdict
    assert ("behind" if seconds > 0 else "ahead") in report.one("clock").found
    assert "timedatectl set-ntp true" in report.one("clock").advice


def test_nobody_agreed_to_a_right(check: Callable[..., Report], stage: Stage) -> None:
    stage.graph.change(app_roles=())
    report = check()

    assert report.steps(Verdict.FAILED) == {"site"}
    assert "API permissions" in report.one("site").advice
    assert "Grant admin consent" in report.one("site").advice


def test_the_site_was_not_opened(check: Callable[..., Report], stage: Stage) -> None:
    stage.graph.change(granted_sites=())
    report = check()
    client_id = stage.graph.client_id

    assert report.steps(Verdict.FAILED) == {"site"}
    assert f"POST {stage.graph.base_url}/sites/{stage.graph.site_path}:/permissions" in report.one("site").advice
    assert f'"application": {{"id": "{client_id}"' in report.one("site").advice


@pytest.mark.parametrize(
    ("site", "advice"),
    [
        ("contoso.sharepoint.com:/sites/nowhere", "Copy SITE_PATH from the browser's address line"),
        ("fabrikam.sharepoint.com:/sites/team", "must be of the same tenant"),
    ],
)
def test_the_site_is_wrong(check: Callable[..., Report], site: str, advice: str) -> None:
    report = check(SITE_PATH=site)

    assert report.steps(Verdict.FAILED) == {"site"}
    assert advice in report.one("site").advice
    assert report.one("library").found == "not tried: it needs the step site"


def test_the_library_is_wrong(check: Callable[..., Report]) -> None:
    report = check(DOCUMENT_LIBRARY="Dokumente")

    assert report.steps(Verdict.FAILED) == {"library"}
    assert '"Documents" (URL name "Shared Documents"), "Archives"' in report.one("library").found


def test_the_application_may_not_write(check: Callable[..., Report], stage: Stage) -> None:
    before = stage.graph.tree()
    stage.graph.add_fault(Fault(Match(CallKind.PUT_CONTENT), AnswerWith(403), times=None))
    report = check()

    assert report.steps(Verdict.FAILED) == {"permission"}
    assert len(report.all("permission")) == 3
    assert "may see this place but not write there" in report.all("permission")[0].advice
    assert report.one("large files").found == "not tried: it needs the step permission"
    assert stage.graph.tree() == before


@pytest.mark.parametrize(
    "fault",
    [
        Fault(Match(CallKind.DOWNLOAD), AnswerWith(500)),
        Fault(Match(CallKind.DOWNLOAD_BYTES), CutConnection(CutPoint.BEFORE_BODY)),
        Fault(Match(CallKind.PUT_CONTENT), CutConnection(CutPoint.AFTER_EFFECT)),
        Fault(Match(CallKind.PUT_CONTENT), AnswerWith(500, after_effect=True)),
    ],
    ids=lambda fault: f"{fault.match.kind.name}-{type(fault.action).__name__}",
)
def test_what_it_wrote_is_removed_after_an_error(check: Callable[..., Report], stage: Stage, fault: Fault) -> None:
    before = stage.graph.tree()
    stage.graph.add_fault(fault)
    report = check()

    assert [finding.verdict for finding in report.all("permission")] == [Verdict.FAILED, Verdict.OK, Verdict.OK]
    assert stage.graph.tree() == before


def test_it_says_what_it_could_not_remove(check: Callable[..., Report], stage: Stage) -> None:
    stage.graph.add_fault(Fault(Match(CallKind.DELETE), AnswerWith(403)))
    report = check()
    left = next(path for path in stage.graph.tree() if "check" in path)
    stage.graph.delete_foreign(left)

    assert report.all("permission")[0].verdict is Verdict.FAILED
    assert f"Delete {left} by hand" in report.all("permission")[0].advice


def test_the_host_of_uploads_cannot_be_reached(check: Callable[..., Report], stage: Stage) -> None:
    stage.graph.add_fault(Fault(Match(CallKind.SESSION_CANCEL), AnswerWith(503)))
    report = check()

    assert report.steps(Verdict.FAILED) == {"large files"}
