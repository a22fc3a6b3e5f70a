"""MinIO as a dictionary: objects come, go and change at any moment, also while one is read."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count

from sharepoint_proxy.errors import SourceChangedError
from sharepoint_proxy.records import StoredObject

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Version:
    """What a key holds: equal bytes have equal eTags, unless they came in parts."""

    content: bytes
    etag: str
    modified: datetime


class FakeSource:
    """One bucket. MEANWHILE is called before each answer and each piece: whatever else happens at that moment."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self.objects: dict[str, Version] = {}
        self._meanwhile = meanwhile
        self._uploads = count(1)

    def put(self, key: str, content: bytes, *, in_parts: bool = False, age: timedelta = timedelta(0)) -> None:
        """Store CONTENT; IN_PARTS gives it an eTag that no other upload has."""
        etag = f"{next(self._uploads):032x}-2" if in_parts else hashlib.md5(content, usedforsecurity=False).hexdigest()
        self.objects[key] = Version(content=content, etag=etag, modified=NOW - age)

    def remove(self, key: str) -> None:
        """Delete the object, if there is one."""
        self.objects.pop(key, None)

    def stat(self, bucket: str, key: str, *, read_ahead: bool = False) -> StoredObject | None:
        del read_ahead
        self._meanwhile()
        version = self.objects.get(key)
        if version is None:
            return None
        return StoredObject(
            bucket=bucket, key=key, size=len(version.content), etag=version.etag, modified=version.modified
        )

    def holds_below(self, bucket: str, prefix: str) -> bool:
        del bucket
        self._meanwhile()
        return any(key.startswith(prefix) for key in self.objects)

    @contextlib.contextmanager
    def open(self, stored: StoredObject, *, offset: int = 0) -> Iterator[Iterator[bytes]]:
        yield self._pieces(self._unchanged(stored), stored, offset)

    def _pieces(self, content: bytes, stored: StoredObject, offset: int) -> Iterator[bytes]:
        step = len(content) // 3 + 1
        for start in range(offset, len(content), step):
            self._unchanged(stored)
            yield content[start : start + step]

    def _unchanged(self, stored: StoredObject) -> bytes:
        self._meanwhile()
        version = self.objects.get(stored.key)
        if version is None or version.etag != stored.etag:
            raise SourceChangedError(f"{stored.key} changed while it was read.")
        return version.content
