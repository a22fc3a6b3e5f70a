"""Sets the clock of the Python process that starts with this folder on PYTHONPATH, whenever a test wants it set.

Python imports `sitecustomize` before anything else. The file that SET_CLOCK names holds, as a double, the seconds by which the time
of day is ahead; it is read at every look at the clock. Monotonic clocks go on evenly, as they do when a real clock is set, and so do
those of libraries in C: OpenSSL judges certificates by the true time.
"""

import datetime as dt
import mmap
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_NS = 1_000_000_000
_true_time, _true_time_ns = time.time, time.time_ns
_true_gmtime, _true_localtime = time.gmtime, time.localtime
_TrueDatetime = dt.datetime

with Path(os.environ["SET_CLOCK"]).open("rb") as _file:
    _shared = mmap.mmap(_file.fileno(), struct.calcsize("d"), access=mmap.ACCESS_READ)


def _ahead() -> float:
    return float(struct.unpack("d", _shared[:])[0])


def _set_time() -> float:
    return _true_time() + _ahead()


def _set_time_ns() -> int:
    return _true_time_ns() + int(_ahead() * _NS)


def _set_gmtime(seconds: float | None = None) -> time.struct_time:
    return _true_gmtime(_set_time() if seconds is None else seconds)


def _set_localtime(seconds: float | None = None) -> time.struct_time:
    return _true_localtime(_set_time() if seconds is None else seconds)


class _TakesAll(type):
    """Holds every datetime for one of the class below, also those that were made elsewhere."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _TrueDatetime)


class _SetDatetime(_TrueDatetime, metaclass=_TakesAll):
    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return cls.fromtimestamp(_set_time(), tz)

    @classmethod
    def utcnow(cls) -> Any:
        return cls.now(dt.UTC).replace(tzinfo=None)


_SETTABLE: dict[str, Callable[..., object]] = {
    "time": _set_time,
    "time_ns": _set_time_ns,
    "gmtime": _set_gmtime,
    "localtime": _set_localtime,
}
for _name, _function in _SETTABLE.items():
    setattr(time, _name, _function)
dt.datetime = _SetDatetime  # type: ignore[misc] # that is what this is for
