"""Moments of a reconcile that are hard to meet with real servers: what happens exactly between two of its steps."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from unit.fakes import BUCKET, created
from unit.reconciled_world import ReconciledWorld

from sharepoint_proxy.comparison import Order, Summary, Verdict
from sharepoint_proxy.errors import TransientError
from sharepoint_proxy.judging import Judge
from sharepoint_proxy.ledger import Ledger
from sharepoint_proxy.paths import comparison_key
from sharepoint_proxy.records import LedgerEntry

MOMENTS = range(20)
"""More than a run on two objects has."""


def run(world: ReconciledWorld, order: Order | None = None) -> Summary:
    """A run, and what the workers make of it."""
    summary, _ = world.reconcile(order or Order())
    world.meanwhile.clear()
    world._work_until_quiet()
    return summary


def ledger_of(world: ReconciledWorld) -> dict[str, str]:
    """The item's id by key."""
    return {row["key"]: row["item_id"] for row in world.database.read("SELECT key, item_id FROM ledger")}


def at_moment(world: ReconciledWorld, moment: int, action: Callable[[], None]) -> None:
    """Let ACTION happen at the moment of that number of the next run."""
    world.plan([], [*[None] * moment, action])


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_object_that_is_removed_while_it_is_adopted_leaves_no_word_behind(moment: int) -> None:
    """The workers may be done with its removal before it is adopted; another key may then have the place."""
    with ReconciledWorld() as world:
        for key in ("a.txt", "b.txt"):
            world.source.put(key, b"content")
            world.library.put_directly(key, b"content")

        def remove() -> None:
            world.remove("a.txt")
            world.look()

        at_moment(world, moment, remove)
        run(world)
        assert set(ledger_of(world)) == set(world.source.objects)
        world.put("A.TXT", b"twin")
        world.remove("a.txt")
        world.calm()
        assert world.disagreements() == []


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("is_new", [False, True])
@pytest.mark.parametrize("name", ["a.txt", "a.docx"])
def test_an_object_that_the_workers_write_meanwhile_is_sent_once(name: str, moment: int, *, is_new: bool) -> None:
    """What the run read of the library before is no word against what they wrote since."""
    with ReconciledWorld() as world:
        if not is_new:
            world.put(name, b"one")
            world.calm()
        world.put("b.txt", b"always there")
        world.calm()
        world.wire.calls.clear()

        def change() -> None:
            world.put(name, b"two")
            world.look()

        at_moment(world, moment, change)
        run(world)
        world.calm()
        world.meanwhile.clear()
        run(world)
        was_changed = name in world.source.objects and world.source.objects[name].content == b"two"
        assert world.wire.calls.count(f"PUT {name}") == int(was_changed)
        assert world.disagreements() == []


def test_a_listing_that_stays_away_marks_nothing() -> None:
    """Not even what was listed before: nothing is compared until all is there."""
    with ReconciledWorld() as world:
        for number in range(5):
            world.source.put(f"{number}.txt", b"content")

        def break_off() -> None:
            raise TransientError("MinIO broke off.")

        world.plan([], [None, *[break_off] * 50])
        with pytest.raises(TransientError):
            world.reconcile(Order(delete=True, force=True))
        assert world.journal.counts().waiting == 0


def test_a_removal_that_waits_is_no_leftover() -> None:
    """The workers will see to it, and it must not count for the share."""
    with ReconciledWorld() as world:
        world.put("a.txt", b"content")
        world.calm()
        world.remove("a.txt")
        world.deliver_all()
        summary, _ = world.reconcile(Order(delete=True))
        assert (summary.found, summary.removed, summary.refused) == ({}, 0, "")


def test_the_word_of_a_folder_that_was_made_anew_goes_at_once() -> None:
    """Its marker is gone, somebody deleted it, and what is below it came back in a folder of the same name."""
    with ReconciledWorld() as world:
        world.put("d/", b"")
        world.put("d/a.txt", b"content")
        world.calm()
        world.source.remove("d/")
        world.library.items.clear()

        assert run(world).found == {Verdict.MISSING: 1, Verdict.GONE: 1}
        assert run(world).found == {Verdict.SAME: 1}


@pytest.mark.parametrize("is_marked", [False, True])
def test_what_a_killed_run_was_to_delete_is_judged_anew(*, is_marked: bool) -> None:
    """The entry that it made for a deletion does not make anybody's file the mirror's."""
    with ReconciledWorld() as world:
        item = world.library.put_directly("theirs.txt", b"content")
        for number in range(20):
            world.put(f"{number}.txt", b"content")
        world.calm()
        entry = LedgerEntry(
            bucket=BUCKET, key="theirs.txt", path="theirs.txt", item_id=item.id, size=7, etag="", quickxor=None
        )
        Ledger(world.database, place_of=comparison_key).adopt([entry], [None])
        if is_marked:
            # It was parked, as somebody held the file.
            world.journal.mark([created("theirs.txt")])
            world.database.write(lambda cursor: cursor.execute("UPDATE changes SET state = 'parked'"))

        summary = run(world, Order(delete=True, force=True))
        assert summary.found[Verdict.FOREIGN] == 1
        assert world.library.items["theirs.txt"] == item
        run(world, Order(delete=True, foreign=True))
        assert "theirs.txt" not in world.library.items


def test_a_feed_that_names_a_place_twice_is_no_riddle() -> None:
    """Two names may be one place for us, and two for SharePoint: each object has the file that is spelled like it."""
    with ReconciledWorld() as world:
        world.put("STRASSE.docx", b"ours")
        world.calm()
        theirs = world.library.put_directly("other.docx", b"theirs")
        world.library.items["straße.docx"] = replace(theirs, path="straße.docx")
        del world.library.items["other.docx"]
        world.wire.calls.clear()

        assert run(world).found == {Verdict.SAME: 1}
        assert run(world, Order(verify=True)).found == {Verdict.SAME: 1}
        assert [call for call in world.wire.calls if call.startswith("PUT")] == []


def test_reading_ends_when_the_run_does() -> None:
    """An object may take hours."""
    pieces = 0

    def go_on() -> None:
        nonlocal pieces
        pieces += 1
        if pieces > 1:
            raise TransientError("The end.")

    with ReconciledWorld() as world:
        world.source.put("a.txt", b"content")
        stored = world.source.stat(BUCKET, "a.txt")
        assert stored is not None
        judge = Judge(world.source, application_id="", go_on=go_on)
        with pytest.raises(TransientError), judge._open(stored, 0) as opened:
            list(opened)
        assert pieces == 2
