"""Whatever is marked, claimed and settled in whatever order, and wherever the process dies: the journal agrees with a simple model."""

from contextlib import ExitStack
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from unit.fakes import BUCKET, GRACE_SECONDS, Clock, created, memory_folder, open_database, open_journal, removed

from sharepoint_proxy.backlog import Backlog
from sharepoint_proxy.events import SESSION_ABOVE_BYTES
from sharepoint_proxy.records import Counts, Job, Outcome, State

KEYS = ["a", "b", "c", "d"]
FOREVER = 1_000_000.0

keys = st.sampled_from(KEYS)
holders = st.none() | keys
delays = st.sampled_from([0.0, 1.0, 30.0])


@dataclass
class Change:
    """What the journal should hold of one key that may differ."""

    generation: int
    marked_at: float
    due_at: float
    large: bool
    state: State = State.WAITING
    attempts: int = 0
    blocked_by: str | None = None


class JournalMachine(RuleBasedStateMachine):
    """The journal beside a dictionary that should hold the same."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.changes: dict[str, Change] = {}
        self.jobs: dict[str, Job] = {}
        self.last_generation = 0
        self._opened = ExitStack()
        self._path = self._opened.enter_context(memory_folder()) / "journal.db"
        self._open()

    def teardown(self) -> None:
        self.everything_comes_to_an_end()
        self.database.close()
        self._opened.close()

    @rule()
    def the_process_dies(self) -> None:
        self.database.close()
        self._open()
        self.jobs.clear()

    @rule(key=keys, is_large=st.booleans())
    def mark_created(self, key: str, *, is_large: bool) -> None:
        size = SESSION_ABOVE_BYTES + 1 if is_large else 1
        (generation,) = self.journal.mark([created(key, size=size)])
        self._mark(key, generation, grace=0, large=is_large)

    @rule(marked=st.lists(keys, max_size=3))
    def mark_removed(self, marked: list[str]) -> None:
        for key, generation in zip(marked, self.journal.mark([removed(key) for key in marked]), strict=True):
            self._mark(key, generation, grace=GRACE_SECONDS, large=False)

    @rule(seconds=st.sampled_from([0.5, 2.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.turn(seconds)

    @rule(places=st.integers(0, 4), large_places=st.integers(0, 2))
    def claim(self, places: int, large_places: int) -> None:
        large_places = min(places, large_places)
        due = self._due(large_places)

        jobs = self.journal.claim(places=places, large_places=large_places)

        assert sum(job.large for job in jobs) <= large_places
        moments = [self.changes[job.key].due_at for job in jobs]
        assert moments == sorted(change.due_at for change in due)[:places], (
            "the longest due, and as many as have a place"
        )
        self._take(jobs)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def settle_done(self, data: st.DataObject) -> None:
        job = self._finished(data)
        self.journal.settle(job, Outcome(state=State.SETTLED))
        if self._is_current(job):
            del self.changes[job.key]
        self._free(job.key)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), delay=delays, counts=st.booleans(), large=st.none() | st.booleans())
    def settle_postponed(self, data: st.DataObject, delay: float, *, counts: bool, large: bool | None) -> None:
        job = self._finished(data)
        outcome = Outcome(state=State.WAITING, delay=delay, counts_as_attempt=counts, large=large)
        self.journal.settle(job, outcome)
        if self._is_current(job):
            change = self.changes[job.key]
            change.attempts += counts
            change.due_at = self.clock.now + delay
            change.large = job.large if large is None else large

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), holder=holders)
    def settle_parked(self, data: st.DataObject, holder: str | None) -> None:
        job = self._finished(data)
        blocked_by = None if holder is None else f"{BUCKET}/{holder}"
        self.journal.settle(job, Outcome(state=State.PARKED, blocked_by=blocked_by))
        if self._is_current(job):
            self.changes[job.key].state = State.PARKED
            self.changes[job.key].attempts += 1
            self.changes[job.key].blocked_by = holder
        if holder is not None:
            # Nobody holds a place in this model, so whoever refused is gone by now.
            self._free(holder)

    @rule(key=keys)
    def somebody_has_a_key_tried_again(self, key: str) -> None:
        is_free = key in self.changes and key not in self.jobs
        assert self.backlog.retry(BUCKET, key) == is_free
        if is_free:
            self._look_again(self.changes[key])

    @rule()
    def somebody_has_all_parked_keys_tried_again(self) -> None:
        parked = [change for change in self.changes.values() if change.state is State.PARKED]
        assert self.backlog.retry_all() == len(parked)
        for change in parked:
            self._look_again(change)

    @rule(key=keys)
    def somebody_has_a_key_forgotten(self, key: str) -> None:
        is_free = key in self.changes and key not in self.jobs
        assert self.backlog.forget(BUCKET, key) == is_free
        if is_free:
            del self.changes[key]

    @invariant()
    def it_counts_what_the_model_holds(self) -> None:
        waiting = [change for change in self.changes.values() if change.state is State.WAITING]
        idle = sum(key not in self.jobs for key, change in self.changes.items() if change.state is State.WAITING)
        assert self.journal.counts() == Counts(
            waiting=idle,
            working=len(self.jobs),
            parked=len(self.changes) - len(waiting),
            oldest_marked_at=min((change.marked_at for change in waiting), default=None),
        )

    @invariant()
    def its_counts_are_those_of_a_full_scan(self) -> None:
        rows = self.database.read(
            "SELECT state, (bucket, key) IN (SELECT bucket, key FROM claims) AS is_claimed, marked_at FROM changes"
        )
        waiting = [row for row in rows if row["state"] == State.WAITING]
        claimed = sum(row["is_claimed"] for row in rows)
        assert self.journal.counts() == Counts(
            waiting=len(waiting) - claimed,
            working=claimed,
            parked=len(rows) - len(waiting),
            oldest_marked_at=min((row["marked_at"] for row in waiting), default=None),
        )

    @invariant()
    def it_knows_when_something_is_due(self) -> None:
        for large_places in (0, 1):
            moments = [change.due_at for change in self._idle().values() if large_places or not change.large]
            expected = max(0.0, min(moments) - self.clock.now) if moments else None
            assert self.journal.seconds_until_due(large_places=large_places) == expected

    def everything_comes_to_an_end(self) -> None:
        """Each key that is not settled and not parked can still be claimed; nothing else can."""
        self.the_process_dies()
        self.clock.turn(FOREVER)
        expected = set(self._idle())
        jobs = self.journal.claim(places=99, large_places=99)
        assert {job.key for job in jobs} == expected
        self._take(jobs)

    def _open(self) -> None:
        self.database = open_database(self._path)
        self.journal = open_journal(self.database, self.clock)
        self.journal.recover()
        self.backlog = Backlog(self.database, clock=self.clock)

    def _mark(self, key: str, generation: int, *, grace: float, large: bool) -> None:
        assert generation > self.last_generation
        self.last_generation = generation
        earlier = self.changes.get(key)
        is_new = earlier is None or earlier.state is State.PARKED
        self.changes[key] = Change(
            generation=generation,
            marked_at=self.clock.now if earlier is None or is_new else earlier.marked_at,
            due_at=self.clock.now + grace,
            large=large,
        )

    def _take(self, jobs: list[Job]) -> None:
        for job in jobs:
            change = self.changes[job.key]
            assert job.key not in self.jobs, "one worker at a time"
            assert change.state is State.WAITING
            assert change.due_at <= self.clock.now
            assert (job.generation, job.attempts, job.large) == (change.generation, change.attempts, change.large)
            self.jobs[job.key] = job

    def _finished(self, data: st.DataObject) -> Job:
        return self.jobs.pop(data.draw(st.sampled_from(sorted(self.jobs)), label="key"))

    def _is_current(self, job: Job) -> bool:
        return self.changes[job.key].generation == job.generation

    def _free(self, holder: str) -> None:
        for change in self.changes.values():
            if change.state is State.PARKED and change.blocked_by == holder:
                self._look_again(change)

    def _look_again(self, change: Change) -> None:
        change.state, change.due_at = State.WAITING, self.clock.now
        change.attempts, change.blocked_by = 0, None

    def _idle(self) -> dict[str, Change]:
        waiting = {key: change for key, change in self.changes.items() if change.state is State.WAITING}
        return {key: change for key, change in waiting.items() if key not in self.jobs}

    def _due(self, large_places: int) -> list[Change]:
        """What may be claimed now: everything small, and as many large ones as there are places for."""
        due = [change for change in self._idle().values() if change.due_at <= self.clock.now]
        large = sorted((change for change in due if change.large), key=lambda change: change.due_at)
        return [*(change for change in due if not change.large), *large[:large_places]]


TestJournal = JournalMachine.TestCase
TestJournal.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
