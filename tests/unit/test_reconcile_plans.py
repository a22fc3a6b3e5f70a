"""What a reconcile asks for each batch of names is found by an index: a run takes ten times as long on ten times as many, not a hundred times."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime

import pytest
from unit.fakes import BUCKET, memory_folder, open_database

from sharepoint_proxy import inventory
from sharepoint_proxy.comparison import Known
from sharepoint_proxy.database import Database
from sharepoint_proxy.inventory import Inventory
from sharepoint_proxy.ledger import Ledger
from sharepoint_proxy.paths import comparison_key
from sharepoint_proxy.records import DriveItem, LedgerEntry, ListedItem, StoredObject

ENTRY = LedgerEntry(bucket=BUCKET, key="a", path="a", item_id="1", size=1, etag="etag", quickxor=None)


@pytest.fixture
def journal() -> Iterator[Database]:
    """The journal's tables."""
    with memory_folder() as folder, closing(open_database(folder / "journal.db")) as database:
        yield database


@pytest.fixture
def scratch() -> Iterator[Database]:
    """The tables of the scratch file."""
    with memory_folder() as folder, closing(Database(folder / "scratch.db", schema=inventory.SCHEMA)) as database:
        yield database


def scans(database: Database, work: Callable[[], object]) -> dict[str, str]:
    """The statements of WORK that read a table from end to end, each with the step that does; and that it asked anything at all."""
    asked: list[str] = []
    for connection in (database._writer, database._reader):
        connection.set_trace_callback(asked.append)
    work()
    for connection in (database._writer, database._reader):
        connection.set_trace_callback(None)
    statements = [each for each in asked if each.lstrip().startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH"))]
    assert statements
    return {
        statement: row["detail"]
        for statement in statements
        for row in database._writer.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
        if row["detail"].startswith("SCAN") and row["detail"].split()[1] not in {"json_each", "CONSTANT"}
    }


def test_the_ledger_is_never_read_from_end_to_end_for_some_names(journal: Database) -> None:
    ledger = Ledger(journal, place_of=comparison_key)

    def work() -> None:
        ledger.adopt([ENTRY], [None])
        known = ledger.known(BUCKET, ["a"])["a"]
        ledger.adopt([ENTRY], [known])
        ledger.standing(BUCKET, ["a"])
        ledger.items_at(["a"])
        list(ledger.entries(BUCKET, "a"))
        ledger.doubt([known, Known(ENTRY, 0.0)])

    assert scans(journal, work) == {}


def test_the_scratch_file_is_never_read_from_end_to_end_for_some_names(scratch: Database) -> None:
    found = Inventory(scratch, place_of=comparison_key)
    root = ListedItem(item=DriveItem(id="0", name="root", size=0, etag="", is_folder=True), parent_id="", is_root=True)
    file = ListedItem(item=DriveItem(id="1", name="a", size=1, etag=""), parent_id="0")
    found.add([root, file])
    found.complete()
    stored = StoredObject(bucket=BUCKET, key="a", size=1, etag="etag", modified=datetime.now(UTC))

    def work() -> None:
        found.note_objects([stored])
        assert found.take(["A"])["A"].item.id == "1"
        assert found.holds("1")
        assert found.may_be_removed("2") is False
        assert found.absent(BUCKET, ["a", "b"]) == ["b"]
        assert [each.key for batch in found.objects(BUCKET, "a") for each in batch] == ["a"]

    assert scans(scratch, work) == {}
