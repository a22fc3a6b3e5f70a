"""What an object is told of the file that it comes from: its date, and the metadata that once went from it into columns of the library."""

import json
import threading
from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Protocol

from sharepoint_proxy.column_values import Column, named
from sharepoint_proxy.errors import AccessError, PermanentError
from sharepoint_proxy.paths import split_library
from sharepoint_proxy.records import PlacedItem

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Memory(Protocol):
    """What the mirror wrote into the columns of which item, as JSON; "" for nothing."""

    def written(self, item_id: str) -> str: ...


class ObjectMetadata:
    """Makes user metadata of what is known of a file. WANTED are pairs of a metadata name and a column's name or title.

    Without the metadata that its columns were filled from an object would empty them. COLUMNS_AT gives the columns of the library
    that a path is in.
    """

    def __init__(
        self, wanted: Sequence[tuple[str, str]], *, memory: Memory, columns_at: Callable[[str], list[Column]]
    ) -> None:
        self._wanted = wanted
        self._memory = memory
        self._columns_at = columns_at
        self._known: dict[str, list[Column]] = {}
        self._asking = threading.Lock()

    def of(self, placed: PlacedItem) -> dict[str, str]:
        """The metadata for the object of this file, all ASCII."""
        return _date(placed.modified) | self._from_columns(placed)

    def _from_columns(self, placed: PlacedItem) -> dict[str, str]:
        values = json.loads(self._memory.written(placed.item.id) or "{}") if self._wanted else {}
        if not values:
            return {}
        columns = self._columns(placed.path)
        found = [(name, named(columns, wanted), wanted) for name, wanted in self._wanted]
        names = {name: column.name if column is not None else wanted for name, column, wanted in found}
        return {name: as_metadata(values[column]) for name, column in names.items() if column in values}

    def _columns(self, path: str) -> list[Column]:
        """The columns of the library that PATH is in; none where they cannot be looked up, and are known by their names."""
        library, _ = split_library(path)
        with self._asking:
            if library not in self._known:
                try:
                    self._known[library] = self._columns_at(path)
                except (AccessError, PermanentError):
                    self._known[library] = []
            return self._known[library]


def as_metadata(value: str | float | bool) -> str:  # noqa: FBT001 - any value of a column
    """VALUE of a column as text that becomes the same value again: ASCII, where need be as a word of RFC 2047."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return format(Decimal(str(value)), "f")
    if value.isascii() and value.isprintable() and "=?" not in value:
        return value
    return f"=?utf-8?b?{b64encode(value.encode()).decode('ascii')}?="


def _date(modified: str) -> dict[str, str]:
    """The date that people see, under the name and in the form that rclone gives it on S3: seconds since the epoch, as decimal text."""
    if not modified:
        return {}
    microseconds = (datetime.fromisoformat(modified) - _EPOCH) // timedelta(microseconds=1)
    return {"mtime": format(Decimal(microseconds) / 1_000_000, "f")}
