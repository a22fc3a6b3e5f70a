"""Who is let in, and how often a guess may be made; time is a number here."""

import threading

import pytest

from sharepoint_proxy.door import CLOSED_SECONDS, WRONG_TRIES, Door, Entry

PASSWORD = "correct horse"
HOME, ELSEWHERE = "192.0.2.1", "198.51.100.7"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def door(clock: Clock) -> Door:
    return Door(PASSWORD, clock=clock)


def guess(door: Door, *, times: int = WRONG_TRIES, address: str = ELSEWHERE) -> list[Entry]:
    """What comes of so many wrong tries."""
    return [door.try_password(f"guess {number}", address=address) for number in range(times)]


def test_it_opens_to_the_password(door: Door) -> None:
    assert door.try_password(PASSWORD, address=HOME) is Entry.OPEN


@pytest.mark.parametrize("given", ["", "correct", f"{PASSWORD} ", PASSWORD.upper(), "\ud7ff", PASSWORD * 100])
def test_it_opens_to_nothing_else(door: Door, given: str) -> None:
    assert door.try_password(given, address=HOME) is Entry.WRONG


def test_it_closes_after_too_many_guesses_from_anywhere(door: Door) -> None:
    told = [door.try_password("guess", address=f"192.0.2.{number}") for number in range(WRONG_TRIES)]

    assert told == [Entry.WRONG] * WRONG_TRIES
    assert door.try_password("guess", address="192.0.2.200") is Entry.CLOSED


def test_a_closed_door_does_not_tell_that_a_guess_was_right(door: Door) -> None:
    guess(door)
    assert door.try_password(PASSWORD, address=ELSEWHERE) is Entry.CLOSED


def test_it_opens_again_by_itself(door: Door, clock: Clock) -> None:
    guess(door)
    clock.now += CLOSED_SECONDS
    assert door.try_password(PASSWORD, address=HOME) is Entry.OPEN


def test_guesses_at_a_closed_door_do_not_keep_it_closed(door: Door, clock: Clock) -> None:
    guess(door)
    for _ in range(int(CLOSED_SECONDS)):
        assert set(guess(door, times=3)) == {Entry.CLOSED}
        clock.now += 1
    assert door.try_password(PASSWORD, address=HOME) is Entry.OPEN


def test_now_and_then_a_wrong_password_closes_nothing(door: Door, clock: Clock) -> None:
    for _ in range(5 * WRONG_TRIES):
        assert guess(door, times=1) == [Entry.WRONG]
        clock.now += CLOSED_SECONDS / (WRONG_TRIES - 1)


def test_a_stranger_who_guesses_does_not_shut_out_those_who_were_in(door: Door) -> None:
    door.try_password(PASSWORD, address=HOME)
    guess(door)

    assert door.try_password(PASSWORD, address=HOME) is Entry.OPEN
    assert door.try_password(PASSWORD, address=ELSEWHERE) is Entry.CLOSED


def test_where_the_password_came_from_it_cannot_be_guessed_either(door: Door) -> None:
    """Not even beside a page that comes with the right one all the time, as behind a reverse proxy."""
    told = []
    for number in range(WRONG_TRIES):
        door.try_password(PASSWORD, address=HOME)
        told.append(door.try_password(f"guess {number}", address=HOME))

    assert told == [Entry.WRONG] * WRONG_TRIES
    assert door.try_password("guess", address=HOME) is Entry.CLOSED


def test_many_guesses_at_once_are_no_more_than_one_after_the_other(door: Door) -> None:
    told: list[Entry] = []
    threads = [threading.Thread(target=lambda: told.extend(guess(door, times=20))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert told.count(Entry.WRONG) == WRONG_TRIES


def test_it_knows_its_own_token_alone(door: Door) -> None:
    assert door.knows(door.token)
    assert not any(door.knows(token) for token in ("", "x", door.token[:-1], Door(PASSWORD).token, "é"))
