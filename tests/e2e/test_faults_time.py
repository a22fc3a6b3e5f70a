"""Clocks, dates and lifetimes: a token of a minute, a certificate about to end, events from tomorrow, a clock set back."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from e2e.trouble import FOLDER, IMPATIENT, MIB, calm, open_stage, statuses, versions_of, why_not_ready

from simulator import tls
from simulator.calls import CallKind
from simulator.options import SimulatorOptions
from simulator.service_process import ServiceProcess
from simulator.stage import Stage

TOKEN_SECONDS = 60
PUT, TOKEN = CallKind.PUT_CONTENT, CallKind.TOKEN


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for all tests here, whose tokens live for a minute and whose answers wait for the outcome."""
    options = SimulatorOptions(token_seconds=TOKEN_SECONDS)
    settings = {"SYNC_WAIT_SECONDS": "10", "CHUNK_MIB": "1"}
    with open_stage(tmp_path_factory.mktemp("time"), settings=settings, graph=options) as stage:
        yield stage


@pytest.fixture
def stage(shared: Stage) -> Iterator[Stage]:
    """The stage, without what an earlier test left."""
    yield shared
    calm(shared)


def test_a_token_of_a_minute_is_renewed_as_often_as_it_ends(stage: Stage) -> None:
    """Each end costs one refused call and one new token, however many files there are; nothing is written twice."""
    keys = [f"{FOLDER}/token-{number}.txt" for number in range(12)]
    for begin in range(0, len(keys), 4):
        stage.graph.advance(TOKEN_SECONDS + 1)
        for key in keys[begin : begin + 4]:
            stage.put(key, b"x")
            stage.settle()
    calls = stage.graph.calls()

    assert [call.status for call in calls if call.kind is TOKEN] == [200] * 3
    assert sum(call.status == 401 for call in calls) == 3
    assert [versions_of(stage, key) for key in keys] == [1] * 12


def test_an_upload_outlives_its_token(stage: Stage) -> None:
    """Fragments need none; what comes after them gets a new one."""
    key, content = f"{FOLDER}/long.bin", os.urandom(6 * MIB)
    stage.graph.bandwidth = 6 * MIB
    stage.put(key, content)
    stage.graph.wait_for(lambda: statuses(stage, key, CallKind.FRAGMENT))
    stage.graph.advance(TOKEN_SECONDS + 1)
    stage.settle()

    assert stage.graph.content(key) == content
    assert 401 not in statuses(stage, key, CallKind.FRAGMENT)


@pytest.mark.parametrize("ahead", [timedelta(hours=1), timedelta(days=3000)], ids=str)
@pytest.mark.parametrize("name", ["s3:ObjectCreated:Put", "s3:ObjectRemoved:Delete"])
def test_an_event_from_the_future_is_mirrored_at_once(stage: Stage, ahead: timedelta, name: str) -> None:
    """The sender's clock is wrong, which is no reason to wait for its time."""
    key = f"{FOLDER}/future-{ahead.days}-{name[-3:]}.txt"
    stage.minio.pause()
    stage.put(key, b"x")
    answer = stage.service.post(event_at(datetime.now(UTC) + ahead, key, name=name))
    stage.service.wait_until_idle(5)
    stage.minio.resume()

    assert answer.status_code in {202, 204}
    assert stage.graph.content(key) == b"x"
    assert [status for status in statuses(stage, key) if status != 401] == [201]


def test_an_event_of_long_ago_is_answered_at_once_and_mirrored(stage: Stage) -> None:
    key = f"{FOLDER}/past.txt"
    stage.minio.pause()
    stage.put(key, b"x")
    answer = stage.service.post(event_at(datetime.now(UTC) - timedelta(days=3000), key))
    stage.minio.resume()
    stage.settle()

    assert answer.status_code == 202
    assert stage.graph.content(key) == b"x"


def event_at(moment: datetime, key: str, *, name: str = "s3:ObjectCreated:Put") -> dict[str, object]:
    """An event as MinIO sends it, that happened at MOMENT."""
    s3 = {"bucket": {"name": "lycee"}, "object": {"key": key.replace("/", "%2F"), "size": 1, "eTag": "x"}}
    record = {"eventName": name, "eventTime": moment.strftime("%Y-%m-%dT%H:%M:%S.000Z"), "s3": s3}
    return {"EventName": name, "Key": f"lycee/{key}", "Records": [record]}


@pytest.mark.parametrize("seconds", [3600, -3600], ids=["the clock was an hour ahead", "the clock was an hour behind"])
def test_what_waits_does_not_wait_for_the_clock(make_stage: Callable[..., Stage], seconds: int) -> None:
    """Keys were recorded with another time of day than it is at the next start."""
    stage = make_stage(settings=IMPATIENT)
    stage.begin()
    key = f"{FOLDER}/waiting.txt"
    stage.graph.latency = 1.0
    stage.put(key, b"x")
    stage.minio.drain()
    stage.service.kill()
    stage.graph.latency = 0.0
    with closing(sqlite3.connect(stage.service.data_dir / "journal.db")) as journal, journal:
        changed = journal.execute("UPDATE changes SET due_at = due_at + ?, marked_at = marked_at + ?", (seconds,) * 2)
        assert changed.rowcount == 1
    stage.service.start()
    stage.settle(10)

    assert stage.graph.content(key) == b"x"
    assert versions_of(stage, key) == 1
    assert why_not_ready(stage) == ""


def test_it_warns_of_a_certificate_that_ends_soon(stage: Stage, tmp_path: Path) -> None:
    certificate_path, key_path = tmp_path / "app.cer", tmp_path / "app.key"
    issued = tls.issue("ends soon", lifetime=timedelta(days=20, minutes=1))
    certificate_path.write_bytes(issued.certificate_pem())
    key_path.write_bytes(issued.key_pem())
    stage.graph.register(issued.certificate)
    settings = {**stage.environment(), "CERT_PATH": str(certificate_path), "KEY_PATH": str(key_path)}
    with ServiceProcess(settings, data_dir=tmp_path / "data") as service:
        line = service.wait_for_line(lambda line: line["event"] == "certificate")
        ready = service.get("/ready").status_code

    assert line["level"] == "WARNING"
    assert "ends in 20 days" in line["reason"]
    assert str(certificate_path) in line["reason"]
    assert ready == 200
