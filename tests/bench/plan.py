"""How a benchmark is to be run: how often, how much of each work, and with which settings of the service."""

import itertools
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from bench.ground import Ground, Line
from bench.results import Run, Target

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

MIB = 1024 * 1024
MILLISECONDS_PER_SECOND = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Each figure is the median of RUNS; QUICK cuts the works short; SETTINGS are the service's; FOLDER is for what is temporary."""

    quick: bool
    runs: int
    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def of(self, full: T, *, quick: T) -> T:
        """FULL, or QUICK in a quick run."""
        return quick if self.quick else full

    def ground(self, line: Line) -> Ground:
        """A ground of its own for a work."""
        return Ground(self.folder / f"ground-{next(self._numbers)}", line, settings=self.settings)

    def by_turns(self, deeds: Mapping[K, Callable[[], Run]]) -> dict[K, list[Run]]:
        """Do each of DEEDS as often as there are runs, by turns, so that a busy moment of the machine falls on all alike."""
        found: dict[K, list[Run]] = {name: [] for name in deeds}
        for _ in range(self.runs):
            for name, deed in deeds.items():
                found[name].append(deed())
        return found


def at_least(wanted: str, measured: float | None, limit: float, unit: str = "x") -> Target:
    """A target that is met from LIMIT on; with nothing measured it is missed."""
    return Target(wanted=wanted, measured=_said(measured, unit), met=measured is not None and measured >= limit)


def at_most(wanted: str, measured: float | None, limit: float, unit: str = "x") -> Target:
    """A target that is met up to LIMIT; with nothing measured it is missed."""
    return Target(wanted=wanted, measured=_said(measured, unit), met=measured is not None and measured <= limit)


def below(wanted: str, measured: float, limit: float, unit: str = "x") -> Target:
    """A target that is met below LIMIT."""
    return Target(wanted=wanted, measured=_said(measured, unit), met=measured < limit)


def _said(measured: float | None, unit: str) -> str:
    if measured is None:
        return "not measured"
    text = f"{measured:,.2f}".rstrip("0").rstrip(".") if abs(measured) < 100 else f"{measured:,.0f}"
    return f"{text} {unit}".strip().replace(" x", "x")
