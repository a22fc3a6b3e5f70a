"""An object on its way: read once from the source in order, hashed as it passes, sent as request bodies of known length."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Self

from sharepoint_proxy.errors import TransientError
from sharepoint_proxy.quickxor import QuickXorHash
from sharepoint_proxy.records import DriveItem

OpenAt = Callable[[int], AbstractContextManager[Iterator[bytes]]]
"""Opens the object at an offset in bytes; the pieces run to its end."""


class ObjectReader:
    """Reads an object of SIZE bytes through OPEN_AT; one piece is in memory at a time.

    The hash covers each byte once, in order, however often parts are read again: after a jump ahead (a resumed upload) the
    bytes in between are read for the hash alone.
    """

    def __init__(self, open_at: OpenAt, size: int) -> None:
        self.size = size
        self._open_at = open_at
        self._opened = ExitStack()
        self._pieces: Iterator[bytes] = iter(())
        self._rest = b""
        self._position: int | None = None
        self._hash = QuickXorHash()
        self._hashed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def read(self, start: int, length: int) -> Iterator[bytes]:
        """The LENGTH bytes from START on, in pieces; goes on in the open stream when START is where it stands."""
        if length > 0 and self._position != start:
            self._open_before(start)
        while length > 0:
            piece = self._next_piece(length)
            length -= len(piece)
            yield piece

    def quickxor(self) -> str:
        """The hash of the whole object; what of it was not read yet is read now."""
        for _ in self.read(self._hashed, self.size - self._hashed):
            pass
        return self._hash.base64()

    def is_content_of(self, item: DriveItem) -> bool:
        """True if the drive item holds exactly this object's bytes; an item without a hash is taken for different."""
        if item.is_folder or item.size != self.size:
            return False
        # Graph gives an empty file no hash.
        return self.size == 0 or (item.quickxor is not None and item.quickxor == self.quickxor())

    def _open_before(self, start: int) -> None:
        """Open the object at START, or earlier where the hash still lacks the bytes before it."""
        self._opened.close()
        self._position = None
        position = min(start, self._hashed)
        self._pieces = self._opened.enter_context(self._open_at(position))
        self._position, self._rest = position, b""
        while position < start:
            position += len(self._next_piece(start - position))

    def _next_piece(self, at_most: int) -> bytes:
        if self._position is None:
            raise TransientError("The object's stream broke.")
        piece = self._rest or self._next_from_source()
        piece, self._rest = piece[:at_most], piece[at_most:]
        fresh_from = self._hashed - self._position
        self._position += len(piece)
        if self._position > self._hashed:
            self._hash.update(piece[fresh_from:])
            self._hashed = self._position
        return piece

    def _next_from_source(self) -> bytes:
        try:
            piece = next(self._pieces, b"")
        except Exception:
            # A stream that broke gives nothing more: the next read opens the object anew.
            self._position = None
            raise
        if not piece:
            self._position = None
            raise TransientError("The object's stream ended before its length was reached.")
        return piece


class Stretch:
    """LENGTH bytes of an object from START on, as a request body that can be sent again from its beginning."""

    def __init__(self, reader: ObjectReader, start: int, length: int) -> None:
        self._reader = reader
        self._start = start
        self._length = length

    def __len__(self) -> int:
        """The length in bytes, which becomes the Content-Length."""
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        """The bytes, read from the source as they are sent."""
        return self._reader.read(self._start, self._length)
