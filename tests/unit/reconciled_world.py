"""The small world with a reconcile in it: what MinIO and SharePoint list, and a run beside workers that may do anything meanwhile."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any, Self, TypeVar

from unit.fake_library import APPLICATION_ID, Item
from unit.fakes import memory_folder
from unit.world import World

from sharepoint_proxy import inventory
from sharepoint_proxy.comparison import Difference, Order, Summary
from sharepoint_proxy.database import Database
from sharepoint_proxy.gathering import Gathering
from sharepoint_proxy.halt import Halt
from sharepoint_proxy.inventory import Inventory
from sharepoint_proxy.judging import Judge
from sharepoint_proxy.ledger import Ledger
from sharepoint_proxy.leftovers import Leftovers
from sharepoint_proxy.paths import comparison_key
from sharepoint_proxy.reconcile import Reconciler
from sharepoint_proxy.records import ListedItem, StoredObject

T = TypeVar("T")
R = TypeVar("R")

_PAGE = 3
_TICK_SECONDS = 0.001
_ROOT = "the root"


class Items(dict[str, Item]):
    """The items of a library by place, with the folders above each, which stay when they are empty."""

    def __setitem__(self, place: str, item: Item) -> None:
        super().__setitem__(place, item)
        for path in _above(item.path):
            super().setdefault(comparison_key(path), Item(id=f"folder {path}", path=path, content=None, by=item.by))

    def setdefault(self, place: str, item: Item) -> Item:
        if place not in self:
            self[place] = item
        return self[place]


class ReconciledWorld(World):
    """A world whose administrator reconciles."""

    def __init__(self, *, prefixes: str = "*") -> None:
        super().__init__(prefixes=prefixes)
        self.library.items = Items()

    def reconcile(self, order: Order) -> tuple[Summary, list[Difference]]:
        """One run on the journal and the library as they are; what it came to, and the differences that it told."""
        told = Told()
        with memory_folder() as folder, contextlib.closing(_scratch(folder)) as scratch:
            return self._reconciler(Inventory(scratch, place_of=comparison_key)).run(order, told), told.differences

    def _reconciler(self, found: Inventory) -> Reconciler:
        halt = Halt(lambda _seconds: False)
        ledger = Ledger(self.database, place_of=comparison_key, clock=self.clock)
        listing = Listing(self, self._tick)
        return Reconciler(
            routing=self._routing,
            gathering=Gathering(
                is_routed=self._routing.is_routed,
                source=listing,
                library=LibraryFeed(self, self._tick),
                inventory=found,
                halt=halt,
            ),
            inventory=found,
            source=listing,
            library=self.library,
            judge=Judge(self.source, application_id=APPLICATION_ID, go_on=halt.go_on),
            ledger=ledger,
            journal=self.journal,
            leftovers=Leftovers(
                routing=self._routing,
                ledger=ledger,
                journal=self.journal,
                inventory=found,
                application_id=APPLICATION_ID,
            ),
            halt=halt,
            clock=self.clock,
            readers=OneAfterAnother,
        )

    def _tick(self) -> None:
        """Whatever happens meanwhile takes some time."""
        self.clock.turn(_TICK_SECONDS)
        self._happen()
        self.clock.turn(_TICK_SECONDS)

    def lose_journal(self) -> None:
        """Begin with an empty journal and ledger."""
        self.claimed.clear()
        self.database.close()
        for path in self._path.parent.iterdir():
            path.unlink()
        self.start()


class Listing:
    """What MinIO lists."""

    def __init__(self, world: World, tick: Callable[[], None]) -> None:
        self._world = world
        self._tick = tick

    def listed(self, bucket: str, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        self._tick()
        for key, version in sorted(self._world.source.objects.items()):
            if key.startswith(prefix) and key > after:
                yield StoredObject(
                    bucket=bucket,
                    key=key,
                    size=len(version.content),
                    etag=version.etag,
                    modified=version.modified.astimezone(UTC),
                )


class LibraryFeed:
    """The library's feed of changes: a page of items a call, as they are when the first is asked for."""

    def __init__(self, world: World, tick: Callable[[], None]) -> None:
        self._world = world
        self._tick = tick
        self._items: list[ListedItem] = []

    def listed(self, link: str | None = None) -> tuple[list[ListedItem], str | None]:
        self._tick()
        start = int(link or 0)
        if not start:
            self._items = self._all()
        following = start + _PAGE
        return self._items[start:following], str(following) if following < len(self._items) else None

    def _all(self) -> list[ListedItem]:
        items = dict(self._world.library.items)
        for item in list(items.values()):
            for path in _above(item.path):
                items.setdefault(
                    comparison_key(path), Item(id=f"folder {comparison_key(path)}", path=path, content=None)
                )
        root = ListedItem(item=self._drive_item(Item(id=_ROOT, path="", content=None)), parent_id="", is_root=True)
        return [root, *(self._listed(item, items) for item in items.values())]

    def _listed(self, item: Item, items: dict[str, Item]) -> ListedItem:
        above = comparison_key(item.path).rpartition("/")[0]
        return ListedItem(item=self._drive_item(item), parent_id=items[above].id if above else _ROOT)

    def _drive_item(self, item: Item) -> Any:
        return self._world.library._drive_item(item)


class OneAfterAnother:
    """Readers without threads, so that a run can be repeated exactly."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left to wait for."""

    def map(self, function: Callable[[T], R], cases: Sequence[T]) -> Iterator[R]:
        return map(function, cases)


class Told:
    """A progress that keeps what it is told."""

    def __init__(self) -> None:
        self.differences: list[Difference] = []

    def begin(self, title: str, total: int | None) -> None: ...
    def advance(self, count: int) -> None: ...
    def delayed(self, reason: str) -> None: ...

    def tell(self, difference: Difference) -> None:
        self.differences.append(difference)


def _scratch(folder: Path) -> Database:
    return Database(folder / "inventory.db", schema=inventory.SCHEMA)


def _above(path: str) -> list[str]:
    return [path[:end] for end, character in enumerate(path) if character == "/"]
