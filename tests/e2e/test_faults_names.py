"""Keys that cannot have their place: parked with the reason and the key that has it, and freed when that one goes."""

import os
import unicodedata
from collections.abc import Iterator

import pytest
from e2e.trouble import (
    FOLDER,
    MIB,
    calls_about,
    calm,
    nudge,
    open_stage,
    start_again,
    state_of,
    statuses,
    versions_of,
    wait_until_parked,
)

from simulator.calls import CallKind
from simulator.faults import AnswerWith, Fault, Match
from simulator.minio_standin import StandinOptions
from simulator.stage import BUCKET, Stage

OTHER_BUCKET = "annexe"
OTHER_PREFIX = "bts-sio"
"""Mirrored into the same folder."""

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
    """A stage for all tests here, with a second bucket and a second prefix for the same folder."""
    folder = tmp_path_factory.mktemp("names")
    options = StandinOptions(buckets=(BUCKET, OTHER_BUCKET), queue_dir=folder / "events")
    settings = {"ALLOWED_PREFIXES": f"{FOLDER}/,{OTHER_PREFIX}/={FOLDER}/"}
    with open_stage(folder, settings=settings, minio=options) as stage:
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


@pytest.mark.parametrize(
    ("bucket", "key"),
    [(OTHER_BUCKET, f"{FOLDER}/same.txt"), (BUCKET, f"{OTHER_PREFIX}/SAME.txt")],
    ids=["another bucket", "another prefix"],
)
def test_keys_that_are_led_to_one_place_from_elsewhere_are_twins_too(stage: Stage, bucket: str, key: str) -> None:
    path = f"{FOLDER}/same.txt"
    stage.put(path, b"first")
    stage.settle()
    stage.put(key, b"second", bucket=bucket)
    reason = wait_until_parked(stage, key, saying="belongs to")
    held = stage.graph.content(path)
    stage.delete(path)
    stage.settle()

    assert f"belongs to the object {BUCKET}/{path}" in reason
    assert held == b"first"
    assert stage.graph.content(path) == b"second"
    stage.delete(key, bucket=bucket)
    stage.settle()


def test_of_three_keys_for_one_place_each_gets_it_in_its_turn(stage: Stage) -> None:
    """Whoever has the place is named to those who wait for it."""
    first, *others = names = [f"{FOLDER}/{name}" for name in ("trio.txt", "Trio.txt", "TRIO.txt")]
    for name in names:
        stage.put(name, name.encode())
        stage.settle()
    stage.delete(first)
    stage.settle()
    (second,) = [name for name in others if state_of(stage, name) == "settled"]
    (third,) = set(others) - {second}
    reason = wait_until_parked(stage, third, saying=second)
    stage.delete(second)
    stage.settle()

    assert f"belongs to the object {BUCKET}/{second}" in reason
    assert [stage.graph.content(path) for path in stage.graph.tree() if path.endswith(".txt")] == [third.encode()]
    stage.delete(third)
    stage.settle()


def test_twins_that_come_at_the_same_moment_do_not_overwrite_each_other(stage: Stage) -> None:
    pairs = [(f"{FOLDER}/Moment{number}.txt", f"{FOLDER}/mOMENT{number}.TXT") for number in range(8)]
    stage.minio.pause()
    for pair in pairs:
        for key in pair:
            stage.put(key, key.encode())
    stage.minio.resume()
    stage.settle()
    written = {path: stage.graph.content(path) for path in stage.graph.tree() if "oment" in path or "OMENT" in path}

    assert len(written) == len(pairs)
    assert all(content == path.encode() for path, content in written.items())
    assert {versions_of(stage, path) for path in written} == {1}
    assert all({state_of(stage, key) for key in pair} == {"settled", "parked"} for pair in pairs)
    for pair in pairs:
        for key in pair:
            stage.delete(key)
    stage.settle()


def test_a_twin_waits_for_an_upload_under_way_and_brings_its_newest_content(stage: Stage) -> None:
    one, other = f"{FOLDER}/Film.bin", f"{FOLDER}/FILM.bin"
    content = os.urandom(5 * MIB)
    stage.graph.bandwidth = 8 * MIB
    stage.put(one, content)
    stage.graph.wait_for(lambda: calls_about(stage, one, CallKind.SESSION_CREATE))
    stage.put(other, b"old")
    reason = wait_until_parked(stage, other)
    stage.graph.bandwidth = None
    stage.settle()
    held = stage.graph.content(one)
    stage.put(other, b"new")
    stage.settle()
    stage.delete(one)
    stage.settle()

    assert f"belongs to the object {BUCKET}/{one}" in reason
    assert held == content
    assert stage.graph.content(other) == b"new"
    stage.delete(other)
    stage.settle()


@pytest.mark.parametrize("marker_first", [True, False])
def test_a_file_and_the_marker_of_a_folder_are_twins(stage: Stage, *, marker_first: bool) -> None:
    """MinIO holds both "a" and "a/"; in SharePoint one name is a file or a folder."""
    path = f"{FOLDER}/marked-{marker_first}"
    keys = {path: b"file", f"{path}/": b""}
    one, other = reversed(keys) if marker_first else keys
    stage.put(one, keys[one])
    stage.settle()
    stage.put(other, keys[other])
    reason = wait_until_parked(stage, other)
    held = stage.graph.item(path)
    stage.delete(one)
    stage.settle()
    after = stage.graph.item(path)

    assert f"belongs to the object {BUCKET}/{one}" in reason
    assert held is not None
    assert after is not None
    assert (held.is_folder, after.is_folder) == (marker_first, not marker_first)
    stage.delete(other)
    stage.settle()


def test_a_twin_is_freed_though_the_other_went_while_the_service_was_away(stage: Stage) -> None:
    one, other = f"{FOLDER}/away.txt", f"{FOLDER}/AWAY.txt"
    stage.put(one, b"first")
    stage.settle()
    stage.put(other, b"second")
    wait_until_parked(stage, other)
    stage.service.kill()
    stage.delete(one)
    start_again(stage)
    stage.settle()

    assert state_of(stage, other) == "settled"
    assert stage.graph.content(other) == b"second"
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
