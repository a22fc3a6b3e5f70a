"""Sizes, times and phrases, in the languages that there are."""

from dataclasses import fields

import pytest

from sharepoint_proxy.records import Action
from sharepoint_proxy.wording import ENGLISH, FRENCH, WORDINGS

NOT_SHOWN = {Action.UNCHANGED, Action.ABSENT, Action.FOLDER_KEPT, Action.NONE}


@pytest.mark.parametrize(
    ("count", "english", "french"),
    [
        (0, "0 B", "0 o"),
        (999, "999 B", "999 o"),
        (1000, "1.0 kB", "1,0 ko"),
        (12_345, "12.3 kB", "12,3 ko"),
        (99_949, "99.9 kB", "99,9 ko"),
        (99_951, "100 kB", "100 ko"),
        (999_949, "1.0 MB", "1,0 Mo"),
        (250 * 10**9, "250 GB", "250 Go"),
        (5 * 10**18, "5000 PB", "5000 Po"),
    ],
)
def test_a_size_has_three_figures(count: int, english: str, french: str) -> None:
    assert ENGLISH.size(count).replace("\u00a0", " ") == english
    assert FRENCH.size(count).replace("\u00a0", " ") == french


@pytest.mark.parametrize(
    ("seconds", "english", "french"),
    [
        (-5, "just now", "à l'instant"),
        (0.9, "just now", "à l'instant"),
        (59.9, "59 s ago", "il y a 59 s"),
        (60, "1 min ago", "il y a 1 min"),
        (7199, "1 h ago", "il y a 1 h"),
        (200_000, "2 d ago", "il y a 2 j"),
    ],
)
def test_a_moment_is_told_in_its_largest_unit(seconds: float, english: str, french: str) -> None:
    assert ENGLISH.ago(seconds).replace("\u00a0", " ") == english
    assert FRENCH.ago(seconds).replace("\u00a0", " ") == french


def test_one_is_not_many() -> None:
    assert ENGLISH.parked_objects(1).startswith("One object is")
    assert FRENCH.parked_objects(3).startswith("3 objets sont")


@pytest.mark.parametrize("wording", WORDINGS.values(), ids=WORDINGS)
def test_there_is_a_word_for_everything_that_is_shown_as_done(wording: object) -> None:
    assert set(getattr(wording, "actions")) == set(Action) - NOT_SHOWN  # noqa: B009 - the parameter has any type


def test_both_languages_leave_the_same_blanks() -> None:
    for field in fields(ENGLISH):
        pair = [getattr(wording, field.name) for wording in WORDINGS.values()]
        assert len({_blanks(phrase) for phrase in pair if isinstance(phrase, str)}) <= 1, field.name


def _blanks(phrase: str) -> frozenset[str]:
    return frozenset(part.partition("}")[0].partition(":")[0] for part in phrase.split("{")[1:])
