"""Upload sessions that get lost, expire or are in the way: at most one more of them, and none is left behind."""

import os
from collections.abc import Iterator

import pytest
from e2e.trouble import (
    FOLDER,
    MIB,
    about,
    calls_about,
    calm,
    fault_name,
    nudge,
    open_stage,
    state_of,
    statuses,
    versions_of,
    wait_until_parked,
    wait_until_postponed,
    why_not_ready,
)

from simulator.calls import Call, CallKind
from simulator.faults import Action, AnswerWith, CutConnection, CutPoint, Fault, LoseSession, Match
from simulator.options import LARGEST_PUT_BYTES
from simulator.stage import Stage

CREATE, FRAGMENT, CANCEL = CallKind.SESSION_CREATE, CallKind.FRAGMENT, CallKind.SESSION_CANCEL
FRAGMENT_BYTES = 1 * MIB
SIZE = 5 * MIB


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for all tests here, whose service sends fragments of about one MiB."""
    with open_stage(tmp_path_factory.mktemp("sessions"), settings={"CHUNK_MIB": "1"}) as stage:
        stage.put(f"{FOLDER}/makes the folder.txt", b"x")
        stage.settle()
        yield stage


@pytest.fixture
def stage(shared: Stage) -> Iterator[Stage]:
    """The stage, without what an earlier test left; nothing may be left of its sessions either."""
    yield shared
    shared.graph.change(put_limit=4 * MIB, one_session_per_target=True, session_idle_seconds=15 * 60.0)
    calm(shared)
    assert shared.graph.pending_sessions() == []


def begin_upload(stage: Stage, key: str, content: bytes) -> None:
    """Put CONTENT at KEY, slowly, and kill the service once some of its fragments are there."""
    stage.graph.bandwidth = 3 * MIB
    stage.put(key, content)
    stage.graph.wait_for(lambda: calls_about(stage, key, FRAGMENT))
    stage.minio.drain()
    stage.service.kill()
    assert stage.graph.pending_sessions() == [key]
    stage.graph.bandwidth = None
    # A fragment whose last bytes were on their way prolongs the session even now.
    stage.graph.wait_for(lambda: not stage.graph.calls_under_way())


def resume(stage: Stage) -> None:
    """Start the service again, and wait for the upload."""
    stage.service.start()
    stage.settle()


@pytest.mark.parametrize("number", [0, 2, 5], ids=["first fragment", "in the middle", "last fragment"])
@pytest.mark.parametrize("stays", [False, True], ids=["name free", "name taken"])
def test_a_lost_session_is_replaced_once(stage: Stage, number: int, *, stays: bool) -> None:
    key = f"{FOLDER}/lost-{number}-{stays}.bin"
    content = os.urandom(SIZE)
    stage.graph.add_fault(Fault(Match(FRAGMENT, key), LoseSession(name_stays_taken=stays), after=number))
    stage.put(key, content)
    stage.settle()

    assert stage.graph.content(key) == content
    assert statuses(stage, key, CREATE) == [200, 200]
    assert versions_of(stage, key) == 1


FAILURES: list[Action] = [
    AnswerWith(409, code="resourceModified"),
    AnswerWith(409, code="nameAlreadyExists"),
    AnswerWith(416),
    AnswerWith(423),
    AnswerWith(500),
    AnswerWith(504, after_effect=True),
    CutConnection(CutPoint.HALF_BODY),
    CutConnection(CutPoint.AFTER_EFFECT),
]
PLACES = {"in the middle": 1, "last fragment": 5}
CONTENT = os.urandom(SIZE)


def key_of(action: Action, number: int) -> str:
    """A key of its own for each failure and place."""
    return f"{FOLDER}/fragment-{number}-{fault_name(action)}.bin"


@pytest.fixture(scope="module")
def failures(shared: Stage) -> list[Call]:
    """The calls that were made while each of FAILURES met a fragment at each of PLACES."""
    for action in FAILURES:
        for number in PLACES.values():
            shared.graph.add_fault(Fault(Match(FRAGMENT, key_of(action, number)), action, after=number))
            shared.put(key_of(action, number), CONTENT)
    shared.settle()
    return shared.graph.calls()


@pytest.mark.parametrize("action", FAILURES, ids=fault_name)
@pytest.mark.parametrize("number", PLACES.values(), ids=PLACES)
def test_a_fragment_that_failed_costs_at_most_itself(
    stage: Stage, failures: list[Call], number: int, action: Action
) -> None:
    key = key_of(action, number)

    assert stage.graph.content(key) == CONTENT
    assert sum(call.bytes_received for call in about(failures, key, FRAGMENT)) <= SIZE + FRAGMENT_BYTES
    assert [call.status for call in about(failures, key, CREATE)] == [200]
    assert versions_of(stage, key) == 1


def test_an_office_file_whose_sessions_get_lost_is_written_in_one_call(stage: Stage) -> None:
    """The ladder for a file edited in Office (rclone/rclone#9767): one new session, then a simple upload."""
    key = f"{FOLDER}/edited.docx"
    stage.put(key, b"first")
    stage.settle()
    content = os.urandom(SIZE)
    stage.graph.change(put_limit=LARGEST_PUT_BYTES)
    stage.graph.add_fault(Fault(Match(FRAGMENT, key), LoseSession(), times=None))
    stage.graph.clear_calls()
    stage.put(key, content)
    stage.settle()

    assert stage.graph.content(key) == content
    assert statuses(stage, key, CREATE, FRAGMENT, CallKind.PUT_CONTENT) == [200, 404, 200, 404, 200]
    assert versions_of(stage, key) == 2


@pytest.mark.parametrize(
    ("name", "reason"), [("refused.docx", "413"), ("never.bin", "The upload session was lost, and so was")]
)
def test_a_file_whose_sessions_always_get_lost_is_parked(stage: Stage, name: str, reason: str) -> None:
    """An Office file where even the simple upload is refused; any other after all its tries. What was there stays."""
    key = f"{FOLDER}/{name}"
    stage.put(key, b"first")
    stage.settle()
    stage.graph.clear_calls()
    stage.graph.add_fault(Fault(Match(FRAGMENT, key), LoseSession(), times=None))
    stage.put(key, os.urandom(SIZE))
    given = wait_until_parked(stage, key)

    assert reason in given
    assert stage.graph.content(key) == b"first"
    assert len(statuses(stage, key, CREATE)) <= 4
    stage.graph.clear_faults()
    nudge(stage, key)
    stage.settle()
    assert versions_of(stage, key) == 2


@pytest.mark.parametrize("hours", [1, 25], ids=["expired", "its secret expired"])
def test_a_session_that_ended_while_the_service_was_away_is_begun_anew(stage: Stage, hours: int) -> None:
    key = f"{FOLDER}/away-{hours}.bin"
    content = os.urandom(SIZE)
    if hours > 24:
        stage.graph.change(session_idle_seconds=10 * 24 * 3600.0, one_session_per_target=False)
    begin_upload(stage, key, content)
    stage.graph.advance(hours * 3600)
    resume(stage)

    assert stage.graph.content(key) == content
    assert [status for status in statuses(stage, key, CREATE) if status == 200] == [200, 200]
    assert versions_of(stage, key) == 1
    stage.graph.advance(11 * 24 * 3600)


def test_a_session_for_content_that_was_replaced_is_cancelled(stage: Stage) -> None:
    key = f"{FOLDER}/replaced.bin"
    begin_upload(stage, key, os.urandom(SIZE))
    content = os.urandom(SIZE)
    stage.put(key, content)
    resume(stage)

    assert stage.graph.content(key) == content
    assert statuses(stage, key, CANCEL) == [204]
    assert versions_of(stage, key) == 1


def test_a_session_for_an_object_that_is_gone_is_cancelled(stage: Stage) -> None:
    key = f"{FOLDER}/removed.bin"
    begin_upload(stage, key, os.urandom(SIZE))
    stage.delete(key)
    resume(stage)

    assert stage.graph.item(key) is None
    assert statuses(stage, key, CANCEL) == [204]
    assert stage.graph.recycle_bin().count(key) == 0


def test_a_session_that_nobody_knows_of_is_waited_out(stage: Stage) -> None:
    """The answer that held its URL was lost; SharePoint takes no other one for the file until it expires."""
    key = f"{FOLDER}/unknown.bin"
    content = os.urandom(SIZE)
    stage.graph.add_fault(Fault(Match(CREATE, key), CutConnection(CutPoint.AFTER_EFFECT)))
    stage.put(key, content)
    reason = wait_until_parked(stage, key)
    stage.graph.advance(3600)
    nudge(stage, key)
    stage.settle()

    assert "another upload of it" in reason
    assert stage.graph.content(key) == content
    assert statuses(stage, key, CREATE) == [0, 409, 200]


def test_a_folder_that_takes_the_place_during_an_upload_is_left_alone(stage: Stage) -> None:
    key = f"{FOLDER}/taken.bin"
    stage.graph.bandwidth = 3 * MIB
    stage.put(key, os.urandom(SIZE))
    stage.graph.wait_for(lambda: calls_about(stage, key, FRAGMENT))
    stage.graph.make_folder_foreign(key)
    stage.graph.bandwidth = None
    reason = wait_until_parked(stage, key)

    assert f"A folder stands in SharePoint where the file {key} must be." in reason
    assert stage.graph.item(key) is not None


def test_large_files_in_trouble_hold_up_no_small_one(stage: Stage) -> None:
    """As many as may run at once, none of which gets a byte through."""
    large = [f"{FOLDER}/stuck-{number}.bin" for number in range(6)]
    small = [f"{FOLDER}/small-{number}.txt" for number in range(10)]
    stage.graph.add_fault(Fault(Match(FRAGMENT, "stuck-"), AnswerWith(500), times=None))
    for key in large:
        stage.put(key, os.urandom(SIZE))
    wait_until_postponed(stage, large[0])
    for key in small:
        stage.put(key, b"x")
    stage.settle()

    assert {versions_of(stage, key) for key in small} == {1}
    assert {state_of(stage, key) for key in large} == {"parked"}
    assert "Given up after 2 tries." in wait_until_parked(stage, large[0])
    assert why_not_ready(stage) == ""
    stage.graph.clear_faults()
    nudge(stage, *large)
    stage.settle()
    assert {versions_of(stage, key) for key in large} == {1}
    assert all(statuses(stage, key, CREATE) == [200] for key in large)
