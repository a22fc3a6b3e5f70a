"""Two replicas share MinIO and a library, and no ledger: whoever looks after a key, in the end SharePoint has what MinIO has."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.fake_library import FakeLibrary, Fault
from unit.fakes import created
from unit.world import LARGE_BYTES, World

from sharepoint_proxy.content import Stretch
from sharepoint_proxy.records import Action, Answer, DriveItem

KEYS = ("a.txt", "b.txt")
PARTITIONS = 2
ROUNDS = 50
COPIED = replace(created("b.txt"), name="s3:ObjectCreated:Copy")
SURVIVED = (Fault.CUT, Fault.ANSWER_LOST, Fault.FAILED, Fault.DIED_BEFORE, Fault.DIED_AFTER)


class Late(Stretch):
    """A request's body that was read before the request is made."""

    def __init__(self, body: Stretch) -> None:
        self._content = b"".join(body)

    def __len__(self) -> int:
        return len(self._content)

    def __iter__(self) -> Iterator[bytes]:
        return iter((self._content,))


class LateLibrary(FakeLibrary):
    """A library on a long line: much can happen between the last byte that is read of an object and the file's being there."""

    def put(self, path: str, body: Stretch) -> DriveItem:
        return super().put(path, Late(body))

    def call_upload_url(self, method: str, url: str, *, body: Stretch | None = None, **options: Any) -> Answer:
        return super().call_upload_url(method, url, body=None if body is None else Late(body), **options)


class Group:
    """Two worlds with one MinIO and one library; each partition of the keys has its owner."""

    def __init__(self) -> None:
        first = World(library=LateLibrary, is_replica=True)
        self.worlds = (first, World(beside=first, is_replica=True))
        self.owners = [0, 1]
        self._at_work: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for world in self.worlds:
            world.database.close()
            world.__exit__()

    @property
    def first(self) -> World:
        """The one whose MinIO and library both use."""
        return self.worlds[0]

    def owner(self, key: str) -> World:
        """The replica that gets the events of KEY."""
        return self.worlds[self.owners[KEYS.index(key) % PARTITIONS]]

    def hand_over(self, partition: int) -> None:
        """Let the other replica have PARTITION."""
        self.owners[partition] = 1 - self.owners[partition]
        for world in self.worlds:
            world.journal.doubt_ledger()
        self.first.clock.turn(1)

    def deliver(self) -> None:
        """Hand each pending event to the journal of its key's owner."""
        for event in self.first.pending:
            self.owner(event.key).journal.mark([event])
        self.first.pending.clear()

    def put(self, key: str, content: bytes) -> None:
        """Store an object; its event is delivered."""
        self.first.put(key, content)
        self.deliver()

    def remove(self, key: str) -> None:
        """Delete an object; its event is delivered."""
        self.first.remove(key)
        self.deliver()

    def work(self, number: int) -> None:
        """Let a replica do what is due."""
        self.first.clock.turn(3)
        self.work_now(number)

    def work_now(self, number: int) -> None:
        """Let a replica do what is due, in no time, unless this happens in the middle of its own work: it may die of it as a whole."""
        if number in self._at_work:
            return
        world = self.worlds[number]
        self._at_work.add(number)
        world.claim()
        while world.claimed:
            world.run()
        self._at_work.remove(number)

    def rename(self, source: str, target: str) -> None:
        """Rename an object, if there is one, as `mc mv` does; both events are delivered."""
        if source in self.first.source.objects:
            content = self.first.source.objects[source].content
            self.first.source.put(target, content)
            self.first.pending.append(replace(created(target, size=len(content)), name=COPIED.name))
            self.remove(source)

    def calm(self) -> None:
        """Work until nothing is left to do anywhere."""
        self.first.plan([], [])
        self.deliver()
        for _ in range(ROUNDS):
            if all(world.journal.seconds_until_due(large_places=4) is None for world in self.worlds):
                return
            for world in self.worlds:
                world._work_until_quiet()
        raise AssertionError("The replicas do not come to rest.")

    def actions(self, number: int) -> list[Action]:
        """What a replica did, but for nothing."""
        return [outcome.action for _, outcome in self.worlds[number].outcomes if outcome.action is not Action.NONE]


@pytest.fixture
def group() -> Iterator[Group]:
    with Group() as opened:
        yield opened


def test_a_file_that_another_replica_wrote_is_removed(group: Group) -> None:
    group.put("a.txt", b"x")
    group.work(0)
    group.hand_over(0)
    group.remove("a.txt")
    group.work(1)

    assert group.actions(1) == [Action.DELETED]
    assert group.first.disagreements() == []


def test_a_file_of_a_user_is_not_removed_for_a_key_that_nobody_knows(group: Group) -> None:
    group.first.put_foreign("a.txt", b"of a user")
    group.remove("a.txt")
    group.work(0)

    assert group.actions(0) == [Action.ABSENT]
    assert group.first.disagreements() == []


def test_what_a_ledger_says_from_before_another_had_the_key_is_not_believed(group: Group) -> None:
    group.put("a.txt", b"first")
    group.work(0)
    group.hand_over(0)
    group.put("a.txt", b"second")
    group.work(1)
    group.hand_over(0)
    group.put("a.txt", b"first")
    group.work(0)

    assert group.first.disagreements() == []


def test_a_large_file_that_is_there_already_is_not_sent_again(group: Group) -> None:
    """An event that comes twice, as a commit was lost, is a look at SharePoint."""
    group.put("a.txt", bytes(LARGE_BYTES))
    group.work(0)
    group.hand_over(0)
    group.first.put("a.txt", bytes(LARGE_BYTES))
    group.deliver()
    group.work(1)

    assert group.actions(1) == [Action.ADOPTED]


def test_a_slow_upload_of_a_lost_partition_does_not_stay_over_newer_bytes(group: Group) -> None:
    """While the old object is on its way from the first replica, the second one writes the new one; then the old bytes arrive."""

    def overtaken() -> None:
        group.hand_over(0)
        group.put("a.txt", b"new")
        group.work(1)

    group.put("a.txt", b"old")
    # MinIO is asked what it holds, the object is opened and read in two pieces; then its bytes are on their way.
    group.first.plan([], [None, None, None, None, overtaken])
    group.work(0)
    assert group.first.library.items["a.txt"].content == b"old"
    group.calm()

    assert group.first.disagreements() == []


def test_an_item_that_another_replica_has_written_since_is_not_moved(group: Group) -> None:
    """It would be removed at its new place, by the one that knows it under its old name."""
    group.put("a.txt", b"x")
    group.work(0)
    group.hand_over(0)
    group.put("a.txt", b"x")
    group.work(1)
    group.hand_over(1)
    group.first.source.put("b.txt", b"x")
    group.first.pending.append(COPIED)
    group.remove("a.txt")
    group.work(0)
    group.work(1)
    group.calm()

    assert Action.MOVED not in group.actions(0)
    assert group.first.disagreements() == []


@pytest.mark.parametrize("is_doubted", [False, True])
def test_a_renaming_within_one_replica_is_a_move(group: Group, *, is_doubted: bool) -> None:
    """Also of a file that was written before the last change of partitions: its removal shows that nobody else has it."""
    group.hand_over(1)
    group.put("a.txt", bytes(LARGE_BYTES))
    group.work(0)
    if is_doubted:
        group.hand_over(1)
        group.hand_over(1)
    group.first.source.put("b.txt", bytes(LARGE_BYTES))
    group.first.pending.append(replace(COPIED, size=LARGE_BYTES))
    group.deliver()
    # The removal is recorded a moment later, and then waits for its grace to end.
    group.first.remove("a.txt")
    group.work_now(0)
    group.deliver()
    group.first.clock.turn(0.5)
    group.work_now(0)
    group.calm()

    assert group.actions(0) == [Action.UPLOADED, Action.MOVED, Action.ABSENT]
    assert group.first.disagreements() == []


Step = Callable[[Group], None]


def works(group: Group) -> None:
    """Both replicas do what is due."""
    group.work(0)
    group.work(1)


contents = st.sampled_from([b"", b"one", b"two", bytes(LARGE_BYTES)])
steps: st.SearchStrategy[Step] = st.one_of(
    st.just(works),
    st.builds(lambda key, content: lambda group: group.put(key, content), st.sampled_from(KEYS), contents),
    st.builds(lambda key: lambda group: group.remove(key), st.sampled_from(KEYS)),
    st.builds(lambda names: lambda group: group.rename(*names), st.permutations(KEYS)),
    st.builds(lambda partition: lambda group: group.hand_over(partition), st.integers(0, PARTITIONS - 1)),
)


@given(
    course=st.lists(steps, max_size=12),
    meanwhile=st.lists(st.none() | steps, max_size=12),
    faults=st.lists(st.none() | st.sampled_from(SURVIVED), max_size=6),
)
@settings(deadline=None)
def test_whatever_happens_in_whatever_order_sharepoint_comes_to_agree(
    course: Sequence[Step], meanwhile: Sequence[Step | None], faults: Sequence[Fault | None]
) -> None:
    """Also where partitions change hands, objects change and replicas die in the middle of a write of the other one."""
    with Group() as group:
        group.first.plan(faults, [step and partial(step, group) for step in meanwhile])
        for step in course:
            step(group)
        group.calm()

        assert group.first.disagreements() == []
