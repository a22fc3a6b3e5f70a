"""A pause that Graph asked for outlives the process that was asked: after the restart nothing is sent until it is over."""

from collections.abc import Callable

import pytest
from e2e.trouble import FOLDER, IMPATIENT, versions_of, wait_until_postponed, why_not_ready

from simulator.calls import Call, CallKind
from simulator.faults import AnswerWith, Fault, Match
from simulator.stage import Stage

PAUSE_SECONDS = 10
TOLERANCE_SECONDS = 0.2
ENTRA = {CallKind.OPENID, CallKind.TOKEN}


def refuse_with_a_pause(stage: Stage, key: str) -> None:
    """Have Graph refuse the write of KEY, once, and ask for a pause; return when the service knows."""
    advice = {"Retry-After": str(PAUSE_SECONDS)}
    stage.graph.add_fault(Fault(Match(CallKind.PUT_CONTENT), AnswerWith(429, headers=advice)))
    stage.put(key, b"hello")
    wait_until_postponed(stage, key)


def at_graph(stage: Stage) -> list[Call]:
    """The calls so far, but for those at Entra ID, which asked for nothing."""
    return [call for call in stage.graph.calls() if call.kind not in ENTRA]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_restart_does_not_end_a_pause(make_stage: Callable[..., Stage], end: str) -> None:
    """Neither that of a service that was stopped nor that of one that was killed; then it goes on by itself."""
    stage = make_stage(settings=IMPATIENT)
    stage.begin()
    key = f"{FOLDER}/paused.txt"
    refuse_with_a_pause(stage, key)
    refused_at = next(call.at for call in at_graph(stage) if call.status == 429)
    getattr(stage.service, end)()
    before = len(at_graph(stage))
    stage.service.start(wait=False)
    told = stage.service.wait_for_line(lambda line: line["event"] == "not_ready")
    reason = why_not_ready(stage)
    stage.settle()

    assert 0 < told["seconds"] < PAUSE_SECONDS
    assert "Graph asked for a pause" in reason
    assert at_graph(stage)[before].at >= refused_at + PAUSE_SECONDS - TOLERANCE_SECONDS
    assert stage.graph.content(key) == b"hello"
    assert versions_of(stage, key) == 1
    assert why_not_ready(stage) == ""
