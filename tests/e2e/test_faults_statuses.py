"""What Graph refuses: one key's trouble stays its own, everybody's is an outage, and a reason is always given."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial

import pytest
from e2e.trouble import (
    FOLDER,
    IMPATIENT,
    MIB,
    about,
    calm,
    fault_name,
    nudge,
    open_stage,
    refuse_all,
    state_of,
    statuses,
    versions_of,
    wait_for_outage,
    wait_until_parked,
    wait_until_postponed,
    why_not_ready,
)

from simulator.calls import Call, CallKind
from simulator.faults import AnswerWith, Fault, FaultBody, Match
from simulator.stage import Stage

PUT = CallKind.PUT_CONTENT
PASSING = [
    AnswerWith(401),
    AnswerWith(403),
    AnswerWith(404),
    AnswerWith(409, code="nameAlreadyExists"),
    AnswerWith(409, code="resourceModified"),
    AnswerWith(412),
    AnswerWith(423),
    AnswerWith(429, headers={"Retry-After": "1"}),
    AnswerWith(429, headers={"retry-after": "0.3"}),
    AnswerWith(500),
    AnswerWith(502, FaultBody.HTML),
    AnswerWith(503, FaultBody.TEXT),
    AnswerWith(503, headers={"Retry-After": "1"}),
    AnswerWith(504, FaultBody.EMPTY),
    AnswerWith(200, FaultBody.NULL),
    AnswerWith(302, headers={"Location": "https://localhost:1/"}),
]
LASTING = [
    (AnswerWith(400, message="The name is bad."), 1, '400 invalidRequest "The name is bad."'),
    (AnswerWith(413), 1, "Graph answered 413"),
    (AnswerWith(403), 2, "Graph answered 403 accessDenied"),
    (AnswerWith(404, FaultBody.HTML), 2, "Graph answered 404"),
    (AnswerWith(409, code="resourceModified"), 2, "SharePoint is busy with"),
    (AnswerWith(412), 2, "Graph answered 412 resourceModified"),
    (AnswerWith(500, FaultBody.HTML), 2, "Graph answered 500"),
    (AnswerWith(200, FaultBody.HTML), 2, "Graph's answer holds no drive item"),
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for all tests here."""
    with open_stage(tmp_path_factory.mktemp("statuses")) as stage:
        yield stage


@pytest.fixture
def stage(shared: Stage) -> Iterator[Stage]:
    """The stage, without what an earlier test left."""
    yield shared
    calm(shared)


@dataclass(frozen=True, slots=True)
class Record:
    """What came of many refusals at the same time: the calls, why keys were parked, and what /ready said meanwhile."""

    calls: list[Call]
    reasons: dict[str, str]
    readiness: str


def key_of(answer: AnswerWith, name: str) -> str:
    """A key of its own for each refusal."""
    return f"{FOLDER}/{name}-{fault_name(answer)}.txt"


@pytest.fixture(scope="module")
def passing(shared: Stage) -> list[Call]:
    """The calls made while each of PASSING refused one write once."""
    for answer in PASSING:
        shared.graph.add_fault(Fault(Match(PUT, key_of(answer, "passing")), answer))
        shared.put(key_of(answer, "passing"), b"hello")
    shared.settle()
    return shared.graph.calls()


@pytest.fixture(scope="module")
def lasting(shared: Stage) -> Record:
    """What came of it that each of LASTING refused the writes of one key until it was given up."""
    keys = [key_of(answer, "lasting") for answer, _, _ in LASTING]
    for key, (answer, _, _) in zip(keys, LASTING, strict=True):
        shared.graph.add_fault(Fault(Match(PUT, key), answer, times=None))
        shared.put(key, b"hello")
    reasons = {key: wait_until_parked(shared, key) for key in keys}
    record = Record(shared.graph.calls(), reasons, why_not_ready(shared))
    shared.graph.clear_faults()
    nudge(shared, *keys)
    shared.settle()
    return record


@pytest.mark.parametrize("answer", PASSING, ids=fault_name)
def test_a_refusal_that_passes_costs_one_more_write(stage: Stage, passing: list[Call], answer: AnswerWith) -> None:
    key = key_of(answer, "passing")

    assert stage.graph.content(key) == b"hello"
    assert versions_of(stage, key) == 1
    assert [call.status for call in about(passing, key, PUT)] == [answer.status, 201]


@pytest.mark.parametrize(("answer", "tries", "reason"), LASTING, ids=fault_name)
def test_a_refusal_that_lasts_parks_its_key_alone(
    stage: Stage, lasting: Record, answer: AnswerWith, tries: int, reason: str
) -> None:
    """With what Graph said, while the service stays ready; a new event tries again."""
    key = key_of(answer, "lasting")

    assert reason in lasting.reasons[key]
    assert len(about(lasting.calls, key, PUT)) == tries
    assert lasting.readiness == ""
    assert stage.graph.content(key) == b"hello"
    assert state_of(stage, key) == "settled"


def test_a_delete_that_is_refused_is_parked_and_the_file_stays(stage: Stage) -> None:
    """As for a file under a retention label."""
    key = f"{FOLDER}/kept.txt"
    stage.put(key, b"hello")
    stage.settle()
    stage.graph.add_fault(Fault(Match(CallKind.DELETE, key), AnswerWith(403, message="Held by a label."), times=None))
    stage.delete(key)
    reason = wait_until_parked(stage, key)
    there = stage.graph.content(key)
    stage.graph.clear_faults()
    nudge(stage, key)
    stage.settle()

    assert "Held by a label." in reason
    assert there == b"hello"
    assert stage.graph.item(key) is None


def test_a_poisonous_key_holds_up_no_other(stage: Stage) -> None:
    poison, others = f"{FOLDER}/poison.txt", [f"{FOLDER}/healthy-{number}.txt" for number in range(40)]
    stage.graph.add_fault(Fault(Match(PUT, poison), AnswerWith(500), times=None))
    stage.put(poison, b"x")
    for key in others:
        stage.put(key, b"x")
    stage.settle()

    assert state_of(stage, poison) == "parked"
    assert "Given up after 2 tries." in wait_until_parked(stage, poison)
    assert {versions_of(stage, key) for key in others} == {1}


def test_a_file_open_in_office_is_tried_for_longer_than_others(stage: Stage) -> None:
    key = f"{FOLDER}/open.docx"
    stage.graph.add_fault(Fault(Match(PUT, key), AnswerWith(423), times=2))
    stage.put(key, b"hello")
    reason = wait_until_postponed(stage, key, attempt=int(IMPATIENT["MAX_ATTEMPTS"]))
    stage.settle()

    assert "resourceLocked" in reason or "423" in reason
    assert statuses(stage, key, PUT) == [423, 423, 201]


def test_a_pause_until_a_date_is_kept_by_all(stage: Stage) -> None:
    at = datetime.now(UTC) + timedelta(seconds=2)
    date = format_datetime(at, usegmt=True)
    refused, others = f"{FOLDER}/paused.txt", [f"{FOLDER}/paused-{number}.txt" for number in range(5)]
    stage.graph.add_fault(Fault(Match(PUT, refused), AnswerWith(503, headers={"Retry-After": date})))
    stage.put(refused, b"x")
    wait_until_postponed(stage, refused)
    stage.graph.clear_calls()
    for key in others:
        stage.put(key, b"x")
    stage.settle()

    # A date has whole seconds: it may be up to one second earlier than meant.
    assert min(call.at for call in stage.graph.calls()) >= at.timestamp() - 1
    assert [versions_of(stage, key) for key in (refused, *others)] == [1] * 6


def remove_certificate(stage: Stage) -> None:
    """Let Entra ID know the certificate no more, and Graph the tokens given out for it."""
    said = "AADSTS700027: The certificate is not registered on application."
    gone = AnswerWith(401, code="invalid_client", message=said)
    stage.graph.add_fault(Fault(Match(CallKind.TOKEN), gone, times=None))
    stage.graph.revoke_tokens()


OUTAGES: dict[str, tuple[Callable[[Stage], None], str]] = {
    "401 for all": (partial(refuse_all, status=401), "Graph answered 401"),
    "403 for all": (partial(refuse_all, status=403), "closed to this application"),
    "404 for all": (partial(refuse_all, status=404), "or gone"),
    "503 for all": (partial(refuse_all, status=503, body=FaultBody.HTML), "Graph answered 503"),
    "500 for all": (partial(refuse_all, status=500), "Graph answered 500"),
    "no grant": (lambda stage: stage.graph.change(granted_sites=()), "closed to this application"),
    "no certificate": (remove_certificate, "AADSTS700027"),
}


@pytest.mark.parametrize("name", OUTAGES)
def test_all_is_kept_while_graph_refuses_everything(stage: Stage, name: str) -> None:
    """/ready says why until it works again; nothing is parked, and nothing deleted."""
    begin, reason = OUTAGES[name]
    removed, *written = keys = [f"{FOLDER}/{name}-{number}.txt" for number in range(3)]
    stage.put(removed, b"old")
    stage.settle()
    begin(stage)
    stage.delete(removed)
    for key in written:
        stage.put(key, b"new")
    stage.minio.drain()
    complaint = wait_for_outage(stage, written)
    states = {state_of(stage, key) for key in keys}
    health = stage.service.get("/health").status_code
    stage.graph.clear_faults()
    stage.graph.change(granted_sites=None)
    nudge(stage, *keys)
    stage.settle()

    assert reason in complaint
    assert (states, health) == ({"waiting"}, 200)
    assert why_not_ready(stage) == ""
    assert stage.graph.item(removed) is None
    assert [versions_of(stage, key) for key in written] == [1, 1]


def test_a_full_library_stops_uploads_and_nothing_else(make_stage: Callable[..., Stage]) -> None:
    """After the first refusal nobody tries for a quarter of an hour, or until the restart; deletes go on."""
    stage = make_stage(settings=IMPATIENT)
    stage.begin()
    gone, waiting = f"{FOLDER}/gone.txt", [f"{FOLDER}/full-{number}.txt" for number in range(3)]
    stage.put(gone, b"x")
    stage.settle()
    stage.calls()
    stage.graph.add_fault(Fault(Match(PUT), AnswerWith(507), times=None))
    stage.graph.add_fault(Fault(Match(CallKind.SESSION_CREATE), AnswerWith(507), times=None))
    stage.put(waiting[0], b"x")
    wait_until_postponed(stage, waiting[0])
    for key in waiting[1:]:
        stage.put(key, b"x" * 5 * MIB)
        wait_until_postponed(stage, key)
    stage.delete(gone)
    stage.service.wait_for_line(lambda line: line.get("action") == "deleted")
    complaint = why_not_ready(stage)

    assert "507" in complaint or "full" in complaint
    assert [(call.kind, call.status) for call in stage.calls()] == [(PUT, 507), (CallKind.DELETE, 204)]
    assert {state_of(stage, key) for key in waiting} == {"waiting"}

    stage.graph.clear_faults()
    stage.service.kill()
    stage.service.start()
    nudge(stage, *waiting)
    stage.settle()
    assert [versions_of(stage, key) for key in waiting] == [1] * 3
    assert why_not_ready(stage) == ""
