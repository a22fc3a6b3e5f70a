"""The limit on what all uploads together may send, which may change with the time of day."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from datetime import time as TimeOfDay  # noqa: N812 - `time` is the module
from typing import Protocol

_BYTES_PER_MBIT = 1_000_000 / 8
_SLICE_BYTES = 16 * 1024
"""Uploads take turns by slices, so that a small file waits for nobody's fragment."""

_ITEM = re.compile(r"(?:\*|(\d\d:\d\d)-(\d\d:\d\d))=(\d+(?:\.\d+)?)")


class Body(Protocol):
    """A request body of known length in bytes; each iteration starts it afresh."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class Window:
    """A time of the day, up to its end, which may lie after midnight, and its limit in Mbit/s (0: none)."""

    begins: TimeOfDay
    ends: TimeOfDay
    mbit: float

    def holds(self, now: TimeOfDay) -> bool:
        """True if NOW is in it."""
        if self.begins <= self.ends:
            return self.begins <= now < self.ends
        return now >= self.begins or now < self.ends


@dataclass(frozen=True, slots=True)
class Schedule:
    """The first window that holds the time counts, else OTHERWISE (Mbit/s, 0: no limit)."""

    windows: tuple[Window, ...]
    otherwise: float

    @classmethod
    def parse(cls, text: str | None, *, otherwise: float) -> "Schedule":
        """The schedule in a TEXT like "07:30-18:00=20,*=0"; without "*" the limit is OTHERWISE at other times."""
        windows = []
        for begins, ends, mbit in _ITEM.findall(text or ""):
            if begins:
                windows.append(Window(TimeOfDay.fromisoformat(begins), TimeOfDay.fromisoformat(ends), float(mbit)))
            else:
                otherwise = float(mbit)
        return cls(tuple(windows), otherwise)

    def mbit(self, now: TimeOfDay) -> float:
        """The limit at NOW."""
        return next((window.mbit for window in self.windows if window.holds(now)), self.otherwise)


class Bandwidth:
    """One for the process. SCHEDULE is in local time, which TIME_OF_DAY gives; CLOCK is monotonic, in seconds, and SLEEP sleeps so many."""

    def __init__(
        self,
        schedule: Schedule,
        *,
        time_of_day: Callable[[], TimeOfDay] = lambda: datetime.now().astimezone().time(),
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._schedule = schedule
        self._time_of_day = time_of_day
        self._clock = clock
        self._sleep = sleep
        self._taking = threading.Lock()
        self._free_at = 0.0

    def paced(self, body: Body) -> Body:
        """BODY, whose bytes come no faster than the limit lets them."""
        return _Paced(body, self._slices)

    def _slices(self, body: Body) -> Iterator[bytes]:
        for piece in body:
            rate = self._schedule.mbit(self._time_of_day()) * _BYTES_PER_MBIT
            if not rate:
                yield piece
                continue
            for start in range(0, len(piece), _SLICE_BYTES):
                part = piece[start : start + _SLICE_BYTES]
                self._wait(len(part) / rate)
                yield part

    def _wait(self, seconds: float) -> None:
        """Wait for one's turn, and then as long as the slice takes: the line is busy for SECONDS with it."""
        with self._taking:
            now = self._clock()
            self._free_at = max(self._free_at, now) + seconds
            wait = self._free_at - now
        self._sleep(wait)


class _Paced:
    """A body whose bytes come as SLICES lets them."""

    def __init__(self, body: Body, slices: Callable[[Body], Iterator[bytes]]) -> None:
        self._body = body
        self._slices = slices

    def __len__(self) -> int:
        """The length in bytes."""
        return len(self._body)

    def __iter__(self) -> Iterator[bytes]:
        """The bytes."""
        return self._slices(self._body)
