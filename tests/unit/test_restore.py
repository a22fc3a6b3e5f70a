"""What a restore does about one file, whatever MinIO, the library and the journal say of it."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

import pytest

from sharepoint_proxy.download import Download
from sharepoint_proxy.errors import AccessError, JournalError, OutageError, ProxyError, Subject, TransientError
from sharepoint_proxy.fates import Fate, Restored
from sharepoint_proxy.paths import Route, Routing
from sharepoint_proxy.patience import Patience
from sharepoint_proxy.quickxor import QuickXorHash
from sharepoint_proxy.records import DriveItem, LedgerEntry, PlacedItem, StoredObject
from sharepoint_proxy.restore import Restorer

BUCKET = "lycee"
US = "our application"
TRIES = 3


def hash_of(content: bytes) -> str:
    made = QuickXorHash()
    made.update(content)
    return made.base64()


def etag_of(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


class World:
    """MinIO, the library and the journal in memory: all that a restorer needs, and what may go wrong there.

    ON_PUT and ON_OPEN are called before an object is stored, and before a file is opened.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.items = [self._placed(path, content) for path, content in files.items()]
        self.contents = {placed.item.id: files[placed.path] for placed in self.items}
        self.objects: dict[str, bytes] = {}
        self.entries: dict[str, LedgerEntry] = {}
        self.reserved: set[str] = set()
        self.obstacles: dict[str, str] = {}
        self.read: list[str] = []
        self.barred: AccessError | None = None
        self.on_put: Callable[[str], None] = lambda _: None
        self.on_open: Callable[[str], None] = lambda _: None
        self.after_put: Callable[[str], None] = lambda _: None
        self.patience = Patience(tries=TRIES, delay=lambda _: 0.0)

    def _placed(self, path: str, content: bytes) -> PlacedItem:
        item = DriveItem(
            id=f"item of {path}",
            name=path,
            size=len(content),
            etag="",
            quickxor=hash_of(content),
            application_id=US,
        )
        return PlacedItem(path=path, item=item, modified="")

    # The library

    def starts(self, bucket: str, prefix: str) -> list[PlacedItem]:
        assert (bucket, prefix) == (BUCKET, "")
        return self.items

    def items_of(self) -> Iterator[tuple[PlacedItem, AccessError | None]]:
        yield from ((placed, None) for placed in self.items)
        if self.barred is not None:
            folder = DriveItem(id="barred", name="barred", size=0, etag="", is_folder=True)
            yield PlacedItem(path="a/barred", item=folder, modified=""), self.barred

    @contextlib.contextmanager
    def open_file(self, item_id: str, offset: int) -> Iterator[Iterator[bytes]]:
        self.on_open(item_id)
        yield iter([self.contents[item_id][offset:]])

    # MinIO

    def stat(self, bucket: str, key: str) -> StoredObject | None:
        content = self.objects.get(key)
        if content is None:
            return None
        now = datetime.now(UTC)
        return StoredObject(bucket=bucket, key=key, size=len(content), etag=etag_of(content), modified=now)

    @contextlib.contextmanager
    def open(self, stored: StoredObject, *, offset: int = 0) -> Iterator[Iterator[bytes]]:
        self.read.append(stored.key)
        yield iter([self.objects[stored.key][offset:]])

    def put(
        self, bucket: str, key: str, stream: Download, *, size: int, content_type: str, metadata: Mapping[str, str]
    ) -> str:
        assert (bucket, content_type != "", dict(metadata)) == (BUCKET, True, {})
        content = stream.read(size)
        self.on_put(key)
        self.objects[key] = content
        self.after_put(key)
        return etag_of(content)

    def of(self, placed: PlacedItem) -> dict[str, str]:
        assert placed in self.items
        return {}

    # The journal

    def entry(self, bucket: str, key: str) -> LedgerEntry | None:
        assert bucket == BUCKET
        return self.entries.get(key)

    def name_of(self, path: str, *, is_folder: bool) -> tuple[str, str] | None:
        known = (key for key, entry in self.entries.items() if (entry.path, entry.is_folder) == (path, is_folder))
        return next(((BUCKET, key) for key in known), None)

    def obstacle(self, bucket: str, key: str, path: str) -> str:
        assert (bucket, key) == (BUCKET, path)
        return self.obstacles.get(key, "")

    def take(self, bucket: str, key: str, path: str) -> str:
        if not (reason := self.obstacle(bucket, key, path)):
            self.reserved.add(key)
        return reason

    def settle(self, entry: LedgerEntry) -> None:
        self.reserved.remove(entry.key)
        self.entries[entry.key] = entry

    def give_back(self, bucket: str, key: str) -> None:
        assert bucket == BUCKET
        self.reserved.discard(key)

    def know(self, key: str, content: bytes, **details: object) -> None:
        """Let the ledger say that the object of this CONTENT became the file of the same name."""
        known = {"path": key, "item_id": f"item of {key}", "size": len(content), "etag": etag_of(content)}
        values = {**known, "quickxor": hash_of(content), **details}
        self.entries[key] = LedgerEntry(bucket=BUCKET, key=key, **values)  # type: ignore[arg-type] # forwarded as they are


class _Walk:
    def __init__(self, world: World) -> None:
        self._world = world
        self.starts = world.starts

    def items(self, bucket: str, prefix: str) -> Iterator[tuple[PlacedItem, AccessError | None]]:
        assert (bucket, prefix) == (BUCKET, "")
        return self._world.items_of()


class _Files:
    def __init__(self, world: World) -> None:
        self._world = world

    def open(self, item_id: str, *, offset: int = 0) -> contextlib.AbstractContextManager[Iterator[bytes]]:
        return self._world.open_file(item_id, offset)


def run(world: World, *, dry_run: bool = False, overwrite: bool = False) -> Iterator[Restored]:
    """A restore of everything, one file after the other."""
    restorer = Restorer(
        routing=Routing((Route(BUCKET, "a/", "a"),)),
        walk=_Walk(world),
        files=_Files(world),
        source=world,
        elsewhere=world,
        writer=world,
        metadata=world,
        journal=world,
        reservations=world,
        patience=world.patience,
        application_id=US,
        on_stop=lambda: None,
        files_at_once=1,
    )
    return restorer.run(
        bucket=BUCKET, prefix="", to=None, dry_run=dry_run, overwrite=overwrite, on_bytes=lambda _: None
    )


def fates(world: World, *, dry_run: bool = False, overwrite: bool = False) -> dict[str, Fate]:
    return {restored.path: restored.fate for restored in run(world, dry_run=dry_run, overwrite=overwrite)}


def failing(error: ProxyError, *, times: int = 1) -> Callable[[str], None]:
    """Raises ERROR so often."""
    left = [error] * times

    def fail(_: str) -> None:
        if left:
            raise left.pop()

    return fail


def test_what_is_restored_is_in_the_ledger_as_it_is() -> None:
    world = World({"a/1": b"one"})
    assert fates(world) == {"a/1": Fate.RESTORED}
    expected = LedgerEntry(
        bucket=BUCKET,
        key="a/1",
        path="a/1",
        item_id="item of a/1",
        size=3,
        etag=etag_of(b"one"),
        quickxor=hash_of(b"one"),
    )
    assert world.entries == {"a/1": expected}
    assert world.reserved == set()


@pytest.mark.parametrize(
    ("error", "times", "expected"),
    [
        (TransientError("MinIO answered 503.", status=503), TRIES - 1, Fate.RESTORED),
        (TransientError("MinIO answered 503.", status=503), TRIES, Fate.FAILED),
    ],
)
def test_what_minio_refuses_for_a_moment_is_tried_again(error: ProxyError, times: int, expected: Fate) -> None:
    world = World({"a/1": b"one"})
    world.on_put = failing(error, times=times)
    assert fates(world) == {"a/1": expected}


def test_where_the_answer_of_a_write_is_lost_the_reservation_stays() -> None:
    """The object is there, and the look at its event must begin in SharePoint."""
    world = World({"a/1": b"one"})
    world.after_put = failing(TransientError("MinIO broke off."))
    assert fates(world) == {"a/1": Fate.ALREADY_THERE}
    assert world.reserved == {"a/1"}
    assert world.entries == {}


def test_an_outage_ends_the_run_after_what_is_done_is_told() -> None:
    """A second run goes on from there; nothing is reserved any more."""
    world = World({"a/1": b"one", "a/2": b"two", "a/3": b"three"})
    error = OutageError("Graph cannot be reached.", subject=Subject.GRAPH)

    def away(item_id: str) -> None:
        if item_id != "item of a/1":
            raise error

    world.on_open = away
    told: list[str] = []
    with pytest.raises(OutageError) as caught:
        told.extend(restored.path for restored in run(world))
    assert caught.value is error
    assert told == ["a/1"]
    assert world.reserved == set()


def test_a_missing_right_ends_the_run_at_once() -> None:
    world = World({f"a/{number}": b"x" for number in range(50)})
    tried: list[str] = []

    def refuse(key: str) -> None:
        tried.append(key)
        raise AccessError("MinIO refuses.", status=403)

    world.on_put = refuse
    with pytest.raises(AccessError):
        fates(world)
    assert len(tried) < 50
    assert world.reserved == set()


def test_a_journal_that_cannot_be_written_ends_the_run() -> None:
    world = World({"a/1": b"one"})
    world.on_put = failing(JournalError("The journal cannot be written."))
    with pytest.raises(JournalError):
        fates(world)


def test_a_folder_that_is_barred_is_told() -> None:
    world = World({"a/1": b"one"})
    world.barred = AccessError("Graph answered 403.", status=403)
    assert fates(world) == {"a/1": Fate.RESTORED, "a/barred": Fate.FAILED}


def test_a_file_of_unknown_size_is_not_taken_for_an_empty_one() -> None:
    world = World({"a/1": b"one"})
    (placed,) = world.items
    unknown = DriveItem(id=placed.item.id, name=placed.item.name, size=None, etag="")
    world.items = [PlacedItem(path=placed.path, item=unknown, modified="")]
    assert fates(world) == {"a/1": Fate.FAILED}
    assert world.objects == {}


def test_a_file_without_a_hash_is_compared_by_its_size() -> None:
    world = World({"a/1": b"one"})
    (placed,) = world.items
    bare = DriveItem(id=placed.item.id, name=placed.item.name, size=3, etag="")
    world.items = [PlacedItem(path=placed.path, item=bare, modified="")]
    world.objects["a/1"] = b"ONE"
    assert fates(world) == {"a/1": Fate.ALREADY_THERE}


@pytest.mark.parametrize(
    ("author", "expected"), [(US, Fate.ALREADY_THERE), ("", Fate.RESTORED), ("another", Fate.RESTORED)]
)
def test_an_office_file_that_somebody_edited_is_another_one(author: str, expected: Fate) -> None:
    """SharePoint rewrites what we send by itself; that alone is no edit."""
    world = World({"a/1.docx": b"rewritten"})
    (placed,) = world.items
    item = DriveItem(
        id=placed.item.id, name="1.docx", size=9, etag="", quickxor=placed.item.quickxor, application_id=author
    )
    world.items = [PlacedItem(path=placed.path, item=item, modified="")]
    world.objects["a/1.docx"] = b"as sent"
    world.know("a/1.docx", b"as sent")
    assert fates(world, overwrite=True) == {"a/1.docx": expected}


def test_what_the_ledger_proves_is_not_read() -> None:
    """A second run over millions of objects costs one look at each."""
    world = World({"a/1": b"one"})
    world.objects["a/1"] = b"one"
    world.know("a/1", b"one")

    assert fates(world) == {"a/1": Fate.ALREADY_THERE}
    assert world.read == []
    world.entries.clear()
    assert fates(world) == {"a/1": Fate.ALREADY_THERE}
    assert world.read == ["a/1"]


def test_an_obstacle_counts_in_a_dry_run_too() -> None:
    world = World({"a/1": b"one", "a/2": b"two"})
    world.obstacles["a/1"] = "A change of this key waits."
    assert fates(world, dry_run=True) == {"a/1": Fate.SKIPPED, "a/2": Fate.WOULD_RESTORE}
    assert fates(world) == {"a/1": Fate.SKIPPED, "a/2": Fate.RESTORED}
    assert set(world.objects) == {"a/2"}
