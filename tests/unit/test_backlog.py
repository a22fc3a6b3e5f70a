"""What a person, or the end of a trouble, may do to what waits in the journal."""

from collections.abc import Iterator

import pytest
from unit.fakes import Clock, created, memory_folder, open_database, open_journal

from sharepoint_proxy.backlog import Backlog
from sharepoint_proxy.database import Database
from sharepoint_proxy.records import Outcome, State


@pytest.fixture
def database() -> Iterator[Database]:
    with memory_folder() as folder:
        opened = open_database(folder / "journal.db")
        yield opened
        opened.close()


def test_what_waits_for_one_reason_is_hastened_and_nothing_else(database: Database) -> None:
    clock = Clock()
    journal = open_journal(database, clock)
    journal.mark([created("a"), created("b"), created("c")])
    reasons = {"a": "Compta waits.", "b": "Archives wait.", "c": "Compta waits."}
    for job in journal.claim(places=3, large_places=0):
        state = State.PARKED if job.key == "c" else State.WAITING
        journal.settle(job, Outcome(state=state, reason=reasons[job.key], delay=1800))
    backlog = Backlog(database, clock=clock)

    assert journal.claim(places=3, large_places=0) == []
    assert backlog.hasten("Compta waits.") == 1
    assert [job.key for job in journal.claim(places=3, large_places=0)] == ["a"]
