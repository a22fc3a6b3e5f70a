"""Shows what the CPU time of the service goes to, function by function, in a burst of small files and in one large upload.

Python 3.11 is needed: later ones profile one thread at a time only. The profiler itself makes functions that are called often look
some three times as dear as they are; the shares tell, not the milliseconds.
"""

import pstats
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from bench.deeds import fresh, mirrored
from bench.ground import Line
from bench.plan import MIB, Plan
from bench.results import Figure
from bench.small import SMALL_BYTES

_HOOK = Path(__file__).parent / "profiled"
_LAST_PYTHON = (3, 11)
_SHOWN = 40
_LATENCY_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """A function, how often it was called, and its CPU seconds: in itself, and with all that it called."""

    name: str
    calls: int
    own: float
    whole: float


def profile(plan: Plan) -> Iterator[str]:
    """The report, line by line; RuntimeError where Python cannot profile several threads at once."""
    if sys.version_info[:2] > _LAST_PYTHON:
        raise RuntimeError("Only Python 3.11 can profile all threads of the service at once.")
    files = plan.of(400, quick=120)
    size_mib = plan.of(200, quick=50)
    yield from _profiled(plan, f"a file, of {files} files of 10 KiB", count=files, size=SMALL_BYTES, units=files)
    yield from _profiled(plan, f"a MiB, of a file of {size_mib} MiB", count=1, size=size_mib * MIB, units=size_mib)


def _profiled(plan: Plan, title: str, *, count: int, size: int, units: int) -> Iterator[str]:
    path = plan.folder / f"{count}.prof"
    hook = {"PYTHONPATH": str(_HOOK), "BENCH_PROFILE": str(path)}
    with plan.ground(Line(latency=_LATENCY_SECONDS)) as ground:
        with ground.service() as service:
            plain = mirrored(ground, service, fresh(ground, count=count, size=size))
        with ground.service(settings=hook) as service:
            mirrored(ground, service, fresh(ground, count=count, size=size))
    yield f"CPU time for {title}: {plain[Figure.CPU_PER_FILE] * count / units:.2f} ms without the profiler"
    costs = list(_costs(path))
    total = sum(cost.own for cost in costs)
    for heading, seconds in (("in the function itself", _own), ("with all that it calls", _whole)):
        yield f"{'share':>7} {'calls':>9}  {heading}"
        for cost in sorted(costs, key=seconds, reverse=True)[:_SHOWN]:
            yield f"{100 * seconds(cost) / total:6.1f}% {cost.calls / units:9.1f}  {cost.name}"


def _own(cost: Cost) -> float:
    return cost.own


def _whole(cost: Cost) -> float:
    return cost.whole


def _costs(path: Path) -> Iterator[Cost]:
    entries = vars(pstats.Stats(str(path)))["stats"]
    for (file, _, function), (_, calls, own, whole, _) in entries.items():
        yield Cost(name=f"{'/'.join(PurePath(file).parts[-2:])} {function}", calls=calls, own=own, whole=whole)
