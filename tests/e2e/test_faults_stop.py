"""The service is stopped and started while it works: in time, with nothing half done, and nothing lost or done twice."""

import time
from collections.abc import Iterator

import pytest
from e2e.trouble import FOLDER, calm, in_journal, nudge, open_stage, start_again, versions_of

from simulator.calls import CallKind
from simulator.faults import AnswerWith, Fault, Match
from simulator.stage import Stage

FILES = 120
GRACE_SECONDS = 30


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for all tests here."""
    with open_stage(tmp_path_factory.mktemp("stop")) as stage:
        yield stage


@pytest.fixture
def stage(shared: Stage) -> Iterator[Stage]:
    """The stage, without what an earlier test left."""
    yield shared
    if not shared.service.is_running():
        start_again(shared)
    calm(shared)


def put_many(stage: Stage, name: str, count: int = FILES) -> dict[str, bytes]:
    """Put COUNT small objects; their contents by key."""
    contents = {f"{FOLDER}/{name}/{number}.txt": f"{name} {number}".encode() for number in range(count)}
    for key, content in contents.items():
        stage.put(key, content)
    return contents


def test_a_stop_amid_uploads_leaves_nothing_half_done(stage: Stage) -> None:
    """Each key is either settled, with its file in the ledger, or waits untouched; after the start all go on."""
    stage.graph.latency = 0.3
    contents = put_many(stage, "amid")
    stage.minio.drain()
    stage.graph.wait_for(stage.graph.calls)
    began = time.monotonic()
    code = stage.service.stop()
    took = time.monotonic() - began
    uploaded = {path for path, size in stage.graph.tree().items() if size is not None}
    waiting = {key for _, key, state in stage.service.journal() if state == "waiting"}

    assert (code, took < GRACE_SECONDS) == (0, True)
    assert waiting
    assert in_journal(stage, "SELECT key FROM ledger") == uploaded
    assert waiting == contents.keys() - uploaded
    assert in_journal(stage, "SELECT key FROM claims") == set()
    assert in_journal(stage, "SELECT key FROM uploads") <= waiting
    assert "Traceback" not in stage.service.output()

    stage.graph.latency = 0.0
    start_again(stage)
    stage.settle()
    assert {key: stage.graph.content(key) for key in contents} == contents
    assert {versions_of(stage, key) for key in contents} == {1}


def test_a_stop_while_graph_says_nothing_ends_in_time(stage: Stage) -> None:
    """What is under way is waited for, and nothing else begun."""
    stage.graph.latency = 2.0
    contents = put_many(stage, "silent", 20)
    stage.minio.drain()
    began = time.monotonic()
    code = stage.service.stop()
    took = time.monotonic() - began
    stage.graph.latency = 0.0
    start_again(stage)
    stage.settle()

    assert (code, took < GRACE_SECONDS) == (0, True)
    assert {key: stage.graph.content(key) for key in contents} == contents
    assert {versions_of(stage, key) for key in contents} == {1}


def test_a_stop_during_a_pause_does_not_wait_for_its_end(stage: Stage) -> None:
    stage.graph.add_fault(Fault(Match(CallKind.PUT_CONTENT), AnswerWith(429, headers={"Retry-After": "6"})))
    contents = put_many(stage, "paused", 20)
    stage.minio.drain()
    stage.graph.wait_for(lambda: any(call.status == 429 for call in stage.graph.calls()))
    began = time.monotonic()
    code = stage.service.stop()
    took = time.monotonic() - began
    start_again(stage)
    nudge(stage, *contents)
    stage.settle()

    assert (code, took < 5) == (0, True)
    assert {key: stage.graph.content(key) for key in contents} == contents
    assert {versions_of(stage, key) for key in contents} == {1}


def test_a_rolling_restart_under_load_loses_nothing(stage: Stage) -> None:
    """Three stops and starts while events come in; what could not be delivered MinIO sends again."""
    stage.graph.latency = 0.05
    contents: dict[str, bytes] = {}
    for round_ in range(3):
        contents |= put_many(stage, f"rolling-{round_}", FILES // 4)
        code = stage.service.stop()
        contents |= put_many(stage, f"down-{round_}", FILES // 12)
        start_again(stage)
        assert code == 0
    stage.minio.drain(30)
    stage.settle()

    assert len(contents) > FILES * 0.9
    assert {key: stage.graph.content(key) for key in contents} == contents
    assert {versions_of(stage, key) for key in contents} == {1}
    written = [call for call in stage.graph.calls() if call.kind is CallKind.PUT_CONTENT and call.status == 201]
    assert len(written) == len(contents)
