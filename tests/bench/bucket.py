"""Made-up objects: how many, how large, and what bytes they hold, without a byte being stored.

The server that answers for them and whoever announces them work from the same description, so that they agree on eTags.
"""

import hashlib
import random
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Self

from simulator.minio_events import ObjectState

BUCKET = "lycee"
SUFFIX = ".bin"
"""Of all keys; SharePoint leaves the content of such files alone."""

PIECE_BYTES = 256 * 1024

_PERIOD_BYTES = 1_048_573
"""A prime number: each seed begins at another place of the noise, so that no two objects hold the same bytes."""

_STEP_BYTES = 4099
_PART_BYTES = 16 * 1024 * 1024
_CONTENT_TYPE = "application/octet-stream"


@cache
def _noise() -> memoryview:
    once = random.Random(11).randbytes(_PERIOD_BYTES)
    return memoryview(once + once[:PIECE_BYTES])


def pieces(seed: int, start: int, length: int) -> Iterator[memoryview]:
    """LENGTH bytes from START on of the endless content that SEED stands for, at the same small cost wherever they lie."""
    noise = _noise()
    position = (seed * _STEP_BYTES + start) % _PERIOD_BYTES
    while length > 0:
        piece = noise[position : position + min(length, PIECE_BYTES)]
        yield piece
        length -= len(piece)
        position = (position + len(piece)) % _PERIOD_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthetic:
    """An object of SIZE bytes with the content of SEED; MODIFIED in seconds since the epoch."""

    key: str
    size: int
    seed: int
    modified: int

    @property
    def etag(self) -> str:
        """As MinIO gives it: the MD5 of an object that was put whole; something else that ends in the number of parts."""
        if self.size > _PART_BYTES:
            return f"{_md5(b'%d' % self.seed)}-{-(-self.size // _PART_BYTES)}"
        return _md5(b"".join(pieces(self.seed, 0, self.size)))

    def state(self) -> ObjectState:
        """What an event says of it."""
        return ObjectState(
            key=self.key,
            size=self.size,
            etag=self.etag,
            content_type=_CONTENT_TYPE,
            user_metadata=(("content-type", _CONTENT_TYPE),),
        )


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """COUNT objects of SIZE bytes below PREFIX; their seeds are counted from SEED, MODIFIED is in seconds since the epoch."""

    prefix: str
    count: int
    size: int
    seed: int
    modified: int

    def objects(self) -> Iterator[Synthetic]:
        """Each of them, in the order of their keys."""
        for number in range(self.count):
            key = f"{self.prefix}{number:06}{SUFFIX}"
            yield Synthetic(key=key, size=self.size, seed=self.seed + number, modified=self.modified)

    def as_json(self) -> dict[str, Any]:
        """Itself in JSON's types."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """The batch that `as_json` made DOCUMENT of."""
        return cls(**document)


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a listing: objects and common prefixes, and the last name on it if more follow."""

    objects: tuple[Synthetic, ...]
    prefixes: tuple[str, ...]
    last: str | None


class Shelf:
    """The objects of one bucket, by key and in the order of their keys."""

    def __init__(self) -> None:
        self._objects: dict[str, Synthetic] = {}
        self._keys: list[str] = []

    def put(self, *objects: Synthetic) -> None:
        """Store OBJECTS, in the place of those that have their keys."""
        fresh = [each.key for each in objects if each.key not in self._objects]
        self._objects.update((each.key, each) for each in objects)
        if len(fresh) == 1:
            insort(self._keys, fresh[0])
        else:
            self._keys = sorted(self._objects)

    def remove(self, key: str) -> None:
        """Forget the object under KEY, if there is one."""
        if self._objects.pop(key, None) is not None:
            del self._keys[bisect_left(self._keys, key)]

    def get(self, key: str) -> Synthetic | None:
        """The object under KEY, or None."""
        return self._objects.get(key)

    def page(self, *, prefix: str, delimiter: str, after: str, size: int) -> Page:
        """At most SIZE names that begin with PREFIX and follow AFTER; those with DELIMITER later on are summed up by it."""
        objects: list[Synthetic] = []
        prefixes: list[str] = []
        at = max(bisect_left(self._keys, prefix), bisect_right(self._keys, after))
        while at < len(self._keys) and (key := self._keys[at]).startswith(prefix):
            if len(objects) + len(prefixes) == size:
                return Page(tuple(objects), tuple(prefixes), self._keys[at - 1])
            head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            if found:
                prefixes.append(prefix + head + found)
                # Everything below it sorts before the delimiter's successor.
                at = bisect_left(self._keys, prefix + head + chr(ord(delimiter) + 1), at)
            else:
                objects.append(self._objects[key])
                at += 1
        return Page(tuple(objects), tuple(prefixes), None)
