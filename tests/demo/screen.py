"""Writes titles, paragraphs and aligned rows; colours only for a person at a terminal."""

import io
import os
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import zip_longest
from typing import TextIO

INDENT = "   "
_MOST_COLUMNS = 100
_GAP = "  "


class Style(Enum):
    """How text looks at a terminal: the parameter of the ANSI escape sequence."""

    PLAIN = ""
    BOLD = "1"
    DIM = "2"
    RED = "31"
    GREEN = "32"
    YELLOW = "33"
    BLUE = "1;34"


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of a row."""

    text: str
    style: Style = Style.PLAIN
    is_number: bool = False


Row = Sequence[Cell]


class Screen:
    """Standard output, or what stands for it; each line is seen at once."""

    def __init__(self, out: TextIO) -> None:
        if isinstance(out, io.TextIOWrapper):
            # Where accents cannot be shown they are spelled out: the story is no reason to fail.
            out.reconfigure(errors="backslashreplace")
        self._out = out
        self._is_coloured = out.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        self._columns = min(shutil.get_terminal_size((_MOST_COLUMNS, 24)).columns, _MOST_COLUMNS)

    def title(self, text: str) -> None:
        """A line that opens something new."""
        self._write("")
        self._write(self._styled(text, Style.BLUE))

    def say(self, text: str, style: Style = Style.PLAIN) -> None:
        """A paragraph, folded at the width of the terminal."""
        for line in textwrap.wrap(text, self._columns, initial_indent=INDENT, subsequent_indent=INDENT):
            self._write(self._styled(line, style))

    def verbatim(self, text: str) -> None:
        """A line to copy from, whatever its length."""
        self._write(text)

    def space(self) -> None:
        """An empty line."""
        self._write("")

    def rows(self, rows: Sequence[Row]) -> None:
        """Rows whose cells stand below each other."""
        widths = [max(map(len, texts)) for texts in zip_longest(*map(_texts, rows), fillvalue="")]
        for row in rows:
            cells = [self._padded(cell, width) for cell, width in zip(row, widths, strict=False)]
            self._write((INDENT + _GAP.join(cells)).rstrip())

    def _padded(self, cell: Cell, width: int) -> str:
        text, blank = self._styled(cell.text, cell.style), " " * (width - len(cell.text))
        return blank + text if cell.is_number else text + blank

    def _styled(self, text: str, style: Style) -> str:
        if not self._is_coloured or style is Style.PLAIN:
            return text
        return f"\033[{style.value}m{text}\033[0m"

    def _write(self, line: str) -> None:
        self._out.write(line + "\n")
        self._out.flush()


def _texts(row: Row) -> list[str]:
    return [cell.text for cell in row]
