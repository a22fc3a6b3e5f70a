"""What keeps the whole process a good guest of Graph: the pause it asked for, a pace near its limit, and how many work at once.

Microsoft's "Avoid getting throttled or blocked in SharePoint Online" asks that all requests stop for the longest Retry-After, and
counts refused requests too. Near the limit its answers say what is left (`RateLimit-Remaining`) and until when (`RateLimit-Reset`):
what is left is then spread over that time, so that hardly anything is refused at all.
"""

import threading
import time
from collections.abc import Callable

CLEAN_INTERVAL_SECONDS = 5.0
"""After so long without a refusal one more request may be under way."""

KEPT_PAUSE_SECONDS = 5.0
"""A pause of so long should outlive a restart; a shorter one is hardly longer than the restart itself."""

_KEPT_STEP_SECONDS = 1.0
"""Refusals that come together name nearly the same end: one of them is kept."""


class Throttle:
    """One for the process: every request asks `wait` before it leaves and says `answered` when it came back.

    At most MOST jobs are at work at once: half as many after a refusal, and again one more each clean interval.
    COST is in resource units, CLOCK monotonic in seconds. KEEP_PAUSE is told the seconds of a long pause when one begins or grows.
    """

    def __init__(
        self,
        *,
        most: int,
        clock: Callable[[], float] = time.monotonic,
        keep_pause: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self._most = most
        self._clock = clock
        self._keep_pause = keep_pause
        self._keeping = threading.Lock()
        self._kept_until = 0.0
        self._changed = threading.Condition()
        self._stopping = False
        self._paused_until = 0.0
        self._paused_in_all = 0.0
        self._limit_at_refusal = most
        self._refused_at: float | None = None
        self._under_way = 0
        self._pace_until = 0.0
        self._left = 0
        self._next_at = 0.0

    def wait(self, cost: int) -> bool:
        """Sleep until a request of COST may leave; False when the service is stopping instead."""
        with self._changed:
            while not self._stopping and (seconds := self._leaves_at(cost) - self._clock()) > 0:
                self._changed.wait(seconds)
            if self._stopping:
                return False
            self._under_way += cost
            self._take_slot(cost)
            return True

    def answered(self, cost: int) -> None:
        """A request of COST came back, or failed."""
        with self._changed:
            self._under_way -= cost

    def refused(self, seconds: float) -> None:
        """Graph refused a request: let none leave for SECONDS, and fewer be at work afterwards."""
        with self._changed:
            now = self._clock()
            # What was refused during a pause had left before it: one burst halves the number once.
            if now >= self._paused_until:
                self._limit_at_refusal = max(1, self._limit(now) // 2)
            self._refused_at = now + seconds
            self._paused_in_all += max(0.0, now + seconds - max(self._paused_until, now))
            self._paused_until = max(self._paused_until, now + seconds)
        if seconds >= KEPT_PAUSE_SECONDS:
            self._keep()

    def advised(self, *, remaining: int, reset_seconds: float) -> None:
        """Graph says how many units are left until its next minute begins."""
        with self._changed:
            self._left = max(0, remaining - self._under_way)
            self._pace_until = self._clock() + reset_seconds
            self._changed.notify_all()

    def limit(self) -> int:
        """How many jobs may be at work at once."""
        with self._changed:
            return self._limit(self._clock())

    def paused_seconds(self) -> float:
        """Seconds until requests may leave again; 0 when they may now."""
        with self._changed:
            return max(0.0, self._paused_until - self._clock())

    def paused_in_all(self) -> float:
        """Seconds of pause that Graph asked for so far; where pauses overlap they count once."""
        with self._changed:
            return self._paused_in_all

    def stop(self) -> None:
        """Wake every sleeper: the service is stopping."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def _keep(self) -> None:
        # Not under the lock of all requests, as it waits for the disk; and one after the other, so that the longest stays.
        with self._keeping:
            with self._changed:
                until, seconds = self._paused_until, self._paused_until - self._clock()
            if until >= self._kept_until + _KEPT_STEP_SECONDS:
                self._keep_pause(seconds)
                self._kept_until = until

    def _leaves_at(self, cost: int) -> float:
        if not cost or self._clock() >= self._pace_until:
            return self._paused_until
        return max(self._paused_until, self._next_at if self._left >= cost else self._pace_until)

    def _take_slot(self, cost: int) -> None:
        """Spread what is left evenly over the time that is left."""
        now = self._clock()
        if cost and now < self._pace_until:
            self._next_at = now + (self._pace_until - now) * cost / max(self._left, cost)
            self._left -= cost

    def _limit(self, now: float) -> int:
        if self._refused_at is None:
            return self._most
        clean_intervals = max(0, int((now - self._refused_at) / CLEAN_INTERVAL_SECONDS))
        return min(self._most, self._limit_at_refusal + clean_intervals)
