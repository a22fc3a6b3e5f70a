"""Whatever happens, and in whatever order, SharePoint ends up with what MinIO holds: the mirror and its journal as a whole.

The real journal, mirror, upload sessions and error handling run between two dictionaries. Hypothesis invents stories of what
users do, how events arrive, which request breaks how, and what happens in the middle of what.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.fake_library import Death, Fault
from unit.fakes import created
from unit.world import LARGE_BYTES, World

FOLDERS = ["d/", "D/", "d/e/"]
OFFICE_FILE = "r.docx"
LARGE_FILES = ["large.bin", "large.docx"]
COMPANIES = [
    ["a"],
    [OFFICE_FILE],
    ["d/"],
    # In each other's way: twins but for case, files and folders of one name, folders in folders.
    ["a", "A"],
    ["a", "A/b"],
    ["a", "A", "a/b"],
    ["d/", "D/"],
    ["d/", "d/x", "D/X"],
    ["d/", "d/e/", "d/e/y"],
]
# Contents by name: hypothesis writes out what it chooses from.
CONTENTS = {"empty": b"", "one": b"one", "two": b"two"}
LARGE_CONTENTS = {"one": bytes(LARGE_BYTES), "two": b"\1" * LARGE_BYTES}


class Happening(Protocol):
    """Something that can happen at any moment."""

    def take_place(self, world: World) -> None: ...


@dataclass(frozen=True)
class Put:
    """A user stores an object."""

    key: str
    content: str = "empty"
    in_parts: bool = False
    days_old: int = 0

    def take_place(self, world: World) -> None:
        stored = LARGE_CONTENTS if self.key in LARGE_FILES else CONTENTS
        world.put(
            self.key,
            stored.get(self.content, CONTENTS[self.content]),
            in_parts=self.in_parts,
            age=timedelta(days=self.days_old),
        )


@dataclass(frozen=True)
class Remove:
    """A user deletes an object."""

    key: str

    def take_place(self, world: World) -> None:
        world.remove(self.key)


@dataclass(frozen=True)
class Deliver:
    """One of the pending events arrives, in its turn or not, TIMES times, and stays pending if it is to come later as well."""

    index: int
    times: int = 1
    stays: bool = False

    def take_place(self, world: World) -> None:
        if world.pending:
            event = world.pending[self.index % len(world.pending)]
            world.journal.mark([event] * self.times)
            if not self.stays:
                world.pending.remove(event)


@dataclass(frozen=True)
class DeliverAll:
    """Every pending event arrives, in order."""

    def take_place(self, world: World) -> None:
        world.deliver_all()


@dataclass(frozen=True)
class Arriving:
    """A change of which the event arrives at once, with all others that are pending."""

    change: Put | Remove

    def take_place(self, world: World) -> None:
        self.change.take_place(world)
        world.deliver_all()


@dataclass(frozen=True)
class Claim:
    """Workers take what is due, and don't begin yet."""

    def take_place(self, world: World) -> None:
        world.claim(places=2, large_places=1)


@dataclass(frozen=True)
class Work:
    """A worker does what one has taken."""

    index: int = 0

    def take_place(self, world: World) -> None:
        if world.claimed:
            world.work(self.index % len(world.claimed))


@dataclass(frozen=True)
class Wait:
    """Time passes."""

    seconds: float

    def take_place(self, world: World) -> None:
        world.clock.turn(self.seconds)


@dataclass(frozen=True)
class LoseSessions:
    """SharePoint knows of no upload session any more."""

    def take_place(self, world: World) -> None:
        world.library.sessions.clear()


@dataclass(frozen=True)
class Die:
    """The proxy's process ends, and starts again."""

    def take_place(self, world: World) -> None:
        world.die()


@dataclass(frozen=True)
class Look:
    """All that is pending arrives, and all that is due is done."""

    def take_place(self, world: World) -> None:
        world.look()


@dataclass(frozen=True)
class Turn:
    """Something changes, then something is done; meanwhile requests break, and other things happen in the middle of it."""

    change: Happening
    work: Happening
    faults: Sequence[Fault | None] = ()
    meanwhile: Sequence[Happening | None] = ()

    def take_place(self, world: World) -> None:
        self.change.take_place(world)
        world.plan(self.faults, [partial(each.take_place, world) if each else None for each in self.meanwhile])
        try:
            self.work.take_place(world)
        except Death:
            world.die()


def turns(keys: Sequence[str]) -> st.SearchStrategy[Turn]:
    """What can happen to KEYS. What is named more often is chosen more often."""
    puts = [Put(key, content) for key in keys for content in (["empty"] if key in FOLDERS else CONTENTS)]
    others = [*(replace(put, in_parts=True) for put in puts), *(Put(key, "one", days_old=1) for key in keys)]
    removals = [Remove(key) for key in keys]
    deliveries = [Deliver(0), Deliver(1), Deliver(2, times=2), Deliver(0, stays=True), DeliverAll()]
    changes = [Wait(1), Wait(60), Wait(1000), *(puts * 2), *others, *(removals * 4)]
    works = [*deliveries, *[Look()] * 15, Claim(), Claim(), Work(0), Work(1), Die()]
    faults = [None, None, None, None, *Fault, Fault.ANSWER_LOST, Fault.DIED_AFTER]
    in_the_middle = [
        *[None] * 15,
        *puts,
        *removals,
        *map(Arriving, puts),
        *map(Arriving, removals),
        DeliverAll(),
        Work(0),
        *[LoseSessions()] * any(key in LARGE_FILES for key in keys),
    ]
    return st.builds(
        Turn,
        st.sampled_from(changes),
        st.sampled_from(works),
        st.just(()) | st.lists(st.sampled_from(faults), min_size=2, max_size=4),
        st.just(()) | st.lists(st.sampled_from(in_the_middle), min_size=3, max_size=10),
    )


def stories(keys: Sequence[str]) -> st.SearchStrategy[list[Turn]]:
    """Some turns, one after another."""
    return st.lists(turns(keys), min_size=5, max_size=15)


stories_of_small_files = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
stories_of_large_files = settings(stories_of_small_files, max_examples=15)


@pytest.mark.parametrize("keys", COMPANIES, ids=" ".join)
@stories_of_small_files
@given(data=st.data(), users_are_in_folder=st.sampled_from([False, False, True]))
def test_both_sides_agree_at_the_end_of_every_story(
    keys: Sequence[str], data: st.DataObject, *, users_are_in_folder: bool
) -> None:
    tell(data.draw(stories(keys)), keys, users_are_in_folder=users_are_in_folder)


@pytest.mark.parametrize("key", LARGE_FILES)
@stories_of_large_files
@given(data=st.data())
def test_both_sides_agree_at_the_end_of_every_story_of_a_large_file(key: str, data: st.DataObject) -> None:
    tell(data.draw(stories([key])), [key])


def tell(story: Sequence[Turn], keys: Sequence[str], *, users_are_in_folder: bool = False) -> None:
    """Let STORY about KEYS happen, and look at the end."""
    with World() as world:
        world.put_foreign("theirs.txt", b"theirs")
        if users_are_in_folder:
            world.put_foreign("d/e/theirs.txt", b"theirs")
        for turn in story:
            turn.take_place(world)
        world.calm()
        assert_agreement(world)
        remove_whoever_holds_a_place_of_another(world)
        assert_that_an_event_for_nothing_costs_no_request(world, keys)


def assert_agreement(world: World) -> None:
    """Nothing differs, nothing waits, nothing was sent that was there, and what is parked only has to wait for another key."""
    assert world.disagreements() == []
    counts = world.journal.counts()
    assert (counts.waiting, counts.working, counts.parked) == (0, 0, len(world.blocked()))
    assert all(holder in world.source.objects for holder in world.blocked().values())
    assert world.library.repeated == []
    assert [came for came in world.outcomes if "Unexpected" in came[1].reason] == []


def remove_whoever_holds_a_place_of_another(world: World) -> None:
    """Then the other has it."""
    while blocked := world.blocked():
        for holder in set(blocked.values()):
            world.remove(holder)
        world.calm()
        assert_agreement(world)


def assert_that_an_event_for_nothing_costs_no_request(world: World, keys: Sequence[str]) -> None:
    """Whichever of KEYS it is for."""
    before = len(world.wire.calls)
    world.pending += [created(key) for key in keys]
    world.calm()
    # A folder that the ledger does not know is looked for before it is taken for gone.
    assert [call for call in world.wire.calls[before:] if not call.startswith("GET ")] == []
