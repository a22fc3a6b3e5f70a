"""Resource units: what calls cost, when Graph refuses them, and the RateLimit headers that announce it.

Costs and headers follow "Avoid getting throttled or blocked in SharePoint Online" (learn.microsoft.com): the headers
appear from 80 % of the minute's units on, and refused calls count as well.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simulator.calls import CallKind

WINDOW_SECONDS = 60.0
_ANNOUNCED_FROM = 0.8

_FREE = frozenset({CallKind.OPENID, CallKind.TOKEN, CallKind.OTHER, CallKind.DOWNLOAD_BYTES})
_SINGLE_READS = frozenset({CallKind.SITE, CallKind.DRIVE, CallKind.ITEM_GET, CallKind.DOWNLOAD})
_ON_UPLOAD_HOST = frozenset(
    {CallKind.FRAGMENT, CallKind.SESSION_STATUS, CallKind.SESSION_COMMIT, CallKind.SESSION_CANCEL}
)


def cost(kind: CallKind, *, with_delta_token: bool = False, fragment_units: int = 0) -> int:
    """The resource units of one call; Microsoft states none for fragments, so FRAGMENT_UNITS is a choice."""
    if kind in _FREE:
        return 0
    if kind in _ON_UPLOAD_HOST:
        return fragment_units
    if kind in _SINGLE_READS or (kind is CallKind.DELTA and with_delta_token):
        return 1
    return 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a call is refused, and the headers its answer carries."""

    refused: bool
    headers: Mapping[str, str]


class Throttle:
    """Counts units in windows of a minute; `limit` (None: unlimited) may change at any time."""

    def __init__(self, clock: Callable[[], float], limit: int | None) -> None:
        self.limit = limit
        self._clock = clock
        self._window_start = -WINDOW_SECONDS
        self._used = 0

    def charge(self, units: int) -> Verdict:
        """Count a call of UNITS and say what becomes of it."""
        if self.limit is None or units == 0:
            return Verdict(refused=False, headers={})
        left = self._seconds_left(self.limit)
        refused = self._used + units > self.limit
        self._used += units
        headers = self._rate_limit_headers(self.limit, left)
        return Verdict(refused, {"Retry-After": str(left), **headers} if refused else headers)

    def _seconds_left(self, limit: int) -> int:
        now = self._clock()
        if now >= self._window_start + WINDOW_SECONDS:
            # Units used beyond the limit are held against the next minute, at most a minute's worth.
            follows = now < self._window_start + 2 * WINDOW_SECONDS
            self._used = min(max(0, self._used - limit), limit) if follows else 0
            self._window_start = now
        return max(1, math.ceil(self._window_start + WINDOW_SECONDS - now))

    def _rate_limit_headers(self, limit: int, left: int) -> dict[str, str]:
        if self._used < _ANNOUNCED_FROM * limit:
            return {}
        remaining = str(max(0, limit - self._used))
        return {"RateLimit-Limit": str(limit), "RateLimit-Remaining": remaining, "RateLimit-Reset": str(left)}
