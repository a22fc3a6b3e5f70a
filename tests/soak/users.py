"""The users of a soak: threads that put, overwrite, delete, copy and rename objects at random, through S3."""

import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from minio.commonconfig import CopySource, Tags
from minio.error import MinioException
from urllib3.exceptions import HTTPError

from simulator.minio_standin import MinioStandin
from soak import keys
from soak.repeated import Repeated

_KIB = 1024
_MIB = 1024 * _KIB
_SMALLEST_PART = 5 * _MIB
_LARGEST = 30 * _MIB
_THREADS = 4
_PAUSE_SECONDS = 0.04
"""On average, between two operations of one user."""

Name = tuple[str, str]
"""A bucket and a key."""


class Operation(StrEnum):
    """What a user does, in the words of the summary."""

    PUT = "put"
    OVERWRITE = "overwrite"
    SAME_BYTES = "same bytes again"
    MULTIPART = "multipart"
    DELETE = "delete"
    DELETE_AND_PUT = "delete and put"
    RENAME = "rename"
    RENAME_FOLDER = "rename of a folder"
    COPY = "copy"
    MAKE_FOLDER = "folder made"
    REMOVE_FOLDER = "folder removed"
    TWIN = "twin"
    TAG = "tag"
    METADATA = "metadata"
    UNDELETE = "undelete"
    PURGE = "purge of a version"
    OUTSIDE = "outside the prefixes"


_WEIGHTS: Mapping[Operation, int] = {
    Operation.PUT: 22,
    Operation.OVERWRITE: 16,
    Operation.SAME_BYTES: 6,
    Operation.MULTIPART: 3,
    Operation.DELETE: 12,
    Operation.DELETE_AND_PUT: 6,
    Operation.RENAME: 8,
    Operation.RENAME_FOLDER: 1,
    Operation.COPY: 6,
    Operation.MAKE_FOLDER: 4,
    Operation.REMOVE_FOLDER: 4,
    Operation.TWIN: 8,
    Operation.TAG: 3,
    Operation.METADATA: 2,
    Operation.UNDELETE: 2,
    Operation.PURGE: 2,
    Operation.OUTSIDE: 2,
}


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes that a size and a number stand for."""

    size: int
    number: int

    def read(self) -> bytes:
        """The bytes, the same each time."""
        return Random(self.number).randbytes(self.size)


@dataclass(slots=True)
class Memory:
    """What the users believe MinIO to hold, and what they did; `refused` is what MinIO, being down, did not take."""

    contents: dict[Name, Content]
    done: Counter[Operation]
    refused: Counter[Operation]


class Users:
    """All users; with the same SEED each of them chooses the same, but what meets what is up to the machine."""

    def __init__(self, minio: MinioStandin, *, seed: int) -> None:
        self.memory = Memory({}, Counter(), Counter())
        acting = [_User(minio, Random(f"{seed} user {number}"), self.memory) for number in range(_THREADS)]
        self._users = [Repeated(user.act, pause=user.pause) for user in acting]

    def start(self) -> None:
        """Begin."""
        for user in self._users:
            user.start()

    def stop(self) -> None:
        """Return when the last operation is done."""
        for user in self._users:
            user.stop()


class _User:
    def __init__(self, minio: MinioStandin, random: Random, memory: Memory) -> None:
        self._minio = minio
        self._client = minio.client()
        self._random = random
        self._memory = memory
        self._acts: dict[Operation, Callable[[], None]] = {
            Operation.PUT: lambda: self._put(self._some_file(), self._content()),
            Operation.OVERWRITE: lambda: self._put(self._some_held(), self._content()),
            Operation.SAME_BYTES: self._put_same_bytes,
            Operation.MULTIPART: lambda: self._put(self._some_file(), self._large_content()),
            Operation.DELETE: lambda: self._delete(self._some_held()),
            Operation.DELETE_AND_PUT: self._delete_and_put,
            Operation.RENAME: self._rename,
            Operation.RENAME_FOLDER: self._rename_folder,
            Operation.COPY: self._copy,
            Operation.MAKE_FOLDER: lambda: self._put(self._one_of(keys.MARKERS), Content(0, 0)),
            Operation.REMOVE_FOLDER: lambda: self._delete(self._one_of(keys.MARKERS)),
            Operation.TWIN: self._put_twin,
            Operation.TAG: self._tag,
            Operation.METADATA: self._set_metadata,
            Operation.UNDELETE: lambda: self._remove_newest(is_marker=True),
            Operation.PURGE: lambda: self._remove_newest(is_marker=False),
            Operation.OUTSIDE: lambda: self._put(self._one_of(keys.OUTSIDE), self._content()),
        }

    def pause(self) -> float:
        """Seconds until this user acts again."""
        return self._random.expovariate(1 / _PAUSE_SECONDS)

    def act(self) -> None:
        """Do one thing; a server that is away, or an object that another user was quicker to delete, stops nobody."""
        (operation,) = self._random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
        try:
            self._acts[operation]()
        except (MinioException, HTTPError, OSError, RuntimeError):
            self._memory.refused[operation] += 1
        else:
            self._memory.done[operation] += 1

    # Choices

    def _one_of(self, names: Sequence[str]) -> Name:
        return self._random.choice(keys.BUCKETS), self._random.choice(names)

    def _some_file(self) -> Name:
        return self._one_of(keys.FILES)

    def _some_held(self) -> Name:
        """An object that was there a moment ago, if any."""
        held = list(self._memory.contents)
        return self._random.choice(held) if held else self._some_file()

    def _content(self) -> Content:
        """Mostly small; 0 bytes, and some above the 4 MiB from which on an upload session is used."""
        low, high = self._random.choices(
            [(0, 0), (1, 4 * _KIB), (4 * _KIB, 200 * _KIB), (_MIB, 5 * _MIB), (5 * _MIB, _LARGEST)], [8, 60, 24, 6, 2]
        )[0]
        return Content(self._random.randint(low, high), self._random.getrandbits(48))

    def _large_content(self) -> Content:
        return Content(self._random.randint(_SMALLEST_PART + 1, _LARGEST), self._random.getrandbits(48))

    # Acts

    def _put(self, name: Name, content: Content) -> None:
        bucket, key = name
        # The same bytes in other parts have another eTag.
        part_size = self._random.choice((_SMALLEST_PART, 7 * _MIB))
        self._client.put_object(bucket, key, io.BytesIO(content.read()), content.size, part_size=part_size)
        self._memory.contents[name] = content

    def _put_same_bytes(self) -> None:
        name = self._some_held()
        self._put(name, self._memory.contents.get(name) or self._content())

    def _delete(self, name: Name) -> None:
        self._client.remove_object(*name)
        self._memory.contents.pop(name, None)

    def _delete_and_put(self) -> None:
        name = self._some_held()
        content = self._memory.contents.get(name)
        self._delete(name)
        is_same = content is not None and self._random.random() < 0.5
        self._put(name, content if content is not None and is_same else self._content())

    def _rename(self) -> None:
        bucket, key = self._some_held()
        _, new_key = self._some_file()
        if key in (new_key, *keys.MARKERS):
            return
        self._minio.rename(bucket, key, new_key)
        if content := self._memory.contents.pop((bucket, key), None):
            self._memory.contents[bucket, new_key] = content

    def _rename_folder(self) -> None:
        bucket, prefix = self._one_of(tuple(keys.FOLDERS))
        source, target = self._random.sample(keys.SHELVES, 2)
        self._minio.rename(bucket, prefix + source, prefix + target)

    def _copy(self) -> None:
        source, target = self._some_held(), self._some_file()
        if source == target or keys.is_marker(source[1]):
            return
        self._client.copy_object(*target, CopySource(*source))
        if content := self._memory.contents.get(source):
            self._memory.contents[target] = content

    def _put_twin(self) -> None:
        """One of a group appears, or goes."""
        bucket, group = self._random.choice(keys.BUCKETS), self._random.choice(keys.TWINS)
        name = (bucket, self._random.choice(group))
        if self._random.random() < 0.5:
            self._put(name, self._content())
        else:
            self._delete(name)

    def _tag(self) -> None:
        tags = Tags.new_object_tags()
        tags["state"] = self._random.choice(("draft", "final"))
        self._client.set_object_tags(*self._some_held(), tags)

    def _set_metadata(self) -> None:
        bucket, key = self._some_held()
        itself = CopySource(bucket, key)
        self._client.copy_object(bucket, key, itself, metadata={"author": "Ana"}, metadata_directive="REPLACE")

    def _remove_newest(self, *, is_marker: bool) -> None:
        """Remove the newest version of an object, or its delete marker, so that the version before is current again."""
        bucket, (_, key) = keys.VERSIONED_BUCKET, self._some_file()
        found = self._client.list_objects(bucket, prefix=key, include_version=True)
        newest = next((version for version in found if version.object_name == key), None)
        if newest is not None and newest.is_delete_marker is is_marker:
            self._client.remove_object(bucket, key, version_id=newest.version_id)
