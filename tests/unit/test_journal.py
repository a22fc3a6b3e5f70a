"""The journal keeps what must be looked at: nothing marked is lost, and no key is worked on twice at a time."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from unit.fakes import (
    BUCKET,
    GRACE_SECONDS,
    Clock,
    created,
    entry,
    memory_folder,
    open_database,
    open_journal,
    removed,
    upload,
)

from sharepoint_proxy.database import Database
from sharepoint_proxy.events import SESSION_ABOVE_BYTES
from sharepoint_proxy.journal import KEPT_REJECTIONS, Journal
from sharepoint_proxy.records import Counts, Job, Outcome, State

DONE = Outcome(state=State.SETTLED)
GONE = Outcome(state=State.SETTLED, forget=True)
LARGE = SESSION_ABOVE_BYTES + 1


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database() -> Iterator[Database]:
    with memory_folder() as folder:
        opened = open_database(folder / "journal.db")
        yield opened
        opened.close()


@pytest.fixture
def journal(database: Database, clock: Clock) -> Journal:
    return open_journal(database, clock)


def claim(journal: Journal, *, places: int = 16, large_places: int = 4) -> list[Job]:
    return journal.claim(places=places, large_places=large_places)


def claim_one(journal: Journal, key: str) -> Job:
    (job,) = claim(journal)
    assert job.key == key
    return job


def claimed_keys(journal: Journal, *, places: int = 16, large_places: int = 4) -> list[str]:
    return [job.key for job in claim(journal, places=places, large_places=large_places)]


def test_a_marked_key_is_claimed_settled_and_gone(journal: Journal) -> None:
    (generation,) = journal.mark([created("a.txt")])

    job = claim_one(journal, "a.txt")
    assert job == Job(
        bucket=BUCKET,
        key="a.txt",
        generation=generation,
        attempts=0,
        event="s3:ObjectCreated:Put",
        large=False,
        marked_at=job.marked_at,
    )
    journal.settle(job, DONE)

    assert claim(journal) == []
    assert journal.counts() == Counts(waiting=0, working=0, parked=0, oldest_marked_at=None)


def test_a_key_has_one_row_however_often_it_is_marked(journal: Journal) -> None:
    generations = journal.mark([created("a"), created("b"), created("a")]) + journal.mark([created("a")])

    assert generations == sorted(set(generations)), "each event has a generation of its own, and it grows"
    assert journal.counts().waiting == 2
    assert {job.key: job.generation for job in claim(journal)} == {"a": generations[3], "b": generations[1]}


def test_marking_nothing_writes_nothing(journal: Journal) -> None:
    assert journal.mark([]) == []


def test_a_removal_waits_for_the_grace_period(journal: Journal, clock: Clock) -> None:
    journal.mark([removed("a")])

    assert claim(journal) == []
    assert journal.seconds_until_due(large_places=4) == GRACE_SECONDS
    clock.turn(GRACE_SECONDS)
    assert journal.seconds_until_due(large_places=4) == 0
    assert claimed_keys(journal) == ["a"]


def test_a_creation_ends_the_grace_period_at_once(journal: Journal) -> None:
    journal.mark([removed("a")])
    journal.mark([created("a")])

    assert claimed_keys(journal) == ["a"]


def test_the_longest_due_is_claimed_first(journal: Journal, clock: Clock) -> None:
    for key in ("c", "a", "b"):
        journal.mark([created(key)])
        clock.turn(1)

    assert claimed_keys(journal, places=2) == ["c", "a"]
    assert claimed_keys(journal) == ["b"]
    assert claimed_keys(journal) == []


def test_large_objects_get_no_more_than_their_places_and_hold_up_no_small_one(journal: Journal, clock: Clock) -> None:
    journal.mark([created(f"large {number}", size=LARGE) for number in range(5)])
    clock.turn(1)
    journal.mark([created(f"small {number}") for number in range(5)])

    jobs = claim(journal, places=4, large_places=2)

    assert [job.large for job in jobs] == [True, True, False, False]
    assert [job.large for job in claim(journal, places=4, large_places=0)] == [False, False, False]
    assert [job.large for job in claim(journal, places=1, large_places=2)] == [True]


def test_when_only_large_objects_wait_nothing_is_due_without_a_place_for_them(journal: Journal) -> None:
    journal.mark([created("a", size=LARGE)])

    assert journal.seconds_until_due(large_places=0) is None
    assert journal.seconds_until_due(large_places=1) == 0


def test_an_event_that_came_in_while_its_key_was_worked_on_keeps_it_waiting(journal: Journal) -> None:
    journal.mark([created("a")])
    job = claim_one(journal, "a")
    (newer,) = journal.mark([created("a")])

    assert claim(journal) == [], "one worker at a time holds a key"
    journal.settle(job, DONE)

    assert claim_one(journal, "a").generation == newer


@pytest.mark.parametrize("state", [State.WAITING, State.PARKED])
def test_an_event_that_came_in_meanwhile_counts_more_than_a_failure(journal: Journal, state: State) -> None:
    journal.mark([created("a")])
    job = claim_one(journal, "a")
    journal.mark([created("a")])

    journal.settle(job, Outcome(state=state, reason="Old news.", delay=900))

    assert claim_one(journal, "a").attempts == 0


def test_a_postponed_key_comes_back_after_its_delay_with_its_attempts_counted(journal: Journal, clock: Clock) -> None:
    journal.mark([created("a")])
    for attempts, counts in ((0, True), (1, False), (1, True)):
        job = claim_one(journal, "a")
        assert job.attempts == attempts
        journal.settle(job, Outcome(state=State.WAITING, delay=10, counts_as_attempt=counts))
        assert journal.seconds_until_due(large_places=4) == 10
        clock.turn(10)

    assert claim_one(journal, "a").attempts == 2


def test_a_new_event_ends_a_postponement_and_starts_the_count_afresh(journal: Journal) -> None:
    journal.mark([created("a")])
    journal.settle(claim_one(journal, "a"), Outcome(state=State.WAITING, delay=900))

    journal.mark([created("a")])

    assert claim_one(journal, "a").attempts == 0


def test_an_object_that_turned_out_large_waits_for_a_large_place(journal: Journal) -> None:
    journal.mark([created("a")])

    journal.settle(claim_one(journal, "a"), Outcome(state=State.WAITING, large=True, counts_as_attempt=False))

    assert claim(journal, large_places=0) == []
    assert claim_one(journal, "a").large


def test_a_parked_key_stays_until_a_new_event(journal: Journal, clock: Clock, database: Database) -> None:
    journal.mark([created("a")])
    journal.settle(claim_one(journal, "a"), Outcome(state=State.PARKED, reason="No.", status=400))
    clock.turn(1_000_000)

    assert claim(journal) == []
    assert journal.counts() == Counts(waiting=0, working=0, parked=1, oldest_marked_at=None)
    (row,) = database.read("SELECT reason, status FROM changes")
    assert tuple(row) == ("No.", 400)

    journal.mark([created("a")])
    assert journal.counts() == Counts(waiting=1, working=0, parked=0, oldest_marked_at=clock.now)
    assert claim_one(journal, "a").attempts == 0


def test_counts_tell_since_when_the_oldest_key_waits(journal: Journal, clock: Clock) -> None:
    began = clock.now
    journal.mark([created("a")])
    job = claim_one(journal, "a")
    clock.turn(5)
    journal.mark([created("b"), created("a")])

    assert journal.counts() == Counts(waiting=1, working=1, parked=0, oldest_marked_at=began)
    journal.settle(job, DONE)
    assert journal.counts() == Counts(waiting=2, working=0, parked=0, oldest_marked_at=began)


def test_recovery_gives_back_what_a_dead_process_held(database: Database, clock: Clock) -> None:
    before = open_journal(database, clock)
    before.mark([created("a"), created("b")])
    claim(before)

    after = open_journal(database, clock)
    assert claim(after) == []
    after.recover()

    assert claimed_keys(after) == ["a", "b"]


def test_recovery_undoes_what_a_clock_that_ran_ahead_put_off(database: Database, clock: Clock) -> None:
    before = open_journal(database, clock)
    before.mark([removed("a")])
    clock.turn(-1_000_000)
    after = open_journal(database, clock)
    after.mark([removed("b")])

    after.recover()

    assert claimed_keys(after) == ["a"]
    assert after.seconds_until_due(large_places=4) == GRACE_SECONDS


def test_a_pause_is_known_after_a_restart_until_it_is_over(database: Database, clock: Clock) -> None:
    assert open_journal(database, clock).pause_left() == 0
    open_journal(database, clock).keep_pause(90)
    clock.turn(60)

    after = open_journal(database, clock)
    assert after.pause_left() == 30
    clock.turn(31)
    assert after.pause_left() == 0


def test_the_pause_kept_last_counts(journal: Journal) -> None:
    journal.keep_pause(3000)
    journal.keep_pause(20)

    assert journal.pause_left() == 20


def test_a_clock_that_was_set_back_prolongs_no_pause(journal: Journal, clock: Clock) -> None:
    journal.keep_pause(90)
    clock.turn(-1_000_000)

    assert journal.pause_left() == 90


def test_a_pause_is_an_hour_at_most(journal: Journal) -> None:
    journal.keep_pause(1_000_000)

    assert journal.pause_left() == 3600


def test_an_intent_and_its_session_come_back_with_the_key(journal: Journal, clock: Clock) -> None:
    journal.mark([created("a", size=LARGE)])
    job = claim_one(journal, "a")
    assert job.upload is None
    journal.begin(job, upload("a", etag="one", size=LARGE))
    journal.note_session(job, "https://upload.example/1")

    journal.settle(job, Outcome(state=State.WAITING, delay=1))
    clock.turn(1)

    assert claim_one(journal, "a").upload == upload("a", etag="one", size=LARGE, session_url="https://upload.example/1")


def test_a_new_intent_replaces_the_old_one_and_its_session(journal: Journal) -> None:
    journal.mark([created("a")])
    job = claim_one(journal, "a")
    journal.begin(job, upload("a", etag="one"))
    journal.note_session(job, "https://upload.example/1")
    journal.begin(job, upload("a", etag="two"))

    journal.settle(job, Outcome(state=State.WAITING))

    assert claim_one(journal, "a").upload == upload("a", etag="two")


def test_a_settled_key_has_no_intent_left(journal: Journal) -> None:
    journal.mark([created("a")])
    job = claim_one(journal, "a")
    journal.begin(job, upload("a"))
    journal.settle(job, Outcome(state=State.SETTLED, entry=entry(job)))

    journal.mark([created("a")])

    assert claim_one(journal, "a").upload is None


def test_a_withdrawn_write_leaves_no_intent(journal: Journal) -> None:
    journal.mark([created("a")])
    job = claim_one(journal, "a")
    journal.begin(job, upload("a"))

    journal.withdraw(job)
    journal.settle(job, Outcome(state=State.WAITING))

    assert claim_one(journal, "a").upload is None


def test_the_ledger_holds_what_was_put_where_until_it_is_forgotten(journal: Journal) -> None:
    journal.mark([created("a")])
    job = claim_one(journal, "a")
    journal.settle(job, Outcome(state=State.SETTLED, entry=entry(job)))
    assert journal.entry(BUCKET, "a") == entry(job)
    assert journal.entry("other", "a") is None

    journal.mark([created("a")])
    journal.settle(claim_one(journal, "a"), GONE)

    assert journal.entry(BUCKET, "a") is None


def test_rejections_are_kept_up_to_a_bound(journal: Journal, database: Database) -> None:
    for number in range(KEPT_REJECTIONS + 5):
        journal.reject([f"reason {number}"], body=b"{}")

    rows = [row["reason"] for row in database.read("SELECT reason FROM rejected ORDER BY rowid")]

    assert len(rows) == KEPT_REJECTIONS
    assert (rows[0], rows[-1]) == ("reason 5", f"reason {KEPT_REJECTIONS + 4}")


def test_one_body_with_very_many_faults_is_not_stored_that_many_times(journal: Journal, database: Database) -> None:
    journal.reject(["The record lacks eventName."] * 3000, body=b"x" * 1000)

    (row,) = database.read("SELECT SUM(LENGTH(body)) AS bytes FROM rejected")

    assert row["bytes"] <= 1000


def test_a_text_that_is_no_proper_unicode_is_written_down_all_the_same(journal: Journal) -> None:
    """JSON can spell half a surrogate pair, in an event's name as in an answer's message."""
    (generation,) = journal.mark([replace(created("a"), name="s3:ObjectCreated:\ud800")])
    journal.reject(["\ud800"], body=b"{}")

    job = claim_one(journal, "a")
    journal.settle(job, Outcome(state=State.WAITING, reason="\ud800"))

    assert claim_one(journal, "a").generation == generation


def test_what_is_due_is_counted_up_to_a_limit(journal: Journal) -> None:
    journal.mark([created("a"), created("b"), created("large", size=LARGE), removed("in grace")])

    assert [journal.due(most=most) for most in (2, 3, 10)] == [2, 3, 3]


def test_a_key_that_was_postponed_is_not_due(journal: Journal, clock: Clock) -> None:
    journal.mark([created("locked"), created("ready")])
    journal.settle(claim(journal, places=1)[0], Outcome(state=State.WAITING, delay=60))
    assert journal.due(most=10) == 1

    clock.turn(60)
    assert journal.due(most=10) == 2


def test_a_doubted_ledger_knows_only_what_is_written_afterwards(journal: Journal, clock: Clock) -> None:
    journal.mark([created("before"), created("after")])
    for job in claim(journal):
        if job.key == "after":
            journal.doubt_ledger()
            clock.turn(1)
        journal.settle(job, Outcome(state=State.SETTLED, entry=entry(job)))

    assert journal.entry(BUCKET, "before") is None
    assert journal.entry(BUCKET, "after") is not None
