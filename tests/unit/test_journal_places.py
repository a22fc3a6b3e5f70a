"""One place in the library belongs to one key: who came first keeps it, and whoever was refused hears when it is free."""

from collections.abc import Iterator

import pytest
from unit.fakes import BUCKET, Clock, created, entry, memory_folder, open_database, open_journal, upload

from sharepoint_proxy.errors import OccupiedError
from sharepoint_proxy.events import ObjectEvent
from sharepoint_proxy.journal import Journal
from sharepoint_proxy.records import Job, Outcome, State


@pytest.fixture
def journal() -> Iterator[Journal]:
    with memory_folder() as folder:
        database = open_database(folder / "journal.db")
        yield open_journal(database, Clock())
        database.close()


def claim(journal: Journal, event: ObjectEvent) -> Job:
    """A worker's hold on the key of EVENT, which is marked for that."""
    journal.mark([event])
    (job,) = (job for job in journal.claim(places=99, large_places=99) if job.key == event.key)
    return job


def put(journal: Journal, key: str) -> Job:
    """Mirror KEY as a file at the path of the same name."""
    job = claim(journal, created(key))
    journal.begin(job, upload(key))
    journal.settle(job, Outcome(state=State.SETTLED, entry=entry(job)))
    return job


def make_folder(journal: Journal, key: str, *, made: bool = True) -> Job:
    """Mirror KEY as a folder."""
    job = claim(journal, created(key))
    journal.settle(job, Outcome(state=State.SETTLED, entry=entry(job, is_folder=True, made=made)))
    return job


def remove(journal: Journal, key: str) -> None:
    """Look at KEY after its object went."""
    journal.settle(claim(journal, created(key)), gone(key))


def gone(key: str) -> Outcome:
    """What comes of a look at a KEY whose object went, and whose path is of the same name."""
    return Outcome(state=State.SETTLED, forget=True, path=key.rstrip("/"))


def park_behind(journal: Journal, key: str, by: str) -> Job:
    """Let KEY be refused because the object BY holds its place, and write that down."""
    job = claim(journal, created(key))
    with pytest.raises(OccupiedError) as caught:
        journal.begin(job, upload(key))
    assert caught.value.by == f"{BUCKET}/{by}"
    journal.settle(job, Outcome(state=State.PARKED, blocked_by=caught.value.by))
    return job


def due(journal: Journal) -> set[str]:
    """The keys that are looked at again; nothing comes of it."""
    jobs = journal.claim(places=99, large_places=99)
    for job in jobs:
        journal.settle(job, Outcome(state=State.SETTLED))
    return {job.key for job in jobs}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a.txt", "A.TXT"),
        ("été.txt", "ÉTÉ.txt"),
        ("straße", "STRASSE"),
        ("d/a", "D/A"),
        ("a", "a/b"),
        ("a", "A/b/c"),
        ("a/b", "a"),
        ("a/b/c", "A"),
    ],
)
def test_a_place_that_another_key_holds_is_refused(journal: Journal, first: str, second: str) -> None:
    put(journal, first)

    park_behind(journal, second, by=first)


@pytest.mark.parametrize("other", ["a0", "a!", "a b/c", "a.b", "A-", "b/a", "aa/b"])
def test_a_neighbouring_name_is_no_obstacle(journal: Journal, other: str) -> None:
    put(journal, "a")

    put(journal, other)


def test_a_write_under_way_holds_its_place_as_well(journal: Journal) -> None:
    job = claim(journal, created("a"))
    journal.begin(job, upload("a"))

    park_behind(journal, "A", by="a")
    park_behind(journal, "a/b", by="a")


def test_a_key_is_no_obstacle_to_itself(journal: Journal) -> None:
    put(journal, "a")

    put(journal, "a")


def test_a_folder_may_be_made_where_files_are_below_it_but_not_where_a_file_stands(journal: Journal) -> None:
    put(journal, "d/a")
    put(journal, "f")

    journal.refuse_if_occupied(claim(journal, created("d/")), "d", is_folder=True)
    with pytest.raises(OccupiedError):
        journal.refuse_if_occupied(claim(journal, created("f/")), "f", is_folder=True)
    with pytest.raises(OccupiedError):
        journal.refuse_if_occupied(claim(journal, created("f/g/")), "f/g", is_folder=True)


def test_two_folder_keys_may_share_a_folder_and_files_go_below_it(journal: Journal) -> None:
    make_folder(journal, "d/")

    journal.refuse_if_occupied(claim(journal, created("D/")), "D", is_folder=True)
    put(journal, "D/a")
    park_behind(journal, "d", by="d/")


def test_a_refusal_is_no_hold(journal: Journal) -> None:
    put(journal, "a")
    park_behind(journal, "a/b", by="a")

    put(journal, "a")


def test_a_refused_key_is_looked_at_again_when_the_other_one_goes(journal: Journal) -> None:
    put(journal, "a")
    park_behind(journal, "A", by="a")
    assert due(journal) == set()

    remove(journal, "a")

    assert due(journal) == {"A"}


def test_only_those_are_freed_whom_the_settled_key_refused(journal: Journal) -> None:
    put(journal, "a")
    put(journal, "b")
    park_behind(journal, "A", by="a")
    park_behind(journal, "B", by="b")

    remove(journal, "b")

    assert due(journal) == {"B"}


def test_a_key_refused_by_one_that_went_before_that_was_written_down_is_looked_at_again(journal: Journal) -> None:
    put(journal, "a")
    late = claim(journal, created("A"))
    with pytest.raises(OccupiedError) as caught:
        journal.begin(late, upload("A"))
    remove(journal, "a")

    journal.settle(late, Outcome(state=State.PARKED, blocked_by=caught.value.by))

    assert due(journal) == {"A"}


def test_a_key_refused_by_a_write_that_sharepoint_then_refused_is_looked_at_again(journal: Journal) -> None:
    job = claim(journal, created("a"))
    journal.begin(job, upload("a"))
    park_behind(journal, "A", by="a")

    journal.withdraw(job)

    assert due(journal) == {"A"}


def test_a_folder_that_the_mirror_made_is_looked_at_again_when_something_below_it_goes(journal: Journal) -> None:
    make_folder(journal, "d/")
    make_folder(journal, "d/e/")
    make_folder(journal, "d/found/", made=False)
    put(journal, "D/e/a")
    put(journal, "d/found/b")

    remove(journal, "D/e/a")
    assert due(journal) == {"d/", "d/e/"}

    remove(journal, "d/found/b")
    assert due(journal) == {"d/"}


def test_a_folder_is_looked_at_again_when_an_object_below_it_goes_that_was_never_mirrored(journal: Journal) -> None:
    make_folder(journal, "d/")
    job = claim(journal, created("d/a"))
    journal.begin(job, upload("d/a"))

    journal.settle(job, gone("d/a"))

    assert due(journal) == {"d/"}


def test_a_folder_is_looked_at_again_when_its_other_key_goes(journal: Journal) -> None:
    make_folder(journal, "d/")
    make_folder(journal, "D/", made=False)

    remove(journal, "D/")

    assert due(journal) == {"d/"}


def test_a_folder_that_goes_is_not_looked_at_once_more(journal: Journal) -> None:
    make_folder(journal, "d/")

    remove(journal, "d/")

    assert due(journal) == set()
