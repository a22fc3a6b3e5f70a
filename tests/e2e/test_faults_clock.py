"""The computer's clock is set by an hour while the service works: nothing waits for an hour, nothing comes early, every file arrives."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from e2e.trouble import (
    FOLDER,
    IMPATIENT,
    MIB,
    calls_about,
    calm,
    open_stage,
    start_again,
    statuses,
    wait_until_postponed,
    why_not_ready,
)

from simulator.calls import CallKind
from simulator.faults import AnswerWith, Fault, Match
from simulator.service_clock import ServiceClock
from simulator.stage import Stage

PUT, CREATE, FRAGMENT = CallKind.PUT_CONTENT, CallKind.SESSION_CREATE, CallKind.FRAGMENT
HOUR_SECONDS = 3600
SOON_SECONDS = 20.0
"""Far less than an hour, and enough for all that waits a few seconds."""

either_way = pytest.mark.parametrize("ahead", [HOUR_SECONDS, -HOUR_SECONDS], ids=["an hour ahead", "an hour back"])


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> ServiceClock:
    """The service's clock."""
    return ServiceClock(tmp_path_factory.mktemp("clock"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, clock: ServiceClock) -> Iterator[Stage]:
    """A stage for all tests here, whose service goes by that clock."""
    settings = {**clock.environment(), "CHUNK_MIB": "1"}
    with open_stage(tmp_path_factory.mktemp("stage"), settings=settings) as stage:
        yield stage


@pytest.fixture
def stage(shared: Stage, clock: ServiceClock) -> Iterator[Stage]:
    """The stage by the right time, without what an earlier test left."""
    yield shared
    clock.ahead = 0.0
    calm(shared)


def set_the_computers_clock(stage: Stage, clock: ServiceClock, ahead: float) -> None:
    """Set the one clock that the service and MinIO go by, where they are on one computer."""
    clock.ahead = stage.minio.clock_ahead = ahead


def writes(stage: Stage, key: str) -> int:
    """How often a file was written at KEY; its date may be set apart."""
    return len([status for status in statuses(stage, key, PUT, FRAGMENT) if status in {200, 201}])


@either_way
def test_what_is_under_way_goes_on(stage: Stage, clock: ServiceClock, ahead: float) -> None:
    """A try that waits for its turn, a pause, a removal in its grace, and an upload in the middle; and so does what comes after."""
    removed, retried, paused, large, late = (f"{FOLDER}/{name}{ahead}.bin" for name in ("x", "r", "p", "l", "late"))
    content = os.urandom(6 * MIB)
    # Unlike the others: what holds the same bytes as something that is removed counts as its renaming.
    stage.put(removed, b"removed")
    stage.settle()
    stage.graph.bandwidth = 4 * MIB
    stage.graph.add_fault(Fault(Match(PUT, retried), AnswerWith(500)))
    stage.graph.add_fault(Fault(Match(PUT, paused), AnswerWith(429, headers={"Retry-After": "2"})))
    stage.put(large, content)
    stage.graph.wait_for(lambda: calls_about(stage, large, FRAGMENT))
    for key in (retried, paused):
        stage.put(key, b"x")
        wait_until_postponed(stage, key)
    stage.delete(removed)
    stage.minio.drain()
    set_the_computers_clock(stage, clock, ahead)
    stage.graph.bandwidth = None
    stage.put(late, b"x")
    stage.settle(SOON_SECONDS)

    assert stage.graph.content(large) == content
    assert stage.graph.item(removed) is None
    assert {key: writes(stage, key) for key in (retried, paused, large, late)} == dict.fromkeys(
        (retried, paused, large, late), 1
    )
    assert statuses(stage, large, CREATE) == [200]
    assert why_not_ready(stage) == ""


@either_way
def test_a_pause_until_a_date_is_as_long_as_graph_means(stage: Stage, clock: ServiceClock, ahead: float) -> None:
    """Its date is by Graph's own clock, which its answer tells too."""
    refused, others = f"{FOLDER}/date{ahead}.txt", [f"{FOLDER}/date{ahead}-{number}.txt" for number in range(5)]
    set_the_computers_clock(stage, clock, ahead)
    at = datetime.now(UTC) + timedelta(seconds=2)
    date = format_datetime(at, usegmt=True)
    stage.graph.add_fault(Fault(Match(PUT, refused), AnswerWith(503, headers={"Retry-After": date})))
    stage.put(refused, b"x")
    wait_until_postponed(stage, refused)
    stage.graph.clear_calls()
    for key in others:
        stage.put(key, b"x")
    stage.settle(SOON_SECONDS)

    # A date has whole seconds: it may be up to one second earlier than meant.
    assert min(call.at for call in stage.graph.calls()) >= at.timestamp() - 1
    assert [writes(stage, key) for key in (refused, *others)] == [1] * 6


def test_a_full_library_is_not_tried_sooner(make_stage: Callable[..., Stage], tmp_path: Path) -> None:
    """One upload tries each quarter of an hour, and not at once because the clock says that it is over."""
    clock = ServiceClock(tmp_path)
    stage = make_stage(settings={**IMPATIENT, **clock.environment()})
    stage.begin()
    first, second = f"{FOLDER}/full-1.txt", f"{FOLDER}/full-2.txt"
    stage.graph.add_fault(Fault(Match(PUT), AnswerWith(507)))
    stage.put(first, b"x")
    wait_until_postponed(stage, first)
    set_the_computers_clock(stage, clock, HOUR_SECONDS)
    stage.put(second, b"x")
    reason = wait_until_postponed(stage, second)

    assert reason == "The library is full."
    assert statuses(stage, FOLDER, PUT) == [507]


@either_way
def test_a_stop_while_the_clock_is_set_ends_in_time(stage: Stage, clock: ServiceClock, ahead: float) -> None:
    """It may cut off what is under way, which goes on after the start; nothing is lost or written twice."""
    keys = [f"{FOLDER}/stop{ahead}-{number}.txt" for number in range(20)]
    stage.graph.latency = 0.3
    for key in keys:
        stage.put(key, b"x")
    stage.minio.drain()
    with ThreadPoolExecutor(1) as threads:
        stopped = threads.submit(stage.service.stop)
        set_the_computers_clock(stage, clock, ahead)
        code = stopped.result(SOON_SECONDS)
    set_the_computers_clock(stage, clock, 0.0)
    stage.graph.latency = 0.0
    start_again(stage)
    stage.settle(SOON_SECONDS)

    assert code == 0
    assert [writes(stage, key) for key in keys] == [1] * 20
