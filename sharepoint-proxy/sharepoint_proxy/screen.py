"""What the commands write: tables, colours and progress bars for a person at a terminal, plain lines for a pipe, JSON for a program.

The only importer of rich. Answers go to stdout; progress goes to stderr, and only to a terminal.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

_PIPE_WIDTH = 10_000


class Tone(StrEnum):
    """How a text is meant; the values are rich's styles."""

    PLAIN = ""
    GOOD = "green"
    DOUBTFUL = "yellow"
    BAD = "bold red"
    QUIET = "dim"
    TITLE = "bold"


class Bar:
    """A progress bar with rate and time left where the total is known; nothing at all where nobody watches."""

    def __init__(self, progress: Progress, *, unit: str) -> None:
        self._progress = progress
        self._unit = unit
        self._task: TaskID | None = None

    def begin(self, title: str, total: int | None) -> None:
        """A new step of TOTAL units."""
        if self._task is not None:
            self._progress.stop_task(self._task)
        self._task = self._progress.add_task(title, total=total, unit=self._unit)

    def advance(self, count: int) -> None:
        """COUNT more units are done."""
        if self._task is not None:
            self._progress.advance(self._task, count)


class Screen:
    """Writes what a command has to say; with AS_JSON only `emit` writes."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        is_terminal = sys.stdout.isatty()
        # In a pipe nothing is wrapped or cut: each row is a line.
        self._out = Console(highlight=False, soft_wrap=True, width=None if is_terminal else _PIPE_WIDTH)
        self._err = Console(stderr=True, highlight=False)

    def say(self, text: str = "", tone: Tone = Tone.PLAIN) -> None:
        """A line for a person."""
        if not self.as_json:
            self._out.print(Text(_printable(text), style=tone.value))

    def pair(self, mark: str, text: str, tone: Tone) -> None:
        """A line with a coloured word in front."""
        if not self.as_json:
            self._out.print(Text.assemble((mark, tone.value), " ", _printable(text)))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A table with a head on a terminal; in a pipe one line a row, its cells separated by tabs."""
        if self.as_json:
            return
        if not self._out.is_terminal:
            for row in rows:
                self._out.print(Text("\t".join(map(_printable, row))))
            return
        table = Table(*columns, box=None, pad_edge=False, header_style="bold")
        for row in rows:
            table.add_row(*(Text(_printable(cell), overflow="fold") for cell in row))
        self._out.print(table, soft_wrap=False)

    def emit(self, value: object) -> None:
        """The answer as one JSON document, when that was asked for."""
        if self.as_json:
            sys.stdout.write(json.dumps(value, ensure_ascii=False, default=_jsonable) + "\n")

    @contextmanager
    def bar(self, *, unit: str) -> Iterator[Bar]:
        """A progress bar while the block runs."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            _RateColumn(""),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._err, disable=self.as_json or not self._err.is_terminal) as progress:
            yield Bar(progress, unit=unit)


class _RateColumn(TextColumn):
    def render(self, task: Any) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", style="dim")


def moment(seconds: float | None) -> str:
    """A time for a person: local time to the second."""
    if seconds is None:
        return "-"
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _printable(text: str) -> str:
    """TEXT without what would move the cursor or end the line: keys may hold anything."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _jsonable(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)
