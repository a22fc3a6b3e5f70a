"""Puts what happened into rows for the screen: the webhook's answers, the calls at Graph, the library's tree."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import groupby, pairwise
from pathlib import PurePosixPath

from demo.screen import Cell, Row, Style
from simulator.calls import Call, CallKind
from simulator.minio_sender import Delivery
from simulator.stage import BUCKET

_ROWS_SHOWN = 3
_FILES_SHOWN = 4
_SILENCE_SECONDS = 1.0
_MIB = 1024 * 1024

_CALL_NAMES = {
    CallKind.PUT_CONTENT: "PUT content",
    CallKind.SESSION_CREATE: "POST createUploadSession",
    CallKind.FRAGMENT: "PUT fragment",
    CallKind.SESSION_STATUS: "GET upload session",
    CallKind.SESSION_CANCEL: "DELETE upload session",
    CallKind.FOLDER_CREATE: "POST folder in",
    CallKind.ITEM_GET: "GET item",
    CallKind.DELETE: "DELETE item",
    CallKind.PATCH: "PATCH item",
}


def call_name(kind: CallKind) -> str:
    """What a call asks of Graph, in the words of its HTTP method."""
    return _CALL_NAMES.get(kind, kind.value.replace("_", " "))


def plural(number: int, noun: str) -> str:
    """A number with its noun, "1 file" or "2 files"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def size(count: int) -> str:
    """A number of bytes for a person."""
    return f"{count / _MIB:.1f} MiB" if count >= _MIB else plural(count, "byte")


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class _Line:
    """One row, and what it shares with those that may be left out next to it."""

    at: float
    alike: object
    row: Row


def answer_rows(deliveries: Sequence[Delivery]) -> list[Row]:
    """What MinIO told the webhook, and what it was answered."""
    return _condensed([_answer(delivery) for delivery in deliveries])


def call_rows(calls: Sequence[Call]) -> list[Row]:
    """What the service asked of Graph, in the order in which it did."""
    return _condensed([_call(call) for call in sorted(calls, key=lambda call: call.at)])


def _answer(delivery: Delivery) -> _Line:
    status = delivery.status or delivery.error
    name, key = delivery.event_name.removeprefix("s3:"), delivery.key.removeprefix(f"{BUCKET}/")
    result = Cell(f"{status} in {duration(delivery.seconds)}", _status_style(delivery.status))
    return _Line(delivery.at, (name, status), [Cell("MinIO -> webhook", Style.DIM), result, Cell(name), Cell(key)])


def _call(call: Call) -> _Line:
    name, result = call_name(call.kind), Cell(str(call.status or "cut off"), _status_style(call.status))
    what = Cell(_target(call))
    return _Line(call.at, (name, call.status), [Cell("service -> Graph", Style.DIM), result, Cell(name), what])


def _target(call: Call) -> str:
    match call.kind:
        case CallKind.PUT_CONTENT | CallKind.FRAGMENT:
            return f"{call.item_path} ({size(call.bytes_received)})"
        case CallKind.FOLDER_CREATE:
            return f"{call.item_path}/"
    return call.item_path or call.path


def _status_style(status: int | None) -> Style:
    if not status or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Style.RED
    return Style.YELLOW if status >= HTTPStatus.BAD_REQUEST or status == HTTPStatus.ACCEPTED else Style.GREEN


def _condensed(lines: Sequence[_Line]) -> list[Row]:
    """The rows, the first few of each long run of alike ones; and where time passed between two, how much."""
    rows: list[Row] = []
    for _, run in groupby(_with_silences(lines), key=lambda line: line.alike):
        alike = [line.row for line in run]
        left_out = len(alike) - _ROWS_SHOWN + 1
        if left_out <= 1:
            rows.extend(alike)
            continue
        rows.extend(alike[: _ROWS_SHOWN - 1])
        rows.append([alike[0][0], Cell(""), Cell(""), Cell(f"... and {left_out} more like these", Style.DIM)])
    return rows


def _with_silences(lines: Sequence[_Line]) -> Iterator[_Line]:
    yield from lines[:1]
    for before, line in pairwise(lines):
        if line.at - before.at >= _SILENCE_SECONDS:
            passed = Cell(f"... {line.at - before.at:.1f} s later ...", Style.DIM)
            yield _Line(line.at, line, [Cell(""), Cell(""), passed])
        yield line


def tree_rows(contents: Mapping[str, bytes], before: Mapping[str, bytes]) -> list[Row]:
    """The files by folder with their sizes, and what is new, changed or gone since BEFORE."""
    rows: list[Row] = []
    shown: set[str] = set()
    for folder, paths in groupby(sorted(contents, key=_in_order), key=_folder):
        rows.extend(_folder_row(parent) for parent in _parents(folder) if parent not in shown)
        shown.update(_parents(folder))
        rows.extend(_file_rows(list(paths), contents, before))
    gone = sorted(before.keys() - contents.keys())
    return [*rows, *([Cell(f"  {path}", Style.DIM), Cell(""), Cell("gone", Style.YELLOW)] for path in gone)]


def _file_rows(paths: Sequence[str], contents: Mapping[str, bytes], before: Mapping[str, bytes]) -> Iterator[Row]:
    few = paths if len(paths) <= _FILES_SHOWN else paths[: _FILES_SHOWN - 1]
    for path in few:
        name = Cell(f"{_indent(path)}{PurePosixPath(path).name}")
        yield [name, _size(len(contents[path])), _novelty(contents[path], before.get(path))]
    if len(few) < len(paths):
        rest = sum(len(contents[path]) for path in paths[len(few) :])
        more = Cell(f"{_indent(paths[0])}... and {len(paths) - len(few)} more", Style.DIM)
        yield [more, _size(rest)]


def _size(count: int) -> Cell:
    return Cell(size(count), is_number=True)


def _novelty(content: bytes, before: bytes | None) -> Cell:
    if before is None:
        return Cell("new", Style.GREEN)
    return Cell("" if content == before else "changed", Style.GREEN)


def _in_order(path: str) -> tuple[list[str], str]:
    """Files before the folders beside them."""
    return _folder(path).casefold().split("/"), path.casefold()


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _folder_row(path: str) -> Row:
    return [Cell(f"{_indent(path)}{PurePosixPath(path).name}/", Style.BOLD)]


def _parents(folder: str) -> list[str]:
    """The folder with all above it, outermost first."""
    parts = PurePosixPath(folder).parts
    return ["/".join(parts[: depth + 1]) for depth in range(len(parts))]


def _indent(path: str) -> str:
    return "  " * (path.count("/") + 1)


def summary_rows(deliveries: Sequence[Delivery], calls: Sequence[Call]) -> list[Row]:
    """How many events and calls there were, by kind."""
    statuses = Counter(str(delivery.status or delivery.error) for delivery in deliveries)
    answers = ", ".join(f"{number:,} answered {status}" for status, number in sorted(statuses.items(), reverse=True))
    rows = [_counted("events from MinIO", len(deliveries), answers), _counted("calls at Graph", len(calls))]
    for kind, number in Counter(call.kind for call in calls).most_common():
        refused = sum(call.kind is kind and call.status == HTTPStatus.TOO_MANY_REQUESTS for call in calls)
        note = f"{refused:,} told to come back later (429)" if refused else ""
        rows.append(_counted(f"  {call_name(kind)}", number, note))
    return rows


def _counted(what: str, number: int, note: str = "") -> Row:
    return [Cell(what), Cell(f"{number:,}", is_number=True), Cell(note, Style.DIM)]
