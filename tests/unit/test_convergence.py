"""Whatever happens, and in whatever order, SharePoint ends up with what MinIO holds: the mirror and its journal as a whole.

The real journal, mirror, upload sessions and error handling run between two dictionaries. Hypothesis chooses what users do,
how events arrive, which request breaks how, and what happens in the middle of what.
"""

from datetime import timedelta
from enum import StrEnum

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from unit.fake_library import Fault
from unit.fakes import created
from unit.world import LARGE_BYTES, World

FOLDERS = ["d/", "D/", "d/e/"]
LARGE_FILE = "large.bin"
KEYS = ["a", "A", "a/b", "d/x.txt", "D/X.txt", "d/e/y", "r.docx", LARGE_FILE, *FOLDERS]
SMALL = {"empty": b"", "one": b"one", "two": b"two", "three": b"three"}
# Contents by name: hypothesis writes out what it chooses from.
LARGE = {"zeros": bytes(LARGE_BYTES), "ones": b"\1" * LARGE_BYTES}

indexes = st.integers(0, 5)
contents = st.sampled_from([*SMALL])
faults = st.lists(st.none() | st.sampled_from(Fault), max_size=4)
ages = st.sampled_from([timedelta(0), timedelta(days=1)])


class Meanwhile(StrEnum):
    """What can happen in the middle of a job."""

    PUT = "put"
    REMOVE = "remove"
    DELIVER = "deliver"
    WORK = "work"


class Convergence(RuleBasedStateMachine):
    """What can happen to a few keys of a bucket, and to their mirror."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.keys = KEYS
        self.history = [created("never there")]

    def teardown(self) -> None:
        try:
            self.it_ends_in_agreement()
        finally:
            self.world.end()

    @initialize(keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=3), users_are_in_folder=st.booleans())
    def begin(self, keys: list[str], *, users_are_in_folder: bool) -> None:
        self.keys = keys
        self.world.put_foreign("theirs.txt", b"theirs")
        if users_are_in_folder:
            self.world.put_foreign("d/e/theirs.txt", b"theirs")

    @rule(index=indexes, content=contents, in_parts=st.booleans(), age=ages)
    def put(self, index: int, content: str, *, in_parts: bool, age: timedelta) -> None:
        key = self._key(index)
        stored = SMALL[content]
        if key == LARGE_FILE and content != "empty":
            stored = LARGE["ones" if in_parts else "zeros"]
        self.world.put(key, b"" if key in FOLDERS else stored, in_parts=in_parts, age=age)

    @rule(index=indexes)
    def remove(self, index: int) -> None:
        self.world.remove(self._key(index))

    @rule(planned=faults)
    def look(self, planned: list[Fault | None]) -> None:
        """Deliver all, and do what there is to do while requests break."""
        self.history += self.world.pending
        self._break_requests(planned)
        self.world.look()

    @precondition(lambda self: self.world.pending)
    @rule(index=indexes, again=st.booleans())
    def deliver(self, index: int, *, again: bool) -> None:
        """Events come in any order, late, and more than once."""
        event = self.world.pending.pop(index % len(self.world.pending))
        self.history.append(event)
        self.world.journal.mark([event, event] if again else [event])

    @rule(index=indexes)
    def deliver_an_old_one(self, index: int) -> None:
        self.world.journal.mark([self.history[-1 - index % len(self.history)]])

    @rule(places=st.integers(1, 3))
    def claim(self, places: int) -> None:
        self.world.claim(places=places, large_places=1)

    @precondition(lambda self: self.world.claimed)
    @rule(index=indexes, planned=faults)
    def run(self, index: int, planned: list[Fault | None]) -> None:
        self._break_requests(planned)
        self.world.run(index % len(self.world.claimed))

    @rule(what=st.sampled_from(Meanwhile), after=st.integers(0, 4), index=indexes, content=contents)
    def let_it_happen_in_the_middle(self, what: Meanwhile, after: int, index: int, content: str) -> None:
        actions = {
            Meanwhile.PUT: lambda: self.put(index, content, in_parts=False, age=timedelta(0)),
            Meanwhile.REMOVE: lambda: self.remove(index),
            Meanwhile.DELIVER: self.world.deliver_all,
            Meanwhile.WORK: lambda: self.world.work() if self.world.claimed else None,
        }
        self.world.meanwhile.extend([None] * after)
        self.world.meanwhile.append(actions[what])

    @rule(seconds=st.sampled_from([1.0, 60.0, 1000.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.turn(seconds)

    @rule()
    def die(self) -> None:
        self.world.die()

    @invariant()
    def nothing_is_sent_that_is_there_already(self) -> None:
        assert self.world.library.repeated == []

    @invariant()
    def nothing_unexpected_happens_to_a_key(self) -> None:
        assert [came for came in self.world.outcomes if "Unexpected" in came[1].reason] == []

    def it_ends_in_agreement(self) -> None:
        """Once all is delivered and nothing breaks any more."""
        self.world.calm()
        self._assert_agreement()
        self._remove_whoever_holds_a_place_of_another()
        self._assert_that_an_event_for_nothing_costs_no_request()

    def _assert_agreement(self) -> None:
        assert self.world.disagreements() == []
        counts = self.world.journal.counts()
        assert (counts.waiting, counts.working, counts.parked) == (0, 0, len(self.world.blocked()))
        assert all(by in self.world.source.objects for by in self.world.blocked().values())
        self.nothing_is_sent_that_is_there_already()
        self.nothing_unexpected_happens_to_a_key()

    def _remove_whoever_holds_a_place_of_another(self) -> None:
        while blocked := self.world.blocked():
            for holder in set(blocked.values()):
                self.world.remove(holder)
            self.world.calm()
            self._assert_agreement()

    def _assert_that_an_event_for_nothing_costs_no_request(self) -> None:
        before = len(self.world.wire.calls)
        self.world.pending += [created(key) for key in KEYS]
        self.world.calm()
        assert self.world.wire.calls[before:] == []

    def _break_requests(self, planned: list[Fault | None]) -> None:
        self.world.wire.faults.clear()
        self.world.wire.faults.extend(planned)

    def _key(self, index: int) -> str:
        return self.keys[index % len(self.keys)]


TestConvergence = Convergence.TestCase
TestConvergence.settings = settings(
    max_examples=300, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
