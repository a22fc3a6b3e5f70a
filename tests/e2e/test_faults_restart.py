"""The service is stopped amid large uploads, waiting senders and changes of all kinds: all go on where they stood."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Event

import pytest
from e2e.trouble import (
    FOLDER,
    MIB,
    calls_about,
    calm,
    in_journal,
    open_stage,
    start_again,
    statuses,
    versions_of,
    wait_until,
)

from simulator.calls import CallKind
from simulator.faults import Fault, Hang, Match
from simulator.stage import Stage

GRACE_SECONDS = 30
SIZE = 5 * MIB
FRAGMENT_BYTES = 1 * MIB
CREATE, FRAGMENT = CallKind.SESSION_CREATE, CallKind.FRAGMENT


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for tests here, whose service sends fragments of about one MiB and stops in two seconds."""
    settings = {"CHUNK_MIB": "1", "GUNICORN_CMD_ARGS": "--graceful-timeout 2"}
    with open_stage(tmp_path_factory.mktemp("restart"), settings=settings) as stage:
        stage.put(f"{FOLDER}/makes the folder.txt", b"x")
        stage.settle()
        yield stage


@pytest.fixture
def stage(shared: Stage) -> Iterator[Stage]:
    """The stage, without what an earlier test left."""
    yield shared
    if not shared.service.is_running():
        start_again(shared)
    calm(shared)


def test_a_stop_amid_large_uploads_costs_at_most_a_fragment_each(stage: Stage) -> None:
    """They end at a fragment, and go on there."""
    contents = {f"{FOLDER}/large-{number}.bin": os.urandom(SIZE) for number in range(3)}
    stage.graph.bandwidth = 3 * MIB
    for key, content in contents.items():
        stage.put(key, content)
    stage.minio.drain()
    stage.graph.wait_for(lambda: all(calls_about(stage, key, FRAGMENT) for key in contents))
    code = stage.service.stop()
    held = in_journal(stage, "SELECT key FROM uploads WHERE session_url IS NOT NULL")
    cut_off = [call for call in stage.graph.calls() if call.kind is FRAGMENT and call.status == 0]
    stage.graph.bandwidth = None
    start_again(stage)
    stage.settle()
    received = {key: sum(call.bytes_received for call in calls_about(stage, key, FRAGMENT)) for key in contents}

    assert (code, cut_off) == (0, [])
    assert held == contents.keys()
    assert {key: stage.graph.content(key) for key in contents} == contents
    assert received == dict.fromkeys(contents, SIZE)
    assert [statuses(stage, key, CREATE) for key in contents] == [[200]] * 3


def test_a_stop_does_not_wait_for_a_fragment_longer_than_its_grace(stage: Stage) -> None:
    """What hangs is cut off as by kill -9, and goes on after the start where the session stands."""
    key, content = f"{FOLDER}/hanging.bin", os.urandom(SIZE)
    stage.graph.add_fault(Fault(Match(FRAGMENT, key), Hang(60), after=2))
    stage.put(key, content)
    wait_until(lambda: stage.graph.pending_faults() == [])
    began = time.monotonic()
    stage.service.stop()
    took = time.monotonic() - began
    start_again(stage)
    stage.settle()

    assert took < 8
    assert stage.graph.content(key) == content
    assert statuses(stage, key, CREATE) == [200]
    assert sum(call.bytes_received for call in calls_about(stage, key, FRAGMENT)) <= SIZE + FRAGMENT_BYTES


def test_whoever_waits_for_an_outcome_is_answered_at_a_stop(make_stage: Callable[..., Stage]) -> None:
    """That it is recorded, and before the stop ends: a sender whose connection breaks sends all again."""
    stage = make_stage(settings={"SYNC_WAIT_SECONDS": "25"})
    stage.begin()
    key = f"{FOLDER}/waited-for.txt"
    stage.minio.pause()
    stage.put(key, b"x")
    stage.graph.latency = 3.0
    event = {"EventName": "s3:ObjectCreated:Put", "Key": f"lycee/{key}"}
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(stage.service.post, event)
        wait_until(stage.service.unsettled)
        began = time.monotonic()
        code = stage.service.stop()
        took = time.monotonic() - began
        answer = asked.result(1)
    stage.graph.latency = 0.0
    start_again(stage)
    stage.minio.resume()
    stage.settle()

    assert (code, took < GRACE_SECONDS) == (0, True)
    assert answer.status_code == 202
    assert [record["state"] for record in answer.json()["records"]] == ["waiting"]
    assert versions_of(stage, key) == 1


def work(stage: Stage, over: Event) -> dict[str, bytes]:
    """Put, replace and delete objects, small and large, one after the other until it is OVER; what MinIO holds then."""
    held: dict[str, bytes] = {}
    for number in count():
        key = f"{FOLDER}/load/{number % 40}.bin"
        if key in held and number % 7 == 0:
            stage.delete(key)
            del held[key]
            continue
        held[key] = os.urandom(SIZE if number % 25 == 0 else 100)
        stage.put(key, held[key])
        if over.wait(0.02):
            return held
    raise AssertionError("count never ends")


def test_a_rolling_restart_amid_changes_of_all_kinds_ends_in_agreement(stage: Stage) -> None:
    """New, replaced and removed objects, small and large, that go on changing while the service stops and starts twice."""
    stage.graph.latency, stage.graph.bandwidth = 0.02, 20 * MIB
    over, codes = Event(), []
    with ThreadPoolExecutor(1) as threads:
        working = threads.submit(work, stage, over)
        try:
            for _ in range(2):
                stage.graph.clear_calls()
                stage.graph.wait_for(lambda: len(stage.graph.calls()) > 20)
                codes.append(stage.service.stop())
                start_again(stage)
        finally:
            over.set()
        held = working.result()
    calm(stage)
    folder = f"{FOLDER}/load/"
    mirrored = {path for path, size in stage.graph.tree().items() if path.startswith(folder) and size is not None}

    assert codes == [0, 0]
    assert mirrored == held.keys()
    assert {key: stage.graph.content(key) for key in held} == held
    assert stage.graph.pending_sessions() == []
    assert "Traceback" not in stage.service.told()["output"]
