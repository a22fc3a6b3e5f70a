"""Keys that cannot have their place: parked with the reason and the key that has it, and freed when that one goes."""

import unicodedata
from collections.abc import Iterator

import pytest
from e2e.trouble import FOLDER, calm, nudge, open_stage, state_of, statuses, wait_until_parked

from simulator.calls import CallKind
from simulator.faults import AnswerWith, Fault, Match
from simulator.stage import Stage

TWINS = {
    "case": ("Twin.txt", "tWIN.TXT"),
    "composition": (unicodedata.normalize("NFC", "é.txt"), unicodedata.normalize("NFD", "é.txt")),
    "folders' case": ("Dir/a.txt", "dIR/A.txt"),
    "file over folder": ("deep/a.txt", "deep"),
    "folder over file": ("flat", "flat/a.txt"),
}
TOO_LONG = {
    "segment": ("s" * 256, "255"),
    "stretched segment": ("\U0001f600" * 128, "255"),
    "path": ("/".join(["p" * 90] * 5), "400"),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for all tests here."""
    with open_stage(tmp_path_factory.mktemp("names")) as stage:
        yield stage


@pytest.fixture
def stage(shared: Stage) -> Iterator[Stage]:
    """The stage, without what an earlier test left."""
    yield shared
    calm(shared)


@pytest.mark.parametrize(("first", "second"), TWINS.values(), ids=TWINS)
def test_of_two_keys_for_one_place_the_second_waits_for_the_first_to_go(stage: Stage, first: str, second: str) -> None:
    one, other = f"{FOLDER}/{first}", f"{FOLDER}/{second}"
    stage.put(one, b"first")
    stage.settle()
    held = set(stage.graph.tree())
    stage.put(other, b"second")
    stage.settle()
    reason = wait_until_parked(stage, other)
    untouched = set(stage.graph.tree()) == held
    stage.delete(one)
    stage.settle()

    assert f"belongs to the object lycee/{one}" in reason
    assert untouched
    assert state_of(stage, other) == "settled"
    assert b"second" in {stage.graph.content(path) for path, size in stage.graph.tree().items() if size is not None}
    stage.delete(other)
    stage.settle()


@pytest.mark.parametrize(("name", "limit"), TOO_LONG.values(), ids=TOO_LONG)
def test_a_name_that_is_too_long_is_parked_without_a_call(stage: Stage, name: str, limit: str) -> None:
    key = f"{FOLDER}/{name}"
    stage.put(key, b"x")
    reason = wait_until_parked(stage, key)

    assert limit in reason
    assert stage.kinds() == []


def test_a_name_that_sharepoint_refuses_is_parked_with_its_words(stage: Stage) -> None:
    """Its rules change, and differ between libraries (".aspx" where scripts are barred: OneDrive/onedrive-api-docs#719)."""
    key = f"{FOLDER}/page.aspx"
    refusal = AnswerWith(400, message="The file type is blocked.")
    stage.graph.add_fault(Fault(Match(CallKind.PUT_CONTENT, key), refusal, times=None))
    stage.put(key, b"x")
    reason = wait_until_parked(stage, key)
    tries = statuses(stage, key)
    stage.graph.clear_faults()
    nudge(stage, key)
    stage.settle()

    assert "The file type is blocked." in reason
    assert tries == [400]
    assert stage.graph.content(key) == b"x"
