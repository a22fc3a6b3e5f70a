"""A restore and the service on one journal: neither ever writes over what the other knows better."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from unit.fakes import BUCKET, Clock, created, entry, memory_folder, open_database, open_journal, removed, upload

from sharepoint_proxy import paths
from sharepoint_proxy.database import Database
from sharepoint_proxy.journal import Journal
from sharepoint_proxy.records import Job, LedgerEntry, Outcome, State
from sharepoint_proxy.reservations import Reservations

KEY = "administration/note.txt"
RESTORED = LedgerEntry(bucket=BUCKET, key=KEY, path=KEY, item_id="item", size=3, etag="restored", quickxor="hash")


@dataclass(frozen=True, slots=True)
class Sides:
    """The journal as the service has it, and as a restore in another process has it."""

    journal: Journal
    reservations: Reservations
    database: Database

    def claim(self) -> Job:
        """A worker takes the key."""
        self.journal.mark([created(KEY)])
        (job,) = self.journal.claim(places=9, large_places=9)
        return job

    def intents(self) -> list[str]:
        """The eTags of all intents."""
        return [row["etag"] for row in self.database.read("SELECT etag FROM uploads")]


@pytest.fixture
def sides() -> Iterator[Sides]:
    with memory_folder() as folder:
        ours, theirs = (open_database(folder / "journal.db") for _ in range(2))
        yield Sides(open_journal(ours, Clock()), Reservations(theirs, place_of=paths.comparison_key), theirs)
        theirs.close()
        ours.close()


def settled(**details: object) -> Outcome:
    return Outcome(state=State.SETTLED, **details)  # type: ignore[arg-type] # forwarded as they are


def test_what_was_restored_is_in_the_ledger(sides: Sides) -> None:
    assert sides.reservations.take(BUCKET, KEY, KEY) == ""
    sides.reservations.settle(RESTORED)

    assert sides.journal.entry(BUCKET, KEY) == RESTORED
    assert sides.intents() == []
    assert sides.reservations.name_of(KEY.upper(), is_folder=False) == (BUCKET, KEY)
    assert sides.reservations.name_of(KEY, is_folder=True) is None


def test_an_event_meanwhile_finds_the_entry(sides: Sides) -> None:
    """It waits for its turn, which comes after the entry is written."""
    sides.reservations.take(BUCKET, KEY, KEY)
    sides.journal.mark([created(KEY)])
    sides.reservations.settle(RESTORED)

    (job,) = sides.journal.claim(places=9, large_places=9)
    assert job.upload is None
    assert sides.journal.entry(BUCKET, KEY) == RESTORED


def test_a_look_meanwhile_finds_the_intent_and_has_the_last_word(sides: Sides) -> None:
    """On its account nothing may be removed from the library."""
    sides.reservations.take(BUCKET, KEY, KEY)
    job = sides.claim()
    assert job.upload is not None
    assert job.upload.is_removal

    sides.reservations.settle(RESTORED)
    assert sides.journal.entry(BUCKET, KEY) is None
    sides.journal.settle(job, settled(entry=entry(job)))
    assert sides.journal.entry(BUCKET, KEY) == entry(job)


@pytest.mark.parametrize("outcome", ["uploaded", "gone"])
def test_what_the_service_settled_meanwhile_stays(sides: Sides, outcome: str) -> None:
    sides.reservations.take(BUCKET, KEY, KEY)
    job = sides.claim()
    theirs = entry(job) if outcome == "uploaded" else None
    sides.journal.settle(job, settled(entry=theirs, forget=theirs is None, path=KEY))

    sides.reservations.settle(RESTORED)
    assert sides.journal.entry(BUCKET, KEY) == theirs


@pytest.mark.parametrize("begun", ["upload", "removal"])
def test_an_intent_of_the_service_is_never_taken_for_a_reservation(sides: Sides, begun: str) -> None:
    """Not even that of a removal, which has no eTag either."""
    sides.reservations.take(BUCKET, KEY, KEY)
    job = sides.claim()
    if begun == "upload":
        sides.journal.begin(job, upload(KEY))
    else:
        sides.journal.begin_removal(job, KEY, is_folder=False)
    before = sides.intents()
    sides.journal.settle(job, Outcome(state=State.WAITING, delay=60.0))

    sides.reservations.settle(RESTORED)
    sides.reservations.give_back(BUCKET, KEY)
    assert sides.intents() == before
    assert sides.journal.entry(BUCKET, KEY) is None


def test_a_key_that_the_service_has_before_it_is_left_alone(sides: Sides) -> None:
    sides.journal.mark([removed(KEY)])
    assert "s3:ObjectRemoved:Delete" in sides.reservations.take(BUCKET, KEY, KEY)

    job = sides.claim()
    assert "at work on this key" in sides.reservations.take(BUCKET, KEY, KEY)

    sides.journal.settle(job, Outcome(state=State.PARKED, reason="It is too long."))
    assert sides.reservations.take(BUCKET, KEY, KEY) == "The key is parked: It is too long."
    assert sides.reservations.obstacle(BUCKET, KEY, KEY) == "The key is parked: It is too long."
    assert sides.intents() == []


def test_a_place_that_another_key_holds_is_left_alone(sides: Sides) -> None:
    sides.reservations.take(BUCKET, KEY, KEY)
    other = KEY.upper()
    assert (
        sides.reservations.take(BUCKET, other, other)
        == f"The place in SharePoint belongs to the object {BUCKET}/{KEY}."
    )
    sides.reservations.settle(RESTORED)
    assert sides.reservations.take(BUCKET, other, other) != ""


def test_a_reservation_can_be_given_back_and_taken_again(sides: Sides) -> None:
    """Also that of a run that died."""
    assert sides.reservations.take(BUCKET, KEY, KEY) == ""
    assert sides.reservations.take(BUCKET, KEY, KEY) == ""
    sides.reservations.give_back(BUCKET, KEY)
    assert sides.intents() == []
    assert sides.reservations.obstacle(BUCKET, KEY, KEY) == ""
    assert sides.intents() == []


def test_its_statements_find_their_rows_by_an_index(sides: Sides) -> None:
    """They cost the same with a million rows."""
    traced: list[str] = []
    for connection in (sides.database._writer, sides.database._reader):
        connection.set_trace_callback(traced.append)
    sides.reservations.take(BUCKET, KEY, KEY)
    sides.reservations.settle(RESTORED)
    sides.reservations.give_back(BUCKET, KEY)
    sides.reservations.name_of(KEY, is_folder=False)
    for connection in (sides.database._writer, sides.database._reader):
        connection.set_trace_callback(None)

    statements = [text for text in traced if text.lstrip().startswith(("SELECT", "DELETE", "INSERT"))]
    plans = [row["detail"] for text in statements for row in sides.database.read(f"EXPLAIN QUERY PLAN {text}")]
    assert len(statements) >= 9
    assert [detail for detail in plans if detail.startswith("SCAN")] == []
