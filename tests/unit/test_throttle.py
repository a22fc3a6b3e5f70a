"""The throttle: one pause for all, a pace near the limit, and a number of places that falls and grows back."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharepoint_proxy.errors import JournalError
from sharepoint_proxy.throttle import CLEAN_INTERVAL_SECONDS, KEPT_PAUSE_SECONDS, Throttle


class Clock:
    """Time that a test turns."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(most=16, clock=clock)


def test_it_works(throttle: Throttle) -> None:
    assert throttle.wait(2)
    throttle.answered(2)
    assert throttle.limit() == 16
    assert throttle.paused_seconds() == 0


def test_the_longest_pause_asked_for_counts(throttle: Throttle, clock: Clock) -> None:
    throttle.refused(30)
    throttle.refused(10)
    clock.now += 12

    assert throttle.paused_seconds() == 18


def test_one_burst_of_refusals_halves_the_places_once(throttle: Throttle, clock: Clock) -> None:
    """What was under way when Graph first refused is refused too; that is no news."""
    for _ in range(8):
        throttle.refused(10)
        clock.now += 0.1

    assert throttle.limit() == 8


def test_a_refusal_after_the_pause_halves_them_again(throttle: Throttle, clock: Clock) -> None:
    for expected in (8, 4, 2, 1, 1):
        throttle.refused(10)
        clock.now += 10
        assert throttle.limit() == expected


def test_they_grow_back_by_one_each_clean_interval(throttle: Throttle, clock: Clock) -> None:
    throttle.refused(10)
    clock.now += 10
    grown = []
    for _ in range(10):
        clock.now += CLEAN_INTERVAL_SECONDS
        grown.append(throttle.limit())

    assert grown == [9, 10, 11, 12, 13, 14, 15, 16, 16, 16]


def test_a_stop_wakes_whoever_waits(throttle: Throttle) -> None:
    throttle.refused(3600)
    told: list[bool] = []
    waiter = threading.Thread(target=lambda: told.append(throttle.wait(2)))
    waiter.start()
    throttle.stop()
    waiter.join(5)

    assert told == [False]


@given(remaining=st.integers(0, 300), reset=st.integers(1, 60), under_way=st.integers(0, 15))
def test_what_is_left_is_spread_over_the_time_that_is_left(remaining: int, reset: int, under_way: int) -> None:
    """Never more leaves before the reset than Graph said was left, and none has to wait beyond it."""
    clock = Clock()
    throttle = Throttle(most=16, clock=clock)
    for _ in range(under_way):
        throttle.wait(2)
    throttle.advised(remaining=remaining, reset_seconds=reset)
    sent = 0
    while clock.now < 100 + reset and sent < 200:
        leaves_at = throttle._leaves_at(2)
        clock.now = max(clock.now, leaves_at)
        if clock.now >= 100 + reset:
            break
        throttle.wait(2)
        sent += 1

    assert 2 * sent <= max(0, remaining - 2 * under_way)
    assert throttle._leaves_at(2) <= 100 + reset


def test_of_a_burst_of_refusals_one_pause_is_kept(clock: Clock) -> None:
    kept: list[float] = []
    throttle = Throttle(most=16, clock=clock, keep_pause=kept.append)
    for _ in range(8):
        throttle.refused(30)
        clock.now += 0.1

    assert kept == [30]


def test_a_short_pause_is_not_kept(clock: Clock) -> None:
    kept: list[float] = []
    throttle = Throttle(most=16, clock=clock, keep_pause=kept.append)
    throttle.refused(KEPT_PAUSE_SECONDS - 0.1)
    throttle.refused(KEPT_PAUSE_SECONDS)

    assert kept == [KEPT_PAUSE_SECONDS]


def test_a_pause_is_kept_again_when_it_grows_and_not_when_a_shorter_one_is_asked_for(clock: Clock) -> None:
    kept: list[float] = []
    throttle = Throttle(most=16, clock=clock, keep_pause=kept.append)
    for seconds in (30, 20, 40):
        throttle.refused(seconds)
        clock.now += 5

    assert kept == [30, 40]


def test_a_pause_that_could_not_be_kept_is_tried_again_at_the_next_refusal(clock: Clock) -> None:
    kept: list[float] = []

    def keep_the_second(seconds: float) -> None:
        kept.append(seconds)
        if len(kept) == 1:
            raise JournalError("The disk is full.")

    throttle = Throttle(most=16, clock=clock, keep_pause=keep_the_second)
    with pytest.raises(JournalError):
        throttle.refused(30)
    assert throttle.paused_seconds() == 30
    throttle.refused(30)

    assert kept == [30, 30]


def test_while_a_pause_is_written_down_nobody_waits_for_the_disk_and_the_longest_stays(clock: Clock) -> None:
    kept: list[float] = []
    writing, written = threading.Event(), threading.Event()

    def keep(seconds: float) -> None:
        writing.set()
        written.wait(5)
        kept.append(seconds)

    throttle = Throttle(most=16, clock=clock, keep_pause=keep)
    threads = [threading.Thread(target=throttle.refused, args=(seconds,)) for seconds in (30, 60)]
    threads[0].start()
    assert writing.wait(5)
    threads[1].start()
    assert throttle.paused_seconds() >= 30
    written.set()
    for thread in threads:
        thread.join(5)

    assert kept == [30, 60]


def test_upload_urls_keep_the_pause_but_no_pace(throttle: Throttle, clock: Clock) -> None:
    throttle.advised(remaining=0, reset_seconds=60)

    assert throttle._leaves_at(0) <= clock.now
    assert throttle._leaves_at(2) == clock.now + 60
