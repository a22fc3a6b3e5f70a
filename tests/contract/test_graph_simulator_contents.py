"""Bytes that the simulator stores come back as they were written, wherever they were kept and however they came."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from sharepoint_proxy.quickxor import QuickXorHash
from simulator.contents import ContentStore
from simulator.names import comparison_key

PIECES = st.lists(st.tuples(st.binary(max_size=400), st.booleans()), max_size=8)


@given(pieces=PIECES, memory_limit=st.integers(0, 1000))
def test_a_writer_holds_what_was_written_and_not_taken_back(
    pieces: list[tuple[bytes, bool]], memory_limit: int
) -> None:
    """Each piece is kept, or written and taken back at once."""
    kept = b"".join(piece for piece, is_kept in pieces if is_kept)
    with TemporaryDirectory() as folder:
        writer = ContentStore(Path(folder), memory_limit=memory_limit, keep=True).writer()
        for piece, is_kept in pieces:
            mark = writer.mark()
            writer.write(piece)
            if not is_kept:
                writer.rewind(mark)
        content = writer.finish()

        assert content.read() == kept
        assert (content.size, content.quickxor) == (len(kept), quickxor(kept))


@given(data=st.binary(max_size=3000), first=st.integers(0, 3000), second=st.integers(0, 3000), in_file=st.booleans())
def test_any_part_of_a_content_can_be_read(*, data: bytes, first: int, second: int, in_file: bool) -> None:
    start, end = sorted((min(first, len(data)), min(second, len(data))))
    with TemporaryDirectory() as folder:
        store = ContentStore(Path(folder), memory_limit=0 if in_file else 10_000, keep=True)

        assert b"".join(store.of(data).pieces(start, end)) == data[start:end]


def test_a_discarded_writer_leaves_no_file(tmp_path: Path) -> None:
    store = ContentStore(tmp_path, memory_limit=0, keep=True)
    writer = store.writer()
    writer.write(b"x")
    assert list(tmp_path.iterdir())

    writer.discard()

    assert not list(tmp_path.iterdir())


@given(name=st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20))
def test_names_that_differ_in_simple_case_only_are_one(name: str) -> None:
    simple = "".join(char for char in name if len(char.upper()) == 1 and char.upper().lower() == char.lower())

    assert comparison_key(simple.upper()) == comparison_key(simple)


def test_names_that_differ_in_more_than_case_are_two() -> None:
    assert comparison_key("stra\u00dfe") != comparison_key("STRASSE")
    assert comparison_key("\u00e9") != comparison_key("e\u0301")


def quickxor(content: bytes) -> str:
    digest = QuickXorHash()
    digest.update(content)
    return digest.base64()
