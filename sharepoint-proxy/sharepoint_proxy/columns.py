"""Writes an object's user metadata into columns of the library, in one call, and only when they changed."""

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from sharepoint_proxy.column_values import Column, converted, decoded, named
from sharepoint_proxy.errors import AccessError, PermanentError
from sharepoint_proxy.paths import split_library
from sharepoint_proxy.records import Job, LedgerEntry, Outcome, State, StoredObject


class Library(Protocol):
    """The document library."""

    def columns(self, path: str) -> list[Column]: ...
    def set_fields(self, item_id: str, values: Mapping[str, object]) -> None: ...


class Memory(Protocol):
    """What was written into the columns of which item."""

    def written(self, item_id: str) -> str: ...
    def remember(self, item_id: str, text: str) -> None: ...


class Journal(Protocol):
    """The ledger."""

    def place(self, job: Job, entry: LedgerEntry) -> None: ...


class Columns:
    """Fills the columns of WANTED, pairs of a metadata name and a column's name or title; nothing at all where that is empty."""

    def __init__(
        self, wanted: Sequence[tuple[str, str]], *, library: Library, memory: Memory, journal: Journal
    ) -> None:
        self._wanted = [(name.lower(), column) for name, column in wanted]
        self._library = library
        self._memory = memory
        self._journal = journal
        self._known: dict[str, list[Column]] = {}
        self._asking = threading.Lock()

    def filled(self, job: Job, stored: StoredObject, entry: LedgerEntry | None, outcome: Outcome) -> Outcome:
        """OUTCOME, after the columns of the item that it left, or found in ENTRY, are what STORED's metadata say.

        Values that do not fit are left out, and named in the outcome's reason. Raises TransientError when Graph does not take them
        now; the file itself is in the ledger then, and is not sent again.
        """
        entry = outcome.entry or entry
        if not self._wanted or outcome.state is not State.SETTLED or entry is None or entry.is_folder:
            return outcome
        values, problems = self._values(stored.metadata, entry.path)
        text = json.dumps(values, sort_keys=True)
        before = self._memory.written(entry.item_id)
        if text != (before or "{}"):
            if outcome.entry is not None:
                self._journal.place(job, outcome.entry)
            # A value that is gone from the metadata is emptied, if it was ours.
            emptied = dict.fromkeys(set(json.loads(before or "{}")) - set(values))
            problems += self._set(entry.item_id, emptied | values)
            self._memory.remember(entry.item_id, text)
        return replace(outcome, reason=" ".join([outcome.reason, *problems]).strip()) if problems else outcome

    def _set(self, item_id: str, values: Mapping[str, object]) -> list[str]:
        try:
            self._library.set_fields(item_id, values)
        except PermanentError as error:
            return [f"The columns were not written. {error}"]
        return []

    def _values(self, metadata: Mapping[str, str], path: str) -> tuple[dict[str, object], list[str]]:
        """The columns' values by Graph's names, and a sentence for each that does not fit."""
        values: dict[str, object] = {}
        problems = []
        for name, wanted in self._wanted:
            if name not in metadata:
                continue
            column, text = self._column(wanted, path), decoded(metadata[name])
            try:
                values[column.name] = converted(column, text)
            except ValueError as error:
                problems.append(f"The column {wanted} does not take {text[:80]!r}: {error}.")
        return values, problems

    def _column(self, wanted: str, path: str) -> Column:
        """The column by its name or title, in the library of PATH; one that cannot be looked up is taken for text."""
        library, _ = split_library(path)
        with self._asking:
            if library not in self._known:
                try:
                    self._known[library] = self._library.columns(path)
                except (AccessError, PermanentError):
                    self._known[library] = []
        return named(self._known[library], wanted) or Column(name=wanted, title=wanted)
