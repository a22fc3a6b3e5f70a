"""What measurements print: the machine, and tables in the form that Markdown shows as tables."""

import math
import os
import sys
from collections.abc import Iterable, Sequence

_NARROWEST = 9


def machine() -> str:
    """The cores and the load of this machine, to be read beside every figure."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return f"{os.cpu_count()} cores, load average {load} (1, 5, 15 minutes)"


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print ROWS under HEADINGS, each as it comes."""
    widths = [max(len(heading), _NARROWEST) for heading in headings]
    say(_line(headings, widths))
    say(_line(["-" * width for width in widths], widths))
    for row in rows:
        say(_line(row, widths))


def _line(cells: Sequence[object], widths: Sequence[int]) -> str:
    return f"| {' | '.join(str(cell).rjust(width) for cell, width in zip(cells, widths, strict=True))} |"


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of VALUES that at least PERCENT of them do not exceed; 0 when there are none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else 0.0


def milliseconds(seconds: float) -> str:
    """SECONDS as a person reads a latency."""
    return f"{seconds * 1000:.1f} ms"
