"""User metadata as values of library columns: decoded, and put into the form that each type of column takes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header
from enum import StrEnum
from typing import Any, Self

_LONGEST_TEXT_CHARACTERS = 255
"""What a column for a single line of text takes (Microsoft's page "textColumn")."""

_YES = frozenset({"true", "yes", "oui", "vrai", "1"})
_NO = frozenset({"false", "no", "non", "faux", "0"})
_DAY_FIRST = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")


class ColumnType(StrEnum):
    """The types that metadata are converted for; anything else is written as text."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    CHOICE = "choice"
    YES_NO = "yes/no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of the library: `name` is the one that Graph takes, `title` the one that people see."""

    name: str
    title: str
    type: ColumnType = ColumnType.TEXT
    choices: tuple[str, ...] = ()
    takes_any_text: bool = False
    is_multiline: bool = False
    is_read_only: bool = False

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """The column in Graph's columnDefinition BODY, whose facet says of what type it is."""
        choice, text = body.get("choice") or {}, body.get("text") or {}
        facets = {"number": ColumnType.NUMBER, "currency": ColumnType.NUMBER, "dateTime": ColumnType.DATE}
        facets |= {"choice": ColumnType.CHOICE, "boolean": ColumnType.YES_NO}
        name = str(body.get("name", ""))
        return cls(
            name=name,
            title=str(body.get("displayName") or name),
            type=next((kind for facet, kind in facets.items() if facet in body), ColumnType.TEXT),
            choices=tuple(map(str, choice.get("choices") or ())),
            takes_any_text=bool(choice.get("allowTextEntry")),
            is_multiline=bool(text.get("allowMultipleLines")),
            is_read_only=bool(body.get("readOnly")),
        )


def named(columns: Sequence[Column], wanted: str) -> Column | None:
    """The column whose name or title is WANTED, any case; the name counts first."""
    by_title = {column.title.casefold(): column for column in columns}
    by_name = {column.name.casefold(): column for column in columns}
    return (by_title | by_name).get(wanted.casefold())


def decoded(value: str) -> str:
    """The text of a metadata value, which HTTP lets be ASCII only: RFC 2047 words, or UTF-8 read as Latin-1, are undone."""
    try:
        text = "".join(_word(*part) for part in decode_header(value))
    except (HeaderParseError, LookupError, UnicodeDecodeError, ValueError):
        text = value
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _word(part: str | bytes, charset: str | None) -> str:
    return part.decode(charset or "utf-8") if isinstance(part, bytes) else part


def converted(column: Column, text: str) -> str | float | bool:
    """TEXT in the form that COLUMN takes; ValueError, with the reason, for one that does not fit."""
    if column.is_read_only:
        raise ValueError("it is one that SharePoint fills itself")
    text = text.strip()
    match column.type:
        case ColumnType.NUMBER:
            return _number(text)
        case ColumnType.DATE:
            return _date(text)
        case ColumnType.YES_NO:
            return _yes_no(text)
        case ColumnType.CHOICE:
            return _choice(column, text)
    if len(text) > _LONGEST_TEXT_CHARACTERS and not column.is_multiline:
        raise ValueError(f"it has {len(text)} characters, and a line of text takes {_LONGEST_TEXT_CHARACTERS}")
    return text


def _number(text: str) -> float:
    plain = text.replace("\u202f", "").replace("\xa0", "").replace(" ", "").replace(",", ".")
    if not re.fullmatch(r"[+-]?\d+(\.\d+)?", plain):
        raise ValueError("it is not a number")
    value = float(plain)
    return int(value) if value.is_integer() else value


def _date(text: str) -> str:
    """The moment in ISO 8601, UTC; a French date has its day first."""
    if match := _DAY_FIRST.fullmatch(text):
        day, month, year = match.groups()
        text = f"{year}-{month:0>2}-{day:0>2}"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("it is not a date: write it like 2026-01-31 or 31/01/2026") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _yes_no(text: str) -> bool:
    if text.casefold() not in _YES | _NO:
        raise ValueError("it is neither yes nor no")
    return text.casefold() in _YES


def _choice(column: Column, text: str) -> str:
    for choice in column.choices:
        if choice.casefold() == text.casefold():
            return choice
    if column.takes_any_text:
        return text
    raise ValueError(f"it is none of {', '.join(column.choices)}")
