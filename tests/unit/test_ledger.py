"""What a reconcile writes into the ledger, and what it leaves alone because the workers were quicker."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from unit.fakes import BUCKET, Clock, created, entry, memory_folder, open_database, open_journal, upload

from sharepoint_proxy.comparison import Known, Standing
from sharepoint_proxy.database import Database
from sharepoint_proxy.ledger import Ledger
from sharepoint_proxy.paths import comparison_key
from sharepoint_proxy.records import Action, Job, LedgerEntry, Outcome, State

FOUND = LedgerEntry(bucket=BUCKET, key="a", path="a", item_id="found", size=3, etag="etag", quickxor="hash")
FOLDER = replace(FOUND, key="folder/", path="folder", size=0, etag="", quickxor=None, is_folder=True)


class Books:
    """The ledger beside the journal of the workers."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = Clock()
        self.journal = open_journal(database, self.clock)
        self.ledger = Ledger(database, place_of=comparison_key, clock=self.clock)

    def claim(self, key: str) -> Job:
        """A worker has KEY."""
        self.journal.mark([created(key)])
        (job,) = self.journal.claim(places=1, large_places=1)
        return job

    def write(self, key: str) -> None:
        """A worker writes KEY, a second later than whatever was before."""
        self.clock.turn(1)
        job = self.claim(key)
        self.journal.settle(job, Outcome(state=State.SETTLED, action=Action.UPLOADED, entry=entry(job)))

    def known(self, key: str) -> Known | None:
        """What the ledger holds of KEY."""
        return self.ledger.known(BUCKET, [key]).get(key)

    def item(self, key: str) -> str | None:
        """The id of the item of KEY."""
        known = self.known(key)
        return known.entry.item_id if known is not None else None


@pytest.fixture
def books() -> Iterator[Books]:
    with memory_folder() as folder, closing(open_database(folder / "journal.db")) as database:
        yield Books(database)


def test_what_is_adopted_is_known(books: Books) -> None:
    assert books.ledger.adopt([FOUND, FOLDER], [None, None]) == []
    assert books.known("a") == Known(FOUND, books.clock.now)
    assert books.known("folder/") == Known(FOLDER, books.clock.now)


def test_an_entry_that_was_looked_at_may_be_replaced(books: Books) -> None:
    books.write("a")
    assert books.ledger.adopt([FOUND], [books.known("a")]) == []
    assert books.item("a") == "found"


def test_an_entry_that_was_written_since_it_was_looked_at_counts(books: Books) -> None:
    seen = None
    for _ in range(2):
        books.write("a")
        assert books.ledger.adopt([FOUND], [seen]) == [FOUND]
        assert books.item("a") == "item of a"
        seen = books.known("a")


def test_a_key_that_waits_is_left_to_the_workers(books: Books) -> None:
    """Also one that a worker has just now."""
    books.journal.mark([created("a")])
    assert books.ledger.adopt([FOUND], [None]) == [FOUND]
    books.claim("a")
    assert books.ledger.adopt([FOUND], [None]) == [FOUND]
    assert books.known("a") is None


def test_a_key_that_is_parked_may_be_adopted(books: Books) -> None:
    job = books.claim("a")
    books.journal.settle(job, Outcome(state=State.PARKED, reason="No."))
    assert books.ledger.adopt([FOUND], [None]) == []
    assert books.ledger.standing(BUCKET, ["a", "b"]) == {"a": Standing(State.PARKED, is_blocked=False)}


def test_a_place_has_one_key(books: Books) -> None:
    """Whoever was first; also where another key's write has only begun."""
    twin = replace(FOUND, key="A", path="A", item_id="twin")
    assert books.ledger.adopt([FOUND, twin], [None, None]) == [twin]
    other, other_twin = replace(FOUND, key="b", path="b"), replace(FOUND, key="B", path="B")
    books.journal.begin(books.claim("B"), upload("B"))
    assert books.ledger.adopt([other], [None]) == [other]
    assert books.ledger.adopt([other_twin], [None]) == [other_twin]


def test_two_markers_may_have_one_folder(books: Books) -> None:
    twin = replace(FOLDER, key="FOLDER/", path="FOLDER")
    assert books.ledger.adopt([FOLDER, twin], [None, None]) == []


def test_a_doubt_makes_the_next_look_begin_in_the_library(books: Books) -> None:
    books.write("a")
    known = books.known("a")
    assert known is not None
    books.ledger.doubt([known])
    assert books.claim("a").upload == upload("a")


@pytest.mark.parametrize("is_claimed", [False, True])
def test_a_doubt_comes_too_late_for_what_was_written_since(books: Books, *, is_claimed: bool) -> None:
    books.write("a")
    known = books.known("a")
    assert known is not None
    if is_claimed:
        job = books.claim("a")
        books.ledger.doubt([known])
        books.journal.settle(job, Outcome(state=State.SETTLED))
    else:
        books.write("a")
        books.ledger.doubt([known])
    assert books.claim("a").upload is None


def test_a_folder_in_doubt_is_forgotten(books: Books) -> None:
    """An intent would keep everybody out of it."""
    books.ledger.adopt([FOLDER], [None])
    known = books.known("folder/")
    assert known is not None
    books.ledger.doubt([known])
    assert books.known("folder/") is None
    books.journal.refuse_if_occupied(books.claim("folder/a"), "folder/a", is_folder=False)


@pytest.mark.parametrize("is_newer", [False, True])
def test_an_entry_is_forgotten_unless_it_was_written_since(books: Books, *, is_newer: bool) -> None:
    books.write("a")
    known = books.known("a")
    assert known is not None
    if is_newer:
        books.write("a")
    books.ledger.forget([known])
    assert (books.known("a") is not None) == is_newer


def test_entries_for_a_deletion_that_was_never_ordered_go(books: Books) -> None:
    """Those of folders have no eTag either, and stay."""
    doomed = replace(FOUND, key="doomed", path="doomed", etag="")
    ordered = replace(FOUND, key="ordered", path="ordered", etag="")
    books.ledger.adopt([FOUND, FOLDER, doomed, ordered], [None] * 4)
    books.journal.mark([created("ordered")])
    books.ledger.drop_unfinished()
    known = books.ledger.known(BUCKET, ["a", "folder/", "doomed", "ordered"])
    assert set(known) == {"a", "folder/", "ordered"}


def test_entries_come_by_prefix_in_the_order_of_their_keys(books: Books) -> None:
    keys = ["a/1", "a/2", "a/é", "a/\U0010ffff", "a0", "b"]
    books.ledger.adopt([replace(FOUND, key=key, path=key) for key in keys], [None] * len(keys))
    for prefix, expected in (("a/", keys[:4]), ("a", keys[:5]), ("", keys), ("c", [])):
        found = [known.entry.key for batch in books.ledger.entries(BUCKET, prefix) for known in batch]
        assert found == expected
    assert books.ledger.items_at(["A/1", "nowhere"]) == {"found"}


def test_the_newest_entry_tells_the_time(books: Books) -> None:
    assert books.ledger.newest() == 0.0
    books.write("a")
    at = books.clock.now
    books.clock.turn(60)
    assert books.ledger.newest() == at
