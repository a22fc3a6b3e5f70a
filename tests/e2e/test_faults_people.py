"""What people do in SharePoint: MinIO wins at the next change of the object, and what only they put there stays."""

import os
from collections.abc import Iterator

import pytest
from e2e.trouble import (
    FOLDER,
    MIB,
    calm,
    nudge,
    open_stage,
    state_of,
    statuses,
    versions_of,
    wait_until_parked,
)

from simulator.calls import CallKind
from simulator.stage import Stage

PUT, DELETE = CallKind.PUT_CONTENT, CallKind.DELETE


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for all tests here."""
    with open_stage(tmp_path_factory.mktemp("people")) as stage:
        yield stage


@pytest.fixture
def stage(shared: Stage) -> Iterator[Stage]:
    """The stage, without what an earlier test left."""
    yield shared
    calm(shared)


def mirror(stage: Stage, key: str, content: bytes = b"ours") -> str:
    """Put CONTENT at KEY, let it be mirrored, and forget the calls; the id of its drive item."""
    stage.put(key, content)
    stage.settle()
    stage.graph.clear_calls()
    item = stage.graph.item(key)
    assert item is not None
    return item.id


def test_an_edit_stays_until_the_object_changes(stage: Stage) -> None:
    """A repeated event is no change. After a change the edit is an earlier version of the file."""
    key = f"{FOLDER}/edited.txt"
    mirror(stage, key)
    stage.graph.edit_foreign(key, b"theirs")
    nudge(stage, key)
    stage.settle()
    assert stage.graph.content(key) == b"theirs"
    assert stage.kinds() == []

    stage.put(key, b"ours again")
    stage.settle()
    assert stage.graph.content(key) == b"ours again"
    assert versions_of(stage, key) == 3


@pytest.mark.parametrize("target", [f"{FOLDER}/theirs.txt", "their own folder/theirs.txt"], ids=["renamed", "moved"])
def test_a_renamed_file_comes_back_at_the_next_change(stage: Stage, target: str) -> None:
    """Theirs stays where they took it, also when the object goes."""
    key = f"{FOLDER}/renamed-{len(target)}.txt"
    mirror(stage, key)
    stage.graph.rename_foreign(key, target)
    nudge(stage, key)
    stage.settle()
    assert stage.kinds() == []

    stage.put(key, b"new")
    stage.settle()
    assert [stage.graph.content(path) for path in (key, target)] == [b"new", b"ours"]

    stage.delete(key)
    stage.settle()
    assert stage.graph.item(key) is None
    assert stage.graph.content(target) == b"ours"


def test_a_file_is_deleted_wherever_it_was_taken(stage: Stage) -> None:
    """By its id: it is the file that was written for the object, under whatever name. What took its place stays."""
    key, target = f"{FOLDER}/taken.txt", f"{FOLDER}/elsewhere.txt"
    written = mirror(stage, key)
    stage.graph.rename_foreign(key, target)
    stage.graph.put_foreign(key, b"theirs")
    stage.delete(key)
    stage.settle()
    item = stage.graph.item_by_id(written)

    assert item is not None
    assert item.recycled
    assert stage.graph.item(target) is None
    assert stage.graph.content(key) == b"theirs"
    assert statuses(stage, "", DELETE) == [204]


def test_a_deleted_file_comes_back_at_the_next_change(stage: Stage) -> None:
    key = f"{FOLDER}/deleted.txt"
    mirror(stage, key)
    stage.graph.delete_foreign(key)
    stage.put(key, b"new")
    stage.settle()

    assert stage.graph.content(key) == b"new"
    assert statuses(stage, key) == [201]


@pytest.mark.parametrize("size", [10, 5 * MIB], ids=["small", "large"])
def test_a_file_of_theirs_in_the_place_becomes_an_earlier_version(stage: Stage, size: int) -> None:
    """Whatever case they wrote its name in; it keeps its id, and so its links."""
    key, content = f"{FOLDER}/both-{size}.bin", os.urandom(size)
    theirs = stage.graph.put_foreign(key.replace("both", "BOTH"), b"theirs")
    stage.put(key, content)
    stage.settle()
    item = stage.graph.item(key)

    assert item is not None
    assert (item.id, item.versions) == (theirs.id, 2)
    assert stage.graph.content(key) == content


@pytest.mark.parametrize("event", ["s3:ObjectRemoved:Delete", "s3:ObjectCreated:Put"])
def test_a_file_of_theirs_is_not_deleted_where_no_object_ever_was(stage: Stage, event: str) -> None:
    key = f"{FOLDER}/only theirs.txt"
    stage.graph.put_foreign(key, b"theirs")
    stage.service.post({"EventName": event, "Key": f"lycee/{key}"})
    stage.settle()

    assert stage.graph.content(key) == b"theirs"
    assert stage.kinds() == []


def test_a_folder_of_theirs_in_the_place_parks_the_key(stage: Stage) -> None:
    """It is never removed for the file's sake; once they have moved it, a new event tries again."""
    key = f"{FOLDER}/folder.txt"
    stage.graph.put_foreign(f"{key}/inside.txt", b"theirs")
    stage.put(key, b"ours")
    reason = wait_until_parked(stage, key)
    tries = statuses(stage, key, PUT)
    stage.graph.rename_foreign(key, f"{FOLDER}/their folder")
    nudge(stage, key)
    stage.settle()

    assert f"A folder stands in SharePoint where the file {key} must be." in reason
    assert tries == [409]
    assert stage.graph.content(key) == b"ours"
    assert stage.graph.content(f"{FOLDER}/their folder/inside.txt") == b"theirs"


@pytest.mark.parametrize("size", [10, 5 * MIB], ids=["small", "large"])
def test_a_file_of_theirs_where_a_folder_must_be_parks_the_key(stage: Stage, size: int) -> None:
    folder = f"{FOLDER}/file-{size}"
    key = f"{folder}/inside.bin"
    stage.graph.put_foreign(folder, b"theirs")
    stage.put(key, os.urandom(size))
    reason = wait_until_parked(stage, key)
    stage.graph.rename_foreign(folder, f"{FOLDER}/their file-{size}")
    nudge(stage, key)
    stage.settle()

    assert f"A file stands in SharePoint where the folder {folder} must be." in reason
    assert stage.graph.content(f"{FOLDER}/their file-{size}") == b"theirs"
    assert versions_of(stage, key) == 1


def test_a_folder_that_people_use_stays_when_its_objects_go(stage: Stage) -> None:
    marker = f"{FOLDER}/shared/"
    mirror(stage, marker, b"")
    mirror(stage, f"{marker}ours.txt")
    stage.graph.put_foreign(f"{marker}theirs.txt", b"theirs")
    stage.delete(f"{marker}ours.txt")
    stage.delete(marker)
    stage.settle()

    assert stage.graph.content(f"{marker}theirs.txt") == b"theirs"
    assert state_of(stage, marker) == "settled"


def test_a_folder_that_people_renamed_is_made_anew(stage: Stage) -> None:
    """What is in it by then is theirs to sort out; nothing of it is deleted."""
    key = f"{FOLDER}/class/list.txt"
    mirror(stage, key)
    stage.graph.rename_foreign(f"{FOLDER}/class", f"{FOLDER}/class of last year")
    stage.put(key, b"this year")
    stage.settle()

    assert stage.graph.content(key) == b"this year"
    assert stage.graph.content(f"{FOLDER}/class of last year/list.txt") == b"ours"
