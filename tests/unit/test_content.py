"""An object on its way is read piece by piece, hashed once, and read again from wherever a request body has to begin afresh."""

import contextlib
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharepoint_proxy.content import ObjectReader, OpenAt, Stretch
from sharepoint_proxy.errors import SourceChangedError, TransientError
from sharepoint_proxy.quickxor import QuickXorHash
from sharepoint_proxy.records import DriveItem

CONTENT = bytes(range(100))
PIECE_BYTES = 7


class Opened:
    """An object that can be opened at an offset; notes where it was opened, how far each stream was read, and if it was closed.

    Of the streams to come the first ones end EARLY, after that many bytes each.
    """

    def __init__(self, content: bytes = CONTENT, *, early: Sequence[int] = ()) -> None:
        self.offsets: list[int] = []
        self.open_now = 0
        self.pieces_read = 0
        self._content = content
        self._early = list(early)

    @contextlib.contextmanager
    def __call__(self, offset: int) -> Iterator[Iterator[bytes]]:
        self.offsets.append(offset)
        self.open_now += 1
        end = offset + self._early.pop(0) if self._early else len(self._content)
        try:
            yield self._pieces(self._content[offset:end])
        finally:
            self.open_now -= 1

    def _pieces(self, content: bytes) -> Iterator[bytes]:
        for start in range(0, len(content), PIECE_BYTES):
            self.pieces_read += 1
            yield content[start : start + PIECE_BYTES]


def quickxor(content: bytes) -> str:
    whole = QuickXorHash()
    whole.update(content)
    return whole.base64()


def item(*, size: int = len(CONTENT), content: bytes | None = CONTENT) -> DriveItem:
    return DriveItem(id="1", name="a", size=size, etag="", quickxor=None if content is None else quickxor(content))


def test_it_reads_in_order_from_one_stream_and_closes_it() -> None:
    opened = Opened()

    with ObjectReader(opened, len(CONTENT)) as reader:
        assert b"".join(reader.read(0, 40)) == CONTENT[:40]
        assert b"".join(reader.read(40, 60)) == CONTENT[40:]
        assert reader.quickxor() == quickxor(CONTENT)

    assert opened.offsets == [0]
    assert opened.open_now == 0


def test_nothing_is_opened_before_something_is_read() -> None:
    opened = Opened(b"")

    with ObjectReader(opened, 0) as reader:
        assert list(Stretch(reader, 0, 0)) == []
        assert reader.quickxor() == quickxor(b"")

    assert opened.offsets == []


def test_a_stretch_knows_its_length_and_can_be_sent_again_from_its_beginning() -> None:
    opened = Opened()

    with ObjectReader(opened, len(CONTENT)) as reader:
        stretch = Stretch(reader, 10, 50)
        assert len(stretch) == 50
        next(iter(stretch))
        assert b"".join(stretch) == CONTENT[10:60]
        assert b"".join(stretch) == CONTENT[10:60]
        assert reader.quickxor() == quickxor(CONTENT)

    assert opened.open_now == 0


def test_a_jump_ahead_reads_the_bytes_in_between_for_the_hash() -> None:
    opened = Opened()

    with ObjectReader(opened, len(CONTENT)) as reader:
        assert b"".join(reader.read(60, 40)) == CONTENT[60:]
        assert opened.offsets == [0], "what no earlier read hashed has to pass by"
        assert reader.quickxor() == quickxor(CONTENT)
        assert b"".join(reader.read(30, 5)) == CONTENT[30:35]

    assert opened.offsets == [0, 30], "what is hashed already need not"


@given(
    stretches=st.lists(st.tuples(st.integers(0, len(CONTENT)), st.integers(0, len(CONTENT)), st.integers(0, 20))),
    size=st.integers(0, len(CONTENT)),
)
def test_bytes_and_hash_are_right_whatever_was_read_before(
    stretches: Sequence[tuple[int, int, int]], size: int
) -> None:
    """Each stretch has a start, an end, and the number of pieces after which its reader gives up."""
    content = CONTENT[:size]
    with ObjectReader(Opened(content), size) as reader:
        for start, end, pieces in stretches:
            length = max(0, min(end, size) - start)
            read = b"".join(piece for _, piece in zip(range(pieces), reader.read(start, length), strict=False))
            assert content[start : start + length].startswith(read)
            assert len(read) == length or pieces <= length
        assert reader.quickxor() == quickxor(content)


@pytest.mark.parametrize("early", [0, 10, 99])
def test_a_stream_that_ends_early_is_an_error_and_never_a_short_body(early: int) -> None:
    with ObjectReader(Opened(early=[early]), len(CONTENT)) as reader, pytest.raises(TransientError):
        list(reader.read(0, len(CONTENT)))


@pytest.mark.parametrize("early", [0, 10, 14])
def test_a_stream_that_ended_early_is_opened_again_where_it_ended(early: int) -> None:
    opened = Opened(early=[early])

    with ObjectReader(opened, len(CONTENT)) as reader:
        with pytest.raises(TransientError):
            list(reader.read(0, len(CONTENT)))
        assert b"".join(reader.read(early, 20)) == CONTENT[early : early + 20]
        assert reader.quickxor() == quickxor(CONTENT)

    assert opened.offsets == [0, early]


def refused_once_at(offset: int, opened: Opened) -> OpenAt:
    """OPENED, but the first time that it is asked for OFFSET it refuses."""
    refusals = [offset]

    @contextlib.contextmanager
    def open_at(start: int) -> Iterator[Iterator[bytes]]:
        if start in refusals:
            refusals.remove(start)
            raise TransientError("MinIO cannot be reached.")
        with opened(start) as pieces:
            yield pieces

    return open_at


def test_after_a_refusal_to_open_it_does_not_read_on_in_the_stream_before() -> None:
    with ObjectReader(refused_once_at(20, Opened()), len(CONTENT)) as reader:
        list(reader.read(0, 60))
        with pytest.raises(TransientError):
            list(reader.read(20, 10))
        assert b"".join(reader.read(20, 10)) == CONTENT[20:30]


def test_an_object_that_changed_is_told_as_such() -> None:
    def open_at(offset: int) -> contextlib.AbstractContextManager[Iterator[bytes]]:
        raise SourceChangedError(f"It changed; there is nothing at {offset}.")

    with ObjectReader(open_at, len(CONTENT)) as reader, pytest.raises(SourceChangedError):
        list(reader.read(0, 1))


def test_it_takes_a_piece_from_the_source_only_when_one_is_asked_for() -> None:
    opened = Opened()

    with ObjectReader(opened, len(CONTENT)) as reader:
        pieces = reader.read(0, len(CONTENT))
        assert opened.pieces_read == 0
        for taken in range(1, 6):
            next(pieces)
            assert opened.pieces_read == taken


@pytest.mark.parametrize(
    ("found", "same"),
    [
        (item(), True),
        (item(size=99), False),
        (item(content=CONTENT[::-1]), False),
        (item(content=None), False),
    ],
    ids=["same", "other size", "other bytes", "no hash"],
)
def test_it_tells_whether_a_drive_item_holds_these_bytes(found: DriveItem, *, same: bool) -> None:
    with ObjectReader(Opened(), len(CONTENT)) as reader:
        assert reader.is_content_of(found) == same


def test_a_drive_item_of_another_size_is_told_apart_without_reading() -> None:
    opened = Opened()

    with ObjectReader(opened, len(CONTENT)) as reader:
        assert not reader.is_content_of(item(size=99))

    assert opened.offsets == []
