"""What a reconcile found in the library and in MinIO, in a scratch file, so that memory stays flat however many items there are."""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Protocol, TypeVar

from sharepoint_proxy.errors import TransientError
from sharepoint_proxy.records import DriveItem, ListedItem, PlacedItem, StoredObject

T = TypeVar("T")

SCHEMA = """
CREATE TABLE items (
    id TEXT PRIMARY KEY, parent TEXT NOT NULL, name TEXT NOT NULL, is_folder INTEGER NOT NULL, is_root INTEGER NOT NULL,
    size INTEGER, quickxor TEXT, application_id TEXT, creator_id TEXT, modified TEXT NOT NULL,
    path TEXT, place TEXT, seen INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX items_parent ON items (parent);
CREATE TABLE objects (
    bucket TEXT NOT NULL, key TEXT NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL, modified REAL NOT NULL,
    PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
"""

_PUT_ITEM = "INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, 0)"

# One row a library: of several, all ids but those of the main one begin with the alias and a colon.
_ROOTS = "SELECT MAX(is_root) AS has_root FROM items GROUP BY substr(id, 1, instr(id, ':'))"

# And the roots of these are named alike, as their paths begin.
_GIVE_PATHS = """
WITH RECURSIVE tree (id, path) AS (
    SELECT id, CASE WHEN instr(name, ':') THEN name ELSE '' END FROM items WHERE is_root
    UNION ALL
    SELECT items.id, CASE tree.path WHEN '' THEN items.name ELSE tree.path || '/' || items.name END
    FROM tree JOIN items ON items.parent = tree.id
)
UPDATE items SET path = tree.path FROM tree WHERE items.id = tree.id
"""

# CROSS JOIN: each place that is asked for is looked up, whatever SQLite thinks of it.
_AT_PLACES = "SELECT items.* FROM json_each(?) CROSS JOIN items ON items.place = json_each.value"
_SEEN = "UPDATE items SET seen = 1 WHERE place IN (SELECT value FROM json_each(?))"
_OBJECTS = "SELECT * FROM objects WHERE bucket = ? AND key > ? AND key >= ? ORDER BY key LIMIT ?"
_ABSENT = """
SELECT value FROM json_each(?) WHERE NOT EXISTS (SELECT 1 FROM objects WHERE bucket = ? AND key = json_each.value)
"""
_BATCH = 1000


class Database(Protocol):
    """Where the rows live."""

    def write(self, operation: Callable[[Any], T], *, durable: bool = True) -> T:
        """Run OPERATION in a transaction; returns once it is committed and, if DURABLE, synced."""

    def read(self, sql: str, parameters: tuple[object, ...] = ()) -> list[Any]:
        """The rows that SQL selects."""


class Inventory:
    """The rows of one reconcile. PLACE_OF gives the comparison key of a path."""

    def __init__(self, database: Database, *, place_of: Callable[[str], str]) -> None:
        self._database = database
        self._place_of = place_of

    def add(self, listed: Sequence[ListedItem]) -> None:
        """Take in a page of the library's feed; the last entry for an item counts."""

        def operation(cursor: Any) -> None:
            for is_deleted, entries in groupby(listed, key=lambda entry: entry.is_deleted):
                if is_deleted:
                    cursor.executemany("DELETE FROM items WHERE id = ?", [(entry.item.id,) for entry in entries])
                else:
                    cursor.executemany(_PUT_ITEM, [_values(entry) for entry in entries])

        self._database.write(operation, durable=False)

    def clear(self) -> None:
        """Begin again with the library: its feed has to be read anew."""
        self._run("DELETE FROM items")

    def complete(self) -> None:
        """The library is read: give each item its path and place. TransientError when the feed lacked the root, to which all paths lead."""
        roots = self._database.read(_ROOTS)
        if not roots or not all(row["has_root"] for row in roots):
            raise TransientError("Graph's list of what the library holds lacks its root.")
        self._run(_GIVE_PATHS)
        for batch in self._batches("path IS NOT NULL"):
            places = [(self._place_of(row["path"]), row["id"]) for row in batch]
            self._write_many("UPDATE items SET place = ? WHERE id = ?", places)
        # Made at the end: the rows come in the order of their ids, and their places in no order at all.
        self._run("CREATE INDEX items_place ON items (place)")

    def take(self, paths: Collection[str]) -> dict[str, PlacedItem]:
        """The items at PATHS, by path; all in their places count as seen from now on.

        Several names may be one place for us that are several for SharePoint: the one that is spelled alike is taken.
        """
        places = {path: self._place_of(path) for path in paths}
        wanted = json.dumps(list(set(places.values())))
        rows = self._database.read(_AT_PLACES, (wanted,))
        self._database.write(lambda cursor: cursor.execute(_SEEN, (wanted,)), durable=False)
        there = defaultdict(list)
        for row in rows:
            there[row["place"]].append(_placed(row))
        return {path: _most_alike(path, there[place]) for path, place in places.items() if place in there}

    def holds(self, item_id: str) -> bool:
        """True if the library has the item, wherever that is."""
        return bool(self._database.read("SELECT 1 FROM items WHERE id = ?", (item_id,)))

    def may_be_removed(self, folder_id: str) -> bool:
        """True if the folder is empty, and no object was found whose place it is."""
        question = "SELECT 1 FROM items WHERE id = ? AND NOT seen AND NOT EXISTS (SELECT 1 FROM items WHERE parent = ?)"
        return bool(self._database.read(question, (folder_id, folder_id)))

    def note_objects(self, found: Sequence[StoredObject]) -> None:
        """These objects are in MinIO."""
        values = [(each.bucket, each.key, each.size, each.etag, each.modified.timestamp()) for each in found]
        self._write_many("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)", values)

    def objects(self, bucket: str, prefix: str) -> Iterator[list[StoredObject]]:
        """The noted objects whose key starts with PREFIX, in the order of their keys, a thousand at a time."""
        after = ""
        while after.startswith(prefix) or not after:
            rows = self._database.read(_OBJECTS, (bucket, after, prefix, _BATCH))
            if wanted := [_stored(row) for row in rows if row["key"].startswith(prefix)]:
                yield wanted
            if len(rows) < _BATCH:
                return
            after = rows[-1]["key"]

    def absent(self, bucket: str, keys: Sequence[str]) -> list[str]:
        """Those of KEYS of which MinIO listed no object."""
        return [row["value"] for row in self._database.read(_ABSENT, (json.dumps(keys), bucket))]

    def unseen_files(self) -> Iterator[list[PlacedItem]]:
        """The files that `take` was never asked for, some at a time."""
        for batch in self._batches("NOT seen AND NOT is_folder AND path IS NOT NULL"):
            yield [_placed(row) for row in batch]

    def _batches(self, condition: str) -> Iterator[list[Any]]:
        after = ""
        sql = f"SELECT * FROM items WHERE id > ? AND {condition} ORDER BY id LIMIT {_BATCH}"  # noqa: S608 - our own conditions
        while rows := self._database.read(sql, (after,)):
            after = rows[-1]["id"]
            yield rows

    def _run(self, statement: str) -> None:
        self._database.write(lambda cursor: cursor.execute(statement), durable=False)

    def _write_many(self, statement: str, values: Sequence[tuple[object, ...]]) -> None:
        self._database.write(lambda cursor: cursor.executemany(statement, values), durable=False)


def _most_alike(path: str, items: Sequence[PlacedItem]) -> PlacedItem:
    return min(items, key=lambda each: (each.path != path, each.path.lower() != path.lower()))


def _values(entry: ListedItem) -> tuple[object, ...]:
    item = entry.item
    identity = (item.id, entry.parent_id, item.name, item.is_folder, entry.is_root)
    return (*identity, item.size, item.quickxor, item.application_id, item.creator_id, entry.modified)


def _placed(row: Any) -> PlacedItem:
    item = DriveItem(
        id=row["id"],
        name=row["name"],
        size=row["size"],
        etag="",
        quickxor=row["quickxor"],
        is_folder=bool(row["is_folder"]),
        application_id=row["application_id"],
        creator_id=row["creator_id"],
    )
    return PlacedItem(path=row["path"], item=item, modified=row["modified"])


def _stored(row: Any) -> StoredObject:
    modified = datetime.fromtimestamp(row["modified"], UTC)
    return StoredObject(bucket=row["bucket"], key=row["key"], size=row["size"], etag=row["etag"], modified=modified)
