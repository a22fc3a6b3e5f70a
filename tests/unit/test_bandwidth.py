"""All uploads together send no faster than the limit, which may change with the time of day."""

from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharepoint_proxy.bandwidth import Bandwidth, Schedule

SCHOOL = "07:30-18:00=20,22:00-06:00=5,*=0"


@pytest.mark.parametrize(
    ("now", "mbit"),
    [("07:29", 0), ("07:30", 20), ("17:59", 20), ("18:00", 0), ("22:00", 5), ("00:30", 5), ("05:59", 5), ("06:00", 0)],
)
def test_the_window_that_holds_the_time_counts(now: str, mbit: float) -> None:
    assert Schedule.parse(SCHOOL, otherwise=7).mbit(time.fromisoformat(now)) == mbit


def test_without_a_star_the_plain_limit_holds_at_other_times() -> None:
    schedule = Schedule.parse("07:30-18:00=20", otherwise=7)
    assert (schedule.mbit(time(12)), schedule.mbit(time(20))) == (20, 7)


class Slept:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Pieces:
    """A body in pieces."""

    def __init__(self, sizes: list[int]) -> None:
        self._pieces = [bytes(size) for size in sizes]

    def __len__(self) -> int:
        return sum(map(len, self._pieces))

    def __iter__(self):  # type: ignore[no-untyped-def] # noqa: ANN204 - spelled out by the Protocol
        return iter(self._pieces)


@given(sizes=st.lists(st.integers(0, 200_000), max_size=5), mbit=st.sampled_from([1.0, 8.0, 100.0]))
def test_it_takes_as_long_as_the_limit_says_and_loses_no_byte(sizes: list[int], mbit: float) -> None:
    slept = Slept()
    bandwidth = Bandwidth(
        Schedule.parse(None, otherwise=mbit),
        time_of_day=lambda: time(12),
        clock=lambda: slept.now,
        sleep=slept.sleep,
    )
    body = bandwidth.paced(Pieces(sizes))

    assert len(b"".join(body)) == len(body) == sum(sizes)
    assert slept.now - 100 == pytest.approx(sum(sizes) * 8 / (mbit * 1_000_000))


def test_without_a_limit_nothing_is_cut_or_slowed() -> None:
    body = Bandwidth(Schedule.parse("*=0", otherwise=5), sleep=lambda _: pytest.fail("it slept")).paced(
        Pieces([50_000])
    )
    assert [len(piece) for piece in body] == [50_000]
