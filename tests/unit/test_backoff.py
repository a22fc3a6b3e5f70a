"""How long to wait: longer with each try but never for ever, and as long as Graph says where it says so."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sharepoint_proxy.backoff import FIRST_SECONDS, LONGEST_PAUSE_SECONDS, LONGEST_SECONDS, delay, retry_after

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def test_the_delay_doubles_up_to_the_longest() -> None:
    delays = [delay(attempt, spread=lambda: 1.0) for attempt in range(1, 15)]

    assert delays[:4] == [1, 2, 4, 8]
    assert delays[-3:] == [LONGEST_SECONDS] * 3


@given(attempt=st.integers(1, 10_000), spread=st.floats(0, 1))
def test_a_delay_is_between_half_and_the_whole_of_what_its_try_allows(attempt: int, spread: float) -> None:
    whole = delay(attempt, spread=lambda: 1.0)

    assert FIRST_SECONDS / 2 <= whole / 2 <= delay(attempt, spread=lambda: spread) <= whole <= LONGEST_SECONDS


def test_delays_are_spread_at_random() -> None:
    assert len({delay(10) for _ in range(20)}) > 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("0", 0.0),
        ("17", 17.0),
        ("2.128", 2.128),
        ("-5", 0.0),
        ("999999", LONGEST_PAUSE_SECONDS),
        ("inf", LONGEST_PAUSE_SECONDS),
        ("Sat, 21 Nov 2026 12:00:30 GMT", 30.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
        ("Sun, 22 Nov 2026 12:00:00 GMT", LONGEST_PAUSE_SECONDS),
        ("Sat, 21 Nov 2026 12:00:30 -0000", None),
    ],
)
def test_it_reads_a_retry_after_header(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, now=NOW) == seconds


@given(st.integers(0, int(LONGEST_PAUSE_SECONDS)))
def test_it_reads_any_date_within_the_longest_pause(seconds: int) -> None:
    header = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)

    assert retry_after(header, now=NOW) == seconds


@given(st.text() | st.from_regex(r"\w{3}, \d{1,25} (Jan|Foo) \d{1,25} \d{1,25}:\d\d:\d\d [+-]?\d{0,25}"))
@example("Sat, 99999999999999999999 Nov 2026 12:00:00 GMT")
@example("Sat, 21 Nov 2026 12:00:00 +99999999999999999999")
def test_no_header_is_an_error(header: str) -> None:
    seconds = retry_after(header, now=NOW)

    assert seconds is None or 0 <= seconds <= LONGEST_PAUSE_SECONDS


def test_without_a_moment_given_a_date_is_compared_with_now() -> None:
    header = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)

    seconds = retry_after(header)

    assert seconds is not None
    assert 80 < seconds <= 100
