"""What the tests of the check-up share: a stage on which all is well, and a report to ask."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sharepoint_proxy.checkup import Checkup
from sharepoint_proxy.checkup_parts import make_checkup
from sharepoint_proxy.findings import Finding, Verdict
from simulator import tls
from simulator.secrecy import leaks, secret_settings
from simulator.service_process import SECRET
from simulator.stage import Stage

YEAR = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Report:
    """What a check-up found."""

    findings: list[Finding]

    def steps(self, verdict: Verdict) -> set[str]:
        """The steps that ended so, all or some of them."""
        return {finding.step for finding in self.findings if finding.verdict is verdict}

    def one(self, step: str) -> Finding:
        """What a step found, which must be one thing."""
        (finding,) = self.all(step)
        return finding

    def all(self, step: str) -> list[Finding]:
        """Everything that a step found."""
        return [finding for finding in self.findings if finding.step == step]


def variables_of(stage: Stage) -> dict[str, str]:
    """The environment of the running service."""
    return {
        **stage.environment(),
        "WEBHOOK_SECRET": SECRET,
        "DATA_DIR": str(stage.service.data_dir),
        "PORT": str(stage.service.port),
    }


def report_of(checkup: Checkup) -> Report:
    """Every finding of CHECKUP; each that is not fine says what to do, but for what could not be tried."""
    findings = list(checkup.findings())
    assert [each for each in findings if each.verdict in {Verdict.WARNING, Verdict.FAILED} and not each.advice] == []
    return Report(findings)


@contextmanager
def sound_stage(folder: Path) -> Iterator[Stage]:
    """A running service in FOLDER, whose certificate ends in a year."""
    issued = tls.issue("sharepoint-proxy", lifetime=YEAR)
    with Stage(folder / "stage", settings=write_pair(folder / "certificate", issued, issued)) as stage:
        stage.graph.register(issued.certificate)
        stage.begin()
        yield stage


def checked(stage: Stage, **settings: str) -> Report:
    """What the check-up finds on STAGE with settings that are not the service's; no finding may hold a secret."""
    variables = {**variables_of(stage), **settings}
    report = report_of(make_checkup(variables))
    secrets = (*secret_settings(variables), SECRET, *stage.graph.secrets())
    assert leaks(secrets, {"findings": str(report.findings)}) == []
    return report


def write_pair(folder: Path, certificate: tls.Issued, key: tls.Issued) -> dict[str, str]:
    """The settings that name the certificate of one and the key of another."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "app.cer").write_bytes(certificate.certificate_pem())
    (folder / "app.key").write_bytes(key.key_pem())
    return {"CERT_PATH": str(folder / "app.cer"), "KEY_PATH": str(folder / "app.key")}
