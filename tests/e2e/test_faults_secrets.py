"""No secret leaves the service, whatever fails, and however much it is asked to log.

At the end of each test on a stage, whatever it is about, the stage looks for its secrets too (`simulator.secrecy`).
"""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from e2e.cable import Cable, Plug
from e2e.trouble import FOLDER, IMPATIENT, MIB, wait_until_parked, wait_until_postponed, wait_until_settled

from simulator import tls
from simulator.calls import CallKind
from simulator.faults import (
    AnswerWith,
    CorruptBytes,
    CutConnection,
    CutPoint,
    Fault,
    FaultBody,
    LoseSession,
    Match,
    RewindSession,
    TruncateAnswer,
)
from simulator.minio_faults import ReadFault
from simulator.options import SimulatorOptions
from simulator.secrecy import leaks
from simulator.service_process import free_port
from simulator.stage import Stage

PASSPHRASE = "marked-passphrase-of-the-key"
MINIO_SECRET = "marked-secret-of-the-minio-user"
WEBHOOK_SECRET = "marked-secret-of-the-webhook"
OLD_WEBHOOK_SECRET = "marked-secret-of-the-webhook-before"
WRONG_SECRET = "marked-secret-that-is-wrong"
MARKS = (PASSPHRASE, MINIO_SECRET, WEBHOOK_SECRET, OLD_WEBHOOK_SECRET, WRONG_SECRET)
LIKE_A_JWT = "eyJ"
"""How every assertion begins, whole or cut."""

FAULTS = (
    Fault(Match(CallKind.PUT_CONTENT, "refused"), AnswerWith(400)),
    Fault(Match(CallKind.PUT_CONTENT, "barred"), AnswerWith(403), times=None),
    Fault(Match(CallKind.PUT_CONTENT, "broken"), CutConnection(CutPoint.AFTER_EFFECT)),
    Fault(Match(CallKind.PUT_CONTENT, "html"), AnswerWith(503, FaultBody.HTML)),
    Fault(Match(CallKind.PUT_CONTENT, "corrupt"), CorruptBytes()),
    Fault(Match(CallKind.PUT_CONTENT, "unauthorized"), AnswerWith(401), times=2),
    Fault(Match(CallKind.SESSION_CREATE, "cut"), TruncateAnswer()),
    Fault(Match(CallKind.FRAGMENT, "lost"), LoseSession(), times=2),
    Fault(Match(CallKind.FRAGMENT, "reset"), CutConnection(CutPoint.HALF_BODY), times=2),
    Fault(Match(CallKind.FRAGMENT, "rewound"), RewindSession(told=False), after=1),
    Fault(Match(CallKind.FRAGMENT, "refused"), AnswerWith(400)),
    Fault(Match(CallKind.SESSION_STATUS), AnswerWith(500), times=2),
    Fault(Match(CallKind.SESSION_CANCEL), CutConnection(), times=2),
)
READ_FAULTS = {"denied": ReadFault.FORBIDDEN, "torn": ReadFault.RESET, "longer": ReadFault.LONG}
SMALL = ("refused", "barred", "broken", "html", "corrupt", "unauthorized", "fine", *READ_FAULTS)
LARGE = ("cut", "lost", "reset", "rewound", "refused")
TOKEN_TROUBLE = (
    AnswerWith(401, code="invalid_client"),
    AnswerWith(500, FaultBody.HTML),
    CutConnection(),
    TruncateAnswer(),
)


@pytest.fixture
def cable() -> Iterator[Cable]:
    """The way to Graph."""
    with Cable(free_port()) as cable:
        yield cable


@pytest.fixture
def stage(make_stage: Callable[..., Stage], cable: Cable, tmp_path: Path) -> Stage:
    """A stage whose secrets are marked, with a service that logs all it can."""
    key = tmp_path / "app.key"
    key.write_bytes(
        tls.application().key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSPHRASE.encode())
        )
    )
    settings = {
        **IMPATIENT,
        "LOG_LEVEL": "debug",
        "CHUNK_MIB": "1",
        "GRAPH_BASE_URL": f"https://localhost:{cable.port}/v1.0",
        "KEY_PATH": str(key),
        "KEY_PASSPHRASE": PASSPHRASE,
        "MINIO_SECRET_KEY": MINIO_SECRET,
        "WEBHOOK_SECRET": WEBHOOK_SECRET,
        "WEBHOOK_SECRET_PREVIOUS": OLD_WEBHOOK_SECRET,
    }
    stage = make_stage(settings=settings, graph=SimulatorOptions(port=cable.target))
    stage.minio.notify(url=f"{stage.service.url}/s3event", token=WEBHOOK_SECRET)
    stage.begin()
    return stage


def test_no_secret_is_told_whatever_fails(stage: Stage, cable: Cable) -> None:
    """Not in the output, nor in an answer, nor in the journal but for the one column that needs it, in a file of mode 0600."""
    provoke(stage, cable)
    ask(stage)
    told = stage.service.told()

    assert min(len(text) for text in told.values()) > 1000
    assert len(stage.graph.secrets()) > 10
    assert leaks((*MARKS, LIKE_A_JWT, *stage.graph.secrets()), told) == []
    journal_files = list(stage.service.data_dir.glob("journal.db*"))
    assert len(journal_files) >= 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in journal_files} == {0o600}


def test_no_stage_ends_quietly_with_a_secret_told(tmp_path: Path) -> None:
    """Here a person posts one, and the journal keeps what it cannot use."""

    def play() -> None:
        with Stage(tmp_path) as stage:
            stage.begin()
            stage.service.post({"Records": [{"s3": stage.graph.secrets()[0]}]})

    with pytest.raises(AssertionError, match=r"the service told secrets: .*journal"):
        play()


def provoke(stage: Stage, cable: Cable) -> None:
    """Let everything fail that may, and Graph quote what it must not."""
    quoting = AnswerWith(423, message=f"{stage.graph.base_url}?tempauth={stage.graph.secrets()[0]} is locked")
    for fault in (*FAULTS, Fault(Match(CallKind.PUT_CONTENT, "fine"), quoting)):
        stage.graph.add_fault(fault)
    for name, spoiled in READ_FAULTS.items():
        stage.minio.fail_reads(spoiled, count=1000, key=f"{FOLDER}/{name}.txt")
    for name in SMALL:
        stage.put(f"{FOLDER}/{name}.txt", name.encode())
    for name in LARGE:
        stage.put(f"{FOLDER}/{name}.bin", os.urandom(5 * MIB))
    for name in ("barred", *READ_FAULTS):
        wait_until_parked(stage, f"{FOLDER}/{name}.txt")
    wait_until_parked(stage, f"{FOLDER}/refused.bin")
    stage.settle()
    for plug in (Plug.RESETS, Plug.SPEAKS_NO_TLS, Plug.REFUSES):
        fail_by(stage, cable, plug)
    fail_at_the_token(stage)
    fail_at_minio(stage)


def fail_by(stage: Stage, cable: Cable, plug: Plug) -> None:
    """Let a file fail while the cable is plugged in wrongly, and ask meanwhile; afterwards it works again."""
    key = f"{FOLDER}/{plug.name}.txt"
    cable.plug(plug)
    stage.put(key, b"x")
    wait_until_postponed(stage, key)
    ask(stage)
    cable.plug(Plug.THROUGH)
    stage.put(key, b"again")
    wait_until_settled(stage, key)


def fail_at_the_token(stage: Stage) -> None:
    """Let Entra ID fail in each way while a token is needed; afterwards there is one."""
    key = f"{FOLDER}/token.txt"
    for trouble in TOKEN_TROUBLE:
        stage.graph.add_fault(Fault(Match(CallKind.TOKEN), trouble))
    stage.graph.revoke_tokens()
    stage.put(key, b"x")
    wait_until_postponed(stage, key)
    ask(stage)
    stage.graph.clear_faults()
    stage.put(key, b"again")
    wait_until_settled(stage, key)


def fail_at_minio(stage: Stage) -> None:
    """Let MinIO know the access key no more."""
    key = f"{FOLDER}/revoked.txt"
    stage.minio.revoke_reader()
    stage.put(key, b"x")
    wait_until_postponed(stage, key)
    ask(stage)


def ask(stage: Stage) -> None:
    """Make all kinds of requests; the service keeps its answers."""
    event = {"EventName": "s3:ObjectCreated:Put", "Key": f"lycee/{FOLDER}/asked.txt"}
    for token in (WEBHOOK_SECRET, OLD_WEBHOOK_SECRET, WRONG_SECRET):
        for body in (event, b"{", b"\xff"):
            stage.service.post(body, token=token)
    for path in ("/ready", "/health", "/s3event", "/none"):
        stage.service.get(path)
