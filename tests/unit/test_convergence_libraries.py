"""Whatever happens, both sides agree where keys go to several libraries; and what an archive has got it keeps."""

from collections.abc import Iterator
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.fake_library import FakeLibrary, Fault
from unit.fakes import BUCKET
from unit.test_convergence import stories, stories_of_small_files
from unit.world import World

from sharepoint_proxy.paths import Route, Routing, comparison_key, split_library
from sharepoint_proxy.records import Action, DriveItem, State

TWO_LIBRARIES = Routing((Route(BUCKET, "", ""), Route(BUCKET, "b/", "compta~1:", exclude=("*.tmp",))))
ARCHIVE = Routing((Route(BUCKET, "", "", keeps_files=True),))
KEYS = ["a", "b/a", "b/A"]


class Libraries(FakeLibrary):
    """Two libraries in one dictionary: nothing is moved from one to the other."""

    def move(self, item_id: str, path: str, modified: datetime) -> DriveItem | None:
        item = self._by_id(item_id)
        is_elsewhere = item is not None and split_library(item.path)[0] != split_library(path)[0]
        return None if is_elsewhere else super().move(item_id, path, modified)


@pytest.fixture
def world() -> Iterator[World]:
    with World(library=Libraries, routing=TWO_LIBRARIES) as made:
        yield made


@pytest.fixture
def archive() -> Iterator[World]:
    with World(routing=ARCHIVE) as made:
        yield made


def assert_agreement(world: World) -> None:
    """Both sides agree once all is done, and nothing was sent that was there."""
    world.calm()
    assert world.disagreements() == []
    assert world.library.repeated == []


def actions(world: World, key: str) -> list[Action]:
    """What was done for KEY, in order."""
    return [outcome.action for name, outcome in world.outcomes if name == key]


def files(world: World) -> dict[str, bytes | None]:
    """What the libraries hold, by comparison key."""
    return {place: item.content for place, item in world.library.items.items()}


@stories_of_small_files
@given(data=st.data())
def test_both_sides_agree_at_the_end_of_every_story_of_two_libraries(data: st.DataObject) -> None:
    with World(library=Libraries, routing=TWO_LIBRARIES) as world:
        for turn in data.draw(stories(KEYS)):
            turn.take_place(world)
        assert_agreement(world)


@stories_of_small_files
@given(data=st.data())
def test_an_archive_holds_every_object_and_gives_nothing_back_in_any_story(data: st.DataObject) -> None:
    with World(routing=ARCHIVE) as world:
        for turn in data.draw(stories(["a", "b/x"])):
            before = set(files(world))
            turn.take_place(world)
            assert before <= set(files(world))
        world.calm()
        there = files(world)
        assert {key: there[comparison_key(key)] for key in world.source.objects} == {
            key: version.content for key, version in world.source.objects.items()
        }
        calls = [call for call in world.wire.calls if call != "DELETE session"]
        assert [call for call in calls if call.startswith(("DELETE", "MOVE"))] == []


def test_a_rename_to_another_library_is_an_upload_and_a_removal(world: World) -> None:
    world.put("a", b"one")
    world.look()
    world.put("b/a", b"one")
    world.remove("a")
    world.look()

    assert files(world) == {"compta~1:/a": b"one"}
    assert actions(world, "b/a") == [Action.UPLOADED]
    assert_agreement(world)


def test_a_key_that_a_glob_leaves_out_since_it_was_mirrored_is_left_alone(world: World) -> None:
    world.put("a", b"one")
    world.look()
    world.start(routing=Routing((Route(BUCKET, "", "", exclude=("a",)),)))
    world.remove("a")
    world.look()

    assert files(world) == {"a": b"one"}
    assert actions(world, "a")[-1] is Action.NONE


def test_a_route_that_was_led_to_another_library_takes_its_files_with_it(world: World) -> None:
    """At the next event of each, which a reconcile makes."""
    world.put("a", b"one")
    world.look()
    world.start(routing=Routing((Route(BUCKET, "", "compta~1:"),)))
    world.put("a", b"one")
    world.look()

    assert files(world) == {"compta~1:/a": b"one"}


def test_an_object_that_comes_back_to_an_archive_with_the_same_bytes_is_not_sent_again(archive: World) -> None:
    archive.put("a", b"one")
    archive.look()
    archive.remove("a")
    archive.look()
    archive.put("a", b"one")
    archive.look()
    archive.put("a", b"two")
    archive.look()

    assert actions(archive, "a") == [Action.UPLOADED, Action.NONE, Action.UNCHANGED, Action.UPLOADED]
    assert files(archive) == {"a": b"two"}


def test_a_full_library_stops_only_its_own_uploads(world: World) -> None:
    world.put("b/a", b"one")
    world.wire.faults.append(Fault.FULL)
    world.look()
    world.put("b/A", b"two")
    world.put("a", b"three")
    world.look()

    assert files(world) == {"a": b"three"}
    assert len(world.wire.calls) == 2
    assert {outcome.reason for _, outcome in world.outcomes if outcome.state is State.WAITING} == {
        "No room.",
        "The library compta~1 is full.",
    }
