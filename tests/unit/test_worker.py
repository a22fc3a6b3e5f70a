"""The workers: so many keys at once, large ones in places of their own, and each error told to the journal as what it means."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from unit.workers import MAX_ATTEMPTS, PATIENCE_SECONDS, CalmThrottle, FakeJournal, Stage, job, running

from sharepoint_proxy.backoff import LONGEST_SECONDS
from sharepoint_proxy.errors import (
    GatewayError,
    JournalError,
    LockedError,
    NameRefusedError,
    OccupiedError,
    OutageError,
    PermanentError,
    SourceChangedError,
    StoppingError,
    Subject,
    ThrottledError,
    TransientError,
)
from sharepoint_proxy.records import Action, Job, Outcome, State

DONE = Outcome(state=State.SETTLED, action=Action.UPLOADED)


def outcome_of(error: Exception, *, attempts: int = 0) -> Outcome:
    """What the journal is told when a try ends in ERROR after so many ATTEMPTS before it."""

    def converge(_: Job) -> Outcome:
        raise error

    with running(FakeJournal([job("a", attempts=attempts)]), converge) as world:
        return world.journal.next_settled()[1]


def test_it_settles_what_came_of_a_key_and_then_tells_whoever_waits() -> None:
    journal = FakeJournal([job("a")])
    told = threading.Event()

    def publish(one: Job, outcome: Outcome) -> None:
        assert journal.settled == [(one, outcome)]
        told.set()

    with running(journal, lambda _: DONE, publish=publish):
        assert told.wait(PATIENCE_SECONDS)

    assert journal.settled == [(job("a"), DONE)]


def test_no_more_work_at_once_than_there_are_places() -> None:
    stage = Stage()
    with running(FakeJournal([job(f"{number}") for number in range(10)]), stage.perform, places=3) as world:
        stage.await_entries(3)
        for _ in range(7):
            stage.let_one_go()
            stage.await_entries(1)
        stage.let_all_go()
        world.journal.await_settled(10)

    assert stage.most_at_once == 3


def test_large_objects_hold_up_no_small_one_and_keep_to_their_places() -> None:
    stage = Stage(holds=lambda one: one.large)
    large = [job(f"large {number}", large=True) for number in range(5)]
    small = [job(f"small {number}") for number in range(20)]
    with running(FakeJournal([*large, *small]), stage.perform, places=4, large_places=2) as world:
        settled = world.journal.await_settled(len(small))
        assert {one.key for one, _ in settled} == {one.key for one in small}, "all of them, while two large ones run"
        stage.let_all_go()
        world.journal.await_settled(len(large))

    assert stage.most_large_at_once == 2


def test_it_takes_no_more_than_the_throttle_allows() -> None:
    stage = Stage()
    throttle = CalmThrottle(limit=1)
    jobs = [job(f"{number}") for number in range(3)]
    with running(FakeJournal(jobs), stage.perform, places=3, throttle=throttle) as world:
        stage.let_all_go()
        world.journal.await_settled(3)

    assert stage.most_at_once == 1


def test_a_pause_stops_it_from_taking_keys() -> None:
    throttle = CalmThrottle(pause=3600)
    with running(FakeJournal([job("a")]), lambda _: DONE, throttle=throttle) as world:
        for _ in range(2):
            throttle.await_question()
            world.workers.wake()
        throttle.await_question()
        assert world.journal.claims == 0

        throttle.pause = 0
        world.workers.wake()
        world.journal.next_settled()


def test_it_works_on_a_key_that_comes_in_while_it_idles() -> None:
    with running(FakeJournal(), lambda _: DONE) as world:
        world.journal.await_idle()
        world.add(job("a"))

        assert world.journal.next_settled()[0].key == "a"


def test_it_wakes_by_itself_when_a_key_falls_due() -> None:
    with running(FakeJournal(), lambda _: DONE) as world:
        world.journal.await_idle()
        world.add(job("a"), due_in=0.05)

        assert world.journal.next_settled()[0].key == "a"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OccupiedError("Taken.", by="lycee/b"), Outcome(state=State.PARKED, reason="Taken.", blocked_by="lycee/b")),
        (PermanentError("No.", status=400), Outcome(state=State.PARKED, reason="No.", status=400)),
        (NameRefusedError("Too long."), Outcome(state=State.PARKED, reason="Too long.")),
    ],
)
def test_what_cannot_help_is_parked(error: Exception, expected: Outcome) -> None:
    assert outcome_of(error) == expected


@pytest.mark.parametrize(
    ("error", "delay"),
    [
        (ThrottledError("Slow down.", retry_after=7), 7),
        (ThrottledError("Slow down."), 0.5),
        (StoppingError("Stopping."), 0.5),
        (SourceChangedError("Changed."), 0.5),
        (JournalError("The disk is full."), 1),
    ],
)
@pytest.mark.parametrize("attempts", [0, 100 * MAX_ATTEMPTS])
def test_what_is_nobody_s_fault_does_not_count_as_an_attempt(error: Exception, delay: float, attempts: int) -> None:
    outcome = outcome_of(error, attempts=attempts)

    assert outcome == Outcome(state=State.WAITING, reason=str(error), delay=delay, counts_as_attempt=False)


@pytest.mark.parametrize(("attempts", "at_most"), [(0, 1), (1, 2), (3, 8)])
def test_a_failure_is_tried_again_after_a_growing_delay(attempts: int, at_most: float) -> None:
    outcome = outcome_of(TransientError("Nobody answers.", status=503), attempts=attempts)

    assert (outcome.state, outcome.reason, outcome.status) == (State.WAITING, "Nobody answers.", 503)
    assert outcome.counts_as_attempt
    assert at_most / 2 <= outcome.delay <= at_most


def test_a_delay_is_at_least_what_the_other_side_asked_for() -> None:
    assert outcome_of(TransientError("Later.", retry_after=900)).delay == 900


def test_after_so_many_attempts_a_key_is_parked() -> None:
    last = outcome_of(TransientError("Nobody answers.", status=503), attempts=MAX_ATTEMPTS - 1)

    assert (last.state, last.status) == (State.PARKED, 503)
    assert last.reason == f"Nobody answers. Given up after {MAX_ATTEMPTS} tries."
    assert outcome_of(TransientError("Nobody answers."), attempts=MAX_ATTEMPTS - 2).state is State.WAITING


def test_a_front_end_in_trouble_is_tried_ever_more_slowly_and_never_given_up() -> None:
    outcome = outcome_of(GatewayError("Bad gateway.", status=502), attempts=100 * MAX_ATTEMPTS)

    assert (outcome.state, outcome.counts_as_attempt) == (State.WAITING, True)
    assert outcome.delay >= LONGEST_SECONDS / 2


def test_a_file_that_is_open_in_office_is_tried_three_times_as_often() -> None:
    locked = LockedError("Open in Office.", status=423)

    assert outcome_of(locked, attempts=3 * MAX_ATTEMPTS - 2).state is State.WAITING
    assert outcome_of(locked, attempts=3 * MAX_ATTEMPTS - 1).state is State.PARKED


def test_an_outage_counts_for_no_key_and_raises_an_alarm_that_success_ends() -> None:
    outages = [OutageError("Graph is away.", subject=Subject.GRAPH, status=502)]
    told: list[list[str]] = []

    def converge(_: Job) -> Outcome:
        if outages:
            raise outages.pop()
        told.append(world.alarms.sentences())
        return DONE

    with running(FakeJournal([job("a", attempts=10 * MAX_ATTEMPTS)]), converge) as world:
        outcome = world.journal.next_settled()[1]
        world.add(job("a"))
        world.journal.next_settled()

    assert (outcome.state, outcome.status, outcome.counts_as_attempt) == (State.WAITING, 502, False)
    assert told == [["Graph is away."]]
    assert world.alarms.sentences() == []


def test_after_an_outage_one_key_tries_for_all_until_it_is_over() -> None:
    stage = Stage(holds=lambda one: one.key != "first")
    outages = [OutageError("Graph is away.", subject=Subject.GRAPH)]

    def converge(one: Job) -> Outcome:
        if outages and one.key == "first":
            raise outages.pop()
        stage.perform(one)
        return DONE

    with running(FakeJournal([job("first")]), converge) as world:
        world.journal.next_settled()
        for number in range(5):
            world.add(job(f"{number}"))
        stage.await_entries(1)
        assert stage.most_at_once == 1
        stage.let_one_go()
        stage.await_entries(4)
        stage.let_all_go()

    assert stage.most_at_once > 1


def test_a_full_library_holds_up_no_other_work() -> None:
    full = OutageError("The library is full.", subject=Subject.QUOTA, retry_after=900, status=507)

    def converge(one: Job) -> Outcome:
        if one.key == "upload":
            raise full
        return Outcome(state=State.SETTLED, action=Action.DELETED)

    with running(FakeJournal([job("upload")]), converge) as world:
        outcome = world.journal.next_settled()[1]
        world.add(job("removal"))
        world.journal.next_settled()

    assert outcome.delay >= 900
    assert world.alarms.sentences() == ["The library is full."]


def test_a_defect_ends_no_thread_and_is_tried_a_bounded_number_of_times(caplog: pytest.LogCaptureFixture) -> None:
    first = outcome_of(KeyError("x"))
    last = outcome_of(KeyError("x"), attempts=MAX_ATTEMPTS - 1)

    assert (first.state, first.counts_as_attempt) == (State.WAITING, True)
    assert first.reason == "Unexpected KeyError; see the log."
    assert last.state is State.PARKED
    assert "KeyError: 'x'" in caplog.text


def test_an_outcome_is_written_down_however_often_the_disk_refuses() -> None:
    stage = Stage(holds=lambda _: False)
    journal = FakeJournal([job("a")], failing_settles=1)
    with running(journal, stage.perform) as world:
        settled = world.journal.next_settled()

    assert settled[0].key == "a"
    assert stage.entries == 1, "the work itself is not repeated"


def test_a_journal_that_cannot_be_read_or_claimed_from_is_asked_again() -> None:
    with running(FakeJournal([job("a")], failing_claims=1, failing_questions=1), lambda _: DONE) as world:
        assert world.journal.next_settled()[0].key == "a"


def test_a_stop_waits_until_what_is_under_way_is_settled() -> None:
    stage = Stage()
    with running(FakeJournal([job("a")]), stage.perform) as world:
        stage.await_entries(1)
        world.add(job("b"))
        world.workers.ask_to_stop()
        with ThreadPoolExecutor(max_workers=1) as threads:
            stopping = threads.submit(world.workers.stop)
            with pytest.raises(TimeoutError):
                stopping.result(0.1)
            stage.let_all_go()
            stopping.result(PATIENCE_SECONDS)

    assert [one.key for one, _ in world.journal.settled] == ["a"]
    assert world.journal.claims == 1


def test_a_stop_does_not_wait_for_a_disk_that_refuses() -> None:
    stage = Stage()
    with running(FakeJournal([job("a")], failing_settles=10**9), stage.perform) as world:
        stage.await_entries(1)
        world.workers.ask_to_stop()
        stage.let_all_go()

        world.workers.stop()

    assert world.journal.settled == []


def test_a_stop_without_a_start_returns() -> None:
    with running(FakeJournal([job("a")]), lambda _: DONE, start=False) as world:
        world.workers.stop()

    assert world.journal.claims == 0


def test_each_outcome_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    outcomes = {
        "a": DONE,
        "b": Outcome(state=State.WAITING, reason="Later.", status=503, delay=60),
        "c": Outcome(state=State.PARKED, reason="No.", status=400),
        "d": Outcome(state=State.WAITING, large=True),
    }
    caplog.set_level(logging.INFO)
    with running(FakeJournal([job(key) for key in outcomes]), lambda one: outcomes[one.key]) as world:
        world.journal.await_settled(len(outcomes))
    lines = {record.__dict__["key"]: record for record in caplog.records}

    assert {key: (line.levelname, line.message) for key, line in lines.items()} == {
        "a": ("INFO", "settled"),
        "b": ("WARNING", "postponed"),
        "c": ("ERROR", "parked"),
    }
    assert len(caplog.records) == 3, "a key that only changes its queue is not told of"
    assert lines["a"].__dict__["action"] == "uploaded"
    assert (lines["b"].__dict__["status"], lines["b"].__dict__["reason"]) == (503, "Later.")


def test_a_surprise_after_the_work_is_logged_and_costs_no_place(caplog: pytest.LogCaptureFixture) -> None:
    """Say, a text that cannot be written down."""

    def publish(one: Job, _: Outcome) -> None:
        if one.key == "a":
            raise KeyError("nobody there")

    with running(FakeJournal([job("a"), job("b")]), lambda _: DONE, places=1, publish=publish) as world:
        world.journal.await_settled(2)

    assert "nobody there" in caplog.text
