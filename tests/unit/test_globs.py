"""Globs pass the keys that their writer would point at, and no others."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharepoint_proxy.globs import matches


@pytest.mark.parametrize(
    ("pattern", "passes", "stops"),
    [
        ("*.pdf", ["a.pdf", ".pdf", "a b.pdf"], ["a/b.pdf", "a.PDF", "a.pdf/", "a.pdf.txt"]),
        ("**/*.pdf", ["a.pdf", "a/b.pdf", "a/b/c.pdf"], ["a.pdfx", "a/b.pdf/", "a/b.txt"]),
        ("**", ["", "a", "a/", "a/b", "line\nbreak"], []),
        ("*", ["a", "~$a", ""], ["a/", "a/b"]),
        ("private/**", ["private/", "private/a", "private/a/b"], ["private", "a/private/b", "Private/a"]),
        ("**/private/**", ["private/a", "a/private/b", "a/b/private/"], ["private", "notprivate/a"]),
        ("a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["a/bz", "az"]),
        ("~$*", ["~$report.docx"], ["a/~$report.docx"]),
        ("**/~$*", ["~$report.docx", "a/~$report.docx"], ["report~$.docx"]),
        ("a?c", ["abc", "a.c"], ["ac", "a/c", "abbc"]),
        ("x**y", ["xy", "x/y", "x/a/by"], ["x/y/"]),
        ("[a]{b}.(c)+^$|\\", ["[a]{b}.(c)+^$|\\"], ["a", "[a]{b}x(c)+^$|\\"]),
        ("été/*", ["été/a"], ["e\u0301te\u0301/a"]),
    ],
)
def test_a_pattern_is_compared_with_the_whole_text(pattern: str, passes: list[str], stops: list[str]) -> None:
    assert [text for text in passes if not matches([pattern], text)] == []
    assert [text for text in stops if matches([pattern], text)] == []


def test_one_pattern_of_several_is_enough_and_none_passes_nothing() -> None:
    assert matches(["*.pdf", "*.txt"], "a.txt")
    assert not matches([], "a.txt")


@given(st.text())
def test_what_is_no_wildcard_stands_for_itself(text: str) -> None:
    plain = re.sub(r"[*?]", "", text)
    assert matches([plain], plain)
    assert not matches([plain], f"{plain}x")


@given(st.lists(st.text("ab*?/", max_size=3), max_size=6).map("".join), st.text("ab/", max_size=8))
def test_two_stars_pass_what_one_does(pattern: str, text: str) -> None:
    if matches([pattern], text):
        assert matches([re.sub(r"(?<![*])[*](?![*])", "**", pattern)], text)
