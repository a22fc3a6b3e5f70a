"""The columns of each library are looked up there, once, and values go by the names that it has."""

from collections.abc import Iterator, Mapping

import pytest
from unit.fake_source import NOW
from unit.fakes import BUCKET, memory_folder, open_database
from unit.workers import job

from sharepoint_proxy.column_memory import ColumnMemory
from sharepoint_proxy.column_values import Column
from sharepoint_proxy.columns import Columns
from sharepoint_proxy.errors import AccessError
from sharepoint_proxy.records import Job, LedgerEntry, Outcome, State, StoredObject


class TwoLibraries:
    """Libraries whose columns of one title have different names; of a third the columns may not be seen."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fields: dict[str, Mapping[str, object]] = {}

    def columns(self, path: str) -> list[Column]:
        self.asked.append(path)
        if path.startswith("barred:"):
            raise AccessError("Not you.", status=403)
        return [Column(name="Author0" if ":" in path else "Auteur", title="L'auteur")]

    def set_fields(self, item_id: str, values: Mapping[str, object]) -> None:
        self.fields[item_id] = values


class NoLedger:
    """A ledger that forgets."""

    def place(self, job: Job, entry: LedgerEntry) -> None:
        """Forget ENTRY."""


@pytest.fixture
def libraries() -> TwoLibraries:
    return TwoLibraries()


@pytest.fixture
def columns(libraries: TwoLibraries) -> Iterator[Columns]:
    with memory_folder() as folder:
        database = open_database(folder / "journal.db")
        wanted = [("auteur", "L'auteur")]
        yield Columns(wanted, library=libraries, memory=ColumnMemory(database), journal=NoLedger())
        database.close()


def fill(columns: Columns, path: str, item_id: str) -> Outcome:
    """Let a file be at PATH whose object says who wrote it."""
    metadata = {"auteur": "Ada"}
    stored = StoredObject(bucket=BUCKET, key="a", size=1, etag="x", modified=NOW, metadata=metadata)
    entry = LedgerEntry(bucket=BUCKET, key="a", path=path, item_id=item_id, size=1, etag="x", quickxor=None)
    return columns.filled(job("a"), stored, None, Outcome(state=State.SETTLED, entry=entry))


def test_each_library_is_asked_once_for_its_own_columns(columns: Columns, libraries: TwoLibraries) -> None:
    for path, item_id in (("a", "1"), ("b", "2"), ("compta:/a", "compta:1"), ("compta:/b", "compta:2")):
        fill(columns, path, item_id)

    assert libraries.asked == ["a", "compta:/a"]
    assert libraries.fields == {
        "1": {"Auteur": "Ada"},
        "2": {"Auteur": "Ada"},
        "compta:1": {"Author0": "Ada"},
        "compta:2": {"Author0": "Ada"},
    }


def test_a_library_whose_columns_may_not_be_seen_is_no_hindrance(columns: Columns, libraries: TwoLibraries) -> None:
    fill(columns, "barred:/a", "barred:1")
    fill(columns, "barred:/b", "barred:2")

    assert libraries.asked == ["barred:/a"]
    assert libraries.fields["barred:2"] == {"L'auteur": "Ada"}
