"""Trouble between the service and Graph: what was written is written once, and an outage costs nothing but time."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e.cable import Cable, Plug
from e2e.trouble import (
    FOLDER,
    IMPATIENT,
    MIB,
    about,
    calls_about,
    calm,
    fault_name,
    nudge,
    open_stage,
    state_of,
    statuses,
    tries_counted,
    versions_of,
    wait_for_outage,
    wait_until_settled,
    why_not_ready,
)

from simulator.calls import Call, CallKind
from simulator.faults import (
    Action,
    AnswerWith,
    CutConnection,
    CutPoint,
    Fault,
    FaultBody,
    Hang,
    Match,
    TruncateAnswer,
)
from simulator.options import SimulatorOptions
from simulator.service_process import ServiceProcess, free_port
from simulator.stage import Stage

BEFORE_THE_WRITE: list[Action] = [CutConnection(CutPoint.BEFORE_BODY), CutConnection(CutPoint.HALF_BODY)]
AFTER_THE_WRITE: list[Action] = [
    CutConnection(CutPoint.AFTER_EFFECT),
    TruncateAnswer(),
    AnswerWith(201, FaultBody.HTML, after_effect=True),
    AnswerWith(500, after_effect=True),
    AnswerWith(503, FaultBody.HTML, after_effect=True),
    AnswerWith(504, FaultBody.EMPTY, after_effect=True),
]


@pytest.fixture(scope="module")
def cabled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, Cable]]:
    """A stage for all tests here, whose service reaches Graph by a cable."""
    port = free_port()
    with Cable(port) as cable:
        settings = {"GRAPH_BASE_URL": f"https://localhost:{cable.port}/v1.0"}
        folder = tmp_path_factory.mktemp("network")
        with open_stage(folder, settings=settings, graph=SimulatorOptions(port=port)) as stage:
            yield stage, cable


@pytest.fixture
def stage(cabled: tuple[Stage, Cable]) -> Iterator[Stage]:
    """The stage, without what an earlier test left."""
    yield cabled[0]
    calm(cabled[0])


@pytest.fixture
def cable(cabled: tuple[Stage, Cable]) -> Iterator[Cable]:
    """The cable, which is plugged in again after the test."""
    yield cabled[1]
    cabled[1].plug(Plug.THROUGH)


@dataclass(frozen=True, slots=True)
class Trial:
    """A write of KIND that meets ACTION: BEFORE is there already, AFTER is written (None: the key is removed)."""

    name: str
    kind: CallKind
    action: Action
    before: bytes | None
    after: bytes | None

    @property
    def key(self) -> str:
        """A key of its own."""
        suffix = "bin" if self.kind is CallKind.FRAGMENT else "txt"
        return f"{FOLDER}/{self.name}-{fault_name(self.action)}.{suffix}"


PUT, FRAGMENT, DELETE = CallKind.PUT_CONTENT, CallKind.FRAGMENT, CallKind.DELETE
LARGE = os.urandom(5 * MIB)
MADE_AGAIN = [Trial("before", PUT, action, None, b"hello") for action in BEFORE_THE_WRITE]
CREATED = [Trial("created", PUT, action, None, b"hello") for action in AFTER_THE_WRITE]
REPLACED = [Trial("replaced", PUT, action, b"first", b"other") for action in AFTER_THE_WRITE]
SENT = [Trial("sent", FRAGMENT, action, None, LARGE) for action in AFTER_THE_WRITE]
# The answer to a DELETE has no body that could be cut.
REMOVED = [
    Trial("removed", DELETE, action, b"hello", None)
    for action in (*BEFORE_THE_WRITE, *AFTER_THE_WRITE)
    if not isinstance(action, TruncateAnswer)
]
TRIALS = [*MADE_AGAIN, *CREATED, *REPLACED, *SENT, *REMOVED]


@pytest.fixture(scope="module")
def history(cabled: tuple[Stage, Cable]) -> list[Call]:
    """The calls that were made while all trials took place at the same time."""
    stage, _ = cabled
    for trial in TRIALS:
        if trial.before is not None:
            stage.put(trial.key, trial.before)
    stage.settle()
    stage.graph.clear_calls()
    for trial in TRIALS:
        stage.graph.add_fault(Fault(Match(trial.kind, trial.key), trial.action))
        if trial.after is None:
            stage.delete(trial.key)
        else:
            stage.put(trial.key, trial.after)
    stage.settle()
    return stage.graph.calls()


def name_of(trial: Trial) -> str:
    """A test's name for TRIAL."""
    return fault_name(trial.action)


@pytest.mark.parametrize("trial", MADE_AGAIN, ids=name_of)
def test_a_write_that_broke_is_made_again(stage: Stage, history: list[Call], trial: Trial) -> None:
    assert stage.graph.content(trial.key) == trial.after
    assert versions_of(stage, trial.key) == 1
    assert [call.status for call in about(history, trial.key, PUT)] == [0, 201]


@pytest.mark.parametrize("trial", CREATED, ids=name_of)
def test_a_write_whose_answer_was_lost_is_not_made_again(stage: Stage, history: list[Call], trial: Trial) -> None:
    """One look finds that the file is there."""
    assert stage.graph.content(trial.key) == trial.after
    assert versions_of(stage, trial.key) == 1
    assert [call.kind for call in about(history, trial.key)] == [PUT, CallKind.ITEM_GET]


@pytest.mark.parametrize("trial", REPLACED, ids=name_of)
def test_an_overwrite_whose_answer_was_lost_is_not_made_again(stage: Stage, history: list[Call], trial: Trial) -> None:
    assert stage.graph.content(trial.key) == trial.after
    assert versions_of(stage, trial.key) == 2
    assert [call.kind for call in about(history, trial.key)] == [PUT, CallKind.ITEM_GET]


@pytest.mark.parametrize("trial", SENT, ids=name_of)
def test_a_large_file_whose_last_answer_was_lost_is_not_sent_again(
    stage: Stage, history: list[Call], trial: Trial
) -> None:
    assert stage.graph.content(trial.key) == trial.after
    assert versions_of(stage, trial.key) == 1
    assert sum(call.bytes_received for call in about(history, trial.key, FRAGMENT)) == len(LARGE)


@pytest.mark.parametrize("trial", REMOVED, ids=name_of)
def test_a_delete_takes_away_one_file_once(stage: Stage, history: list[Call], trial: Trial) -> None:
    """Whether the failed call had removed it or not."""
    assert stage.graph.item(trial.key) is None
    assert stage.graph.recycle_bin().count(trial.key) == 1
    assert len([call for call in history if call.kind is DELETE]) <= 2 * len(REMOVED)
    assert state_of(stage, trial.key) == "settled"


def test_what_is_written_after_a_delete_whose_answer_was_lost_stays(stage: Stage) -> None:
    """The removal is not repeated on the file that came after it."""
    key = f"{FOLDER}/back.txt"
    stage.put(key, b"old")
    stage.settle()
    stage.graph.add_fault(Fault(Match(CallKind.DELETE, key), CutConnection(CutPoint.AFTER_EFFECT)))
    stage.delete(key)
    stage.graph.wait_for(lambda: calls_about(stage, key, CallKind.DELETE))
    stage.put(key, b"new")
    stage.settle()

    assert stage.graph.content(key) == b"new"
    assert stage.graph.recycle_bin().count(key) == 1


@pytest.mark.parametrize("action", [*BEFORE_THE_WRITE, CutConnection(CutPoint.AFTER_EFFECT)], ids=fault_name)
def test_a_folder_is_there_whatever_happens_to_its_making(stage: Stage, action: Action) -> None:
    key = f"{FOLDER}/folder-{fault_name(action)}/"
    stage.graph.add_fault(Fault(Match(CallKind.FOLDER_CREATE), action))
    stage.put(key, b"")
    stage.settle()
    item = stage.graph.item(key)

    assert item is not None
    assert item.is_folder
    assert state_of(stage, key) == "settled"


def test_a_key_that_gets_no_answer_holds_up_no_other(stage: Stage) -> None:
    slow, quick = f"{FOLDER}/slow.txt", [f"{FOLDER}/quick-{number}.txt" for number in range(20)]
    stage.graph.add_fault(Fault(Match(CallKind.PUT_CONTENT, slow), Hang(2.0)))
    stage.put(slow, b"x")
    for key in quick:
        stage.put(key, b"x")
    for key in quick:
        wait_until_settled(stage, key)

    assert state_of(stage, slow) == "waiting"
    stage.settle()
    assert versions_of(stage, slow) == 1


def test_an_answer_that_drips_in_is_waited_for(stage: Stage, cable: Cable) -> None:
    key = f"{FOLDER}/drip.txt"
    cable.plug(Plug.DRIPS)
    stage.put(key, b"hello")
    stage.settle()

    assert statuses(stage, key) == [201]


@pytest.mark.parametrize("plug", [Plug.REFUSES, Plug.SPEAKS_NO_TLS, Plug.RESETS], ids=lambda plug: plug.name)
def test_all_is_kept_while_graph_cannot_be_reached(stage: Stage, cable: Cable, plug: Plug) -> None:
    """Nothing is given up for it, and /ready says why until it works again."""
    keys = [f"{FOLDER}/away-{plug.name}-{number}.txt" for number in range(3)]
    cable.plug(plug)
    for key in keys:
        stage.put(key, b"x")
    stage.minio.drain()
    complaint = wait_for_outage(stage, keys)
    states = {state_of(stage, key) for key in keys}
    tries = max(tries_counted(stage, key) for key in keys)
    cable.plug(Plug.THROUGH)
    nudge(stage, *keys)
    stage.settle()

    assert "Graph cannot be reached" in complaint
    assert states == {"waiting"}
    assert tries < int(IMPATIENT["MAX_ATTEMPTS"])
    assert why_not_ready(stage) == ""
    assert [versions_of(stage, key) for key in keys] == [1, 1, 1]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"GRAPH_BASE_URL": "https://graph.invalid/v1.0"}, "NameResolutionError"),
        ({"AUTHORITY": "https://login.invalid/tenant"}, "No token: https://login.invalid/tenant cannot be used"),
        ({"REQUESTS_CA_BUNDLE": ""}, "cannot be used (SSLError)"),
    ],
    ids=["no address for Graph", "no address for Entra ID", "an unknown certificate authority"],
)
def test_it_says_at_its_start_why_it_cannot_reach_graph(
    stage: Stage, tmp_path: Path, settings: dict[str, str], reason: str
) -> None:
    """And records what comes meanwhile."""
    service = ServiceProcess({**stage.environment(), "SYNC_WAIT_SECONDS": "0", **settings}, data_dir=tmp_path)
    service.start(wait=False)
    line = service.wait_for_line(lambda line: line["event"] == "not_ready")
    event = {"EventName": "s3:ObjectCreated:Put", "Key": f"lycee/{FOLDER}/note.txt"}
    answers = [service.post(event).status_code, service.get("/health").status_code, service.get("/ready").status_code]

    assert service.stop() == 0
    assert reason in line["reason"]
    assert answers == [202, 200, 503]
    assert [state for _, _, state in service.journal()] == ["waiting"]
    assert "Traceback" not in service.output()
