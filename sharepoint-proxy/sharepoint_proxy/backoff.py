"""How long to wait: between the tries of one key, and where Graph says how long in its answer."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 1800.0
PAUSE_WITHOUT_ADVICE_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 3600.0


def delay(attempt: int, *, spread: Callable[[], float] = random.random) -> float:
    """Seconds before try number ATTEMPT + 1: doubling, capped, between half and the whole of it at random."""
    ceiling = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(attempt - 1, 30))
    return float(ceiling * (0.5 + 0.5 * spread()))


def retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """The seconds that a Retry-After header names, or None when it is missing or cannot be read.

    Graph writes whole seconds, decimals ("2.128") and, as HTTP allows, dates.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = _seconds_until(value, now or datetime.now(UTC))
    return min(max(seconds, 0.0), LONGEST_PAUSE_SECONDS) if seconds == seconds else None  # noqa: PLR0124 - NaN is unlike itself


def http_date(value: str | None) -> datetime | None:
    """The moment that a Date header names: what dates in the same answer are to be compared with, whatever this machine's clock says."""
    try:
        moment = parsedate_to_datetime(value or "")
    except (OverflowError, TypeError, ValueError):
        return None
    return moment if moment.tzinfo is not None else None


def _seconds_until(date: str, now: datetime) -> float:
    try:
        return (parsedate_to_datetime(date) - now).total_seconds()
    except (OverflowError, TypeError, ValueError):
        return float("nan")
