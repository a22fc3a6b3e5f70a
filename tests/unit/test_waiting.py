"""Requests wait for what becomes of their events: until it is known, or cannot be known in time, and only so many at once."""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from unit.fakes import BUCKET, Clock

from sharepoint_proxy.records import Job, Outcome, State
from sharepoint_proxy.waiting import Name, Ticket, WaitingRoom

A, B = (BUCKET, "a"), (BUCKET, "b")
DONE = Outcome(state=State.SETTLED)
PARKED = Outcome(state=State.PARKED)
LONG = 3600.0
PATIENCE_SECONDS = 20.0


def later(seconds: float) -> Outcome:
    return Outcome(state=State.WAITING, delay=seconds)


def job(name: Name = A, *, generation: int = 1) -> Job:
    bucket, key = name
    return Job(bucket=bucket, key=key, generation=generation, attempts=0, event="put", large=False)


class SignallingClock(Clock):
    """A clock that tells when somebody looks at it, which is what one does who waits."""

    def __init__(self) -> None:
        super().__init__()
        self.looked = threading.Semaphore(0)

    def __call__(self) -> float:
        self.looked.release()
        return super().__call__()

    def await_looks(self, times: int) -> None:
        """Return when it was looked at TIMES more."""
        for _ in range(times):
            assert self.looked.acquire(timeout=PATIENCE_SECONDS)


@pytest.fixture
def clock() -> SignallingClock:
    return SignallingClock()


@pytest.fixture
def room(clock: SignallingClock) -> WaitingRoom:
    return WaitingRoom(seats=2, clock=clock)


@pytest.fixture
def ticket(room: WaitingRoom) -> Iterator[Ticket]:
    with room.ticket([A, B]) as drawn:
        assert drawn is not None
        yield drawn


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


def wait(
    threads: ThreadPoolExecutor,
    room: WaitingRoom,
    clock: SignallingClock,
    ticket: Ticket,
    generations: dict[Name, int],
    *,
    seconds: float = LONG,
) -> "Future[None]":
    """Let a thread wait, and return when it does: it looked at the clock for its deadline, and for what is left."""
    waiting = threads.submit(room.wait, ticket, generations, seconds=seconds)
    clock.await_looks(2)
    return waiting


@pytest.mark.parametrize("outcome", [DONE, PARKED], ids=["settled", "parked"])
def test_it_returns_as_soon_as_each_key_has_its_outcome(
    room: WaitingRoom, clock: SignallingClock, ticket: Ticket, threads: ThreadPoolExecutor, outcome: Outcome
) -> None:
    waiting = wait(threads, room, clock, ticket, {A: 1, B: 2})

    room.publish(job(A, generation=1), outcome)
    clock.await_looks(1)
    assert not waiting.done()
    room.publish(job(B, generation=2), DONE)

    waiting.result(PATIENCE_SECONDS)
    assert (ticket.outcome(A, 1), ticket.outcome(B, 2)) == (outcome, DONE)


def test_an_outcome_that_came_before_the_wait_is_not_missed(room: WaitingRoom, ticket: Ticket) -> None:
    room.publish(job(A), DONE)

    room.wait(ticket, {A: 1}, seconds=LONG)

    assert ticket.outcome(A, 1) == DONE


def test_an_outcome_from_before_the_event_does_not_count(room: WaitingRoom, ticket: Ticket) -> None:
    room.publish(job(A, generation=1), DONE)

    assert ticket.outcome(A, 2) is None


def test_an_outcome_from_after_a_newer_event_counts(room: WaitingRoom, ticket: Ticket) -> None:
    room.publish(job(A, generation=3), DONE)

    assert ticket.outcome(A, 2) == DONE


def test_an_old_outcome_that_is_told_late_does_not_hide_a_newer_one(room: WaitingRoom, ticket: Ticket) -> None:
    """A worker tells after it has let go of the key, so that the next one may be faster."""
    room.publish(job(A, generation=2), DONE)
    room.publish(job(A, generation=1), later(1))

    assert ticket.outcome(A, 2) == DONE


def test_it_does_not_wait_for_a_try_that_comes_too_late(room: WaitingRoom, ticket: Ticket) -> None:
    room.publish(job(A), later(26))

    room.wait(ticket, {A: 1}, seconds=25)

    assert ticket.outcome(A, 1) == later(26)


def test_it_waits_for_a_try_that_comes_in_time(
    room: WaitingRoom, clock: SignallingClock, ticket: Ticket, threads: ThreadPoolExecutor
) -> None:
    room.publish(job(A), later(24))
    waiting = wait(threads, room, clock, ticket, {A: 1}, seconds=25)

    assert not waiting.done()
    room.publish(job(A), DONE)

    waiting.result(PATIENCE_SECONDS)


def test_it_waits_no_longer_than_it_was_told(
    room: WaitingRoom, clock: SignallingClock, ticket: Ticket, threads: ThreadPoolExecutor
) -> None:
    waiting = wait(threads, room, clock, ticket, {A: 1, B: 1}, seconds=25)

    clock.turn(25)
    room.publish(job(B), DONE)

    waiting.result(PATIENCE_SECONDS)
    assert ticket.outcome(A, 1) is None


def test_a_wait_of_no_time_returns_at_once(room: WaitingRoom, ticket: Ticket) -> None:
    room.wait(ticket, {A: 1}, seconds=0)


def test_only_so_many_requests_wait_at_once(room: WaitingRoom) -> None:
    with contextlib.ExitStack() as seated:
        drawn = [seated.enter_context(room.ticket([A])) for _ in range(3)]
        assert [ticket is not None for ticket in drawn] == [True, True, False]

    with room.ticket([A]) as ticket:
        assert ticket is not None, "whoever leaves frees a seat"


def test_a_seat_is_freed_by_a_request_that_fails(room: WaitingRoom) -> None:
    for _ in range(3):
        with contextlib.suppress(OSError), room.ticket([A]) as ticket:
            assert ticket is not None
            raise OSError


def test_two_requests_for_one_key_are_both_told(room: WaitingRoom, ticket: Ticket) -> None:
    with room.ticket([A]) as other:
        room.publish(job(A), DONE)

        assert other is not None
        assert (ticket.outcome(A, 1), other.outcome(A, 1)) == (DONE, DONE)


def test_whoever_left_is_told_nothing_more(room: WaitingRoom) -> None:
    with room.ticket([A, A]) as left:
        pass
    room.publish(job(A), DONE)

    assert left is not None
    assert left.outcome(A, 1) is None


def test_closing_sends_everybody_home(
    room: WaitingRoom, clock: SignallingClock, ticket: Ticket, threads: ThreadPoolExecutor
) -> None:
    waiting = wait(threads, room, clock, ticket, {A: 1})

    room.close()

    waiting.result(PATIENCE_SECONDS)
    with room.ticket([A]) as late:
        assert late is None
