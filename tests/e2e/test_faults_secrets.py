"""No secret leaves the service, whatever fails, and however much it is asked to log."""

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from e2e.cable import Cable, Plug
from e2e.trouble import FOLDER, IMPATIENT, MIB, wait_until_parked, wait_until_postponed, wait_until_settled

from simulator import tls
from simulator.calls import CallKind
from simulator.faults import AnswerWith, CutConnection, CutPoint, Fault, FaultBody, LoseSession, Match, TruncateAnswer
from simulator.minio_faults import ReadFault
from simulator.options import SimulatorOptions
from simulator.service_process import free_port
from simulator.stage import Stage

PASSPHRASE = "marked-passphrase-of-the-key"
MINIO_SECRET = "marked-secret-of-the-minio-user"
WEBHOOK_SECRET = "marked-secret-of-the-webhook"
OLD_WEBHOOK_SECRET = "marked-secret-of-the-webhook-before"
WRONG_SECRET = "marked-secret-that-is-wrong"
MARKS = (PASSPHRASE, MINIO_SECRET, WEBHOOK_SECRET, OLD_WEBHOOK_SECRET, WRONG_SECRET)
TELL_TALES = ("tempauth", "PRIVATE KEY", "client_assertion", "eyJ")

FAULTS = (
    Fault(Match(CallKind.PUT_CONTENT, "refused"), AnswerWith(400)),
    Fault(Match(CallKind.PUT_CONTENT, "barred"), AnswerWith(403), times=None),
    Fault(Match(CallKind.PUT_CONTENT, "broken"), CutConnection(CutPoint.AFTER_EFFECT)),
    Fault(Match(CallKind.PUT_CONTENT, "html"), AnswerWith(503, FaultBody.HTML)),
    Fault(Match(CallKind.SESSION_CREATE, "cut"), TruncateAnswer()),
    Fault(Match(CallKind.FRAGMENT, "lost"), LoseSession(), times=2),
    Fault(Match(CallKind.FRAGMENT, "reset"), CutConnection(CutPoint.HALF_BODY), times=2),
    Fault(Match(CallKind.FRAGMENT, "refused"), AnswerWith(400)),
    Fault(Match(CallKind.SESSION_STATUS), AnswerWith(500), times=2),
    Fault(Match(CallKind.SESSION_CANCEL), CutConnection(), times=2),
)
SMALL = ("refused", "barred", "broken", "html", "denied", "fine")
LARGE = ("cut", "lost", "reset", "refused")


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
    answers = [*provoke(stage, cable), *ask(stage)]
    told = {
        "output": stage.service.output(),
        "answers": "\n".join(f"{answer.headers}\n{answer.text}" for answer in answers),
        "journal": readable_journal(stage),
    }

    for place, text in told.items():
        assert [secret for secret in (*secrets_of(stage), *TELL_TALES) if secret in text] == [], place
        assert len(text) > 1000, place
    journal_files = list(stage.service.data_dir.glob("journal.db*"))
    assert len(journal_files) >= 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in journal_files} == {0o600}


def provoke(stage: Stage, cable: Cable) -> list[requests.Response]:
    """Let everything fail that may, and Graph quote what it must not; the answers meanwhile."""
    quoting = AnswerWith(423, message=f"{stage.graph.base_url}?tempauth={next(iter(tokens_of(stage)))} is locked")
    for fault in (*FAULTS, Fault(Match(CallKind.PUT_CONTENT, "fine"), quoting)):
        stage.graph.add_fault(fault)
    stage.minio.fail_reads(ReadFault.FORBIDDEN, count=1000, key=f"{FOLDER}/denied.txt")
    for name in SMALL:
        stage.put(f"{FOLDER}/{name}.txt", name.encode())
    for name in LARGE:
        stage.put(f"{FOLDER}/{name}.bin", os.urandom(5 * MIB))
    for name in ("barred", "denied"):
        wait_until_parked(stage, f"{FOLDER}/{name}.txt")
    wait_until_parked(stage, f"{FOLDER}/refused.bin")
    return [
        answer for plug in (Plug.RESETS, Plug.SPEAKS_NO_TLS, Plug.REFUSES) for answer in fail_by(stage, cable, plug)
    ]


def fail_by(stage: Stage, cable: Cable, plug: Plug) -> list[requests.Response]:
    """What the service answers while the cable is plugged in wrongly; afterwards it works again."""
    key = f"{FOLDER}/{plug.name}.txt"
    cable.plug(plug)
    stage.put(key, b"x")
    wait_until_postponed(stage, key)
    answers = ask(stage)
    cable.plug(Plug.THROUGH)
    stage.put(key, b"again")
    wait_until_settled(stage, key)
    return answers


def ask(stage: Stage) -> list[requests.Response]:
    """What the service answers to all kinds of requests."""
    event = {"EventName": "s3:ObjectCreated:Put", "Key": f"lycee/{FOLDER}/asked.txt"}
    tokens = (WEBHOOK_SECRET, OLD_WEBHOOK_SECRET, WRONG_SECRET)
    posted = [stage.service.post(body, token=token) for body in (event, b"{", b"\xff") for token in tokens]
    return [*posted, *(stage.service.get(path) for path in ("/ready", "/health", "/s3event", "/none"))]


def tokens_of(stage: Stage) -> set[str]:
    """The access tokens that Entra ID has given out and Graph still takes."""
    return set(stage.graph.tenant.entra._grants)


def secrets_of(stage: Stage) -> set[str]:
    """All that must stay secret: the marks, the tokens, and the secrets of the open upload sessions."""
    sessions = stage.graph.tenant.sessions._sessions.values()
    return {*MARKS, *tokens_of(stage), *(session.secret for session in sessions)}


def readable_journal(stage: Stage) -> str:
    """Every value of every table, but for the column of upload URLs."""
    texts = []
    with closing(sqlite3.connect(f"file:{stage.service.data_dir / 'journal.db'}?mode=ro", uri=True)) as journal:
        journal.row_factory = sqlite3.Row
        for (table,) in journal.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in journal.execute(f"SELECT * FROM {table}"):  # noqa: S608 - the names come from the database
                texts += [f"{column}={row[column]}" for column in row.keys() if column != "session_url"]  # noqa: SIM118
    return "\n".join(texts)
