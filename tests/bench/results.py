"""What a benchmark found, as data: figures with their spread, who reached them at which work, and which targets were met; to JSON and back."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Any, Self


class Figure(StrEnum):
    """What is measured, by the name that a table shows."""

    FILES_PER_SECOND = "files/s"
    MB_PER_SECOND = "MB/s"
    EVENTS_PER_SECOND = "events/s"
    REQUESTS_PER_SECOND = "requests/s"
    SECONDS = "s"
    MILLISECONDS = "ms"
    TIMES_ALONE = "x alone"
    ANSWERED = "ms until the webhook's answer"
    P99 = "p99 of the answers in ms"
    LOST = "events lost"
    CPU_PER_EVENT = "CPU ms an event"
    CPU_TO_TAKE = "CPU ms to take an event"
    CPU_PER_FILE = "CPU ms a file"
    CPU_PER_MIB = "CPU ms a MiB"
    PEAK = "peak memory in MiB"
    CALLS = "calls"
    CALLS_PER_FILE = "calls a file"
    UPLOADS = "uploads"
    BYTES = "bytes uploaded"
    BUDGET = "% of the budget used"
    REFUSED = "% of answers 429"

    @property
    def more_is_better(self) -> bool:
        """True for speeds: of all others less is better."""
        return self.endswith("/s") or self is Figure.BUDGET


class Who(StrEnum):
    """Who does most works; at some the service is measured in other ways too, under names of their own."""

    SERVICE = "service"
    DEFAULTS = "rclone, defaults"
    BEST = "rclone, best"
    NAIVE = "plain loop"


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several runs, and the lowest and highest of them."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """That of VALUES, of which there is at least one."""
        return cls(median(values), min(values), max(values))


Run = Mapping[Figure, float]
"""The figures of one run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """What WHO reached at a work; NOTE says how, where that was a choice."""

    who: str
    figures: Mapping[Figure, Spread]
    note: str = ""

    @classmethod
    def of(cls, who: str, runs: Sequence[Run], note: str = "") -> Self:
        """The medians of RUNS, which hold the same figures."""
        figures = {figure: Spread.of([run[figure] for run in runs]) for figure in runs[0]}
        return cls(who=who, figures=figures, note=note)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What was wanted in words, what was measured in the same unit, and whether that is good enough."""

    wanted: str
    measured: str
    met: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A work and all who did it. HEADLINE is what they are compared by, LATENCY that of Graph in seconds."""

    name: str
    title: str
    latency: float
    headline: Figure
    runs: int
    contenders: Sequence[Contender]
    targets: Sequence[Target]
    notes: Sequence[str] = ()

    def spread(self, who: str) -> Spread | None:
        """What WHO reached of the headline, or None."""
        found = (each.figures.get(self.headline) for each in self.contenders if each.who == who)
        return next(found, None)

    def ratio(self, than: str, who: str = Who.SERVICE) -> float | None:
        """How many times as fast as THAN another one WHO is, or with how many times less; None where one of them is missing."""
        ours, theirs = self.spread(who), self.spread(than)
        if ours is None or theirs is None or not min(ours.median, theirs.median):
            return None
        return ours.median / theirs.median if self.headline.more_is_better else theirs.median / ours.median


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """A whole benchmark. MACHINE and VERSIONS say on what; QUICK that sizes and runs were cut short; SETTINGS what was no default."""

    at: str
    quick: bool
    seconds: float
    machine: Sequence[str]
    versions: Mapping[str, str]
    settings: Mapping[str, str] = field(default_factory=dict)
    works: Sequence[Work] = ()

    def write(self, path: Path) -> None:
        """Keep it in a file of JSON."""
        path.write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """What `write` kept; ValueError when PATH holds something else."""
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            return cls(**{**document, "works": [_work(work) for work in document["works"]]})
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"{path} holds no results of a benchmark.") from error


def best(contenders: Iterable[Contender], headline: Figure) -> Contender:
    """The one of CONTENDERS with the best median of HEADLINE."""
    sign = 1 if headline.more_is_better else -1
    return max(contenders, key=lambda each: sign * each.figures[headline].median)


def _work(document: dict[str, Any]) -> Work:
    return Work(
        **{
            **document,
            "headline": Figure(document["headline"]),
            "contenders": [_contender(each) for each in document["contenders"]],
            "targets": [Target(**each) for each in document["targets"]],
        }
    )


def _contender(document: dict[str, Any]) -> Contender:
    figures = {Figure(name): Spread(**spread) for name, spread in document["figures"].items()}
    return Contender(who=document["who"], figures=figures, note=document["note"])
