"""The webhook waits for what becomes of its events as long as that holds nobody up, and says where the others stand."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from unit.web_server import KEY, UPLOADED, Answered, WebServer, body_of, now_text, record_of

from sharepoint_proxy.records import Action, Outcome, State

EVENT = body_of(record_of())
IRRELEVANT = body_of(record_of("elsewhere/note.txt"))
PATIENCE_SECONDS = 600.0
"""Longer than any test runs: who waits for that, is caught by the client's time-out."""


def postponed(reason: str, *, delay: float) -> Outcome:
    return Outcome(state=State.WAITING, reason=reason, delay=delay)


def entry(key: str, state: str, reason: str) -> dict[str, str]:
    return {"bucket": "lycee", "key": key, "state": state, "reason": reason}


@pytest.fixture
def patient() -> Iterator[WebServer]:
    """A webhook that waits for longer than a test lasts, and for whom nobody works yet."""
    with WebServer(wait_seconds=PATIENCE_SECONDS) as server:
        yield server


@pytest.fixture
def impatient() -> Iterator[WebServer]:
    """A webhook that waits for a moment only."""
    with WebServer(wait_seconds=0.2) as server:
        yield server


@pytest.fixture
def background() -> Iterator[Callable[[WebServer], Any]]:
    """Posts an event from another thread, and returns its coming answer once the event is recorded."""
    with ThreadPoolExecutor() as threads:

        def post(web: WebServer) -> Any:
            web.woken.clear()
            answer = threads.submit(web.post, EVENT)
            assert web.woken.wait(10)
            return answer

        yield post


@pytest.mark.parametrize(
    "outcome",
    [
        UPLOADED,
        Outcome(state=State.SETTLED, action=Action.DELETED),
        Outcome(state=State.PARKED, reason="The name is refused."),
    ],
    ids=lambda outcome: outcome.state.value,
)
def test_it_waits_for_the_outcome(patient: WebServer, background: Callable[[WebServer], Any], outcome: Outcome) -> None:
    answer = background(patient)
    patient.publish(outcome)
    assert answer.result().status == 204


def test_it_misses_no_outcome_that_comes_before_it_begins_to_wait(patient: WebServer) -> None:
    patient.on_wake = lambda: patient.publish(UPLOADED)
    assert patient.post(EVENT).status == 204


def test_it_waits_for_every_key_of_a_body(patient: WebServer) -> None:
    def settle_both() -> None:
        patient.publish(UPLOADED, generation=1)
        patient.publish(UPLOADED, key="administration/b", generation=2)

    patient.on_wake = settle_both
    assert patient.post(body_of(record_of(), record_of("administration/b"))).status == 204


def test_it_waits_only_so_long(impatient: WebServer) -> None:
    answer = impatient.post(EVENT)
    assert answer.status == 202
    assert answer.json == {"records": [entry(KEY, "waiting", "Recorded; its turn comes.")]}


def test_it_says_where_each_key_stands(impatient: WebServer) -> None:
    keys = [f"administration/{number}" for number in range(4)]

    def work() -> None:
        impatient.publish(UPLOADED, key=keys[0], generation=1)
        impatient.publish(postponed("The file is open.", delay=60), key=keys[1], generation=2)
        impatient.publish(Outcome(state=State.PARKED, reason="No such name."), key=keys[2], generation=3)

    impatient.on_wake = work
    answer = impatient.post(body_of(*map(record_of, keys)))

    assert answer.status == 202
    assert answer.json["records"] == [
        entry(keys[0], "settled", ""),
        entry(keys[1], "waiting", "The file is open."),
        entry(keys[2], "parked", "No such name."),
        entry(keys[3], "waiting", "Recorded; its turn comes."),
    ]


def test_it_answers_at_once_with_the_reason_when_the_next_try_is_beyond_the_wait(patient: WebServer) -> None:
    patient.on_wake = lambda: patient.publish(postponed("Throttled.", delay=PATIENCE_SECONDS + 1))
    answer = patient.post(EVENT)
    assert answer.status == 202
    assert answer.json["records"] == [entry(KEY, "waiting", "Throttled.")]


def test_it_waits_on_when_the_next_try_is_within_the_wait(
    patient: WebServer, background: Callable[[WebServer], Any]
) -> None:
    patient.on_wake = lambda: patient.publish(postponed("Busy.", delay=1))
    answer = background(patient)
    patient.publish(UPLOADED)
    assert answer.result().status == 204


def test_it_does_not_take_the_outcome_of_an_earlier_look_for_its_own(impatient: WebServer) -> None:
    impatient.on_wake = lambda: impatient.publish(UPLOADED, generation=0)
    assert impatient.post(EVENT).status == 202


def test_it_takes_the_outcome_of_a_later_look_for_its_own(patient: WebServer) -> None:
    patient.on_wake = lambda: patient.publish(UPLOADED, generation=2)
    assert patient.post(EVENT).status == 204


def test_it_waits_for_the_last_of_several_events_of_one_key(impatient: WebServer) -> None:
    impatient.on_wake = lambda: impatient.publish(UPLOADED, generation=1)
    assert impatient.post(body_of(record_of(), record_of(name="s3:ObjectRemoved:Delete"))).status == 202


def test_it_does_not_wait_when_the_event_is_old(patient: WebServer) -> None:
    """An old event is a sign that the sender has more of them, which waiting would hold up."""
    assert patient.post(body_of(record_of(eventTime="2026-01-31T11:04:33.844Z"))).status == 202


def test_it_does_not_wait_when_one_of_several_events_is_old(patient: WebServer) -> None:
    old = record_of("administration/old", eventTime="2026-01-31T11:04:33.844Z")
    assert patient.post(body_of(record_of(eventTime=now_text()), old)).status == 202


def test_it_waits_for_a_fresh_event(patient: WebServer) -> None:
    patient.on_wake = lambda: patient.publish(UPLOADED)
    assert patient.post(body_of(record_of(eventTime=now_text()))).status == 204


def test_it_does_not_wait_right_after_the_previous_answer() -> None:
    """Tried several times, because a busy machine may take its time between two requests."""

    def second_answer(web: WebServer) -> Answered:
        web.post(IRRELEVANT)
        return web.post(EVENT)

    def is_immediate(web: WebServer) -> bool:
        began = time.monotonic()
        assert second_answer(web).status == 202
        return time.monotonic() - began < 1

    with WebServer(wait_seconds=2) as web:
        assert any(is_immediate(web) for _ in range(5))


def test_it_waits_again_once_the_sender_has_paused(impatient: WebServer) -> None:
    impatient.post(IRRELEVANT)
    time.sleep(0.15)
    impatient.on_wake = lambda: impatient.publish(UPLOADED)
    assert impatient.post(EVENT).status == 204


def test_a_refused_request_is_no_previous_answer(patient: WebServer) -> None:
    """A stranger's requests do not make the sender's events look like a backlog."""
    patient.post(EVENT, token="wrong")
    patient.post(b"hello")
    patient.on_wake = lambda: patient.publish(UPLOADED)
    assert patient.post(EVENT).status == 204


def test_it_does_not_wait_when_no_seat_is_free(background: Callable[[WebServer], Any]) -> None:
    """Health checks and further events are answered while the seats are taken; those who sit are not disturbed."""
    with WebServer(seats=1, wait_seconds=PATIENCE_SECONDS) as web:
        seated = background(web)
        assert web.post(body_of(record_of("administration/b"))).status == 202
        assert web.request("GET", "/health").status == 200
        web.publish(UPLOADED)
        assert seated.result().status == 204


def test_a_seat_is_free_again_after_the_answer() -> None:
    with WebServer(seats=1, wait_seconds=0.2) as web:
        assert web.post(EVENT).status == 202
        time.sleep(0.15)
        web.on_wake = lambda: web.publish(UPLOADED, generation=2)
        assert web.post(EVENT).status == 204


def test_everybody_goes_home_when_the_room_is_closed(
    patient: WebServer, background: Callable[[WebServer], Any]
) -> None:
    """What they sent is recorded; who comes later does not wait at all."""
    waiting = background(patient)
    patient.room.close()
    assert waiting.result().status == 202
    assert patient.post(EVENT).status == 202
    assert len(patient.journal.marked) == 2
