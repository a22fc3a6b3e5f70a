"""Runs the works one after the other, and notes on what machine."""

import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from measure.report import machine

from bench import alone, large, small, sparing, standing, throttled
from bench.peer import PROGRAM
from bench.plan import Plan
from bench.processes import Program
from bench.results import Results, Work
from bench.table import summary
from sharepoint_proxy import __version__

Family = Callable[[Plan], list[Work]]

WORKS: Mapping[str, Family] = {
    "burst": small.small_files,
    "reconcile": small.small_files,
    "event": small.one_event,
    "large": large.one_large,
    "parallel": large.several_large,
    "mixed": large.mixed,
    "overwrites": sparing.overwrites,
    "unchanged": sparing.unchanged,
    "rename": sparing.rename,
    "throttled": throttled.throttled,
    "intake": standing.intake,
    "growth": standing.growth,
    "alone": alone.simulator_alone,
}
"""What does each work, by the work's name; some do two at once."""

RUNS = 3
_QUICK_RUNS = 1


@contextmanager
def planned(*, quick: bool, runs: int | None, settings: Mapping[str, str]) -> Iterator[Plan]:
    """How to run, with a folder for what is temporary."""
    with tempfile.TemporaryDirectory(prefix="sharepoint-proxy-bench-") as folder:
        yield Plan(quick=quick, runs=runs or (_QUICK_RUNS if quick else RUNS), folder=Path(folder), settings=settings)


def run(plan: Plan, names: Sequence[str], say: Callable[[str], None]) -> Results:
    """Do the works NAMES, and SAY what came of each as it ends."""
    began, at = time.monotonic(), f"{datetime.now(UTC):%Y-%m-%d}"
    start_up, version = _rclone(plan.folder)
    before = machine()
    say(before)
    works: list[Work] = []
    for found in _done(plan, dict.fromkeys(WORKS[name] for name in names)):
        works += [work for work in found if work.name in names]
        for work in works[-len(found) :]:
            say("\n".join(summary(work)))
    return Results(
        at=at,
        quick=plan.quick,
        seconds=time.monotonic() - began,
        machine=(
            f"before: {before}",
            f"after: {machine()}",
            f"rclone's start-up, which is in its times: {start_up:.2f} s for `rclone version`",
        ),
        versions={"sharepoint-proxy": __version__, "rclone": version, "Python": platform.python_version()},
        settings=plan.settings,
        works=works,
    )


def _done(plan: Plan, families: Mapping[Family, None]) -> Iterator[list[Work]]:
    """What each of FAMILIES found. In a quick run the one that only waits for a minute to pass does so beside the others."""
    with ThreadPoolExecutor(1) as threads:
        beside: Future[list[Work]] | None = None
        if plan.quick and throttled.throttled in families:
            beside = threads.submit(throttled.throttled, plan)
        for family in families:
            if beside is None or family is not throttled.throttled:
                yield family(plan)
        if beside is not None:
            yield beside.result()


def _rclone(folder: Path) -> tuple[float, str]:
    """The seconds that rclone takes to start, and its version."""
    ended = Program([str(PROGRAM), "version"], {}, output=folder / "version.txt").ended()
    return ended.seconds, ended.output.split()[1].removeprefix("v")
