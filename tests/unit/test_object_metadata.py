"""What a file's columns hold becomes metadata that would fill them the same way again."""

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sharepoint_proxy.column_values import Column, ColumnType, converted, decoded
from sharepoint_proxy.errors import AccessError
from sharepoint_proxy.object_metadata import ObjectMetadata, as_metadata
from sharepoint_proxy.records import DriveItem, PlacedItem

WANTED = (("auteur", "Author of it"), ("pages", "Pages"))
COLUMNS = [Column(name="Author0", title="Author of it"), Column(name="Pages", title="Pages", type=ColumnType.NUMBER)]
FILE = DriveItem(id="1", name="a.txt", size=1, etag="")


class Mirror:
    """What the mirror wrote into the columns of the file, in a library whose columns may be BARRED."""

    def __init__(self, written: dict[str, object] | None = None, *, is_barred: bool = False) -> None:
        self._written = written
        self._is_barred = is_barred
        self.asked = 0

    def written(self, item_id: str) -> str:
        return json.dumps(self._written) if self._written is not None and item_id == FILE.id else ""

    def columns_at(self, path: str) -> list[Column]:
        assert path == "a.txt"
        self.asked += 1
        if self._is_barred:
            raise AccessError("Graph answered 403.", status=403)
        return COLUMNS


def metadata(mirror: Mirror, *, modified: str = "", wanted: tuple[tuple[str, str], ...] = WANTED) -> dict[str, str]:
    placed = PlacedItem(path="a.txt", item=FILE, modified=modified)
    return ObjectMetadata(wanted, memory=mirror, columns_at=mirror.columns_at).of(placed)


@pytest.mark.parametrize(
    ("modified", "mtime"),
    [
        ("2021-03-04T05:06:07Z", "1614834367"),
        ("2021-03-04T05:06:07.5Z", "1614834367.5"),
        ("2016-09-16T03:37:04.7230000Z", "1473997024.723"),
        ("1969-12-31T23:59:58.5Z", "-1.5"),
        ("1970-01-01T00:00:00Z", "0"),
    ],
)
def test_the_date_is_that_of_the_file(modified: str, mtime: str) -> None:
    assert metadata(Mirror(), modified=modified) == {"mtime": mtime}


def test_a_file_without_a_date_has_none() -> None:
    assert metadata(Mirror()) == {}


def test_what_was_written_into_columns_comes_back() -> None:
    mirror = Mirror({"Author0": "Zo\u00e9", "Pages": 12, "Other": "no longer wanted"})
    assert metadata(mirror) == {"auteur": "=?utf-8?b?Wm/DqQ==?=", "pages": "12"}


def test_columns_are_only_asked_for_where_they_matter() -> None:
    mirror = Mirror({"Pages": 12})
    assert metadata(mirror, wanted=()) == {}
    assert metadata(Mirror()) == {}
    assert mirror.asked == 0


def test_columns_that_cannot_be_looked_up_are_taken_by_their_names() -> None:
    assert metadata(Mirror({"Pages": 12.5}, is_barred=True)) == {"pages": "12.5"}


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200).map(str.strip))
def test_a_text_becomes_the_same_text_again(text: str) -> None:
    # What looks like UTF-8 read as Latin-1 is taken for that.
    assume(decoded(text) == text or "=?" in text)
    written = as_metadata(text)
    assert written.isascii()
    assert written.isprintable()
    column = Column(name="T", title="T", is_multiline=True)
    assert converted(column, decoded(written)) == text


@given(st.integers(-(10**12), 10**12) | st.floats(-1e12, 1e12, allow_nan=False).map(lambda value: round(value, 6)))
def test_a_number_becomes_the_same_number_again(value: float) -> None:
    column = Column(name="N", title="N", type=ColumnType.NUMBER)
    assert converted(column, as_metadata(value)) == value


@pytest.mark.parametrize("value", [True, False])
def test_yes_and_no_stay_what_they_are(value: bool) -> None:  # noqa: FBT001 - a parameter of the test
    column = Column(name="B", title="B", type=ColumnType.YES_NO)
    assert converted(column, as_metadata(value)) is value
