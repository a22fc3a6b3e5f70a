"""The length of fragments: it follows the line, stays within what Graph takes, and begins anew after a break."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.fakes import Clock

from sharepoint_proxy.fragments import UNIT_BYTES, Fragments

MIB = 1024 * 1024
FIRST = 10 * MIB
LARGEST = 60 * MIB - UNIT_BYTES


def send(fragments: Fragments, clock: Clock, *, bytes_per_second: float, round_trip: float = 0.0) -> None:
    """Send one fragment over a line of that speed."""
    length = fragments.length
    with fragments.timed(length):
        clock.turn(length / bytes_per_second + round_trip)


@pytest.mark.parametrize(
    ("bytes_per_second", "expected"),
    [(1_000_000, FIRST), (2_600_000, FIRST), (7 * MIB, 28 * MIB), (25_000_000, LARGEST), (1e9, LARGEST)],
)
def test_it_is_what_the_line_takes_in_four_seconds(bytes_per_second: float, expected: int) -> None:
    clock = Clock()
    fragments = Fragments(clock=clock)
    assert fragments.length == FIRST
    send(fragments, clock, bytes_per_second=bytes_per_second)
    assert expected - UNIT_BYTES < fragments.length <= expected


def test_a_fast_line_is_used_at_the_second_fragment() -> None:
    """Of 25 MB/s with 100 ms for each answer more than 95 % are used from then on."""
    clock = Clock()
    fragments = Fragments(clock=clock)
    send(fragments, clock, bytes_per_second=25e6, round_trip=0.1)
    assert fragments.length / (fragments.length / 25e6 + 0.1) > 0.95 * 25e6


def test_after_a_break_it_begins_anew() -> None:
    clock = Clock()
    fragments = Fragments(clock=clock)
    send(fragments, clock, bytes_per_second=25e6)
    with contextlib.suppress(ConnectionError), fragments.timed(fragments.length):
        raise ConnectionError
    assert fragments.length == FIRST


def test_it_does_not_change_where_it_is_given() -> None:
    clock = Clock()
    fragments = Fragments(4 * UNIT_BYTES, clock=clock)
    send(fragments, clock, bytes_per_second=1e9)
    send(fragments, clock, bytes_per_second=1.0)
    with contextlib.suppress(ConnectionError), fragments.timed(fragments.length):
        raise ConnectionError
    assert fragments.length == 4 * UNIT_BYTES


@given(st.lists(st.tuples(st.integers(1, LARGEST), st.floats(0, 1e6))))
def test_graph_always_takes_it(sent: list[tuple[int, float]]) -> None:
    """Whatever the line does: a multiple of 320 KiB below 60 MiB, and never shorter than at first."""
    clock = Clock()
    fragments = Fragments(clock=clock)
    for length, seconds in sent:
        with fragments.timed(length):
            clock.turn(seconds)
        assert fragments.length % UNIT_BYTES == 0
        assert FIRST <= fragments.length < 60 * MIB
