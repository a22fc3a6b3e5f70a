"""Stories in which a mirror could go wrong, told one by one: what broke, what came next, and that both sides agree at the end."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from unit.fake_library import Fault
from unit.world import LARGE_BYTES, World

from sharepoint_proxy.records import Action

GOOD = None
LARGE = bytes(LARGE_BYTES)


@pytest.fixture
def world() -> Iterator[World]:
    with World() as made:
        yield made


def assert_agreement(world: World) -> None:
    """Both sides agree once all is done, and nothing was sent that was there."""
    world.calm()
    assert world.disagreements() == []
    assert world.library.repeated == []


def actions(world: World, key: str) -> list[Action]:
    return [outcome.action for name, outcome in world.outcomes if name == key]


def test_a_small_upload_is_one_request_and_a_removal_is_one(world: World) -> None:
    world.put("a", b"one")
    world.look()
    world.remove("a")
    world.look()

    assert [call.split()[0] for call in world.wire.calls] == ["PUT", "DELETE"]
    assert_agreement(world)


def test_equal_bytes_under_another_etag_are_not_sent_again(world: World) -> None:
    world.put("a", b"one", in_parts=True)
    world.look()
    world.put("a", b"one", in_parts=True)
    world.look()
    world.put("a", b"one")
    world.look()

    assert actions(world, "a") == [Action.UPLOADED, Action.UNCHANGED, Action.UNCHANGED]
    assert len(world.wire.calls) == 1


@pytest.mark.parametrize("lost", [Fault.ANSWER_LOST, Fault.DIED_AFTER])
@pytest.mark.parametrize("content", [b"one", LARGE], ids=["small", "large"])
def test_an_upload_whose_answer_was_lost_is_found_and_not_repeated(world: World, content: bytes, lost: Fault) -> None:
    world.put("a", content)
    world.wire.faults.extend([lost] if len(content) < LARGE_BYTES else [GOOD, GOOD, lost])

    world.look()

    assert_agreement(world)
    assert sum(call in ("PUT a", "PUT session") for call in world.wire.calls) == (2 if content == LARGE else 1)


def test_a_large_upload_goes_on_where_the_process_died(world: World) -> None:
    world.put("a", LARGE)
    world.wire.faults.extend([GOOD, Fault.DIED_AFTER])

    world.look()

    assert_agreement(world)
    assert world.wire.calls == ["POST session a", "PUT session", "GET session", "PUT session"]


def test_throttling_does_not_make_it_forget_an_upload_whose_answer_was_lost(world: World) -> None:
    world.put("a", b"one")
    world.wire.faults.extend([Fault.ANSWER_LOST, Fault.THROTTLED])
    world.look()
    world.look()

    assert_agreement(world)


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.LOCKED, Fault.REFUSED])
def test_a_file_whose_answer_was_lost_goes_with_its_object(world: World, fault: Fault) -> None:
    world.put("a", b"one")
    world.wire.faults.extend([Fault.ANSWER_LOST, fault])
    world.look()
    world.clock.turn(60)
    world.look()
    world.remove("a")

    assert_agreement(world)


def test_a_large_file_whose_answer_was_lost_goes_with_its_object(world: World) -> None:
    world.put("a", LARGE)
    # Made, first fragment, last fragment; the session is gone then, its removal, and the look at what is there.
    world.wire.faults.extend([GOOD, GOOD, Fault.ANSWER_LOST, GOOD, GOOD, Fault.THROTTLED])
    world.look()
    world.remove("a")

    assert_agreement(world)


def test_a_large_office_file_goes_with_its_object_although_its_sessions_were_lost(world: World) -> None:
    """The first session ended well, but its answer was lost; the file cannot be recognized, and all else fails."""

    def lose_the_second_session() -> None:
        if world.wire.calls.count("POST session r.docx") == 2:
            world.library.sessions.clear()

    world.put("r.docx", LARGE)
    world.plan([GOOD, GOOD, Fault.ANSWER_LOST, *[GOOD] * 7, Fault.LOCKED], [lose_the_second_session] * 100)
    world.look()
    assert world.wire.calls[-1] == "PUT r.docx"
    world.remove("r.docx")

    assert_agreement(world)


def test_an_office_file_whose_answer_was_lost_goes_with_its_object(world: World) -> None:
    world.put("r.docx", b"one")
    world.wire.faults.extend([Fault.ANSWER_LOST])
    world.look()
    world.remove("r.docx")

    assert_agreement(world)


@pytest.mark.parametrize("fault", [Fault.FAILED, Fault.LOCKED])
def test_a_file_whose_answer_was_lost_goes_with_its_object_even_after_another_version_failed(
    world: World, fault: Fault
) -> None:
    world.put("a", b"one")
    world.wire.faults.extend([Fault.ANSWER_LOST])
    world.look()
    world.put("a", b"longer")
    world.wire.faults.extend([GOOD, fault])
    world.look()
    world.remove("a")

    assert_agreement(world)


def test_a_date_that_sharepoint_refuses_does_not_undo_the_upload(world: World) -> None:
    world.put("a", b"one", age=timedelta(days=1))
    world.wire.faults.extend([GOOD, Fault.REFUSED])
    world.look()

    assert actions(world, "a") == [Action.UPLOADED]
    assert_agreement(world)


@pytest.mark.parametrize("fault", [Fault.FAILED, Fault.LOCKED, Fault.ANSWER_LOST, Fault.DIED_BEFORE])
def test_a_file_whose_route_changed_leaves_its_old_place(world: World, fault: Fault) -> None:
    world.put("in/a", b"one")
    world.look()
    world.die(prefixes="in/=Elsewhere")
    world.put("in/a", b"two")
    world.wire.faults.extend([GOOD, fault])
    world.look()

    assert_agreement(world)


def test_both_files_of_an_object_whose_route_changed_go_with_it(world: World) -> None:
    """One that the ledger knows, at the old place; one at the new place, of which the answer was lost."""
    world.put("in/a", b"one")
    world.look()
    world.die(prefixes="in/=Elsewhere")
    world.put("in/a", b"two")
    world.plan([Fault.ANSWER_LOST], [])
    world.look()
    world.remove("in/a")
    world.plan([GOOD, GOOD, Fault.FAILED], [])
    world.look()

    assert_agreement(world)


def test_a_removed_object_whose_name_is_refused_is_parked_no_more(world: World) -> None:
    world.put("d/" + "n" * 300, b"one")
    world.look()
    world.remove("d/" + "n" * 300)
    world.look()

    assert world.journal.counts().parked == 0


def test_a_folder_that_the_mirror_made_goes_with_its_key(world: World) -> None:
    world.put("d/", b"")
    world.put("d/x", b"one")
    world.look()
    world.remove("d/x")
    world.remove("d/")

    assert_agreement(world)
    assert not world.library.is_folder("d")


def test_a_folder_that_was_there_before_stays(world: World) -> None:
    world.library.make_folder("d")
    world.put("d/", b"")
    world.look()
    world.remove("d/")

    assert_agreement(world)
    assert world.library.is_folder("d")


def test_a_folder_put_again_after_the_answer_to_its_removal_was_lost_is_made_again(world: World) -> None:
    world.put("d/", b"")
    world.look()
    world.remove("d/")
    world.wire.faults.extend([GOOD, Fault.ANSWER_LOST])
    world.look()
    world.put("d/", b"")

    assert_agreement(world)


def test_a_folder_goes_when_the_last_object_below_it_goes_that_was_never_mirrored(world: World) -> None:
    world.put("d/", b"")
    world.look()
    world.put("d/x", b"one")
    world.remove("d/")
    world.wire.faults.extend([Fault.REFUSED])
    world.look()
    world.remove("d/x")

    assert_agreement(world)


def test_a_folder_with_two_keys_goes_with_the_second(world: World) -> None:
    world.put("d/", b"")
    world.put("D/", b"")
    world.look()
    world.remove("d/")
    world.look()
    world.remove("D/")

    assert_agreement(world)


def test_a_renamed_case_is_mirrored_once_the_old_name_is_gone(world: World) -> None:
    world.put("A.txt", b"one")
    world.look()
    world.put("a.txt", b"one")
    world.remove("A.txt")

    assert_agreement(world)
    assert world.blocked() == {}


def test_a_folder_of_keys_becomes_a_file(world: World) -> None:
    world.put("a/b", b"one")
    world.look()
    world.put("a", b"two")
    world.look()
    assert world.blocked() == {"a": "a/b"}
    world.remove("a/b")

    assert_agreement(world)
    assert world.blocked() == {}


@pytest.mark.parametrize("content", [b"one", LARGE], ids=["small", "large"])
def test_a_key_whose_place_a_user_s_folder_takes_holds_up_no_key_below_it(world: World, content: bytes) -> None:
    world.library.make_folder("a")
    world.put("a", content)
    world.look()
    world.put("a/b", b"two")
    world.look()

    assert world.journal.counts().parked == 1
    assert world.library.items["a/b"].content == b"two"


def test_a_user_s_file_of_another_name_is_left_alone_when_a_folder_goes(world: World) -> None:
    world.put("d/", b"")
    world.put("d/x", b"one")
    world.look()
    world.put_foreign("d/theirs", b"theirs")
    world.remove("d/x")
    world.remove("d/")

    assert_agreement(world)
