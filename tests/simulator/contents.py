"""Bytes at rest: in memory while small, in a file when large, or only their size and hash."""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO

from sharepoint_proxy.quickxor import QuickXorHash

_READ_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of one version of a file; neither `data` nor `path` is set when only size and hash were kept."""

    size: int
    quickxor: str
    data: bytes | None = None
    path: Path | None = None

    @property
    def is_kept(self) -> bool:
        """True if the bytes can be read."""
        return self.data is not None or self.path is not None or self.size == 0

    def pieces(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from START to before END in pieces of at most 64 KiB; raise LookupError if they were not kept."""
        end = self.size if end is None else end
        if self.data is not None:
            yield from (self.data[at : min(at + _READ_PIECE, end)] for at in range(start, end, _READ_PIECE))
        elif self.path is not None:
            yield from _pieces_of_file(self.path, start, end)
        elif self.size:
            raise LookupError("The simulator was told to keep no content.")

    def read(self) -> bytes:
        """All bytes; raise LookupError if they were not kept."""
        return b"".join(self.pieces())


def _pieces_of_file(path: Path, start: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as stream:
        stream.seek(start)
        for at in range(start, end, _READ_PIECE):
            yield stream.read(min(_READ_PIECE, end - at))


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a writer to which it can be taken back."""

    size: int
    hash: QuickXorHash


class ContentWriter:
    """Takes bytes in order, hashes them on the way, and becomes a `Content`."""

    def __init__(self, *, memory_limit: int, keep: bool, path: Path) -> None:
        self._memory_limit = memory_limit
        self._keep = keep
        self._path = path
        self._memory = bytearray()
        self._stream: BinaryIO | None = None
        self._hash = QuickXorHash()
        self.size = 0

    def write(self, piece: bytes) -> None:
        """Append PIECE."""
        self._hash.update(piece)
        self.size += len(piece)
        if not self._keep:
            return
        if self._stream is None and self.size <= self._memory_limit:
            self._memory += piece
            return
        self._spilled().write(piece)

    def mark(self) -> Mark:
        """The present end, for `rewind`."""
        return Mark(self.size, copy(self._hash))

    def rewind(self, mark: Mark) -> None:
        """Forget everything written after MARK."""
        self.size = mark.size
        self._hash = copy(mark.hash)
        del self._memory[mark.size :]
        if self._stream is not None:
            self._stream.seek(mark.size)
            self._stream.truncate()

    def finish(self) -> Content:
        """The finished content; the writer is not used afterwards."""
        quickxor = self._hash.base64()
        if not self._keep:
            return Content(self.size, quickxor)
        if self._stream is None:
            return Content(self.size, quickxor, data=bytes(self._memory))
        self._stream.close()
        self._stream = None
        return Content(self.size, quickxor, path=self._path)

    def discard(self) -> None:
        """Give up what was written, unless it was finished."""
        self._memory.clear()
        if self._stream is not None:
            self._stream.close()
            self._path.unlink(missing_ok=True)

    def _spilled(self) -> BinaryIO:
        if self._stream is None:
            self._stream = self._path.open("wb")
            self._stream.write(self._memory)
            self._memory.clear()
        return self._stream


class ContentStore:
    """Makes writers whose large contents end up as numbered files in FOLDER."""

    def __init__(self, folder: Path, *, memory_limit: int, keep: bool) -> None:
        self._folder = folder
        self._memory_limit = memory_limit
        self._keep = keep
        self._numbers = count()

    def writer(self) -> ContentWriter:
        """A writer for one version of one file."""
        path = self._folder / f"content-{next(self._numbers)}"
        return ContentWriter(memory_limit=self._memory_limit, keep=self._keep, path=path)

    def of(self, data: bytes) -> Content:
        """The content that holds DATA."""
        writer = self.writer()
        writer.write(data)
        return writer.finish()
