"""A file on its way into MinIO: every byte once and in order, however it breaks, and never the last one of a wrong file."""

import contextlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharepoint_proxy.content import ObjectReader
from sharepoint_proxy.download import BrokenDownloadError, Download
from sharepoint_proxy.errors import AccessError, OutageError, PermanentError, StoppingError, Subject, TransientError
from sharepoint_proxy.patience import Patience
from sharepoint_proxy.quickxor import QuickXorHash

CONTENT = bytes(range(256)) * 40
TRIES = 3


class Library:
    """Holds one file, whose downloads break off after so many bytes each, the next one with the next of BREAKS."""

    def __init__(self, content: bytes = CONTENT, *, breaks: list[int] | None = None) -> None:
        self._content = content
        self._breaks = breaks or []
        self.error: TransientError | PermanentError = TransientError("broke off")
        self.offsets: list[int] = []
        self.fetched = 0
        self.patience = Patience(tries=TRIES, delay=lambda _: 0.0)

    def download(self, *, quickxor: str | None = "right") -> Download:
        """The file as a stream, with its right hash unless told otherwise."""
        reader = ObjectReader(self._open, len(self._content))
        told = hash_of(self._content) if quickxor == "right" else quickxor
        return Download(reader, quickxor=told, patience=self.patience, on_bytes=self._count)

    @contextlib.contextmanager
    def _open(self, offset: int) -> Iterator[Iterator[bytes]]:
        self.offsets.append(offset)
        yield self._pieces(offset)

    def _pieces(self, offset: int) -> Iterator[bytes]:
        ends_at = offset + self._breaks.pop(0) if self._breaks else len(self._content)
        for start in range(offset, min(ends_at, len(self._content)), 100):
            yield self._content[start : min(start + 100, ends_at)]
        if ends_at < len(self._content):
            raise self.error

    def _count(self, count: int) -> None:
        self.fetched += count


def hash_of(content: bytes) -> str:
    made = QuickXorHash()
    made.update(content)
    return made.base64()


def read_all(download: Download, size: int = 1000) -> bytes:
    """What the SDK reads of it, part by part."""
    parts = []
    while part := download.read(size):
        parts.append(part)
    return b"".join(parts)


@given(size=st.integers(1, 20_000), breaks=st.lists(st.integers(100, 3000)))
def test_it_gives_each_byte_once_however_it_breaks(size: int, breaks: list[int]) -> None:
    library = Library(breaks=breaks)
    download = library.download()
    assert read_all(download, size) == CONTENT
    assert download.is_complete
    assert library.fetched == len(CONTENT)
    assert library.offsets == sorted(library.offsets)


def test_it_gives_up_when_it_does_not_get_on() -> None:
    library = Library(breaks=[500, *[0] * TRIES])
    with pytest.raises(BrokenDownloadError, match="broke off") as broken:
        read_all(library.download())
    assert broken.value.cause is library.error
    assert library.offsets == [0, 500, 500]


@pytest.mark.parametrize(
    "error", [OutageError("away", subject=Subject.GRAPH), AccessError("404", status=404), PermanentError("400")]
)
def test_what_ended_it_is_known(error: TransientError | PermanentError) -> None:
    library = Library(breaks=[0] * TRIES)
    library.error = error
    with pytest.raises(BrokenDownloadError) as broken:
        read_all(library.download())
    assert broken.value.cause is error
    assert broken.value.status == error.status


def test_the_last_bytes_of_a_wrong_file_are_never_given() -> None:
    download = Library().download(quickxor=hash_of(b"other"))
    given_parts = [download.read(9000)]
    with pytest.raises(BrokenDownloadError, match="quickXorHash"):
        given_parts.append(download.read(9000))
    assert sum(map(len, given_parts)) < len(CONTENT)
    assert not download.is_complete


def test_a_file_without_a_hash_is_proved_by_its_size() -> None:
    """SharePoint tells none for some (OneDrive/onedrive-api-docs#1704)."""
    assert read_all(Library().download(quickxor=None)) == CONTENT


def test_an_empty_file_needs_no_download() -> None:
    library = Library(b"")
    download = library.download(quickxor=None)
    assert download.is_complete
    assert download.read(10) == b""
    assert library.offsets == []


def test_it_stops_at_the_next_piece() -> None:
    library = Library()
    download = library.download()
    download.read(100)
    library.patience.stop()
    with pytest.raises(StoppingError):
        download.read(100)
    assert not download.is_complete
