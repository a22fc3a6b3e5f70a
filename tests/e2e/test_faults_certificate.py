"""A certificate that ends, or is replaced, while the service runs: all is kept, /ready says why, and the new one is taken as it is."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from e2e.trouble import (
    FOLDER,
    IMPATIENT,
    calm,
    nudge,
    open_stage,
    start_again,
    state_of,
    statuses,
    tries_counted,
    wait_for_outage,
    why_not_ready,
)

from simulator import tls
from simulator.calls import CallKind
from simulator.service_clock import ServiceClock
from simulator.stage import Stage

HOUR_SECONDS = 3600
MONTH = timedelta(days=60)
"""Long enough that nothing is said about the end."""


class Files:
    """The service's certificate and key in FOLDER."""

    def __init__(self, folder: Path) -> None:
        self.certificate = folder / "app.cer"
        self.key = folder / "app.key"

    def settings(self) -> dict[str, str]:
        """Where the service finds them."""
        return {"CERT_PATH": str(self.certificate), "KEY_PATH": str(self.key)}

    def hold(self, issued: tls.Issued) -> None:
        """Put ISSUED in the place of what is there."""
        self.certificate.write_bytes(issued.certificate_pem())
        self.key.write_bytes(issued.key_pem())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The files of the stage below."""
    return Files(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, files: Files) -> Iterator[Stage]:
    """A stage for the tests here that only replace what is still valid."""
    files.hold(tls.application())
    with open_stage(tmp_path_factory.mktemp("certificate"), settings=files.settings()) as stage:
        yield stage


@pytest.fixture
def stage(shared: Stage, files: Files) -> Iterator[Stage]:
    """The stage, with a certificate of its own for each test."""
    files.hold(registered(shared))
    sign_in_anew(shared, f"{FOLDER}/first.txt")
    yield shared
    calm(shared)


def registered(stage: Stage, *, lifetime: timedelta = MONTH) -> tls.Issued:
    """A new certificate that Entra ID knows."""
    issued = tls.issue("sharepoint-proxy", lifetime=lifetime)
    stage.graph.register(issued.certificate)
    return issued


def sign_in_anew(stage: Stage, key: str) -> str:
    """Mirror a file under KEY with a new token; the thumbprint of the certificate that it was asked for with."""
    stage.graph.revoke_tokens()
    stage.put(key, b"x")
    stage.settle()
    assert stage.graph.content(key) == b"x"
    header = jwt.get_unverified_header(stage.graph.tenant.entra.assertions[-1])
    return str(header["x5t#S256"])


def said_of_the_certificate(stage: Stage, level: str) -> list[str]:
    """What the log says of the certificate at this LEVEL."""
    lines = [line for line in stage.service.log() if line["event"] == "certificate"]
    return [line["reason"] for line in lines if line["level"] == level]


@pytest.mark.parametrize("restarts", [False, True], ids=["running on", "after a restart"])
def test_all_is_kept_while_the_certificate_is_expired(
    make_stage: Callable[..., Stage], tmp_path: Path, *, restarts: bool
) -> None:
    """Nothing is parked; with a valid one in the files all goes on."""
    files, clock = Files(tmp_path), ServiceClock(tmp_path)
    stage = make_stage(settings={**IMPATIENT, **clock.environment(), **files.settings()})
    files.hold(registered(stage, lifetime=timedelta(minutes=50)))
    stage.begin()
    removed, *written = keys = [f"{FOLDER}/expired-{number}.txt" for number in range(4)]
    stage.put(removed, b"old")
    stage.settle()
    let_an_hour_pass(stage, clock)
    said_while_idle = why_not_ready(stage)
    stage.delete(removed)
    for key in written:
        stage.put(key, b"x")
    stage.minio.drain()
    complaint = wait_for_outage(stage, written)
    states, tries = {state_of(stage, key) for key in keys}, max(tries_counted(stage, key) for key in keys)
    health = stage.service.get("/health").status_code
    files.hold(registered(stage))
    if restarts:
        stage.service.kill()
        start_again(stage)
    nudge(stage, *keys)
    stage.settle()

    assert said_while_idle.startswith("The certificate expired on ")
    assert "make a new one, register it in Entra ID" in said_while_idle
    assert "AADSTS700027" in complaint
    assert "The key used is expired." in complaint
    assert said_while_idle in complaint
    assert (states, tries, health) == ({"waiting"}, 0, 200)
    assert why_not_ready(stage) == ""
    assert stage.graph.item(removed) is None
    assert [statuses(stage, key, CallKind.PUT_CONTENT).count(201) for key in written] == [1] * 3


def let_an_hour_pass(stage: Stage, clock: ServiceClock) -> None:
    """For the service, for MinIO beside it, and for Microsoft."""
    clock.ahead = stage.minio.clock_ahead = HOUR_SECONDS
    stage.graph.advance(HOUR_SECONDS)


def test_an_expired_certificate_that_is_replaced_wrongly_is_told_as_both(
    make_stage: Callable[..., Stage], tmp_path: Path
) -> None:
    """Without an event too; the right one needs none either."""
    files, clock = Files(tmp_path), ServiceClock(tmp_path)
    stage = make_stage(settings={**clock.environment(), **files.settings()})
    files.hold(registered(stage, lifetime=timedelta(minutes=50)))
    stage.begin()
    let_an_hour_pass(stage, clock)
    successor = registered(stage)
    files.certificate.write_bytes(successor.certificate_pem())
    complaint = why_not_ready(stage)
    files.key.write_bytes(successor.key_pem())

    assert "The certificate expired on " in complaint
    assert "does not belong to the certificate" in complaint
    assert why_not_ready(stage) == ""


def test_a_new_certificate_is_taken_without_a_restart(stage: Stage, files: Files) -> None:
    before = sign_in_anew(stage, f"{FOLDER}/before.txt")
    files.hold(registered(stage))
    after = sign_in_anew(stage, f"{FOLDER}/after.txt")

    assert before != after
    assert said_of_the_certificate(stage, "INFO")[-1].startswith("The certificate was replaced; the new one ends on ")
    assert [call.status for call in stage.graph.calls() if call.kind is CallKind.TOKEN] == [200] * 3


def half(path: Path) -> None:
    """Leave the first half of a file, as if it were still being written."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def replace_key(files: Files) -> None:
    """Put a key there that belongs to another certificate."""
    files.key.write_bytes(tls.application("somebody else").key_pem())


WRONG: dict[str, tuple[Callable[[Files], object], str]] = {
    "half a certificate": (lambda files: half(files.certificate), "holds a damaged certificate"),
    "half a key": (lambda files: half(files.key), "holds a damaged private key"),
    "nothing yet": (lambda files: files.certificate.write_bytes(b""), "is empty"),
    "no key": (lambda files: files.key.unlink(), "does not exist"),
    "another key": (replace_key, "does not belong to the certificate"),
    "not begun": (
        lambda files: files.hold(tls.issue("early", lifetime=MONTH, begins_in=timedelta(hours=2))),
        "is not valid before",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_files_that_cannot_be_used_are_refused_and_the_old_ones_go_on(stage: Stage, files: Files, name: str) -> None:
    """Once in the log, however often they are read; and a right pair is taken as soon as it is there."""
    spoil, reason = WRONG[name]
    key = f"{FOLDER}/{name}"
    old = sign_in_anew(stage, f"{key}-0.txt")
    refusals = len(said_of_the_certificate(stage, "ERROR"))
    spoil(files)
    used = [sign_in_anew(stage, f"{key}-{number}.txt") for number in (1, 2)]
    said = said_of_the_certificate(stage, "ERROR")[refusals:]
    readiness = why_not_ready(stage)
    files.hold(registered(stage))
    new = sign_in_anew(stage, f"{key}-3.txt")

    assert used == [old, old]
    assert [reason in text for text in said] == [True]
    assert said[0].endswith("The certificate that was read before stays in use.")
    assert readiness == ""
    assert new != old
