"""No statement of the journal reads a table from end to end: with a million rows it costs what it costs with ten."""

import re
from collections.abc import Iterator

import pytest
from unit.fakes import Clock, created, entry, memory_folder, open_database, open_journal, removed, upload

from sharepoint_proxy.database import Database
from sharepoint_proxy.errors import OccupiedError
from sharepoint_proxy.journal import Journal
from sharepoint_proxy.records import Action, Outcome, State

SMALL = {"counter", "claims"}
"""The tables with one row, and with at most one a worker."""

NO_PLAN = re.compile(r"(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|PRAGMA)\b")


@pytest.fixture
def database() -> Iterator[Database]:
    with memory_folder() as folder:
        opened = open_database(folder / "journal.db")
        yield opened
        opened.close()


def work(journal: Journal) -> None:
    """Have the journal do each of the things it does while the service runs."""
    journal.recover()
    journal.reject(["No key."], body=b"{}")
    journal.mark([created("a"), created("b"), created("c"), created("dossier/")])
    first, second, third, folder = journal.claim(places=16, large_places=4)
    journal.begin(first, upload("a"))
    journal.note_session(first, "https://upload")
    journal.settle(first, Outcome(state=State.SETTLED, action=Action.UPLOADED, entry=entry(first)))
    journal.settle(folder, Outcome(state=State.SETTLED, entry=entry(folder, is_folder=True, made=True)))
    with pytest.raises(OccupiedError):
        journal.refuse_if_occupied(second, "A", is_folder=False)
    journal.settle(second, Outcome(state=State.PARKED, reason="Taken.", blocked_by="lycee/a"))
    journal.begin(third, upload("dossier/c"))
    journal.withdraw(third)
    journal.settle(third, Outcome(state=State.WAITING, reason="Busy.", delay=1.0))
    journal.mark([removed("a")])
    journal.seconds_until_due(large_places=4)
    journal.counts()
    journal.keep_pause(30)
    journal.pause_left()
    journal.entry("lycee", "a")
    journal.due(most=3)
    journal.hears_of_removal("lycee", "a")


def remove(journal: Journal, clock: Clock) -> None:
    """Have it take away a file of a folder that the mirror made."""
    clock.turn(60)
    for job in journal.claim(places=16, large_places=4):
        journal.begin_removal(job, "dossier/c", is_folder=False)
        journal.settle(job, Outcome(state=State.SETTLED, action=Action.DELETED, forget=True, path="dossier/c"))


def statements(database: Database) -> list[str]:
    """What SQLite is asked while the journal works, each statement once."""
    asked: list[str] = []
    clock = Clock()
    journal = open_journal(database, clock)
    for connection in (database._writer, database._reader):
        connection.set_trace_callback(asked.append)
    work(journal)
    remove(journal, clock)
    for connection in (database._writer, database._reader):
        connection.set_trace_callback(None)
    return [each for each in dict.fromkeys(asked) if not NO_PLAN.match(each) and not each.startswith("--")]


def plan(database: Database, statement: str) -> list[str]:
    """How SQLite finds the rows, a line a step."""
    return [row["detail"] for row in database._writer.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()]


def test_every_row_is_found_by_an_index(database: Database) -> None:
    """All but those of small tables, and the short lists of folders that are handed in."""
    asked = statements(database)
    scans = {
        statement: step
        for statement in asked
        for step in plan(database, statement)
        if step.startswith("SCAN") and step.split()[1] not in {*SMALL, "json_each", "CONSTANT"}
    }

    assert len(asked) > 30
    assert scans == {}


def test_the_keys_that_are_due_need_no_sorting_and_nothing_but_their_index(database: Database) -> None:
    """Their rows lie far apart: reading them would cost the more the more there are."""
    due = [plan(database, each) for each in statements(database) if "ORDER BY due_at" in each]

    assert due
    for steps in due:
        assert steps[0].startswith("SEARCH changes USING COVERING INDEX changes_by_due")
        assert "TEMP B-TREE" not in " ".join(steps)
