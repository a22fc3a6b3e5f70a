"""After a soak: compares every byte, and asks of each parked key whether its reason is true."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from minio import Minio

from simulator.graph_server import GraphSimulator
from simulator.items import StoredItem
from soak import keys

EMPTY_FOLDERS_EXCUSE = False
"""A file may stay parked because the folder that an upload below it once made is still there, although empty by now."""

MARKED_FOLDERS_MAY_STAY = False
"""A folder may stay, empty, when its marker is gone: where its creation's answer was lost nobody knows who made it."""

Name = tuple[str, str]
"""A bucket and a key."""


@dataclass(frozen=True, slots=True)
class Row:
    """A change that the journal still holds; `due_at` in seconds since the epoch."""

    bucket: str
    key: str
    state: str
    reason: str
    due_at: float
    blocked_by: str | None


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as it must be, in a sentence, and the object that it is about, if it is about one."""

    sentence: str
    name: Name | None = None


def journal_rows(data_dir: Path) -> list[Row]:
    """All rows of the journal, the longest due first."""
    query = "SELECT bucket, key, state, reason, due_at, blocked_by FROM changes ORDER BY due_at"
    with closing(sqlite3.connect(f"file:{data_dir / 'journal.db'}?mode=ro", uri=True)) as connection:
        return [Row(*row) for row in connection.execute(query).fetchall()]


class Comparison:
    """What MinIO and the library hold in the end; ROWS are what the journal still holds, FOREIGN what was there before."""

    def __init__(
        self, client: Minio, graph: GraphSimulator, *, rows: list[Row], foreign: Mapping[str, StoredItem]
    ) -> None:
        self._client = client
        self._graph = graph
        self._foreign = foreign
        self._tree = graph.tree()
        self._rows = {(row.bucket, row.key): row for row in rows}
        self._wanted = {name: path for name in self._names() if (path := keys.path_of(*name)) is not None}
        self._mirrored = {name: path for name, path in self._wanted.items() if name not in self._rows}
        self.parked = [row for row in rows if (row.bucket, row.key) in self._wanted]

    @property
    def files(self) -> int:
        """How many files agree, if there are no differences."""
        return sum(not keys.is_marker(key) for _, key in self._mirrored)

    def empty_folders(self) -> list[str]:
        """The folders in the library that hold nothing, and of which MinIO knows nothing."""
        known = {keys.place_of(path) for path in self._wanted.values()}
        filled = {path.rpartition("/")[0] for path in self._tree}
        return [
            path
            for path, size in self._tree.items()
            if size is None and path not in filled and keys.place_of(path) not in known
        ]

    def differences(self) -> Iterator[Difference]:
        """Each of them; none if all is as it must be."""
        for name, path in self._mirrored.items():
            yield from self._of_folder(name, path) if keys.is_marker(name[1]) else self._of_file(name, path)
        yield from self._strange_files()
        yield from self._strange_folders()
        yield from self._of_foreign_files()
        for name, row in self._rows.items():
            yield from self._of_row(name, row)

    def _names(self) -> Iterator[Name]:
        for bucket in keys.BUCKETS:
            for found in self._client.list_objects(bucket, recursive=True):
                yield bucket, str(found.object_name)

    def _of_folder(self, name: Name, path: str) -> Iterator[Difference]:
        item = self._graph.item(path)
        if item is None or not item.is_folder:
            yield Difference(f'The folder "{path}" is not in the library.', name)

    def _of_file(self, name: Name, path: str) -> Iterator[Difference]:
        item = self._graph.item(path)
        # Folders that differ in case alone are one, under the name that came first; a file's own name must be right.
        if item is None or item.is_folder or item.name != path.rpartition("/")[2]:
            yield Difference(f'"{path}" is not in the library.', name)
            return
        wanted, found = self._read(name), self._graph.content(path)
        if wanted != found:
            yield Difference(f'"{path}" holds {len(found):,} other bytes than the {len(wanted):,} in MinIO.', name)

    def _read(self, name: Name) -> bytes:
        response = self._client.get_object(*name)
        try:
            return response.read()
        finally:
            response.close()
            response.release_conn()

    def _strange_files(self) -> Iterator[Difference]:
        known = {keys.place_of(path) for path in (*self._mirrored.values(), *self._foreign)}
        for path, size in self._tree.items():
            if size is not None and keys.place_of(path) not in known:
                yield Difference(f'"{path}" is in the library, and should not be.', _owner(path))

    def _strange_folders(self) -> Iterator[Difference]:
        """Folders that no upload can have made, without their marker."""
        for path in self.empty_folders():
            if path.endswith(f"/{keys.EMPTY_SHELF}") and not MARKED_FOLDERS_MAY_STAY:
                yield Difference(f'The folder "{path}" is in the library, and should not be.')

    def _of_foreign_files(self) -> Iterator[Difference]:
        for path, before in self._foreign.items():
            if self._graph.item(path) != before:
                yield Difference(f'"{path}" is somebody\'s own file, and was touched.')

    def _of_row(self, name: Name, row: Row) -> Iterator[Difference]:
        if row.state != "parked":
            yield Difference(f"{'/'.join(name)} still waits: {row.reason or 'its turn has not come'}", name)
        elif name not in self._wanted:
            yield Difference(f"{'/'.join(name)} is parked, and MinIO does not hold it: {row.reason}", name)
        elif not self._is_blocked(name) and not self._is_kept_out_by_folder(name):
            yield Difference(f"{'/'.join(name)} is parked without need: {row.reason}", name)

    def _is_blocked(self, name: Name) -> bool:
        """True if another object has the place, or one that this object's place would have to be beneath, or above."""
        place = keys.place_of(self._wanted[name])
        others = [(keys.place_of(path), keys.is_marker(key)) for (_, key), path in self._mirrored.items()]
        if keys.is_marker(name[1]):
            return any(place == other or place.startswith(f"{other}/") for other, is_folder in others if not is_folder)
        return any(
            place == other or other.startswith(f"{place}/") or (place.startswith(f"{other}/") and not is_folder)
            for other, is_folder in others
        )

    def _is_kept_out_by_folder(self, name: Name) -> bool:
        """True if a folder has the place of the file."""
        folder = self._graph.item(self._wanted[name])
        if keys.is_marker(name[1]) or folder is None or not folder.is_folder:
            return False
        return EMPTY_FOLDERS_EXCUSE or any(path.startswith(f"{folder.path}/") for path in self._tree)


def _owner(path: str) -> Name | None:
    """The object whose file would be at PATH, in any case."""
    names = [(bucket, key) for bucket in keys.BUCKETS for key in keys.FILES]
    return next((name for name in names if keys.place_of(keys.path_of(*name) or "") == keys.place_of(path)), None)
