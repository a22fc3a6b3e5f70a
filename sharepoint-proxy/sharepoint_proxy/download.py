"""A file of the library on its way into MinIO: read in order, gone on with where it broke, proved before its last byte is given."""

from collections.abc import Callable, Iterator
from typing import Protocol

from sharepoint_proxy.errors import PermanentError, StoppingError, TransientError


class Reader(Protocol):
    """The file's bytes, hashed as they pass; a read after a break goes on where that was."""

    @property
    def size(self) -> int: ...
    def read(self, start: int, length: int) -> Iterator[bytes]: ...
    def quickxor(self) -> str: ...


class Patience(Protocol):
    """Says whether a break is the last, and when to stop."""

    def check(self) -> None: ...
    def after(self, error: TransientError, failures: int) -> int: ...


class BrokenDownloadError(PermanentError):
    """The file could not be had, or is not what the library says; CAUSE is what the last try ended in, if that was an error."""

    def __init__(self, message: str, *, cause: TransientError | PermanentError | None = None) -> None:
        super().__init__(message, status=cause.status if cause is not None else None)
        self.cause = cause


class Download:
    """A stream for MinIO's SDK, which sends only what it has read: the read that reaches the end raises when the file is wrong.

    So a wrong or broken file is never stored. QUICKXOR is the hash that the library tells, None where it tells none: then the
    size alone counts. ON_BYTES is told the number of bytes of each piece.
    """

    def __init__(
        self, reader: Reader, *, quickxor: str | None, patience: Patience, on_bytes: Callable[[int], None]
    ) -> None:
        self._reader = reader
        self._quickxor = quickxor
        self._patience = patience
        self._on_bytes = on_bytes
        self._position = 0
        self.is_complete = reader.size == 0

    def read(self, size: int) -> bytes:
        """SIZE bytes, or what is left; BrokenDownloadError when they cannot be had, StoppingError when it is time to stop."""
        end = min(self._position + size, self._reader.size)
        content = b"".join(self._pieces(end))
        if end == self._reader.size and not self.is_complete:
            self._verify()
            self.is_complete = True
        return content

    def _pieces(self, end: int) -> Iterator[bytes]:
        failures = 0
        while self._position < end:
            try:
                for piece in self._reader.read(self._position, end - self._position):
                    self._patience.check()
                    failures = 0
                    self._position += len(piece)
                    self._on_bytes(len(piece))
                    yield piece
            except StoppingError:
                raise
            except PermanentError as error:
                raise BrokenDownloadError(str(error), cause=error) from error
            except TransientError as error:
                failures = self._go_on(error, failures)

    def _go_on(self, error: TransientError, failures: int) -> int:
        try:
            return self._patience.after(error, failures)
        except StoppingError:
            raise
        except TransientError as last:
            raise BrokenDownloadError(f"The download broke off for good. {last}", cause=last) from error

    def _verify(self) -> None:
        if self._quickxor is not None and self._reader.quickxor() != self._quickxor:
            raise BrokenDownloadError(
                "SharePoint sent other bytes than it says the file holds (the quickXorHash differs), and nothing was stored."
                " If somebody was just writing to the file, run the restore again."
            )
