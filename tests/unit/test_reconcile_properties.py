"""Whatever both sides hold, and whatever happens meanwhile: a reconcile makes them agree, and touches nothing that is not the mirror's.

The real reconcile, journal, ledger and mirror run between two dictionaries; hypothesis invents what is in them, and what is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.fake_library import Item
from unit.fakes import BUCKET
from unit.reconciled_world import ReconciledWorld

from sharepoint_proxy.comparison import MARKED, Order, Verdict
from sharepoint_proxy.errors import NameRefusedError
from sharepoint_proxy.paths import comparison_key

PREFIX = "d/"
KEYS = [
    *("d/a", "d/A", "d/c.txt", "d/r.docx", "d/p.pdf", "d/straße", "d/STRASSE", "d/x:y", "d//refused"),
    *("d/e/", "d/E/", "d/e/f", "d/e/g/h", "o/outside"),
]
PATHS = [
    *(
        "d/a",
        "D/A",
        "d/c.txt",
        "d/C.TXT",
        "d/r.docx",
        "d/p.pdf",
        "d/straße",
        "d/strasse",
        "d/x：y",
        "d/theirs",
        "d/e/f",
    ),
    *("d/e/theirs", "o/outside", "o/theirs"),
]
CONTENTS = [b"", b"one", b"two", b"three"]


class Step(Protocol):
    """Something that happens."""

    def take_place(self, world: ReconciledWorld) -> None: ...


@dataclass(frozen=True)
class Put:
    """An object is stored; IS_ANNOUNCED says that its event comes."""

    key: str
    content: bytes
    is_announced: bool = False
    in_parts: bool = False
    days_old: int = 0

    def take_place(self, world: ReconciledWorld) -> None:
        age = timedelta(days=self.days_old)
        world.put(self.key, self.content, in_parts=self.in_parts, age=age)
        if not self.is_announced:
            world.pending.pop()
        world.deliver_all()


@dataclass(frozen=True)
class Remove:
    """An object is deleted."""

    key: str
    is_announced: bool = False

    def take_place(self, world: ReconciledWorld) -> None:
        world.remove(self.key)
        if not self.is_announced:
            world.pending.pop()
        world.deliver_all()


@dataclass(frozen=True)
class Write:
    """A person stores a file, or edits it."""

    path: str
    content: bytes

    def take_place(self, world: ReconciledWorld) -> None:
        try:
            world.library.put_directly(self.path, self.content)
        except Exception:  # noqa: BLE001 - SharePoint refuses what cannot be
            return


@dataclass(frozen=True)
class Take:
    """A person deletes a file, or with TARGET moves it there."""

    path: str
    target: str | None = None

    def take_place(self, world: ReconciledWorld) -> None:
        item = world.library.items.get(comparison_key(self.path))
        if item is None or item.content is None:
            return
        if self.target is None or comparison_key(self.target) not in world.library.items:
            del world.library.items[comparison_key(self.path)]
        if self.target is not None and comparison_key(self.target) not in world.library.items:
            world.library.items[comparison_key(self.target)] = replace(item, path=self.target, by="")


@dataclass(frozen=True)
class Settle:
    """The workers do what they have before them."""

    def take_place(self, world: ReconciledWorld) -> None:
        world._work_until_quiet()


@dataclass(frozen=True)
class LookOnce:
    """The workers look once at what is due after the grace period."""

    def take_place(self, world: ReconciledWorld) -> None:
        world.look()


@dataclass(frozen=True)
class LoseJournal:
    """The journal is lost."""

    def take_place(self, world: ReconciledWorld) -> None:
        world.lose_journal()


puts = st.builds(
    Put,
    key=st.sampled_from(KEYS),
    content=st.sampled_from(CONTENTS),
    is_announced=st.booleans(),
    in_parts=st.booleans(),
    days_old=st.sampled_from([0, 1]),
)
removals = st.builds(Remove, key=st.sampled_from(KEYS), is_announced=st.booleans())
edits = st.builds(Write, path=st.sampled_from(PATHS), content=st.sampled_from(CONTENTS))
takes = st.builds(Take, path=st.sampled_from(PATHS), target=st.none() | st.sampled_from(PATHS))
histories = st.lists(
    st.one_of(puts, puts, removals, edits, takes, st.builds(Settle), st.builds(LoseJournal)), max_size=14
)
meanwhiles = st.lists(
    st.none() | st.one_of(puts, removals, edits, takes, st.builds(LookOnce), st.builds(LookOnce)), max_size=8
)


def at_rest(world: ReconciledWorld) -> None:
    """Let the workers do all that they were told to."""
    world.meanwhile.clear()
    world._work_until_quiet()


def parked(world: ReconciledWorld) -> set[str]:
    """The keys that have no place, with the reason in the journal."""
    rows = world.database.read("SELECT key FROM changes WHERE state = 'parked'")
    return {row["key"] for row in rows}


def place(world: ReconciledWorld, key: str) -> str | None:
    """Where KEY belongs, if it is routed and has a place."""
    try:
        target = world._routing.target(BUCKET, key)
    except NameRefusedError:
        return None
    return comparison_key(target.path) if target is not None else None


def wanted(world: ReconciledWorld) -> dict[str, str]:
    """The place of each object that has one of its own, by its key."""
    places = {key: place(world, key) for key in world.source.objects if key not in parked(world)}
    return {key: where for key, where in places.items() if where is not None}


def disagreements(world: ReconciledWorld) -> list[str]:
    """The routed objects that the library does not hold as MinIO does."""
    return [key for key, where in wanted(world).items() if not is_right(world, key, where)]


def is_right(world: ReconciledWorld, key: str, where: str) -> bool:
    """True if KEY's item is in its place, and holds its bytes."""
    item = world.library.items.get(where)
    if item is None or key.endswith("/"):
        return world.library.is_folder(where) and key.endswith("/")
    return item.content == world.source.objects[key].content


def files(world: ReconciledWorld) -> dict[str, Item]:
    """All files of the library, by place, as they are now."""
    return {where: replace(item) for where, item in world.library.items.items() if item.content is not None}


def touched(world: ReconciledWorld, before: dict[str, Item]) -> set[str]:
    """The places of files that are not as they were BEFORE, where there was one; but for those that moved to where they belong."""
    now, belongs = files(world), set(wanted(world).values())
    moved = {item.id for where, item in now.items() if where in belongs}
    return {
        where for where, item in before.items() if now.get(where) != item and (item.id not in moved or where in now)
    }


def refused_for_now(world: ReconciledWorld) -> set[str]:
    """The parked keys that are tried again each time: nothing but SharePoint can tell whether it takes them now."""
    rows = world.database.read("SELECT key FROM changes WHERE state = 'parked' AND blocked_by IS NULL")
    return {row["key"] for row in rows if place(world, row["key"]) is not None}


def check_agreement(world: ReconciledWorld) -> None:
    """MinIO and the library agree, and another reconcile finds nothing to do, sends nothing and adopts nothing."""
    assert disagreements(world) == []
    before = files(world)
    summary, told = world.reconcile(Order())
    marked = {each.key for each in told if each.verdict in MARKED}
    assert marked <= refused_for_now(world)
    assert summary.found.get(Verdict.ADOPTED, 0) == 0
    at_rest(world)
    assert touched(world, before) == set()
    assert set(files(world)) == set(before)


quick = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(histories)
def test_both_sides_agree_after_a_reconcile(history: Sequence[Step]) -> None:
    """And nothing was touched that has no object, or is not routed; nothing was sent that was there already."""
    with ReconciledWorld(prefixes=PREFIX) as world:
        for step in history:
            step.take_place(world)
        at_rest(world)
        before = files(world)
        world.library.repeated.clear()
        world.reconcile(Order())
        at_rest(world)
        assert touched(world, before) <= set(wanted(world).values())
        assert [path for path in world.library.repeated if not path.endswith(".docx")] == []
        check_agreement(world)


@quick
@given(histories)
def test_a_dry_run_changes_nothing(history: Sequence[Step]) -> None:
    with ReconciledWorld(prefixes=PREFIX) as world:
        for step in history:
            step.take_place(world)
        before, rows, calls = files(world), rows_of(world), len(world.wire.calls)
        world.reconcile(Order(dry_run=True, delete=True, foreign=True, force=True, verify=True))
        assert (files(world), rows_of(world), len(world.wire.calls)) == (before, rows, calls)


def rows_of(world: ReconciledWorld) -> list[list[tuple[object, ...]]]:
    """All that the journal holds."""
    tables = ("changes", "claims", "uploads", "ledger", "counter", "notes", "tally")
    return [[tuple(row) for row in world.database.read(f"SELECT * FROM {table}")] for table in tables]  # noqa: S608 - the names above


@quick
@given(histories, st.booleans())
def test_a_deletion_removes_what_it_may(history: Sequence[Step], foreign: bool) -> None:  # noqa: FBT001 - hypothesis passes it so
    """With --foreign also what the mirror did not write last; never what has an object, or is not routed."""
    with ReconciledWorld(prefixes=PREFIX) as world:
        for step in history:
            step.take_place(world)
        at_rest(world)
        world.reconcile(Order())
        at_rest(world)
        before, kept = files(world), set(wanted(world).values())
        known = {row["item_id"] for row in world.database.read("SELECT item_id FROM ledger")}
        ours = {where for where, item in before.items() if item.by or item.id in known}
        _, told = world.reconcile(Order(delete=True, foreign=foreign, force=True))
        at_rest(world)
        gone = touched(world, before)
        assert gone & kept == set()
        assert {where for where in gone if not where.startswith(PREFIX)} - {
            where for where in ours if before[where].id in known
        } == set()
        assert gone <= ours or foreign
        check_agreement(world)
        _, told = world.reconcile(Order(delete=True, foreign=foreign, force=True))
        doomed = {Verdict.STALE, Verdict.FOREIGN} if foreign else {Verdict.STALE}
        assert [each for each in told if each.verdict in doomed and each.key not in parked(world)] == []


@settings(max_examples=75, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories, meanwhiles)
def test_a_reconcile_runs_beside_everything_else(history: Sequence[Step], meanwhile: Sequence[Step | None]) -> None:
    """Whatever happens between any two of its steps: once that is over, the next one makes both sides agree."""
    with ReconciledWorld(prefixes=PREFIX) as world:
        for step in history:
            step.take_place(world)
        world.plan([], [step and (lambda step=step: step.take_place(world)) for step in meanwhile])  # type: ignore[misc] # mypy cannot infer the lambda
        world.reconcile(Order())
        at_rest(world)
        world.reconcile(Order())
        at_rest(world)
        check_agreement(world)
