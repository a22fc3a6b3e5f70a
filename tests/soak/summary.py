"""Says in lines what a soak did, and what came of it."""

from collections import Counter
from collections.abc import Iterator
from typing import TypeVar

from soak.comparison import Difference
from soak.course import Report
from soak.ground import lines_about

S = TypeVar("S", bound=str)

_MIB = 1024 * 1024
_SHOWN_DIFFERENCES = 20
_SHOWN_LINES = 12
_SHOWN = 5


def summary(report: Report) -> Iterator[str]:
    """The figures, then the differences with the service's last words about each."""
    yield f"{report.seconds:.0f} s in all, of which {report.settle_seconds:.1f} s after peace"
    yield from _counted("operations", report.memory.done)
    yield f"  not done, as MinIO was down or the object gone: {report.memory.refused.total():,}"
    yield f"events delivered: {report.delivered:,}, in {report.attempts:,} attempts"
    yield from _counted("kills", report.kills)
    yield from _counted("faults", report.faults)
    yield from _uploads(report)
    yield from _in_the_end(report)
    yield from _differences(report)


def _counted(what: str, counter: Counter[S]) -> Iterator[str]:
    yield f"{what}: {counter.total():,}"
    yield "  " + ", ".join(f"{name} {count:,}" for name, count in counter.most_common())


def _uploads(report: Report) -> Iterator[str]:
    tally = report.tally
    share = tally.bytes_received / max(1, tally.bytes_needed)
    yield f"calls at Graph: {tally.calls:,}"
    yield (
        f"uploads: {tally.uploads:,}; {tally.bytes_received / _MIB:,.1f} MiB received, {tally.bytes_needed / _MIB:,.1f} MiB "
        f"needed (ratio {share:.3f}), {tally.bytes_wasted / _MIB:,.1f} MiB in calls that failed"
    )
    yield f"needless uploads (a file was given the very bytes that it held): {len(tally.repeated):,}"
    yield from (f"  {line}" for line in tally.repeated[:_SHOWN])


def _in_the_end(report: Report) -> Iterator[str]:
    yield f"keys told of once more: {report.nudged:,}; upload sessions left open: {report.sessions_left}"
    yield f"parked with a true reason, or without one (see below): {len(report.parked):,}"
    yield from (f"  {row.bucket}/{row.key}: {row.reason}" for row in report.parked[:_SHOWN])
    yield f"empty folders left by uploads: {len(report.empty_folders):,}"
    yield from (f"  {path}" for path in report.empty_folders[:_SHOWN])
    yield f"files compared byte for byte: {report.files:,}"


def _differences(report: Report) -> Iterator[str]:
    yield f"differences: {len(report.differences):,}"
    for difference in report.differences[:_SHOWN_DIFFERENCES]:
        yield f"- {difference.sentence}"
        yield from (f"    {line}" for line in _last_words(report, difference))


def _last_words(report: Report, difference: Difference) -> list[str]:
    if difference.name is None:
        return []
    return lines_about(report.log, *difference.name)[-_SHOWN_LINES:]
