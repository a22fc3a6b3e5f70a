"""Upload sessions that give up what they took: just that is sent again, as often as it takes, but not for ever."""

import os
from collections.abc import Iterator

import pytest
from e2e.trouble import (
    FOLDER,
    MIB,
    calls_about,
    calm,
    nudge,
    open_stage,
    start_again,
    statuses,
    versions_of,
    wait_until_parked,
)

from simulator.calls import CallKind
from simulator.faults import Fault, Match, RewindSession
from simulator.stage import Stage

CREATE, FRAGMENT = CallKind.SESSION_CREATE, CallKind.FRAGMENT
FRAGMENT_BYTES = 1 * MIB
SIZE = 5 * MIB
LAST_FRAGMENT = 5


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for all tests here, whose service sends fragments of about one MiB."""
    with open_stage(tmp_path_factory.mktemp("rewinds"), settings={"CHUNK_MIB": "1"}) as stage:
        stage.put(f"{FOLDER}/makes the folder.txt", b"x")
        stage.settle()
        yield stage


@pytest.fixture
def stage(shared: Stage) -> Iterator[Stage]:
    """The stage, without what an earlier test left; nothing may be left of its sessions either."""
    yield shared
    calm(shared)
    assert shared.graph.pending_sessions() == []


@pytest.mark.parametrize("number", [1, 3, LAST_FRAGMENT], ids=["early", "late", "last fragment"])
@pytest.mark.parametrize("fragments", [1, 2, 9], ids=["one", "two", "all"])
@pytest.mark.parametrize("told", [True, False], ids=["told", "untold"])
def test_what_a_session_gives_up_is_sent_again(stage: Stage, number: int, fragments: int, *, told: bool) -> None:
    """No more than that: a fragment at a place that the session is not at any more is refused, and costs one more."""
    key = f"{FOLDER}/rewound-{number}-{fragments}-{told}.bin"
    content = os.urandom(SIZE)
    # Only an answer can say that the file is not complete after all.
    rewind = RewindSession(fragments, told=told or number == LAST_FRAGMENT)
    stage.graph.add_fault(Fault(Match(FRAGMENT, key), rewind, after=number))
    stage.put(key, content)
    stage.settle()
    again = min(fragments, number + 1) + (not rewind.told)

    assert stage.graph.content(key) == content
    assert sum(call.bytes_received for call in calls_about(stage, key, FRAGMENT)) <= SIZE + again * FRAGMENT_BYTES
    assert statuses(stage, key, CREATE) == [200]
    assert versions_of(stage, key) == 1


def test_a_session_may_give_up_fragments_more_than_once(stage: Stage) -> None:
    key = f"{FOLDER}/rewound-again.bin"
    content = os.urandom(SIZE)
    for after, rewind in {2: RewindSession(2), 5: RewindSession(3, told=False), 8: RewindSession(1)}.items():
        stage.graph.add_fault(Fault(Match(FRAGMENT, key), rewind, after=after))
    stage.put(key, content)
    stage.settle()

    assert stage.graph.pending_faults() == []
    assert stage.graph.content(key) == content
    assert statuses(stage, key, CREATE) == [200]
    assert versions_of(stage, key) == 1


def test_a_session_that_always_gives_up_what_it_took_is_not_fed_for_ever(stage: Stage) -> None:
    """Two steps forward and two back, so that each fragment by itself gets on; in the end the key is parked."""
    key = f"{FOLDER}/treadmill.bin"
    content = os.urandom(SIZE)
    for number in range(1, 31):
        stage.graph.add_fault(Fault(Match(FRAGMENT, key), RewindSession(2), after=number))
    stage.put(key, content)
    reason = wait_until_parked(stage, key)
    sent = len(statuses(stage, key, FRAGMENT))
    stage.graph.clear_faults()
    nudge(stage, key)
    stage.settle()

    assert "does not get on. Given up after 2 tries." in reason
    assert sent <= 2 * 2 * 3
    assert stage.graph.content(key) == content
    assert versions_of(stage, key) == 1


def test_a_session_that_gave_up_fragments_while_the_service_was_away_is_gone_on_with(stage: Stage) -> None:
    key = f"{FOLDER}/rewound-away.bin"
    content = os.urandom(SIZE)
    stage.graph.bandwidth = 3 * MIB
    stage.put(key, content)
    stage.graph.wait_for(lambda: calls_about(stage, key, FRAGMENT))
    stage.minio.drain()
    stage.service.kill()
    stage.graph.bandwidth = None
    stage.graph.add_fault(Fault(Match(CallKind.SESSION_STATUS, key), RewindSession(1)))
    start_again(stage)
    stage.settle()

    assert stage.graph.pending_faults() == []
    assert stage.graph.content(key) == content
    assert statuses(stage, key, CREATE) == [200]
    assert versions_of(stage, key) == 1
