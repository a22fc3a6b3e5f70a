"""The service's clock is an hour apart from MinIO's or Microsoft's: what they refuse for it is kept, and they are not blamed for it."""

from collections.abc import Iterator

import pytest
from e2e.trouble import (
    FOLDER,
    calm,
    nudge,
    open_stage,
    state_of,
    statuses,
    tries_counted,
    wait_for_outage,
    why_not_ready,
)

from simulator.calls import CallKind
from simulator.service_clock import ServiceClock
from simulator.stage import Stage

PUT = CallKind.PUT_CONTENT
HOUR_SECONDS = 3600
SOON_SECONDS = 20.0


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> ServiceClock:
    """The service's clock."""
    return ServiceClock(tmp_path_factory.mktemp("clock"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, clock: ServiceClock) -> Iterator[Stage]:
    """A stage for all tests here, whose service goes by that clock."""
    with open_stage(tmp_path_factory.mktemp("stage"), settings=clock.environment()) as stage:
        yield stage


@pytest.fixture
def stage(shared: Stage, clock: ServiceClock) -> Iterator[Stage]:
    """The stage by the right time, without what an earlier test left."""
    yield shared
    clock.ahead = 0.0
    calm(shared)


def test_a_token_is_had_by_a_clock_that_is_fast(stage: Stage, clock: ServiceClock) -> None:
    """And another one when the clock was set right again, though what was signed meanwhile seems fresh for an hour."""
    keys = [f"{FOLDER}/fast-{number}.txt" for number in range(2)]
    for key, ahead in zip(keys, (HOUR_SECONDS, 0.0), strict=True):
        clock.ahead = stage.minio.clock_ahead = ahead
        stage.graph.revoke_tokens()
        stage.put(key, b"x")
        stage.settle(SOON_SECONDS)

    assert [statuses(stage, key, PUT).count(201) for key in keys] == [1, 1]
    assert len(set(stage.graph.tenant.entra.assertions[-2:])) == 2


def test_all_is_kept_while_the_clock_is_too_slow_for_a_token(stage: Stage, clock: ServiceClock) -> None:
    """Entra ID takes nothing that was signed an hour ago. /ready names the clock; all goes on once it is right."""
    keys = [f"{FOLDER}/slow-{number}.txt" for number in range(3)]
    clock.ahead = stage.minio.clock_ahead = -HOUR_SECONDS
    stage.graph.revoke_tokens()
    for key in keys:
        stage.put(key, b"x")
    complaint = wait_for_outage(stage, keys)
    states, tries = {state_of(stage, key) for key in keys}, max(tries_counted(stage, key) for key in keys)
    clock.ahead = stage.minio.clock_ahead = 0.0
    nudge(stage, *keys)
    stage.settle(SOON_SECONDS)

    assert "AADSTS700024: Client assertion is not within its valid time range." in complaint
    assert "This machine's clock and Entra ID's are 60 minutes apart: set it right." in complaint
    assert (states, tries) == ({"waiting"}, 0)
    assert why_not_ready(stage) == ""
    assert [statuses(stage, key, PUT).count(201) for key in keys] == [1] * 3


@pytest.mark.parametrize("ahead", [HOUR_SECONDS, -HOUR_SECONDS], ids=["ahead", "back"])
def test_all_is_kept_while_minio_goes_by_another_clock(stage: Stage, clock: ServiceClock, ahead: float) -> None:
    """On another computer it takes no request that seems to be of another hour; nothing is taken for gone."""
    keys = [f"{FOLDER}/apart{ahead}-{number}.txt" for number in range(3)]
    for key in keys:
        stage.put(key, b"x")
    stage.settle()
    clock.ahead = ahead
    nudge(stage, *keys)
    complaint = wait_for_outage(stage, keys)
    states, tries = {state_of(stage, key) for key in keys}, max(tries_counted(stage, key) for key in keys)
    clock.ahead = 0.0
    nudge(stage, *keys)
    stage.settle(SOON_SECONDS)

    assert "that this machine's clock agrees with MinIO's" in complaint
    assert (states, tries) == ({"waiting"}, 0)
    assert why_not_ready(stage) == ""
    assert [statuses(stage, key, PUT).count(201) for key in keys] == [1] * 3
    assert not set(keys) & set(stage.graph.recycle_bin())
