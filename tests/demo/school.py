"""What the users of a school do in MinIO, and the memory of what the library must hold because of it."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

from simulator.stage import BUCKET, Stage

# Written down here and not asked of the service: this is what its answers are checked against.
FOLDERS = {"administration/": "administration/", "bts-sio/": "bts-sio/", "archives/2024/": "Archives/2024/"}
ANNOUNCED_ONLY = "private/"
"""Keys that MinIO tells of and that the service has no business with."""


def library_path(key: str) -> str | None:
    """Where a key belongs in the library; None for a key that is not mirrored."""
    for prefix, folder in FOLDERS.items():
        if key.startswith(prefix):
            return folder + key.removeprefix(prefix)
    return None


class School:
    """Acts on the MinIO of STAGE; `wanted` maps each path of the library to its bytes."""

    def __init__(self, stage: Stage) -> None:
        self.graph = stage.graph
        self.wanted: dict[str, bytes] = {}
        self._stage = stage
        self._random = random.Random(2024)

    def save(self, key: str, content: bytes) -> None:
        """A user stores a file."""
        self._stage.put(key, content)
        if path := library_path(key):
            self.wanted[path] = content

    def remove(self, key: str) -> None:
        """A user deletes a file."""
        self._stage.delete(key)
        self._forget(key)

    def rename(self, key: str, new_key: str) -> None:
        """A user renames or moves a file."""
        self._stage.minio.rename(BUCKET, key, new_key)
        if path := library_path(new_key):
            self.wanted[path] = self._forget(key)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """What is done inside reaches the service together, as when a whole folder is dropped."""
        self._stage.minio.pause()
        yield
        self._stage.minio.resume()

    def made_up(self, size: int) -> bytes:
        """A film, as far as a computer can tell: SIZE bytes that no compression makes fewer."""
        return self._random.randbytes(size)

    def _forget(self, key: str) -> bytes:
        return self.wanted.pop(library_path(key) or "", b"")
