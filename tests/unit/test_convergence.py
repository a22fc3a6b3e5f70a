"""Whatever happens, and in whatever order, SharePoint ends up with what MinIO holds: the mirror and its journal as a whole.

The real journal, mirror, upload sessions and error handling run between two dictionaries. Hypothesis chooses what users do,
how events arrive, which request breaks how, and what happens in the middle of what.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from unit.fake_library import Fault
from unit.fakes import created
from unit.world import LARGE_BYTES, World

FILES = ["a", "A", "a/b", "a/B", "d/x.txt", "D/X.txt", "r.docx"]
FOLDERS = ["d/", "D/", "d/e/"]
LARGE_FILE = "large.bin"
KEYS = [*FILES, *FOLDERS, LARGE_FILE]
SMALL = [b"", b"one", b"two", b"three"]
LARGE = [bytes(LARGE_BYTES), b"\1" * LARGE_BYTES]

indexes = st.integers(0, 7)
faults = st.lists(st.none() | st.sampled_from(Fault), min_size=1, max_size=4)
ages = st.sampled_from([timedelta(0), timedelta(days=1)])


class Convergence(RuleBasedStateMachine):
    """What can happen to one bucket and its mirror."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.history = [created("never there")]

    def teardown(self) -> None:
        try:
            self.it_ends_in_agreement()
        finally:
            self.world.end()

    @initialize(in_folder=st.booleans())
    def users_have_files(self, *, in_folder: bool) -> None:
        self.world.put_foreign("theirs.txt", b"theirs")
        if in_folder:
            self.world.put_foreign("d/e/theirs.txt", b"theirs")

    @rule(key=st.sampled_from(FILES), content=st.sampled_from(SMALL), in_parts=st.booleans(), age=ages)
    def put(self, key: str, content: bytes, *, in_parts: bool, age: timedelta) -> None:
        self.world.put(key, content, in_parts=in_parts, age=age)

    @rule(key=st.sampled_from(FOLDERS))
    def put_folder(self, key: str) -> None:
        self.world.put(key, b"")

    @rule(content=st.sampled_from([*LARGE, b"small"]))
    def put_large(self, content: bytes) -> None:
        self.world.put(LARGE_FILE, content, in_parts=len(content) == LARGE_BYTES)

    @rule(key=st.sampled_from(KEYS))
    def remove(self, key: str) -> None:
        self.world.remove(key)

    @precondition(lambda self: self.world.pending)
    @rule(index=indexes, again=st.booleans())
    def deliver(self, index: int, *, again: bool) -> None:
        """Events come in any order, late, and more than once."""
        event = self.world.pending.pop(index % len(self.world.pending))
        self.history.append(event)
        self.world.journal.mark([event, event] if again else [event])

    @rule()
    def deliver_all(self) -> None:
        self.history += self.world.pending
        self.world.deliver_all()

    @rule(index=indexes)
    def deliver_an_old_one(self, index: int) -> None:
        self.world.journal.mark([self.history[index % len(self.history)]])

    @rule(planned=faults)
    def break_requests(self, planned: list[Fault | None]) -> None:
        self.world.wire.faults.extend(planned)

    @rule(after=st.integers(0, 5), key=st.sampled_from(KEYS), content=st.none() | st.sampled_from(SMALL))
    def let_an_object_change_in_between(self, after: int, key: str, content: bytes | None) -> None:
        if content is None:
            self._in_between(after, lambda: self.world.remove(key))
        else:
            self._in_between(after, lambda: self.world.put(key, b"" if key in FOLDERS else content))

    @rule(after=st.integers(0, 5))
    def let_another_worker_run_in_between(self, after: int) -> None:
        self._in_between(after, lambda: self.world.work() if self.world.claimed else None)

    @rule(after=st.integers(0, 5))
    def let_events_arrive_in_between(self, after: int) -> None:
        self._in_between(after, self.world.deliver_all)

    @rule(places=st.integers(1, 4))
    def claim(self, places: int) -> None:
        self.world.claim(places=places, large_places=1)

    @precondition(lambda self: self.world.claimed)
    @rule(index=indexes)
    def run(self, index: int) -> None:
        self.world.run(index % len(self.world.claimed))

    @rule()
    def look(self) -> None:
        self.history += self.world.pending
        self.world.look()

    @rule(seconds=st.sampled_from([1.0, 2.0, 60.0, 1000.0]))
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

    def _in_between(self, after: int, action: Callable[[], Any]) -> None:
        self.world.meanwhile.extend([None] * after)
        self.world.meanwhile.append(action)


TestConvergence = Convergence.TestCase
TestConvergence.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
