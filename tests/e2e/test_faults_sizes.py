"""An object whose bytes are not as many as MinIO says: nothing of it ends in SharePoint, it is parked, and delays no other."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import pytest
from e2e.trouble import (
    FOLDER,
    MIB,
    calm,
    nudge,
    open_stage,
    state_of,
    versions_of,
    wait_until_parked,
    wait_until_settled,
    why_not_ready,
)

from sharepoint_proxy.source import PIECE_BYTES
from simulator.minio_faults import ReadFault
from simulator.stage import Stage

SIZES = {"small": 1000, "of whole pieces": 2 * PIECE_BYTES, "large": 5 * MIB}
TOO_FEW, TOO_MANY = "bytes early", "bytes that it says it has"
REASONS = {
    ReadFault.SHORT: TOO_FEW,
    ReadFault.SHORT_UNANNOUNCED: TOO_FEW,
    ReadFault.LONG: TOO_MANY,
    ReadFault.LONG_UNANNOUNCED: TOO_MANY,
}
CASES = list(product(REASONS, SIZES.values()))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for all tests here, whose service sends fragments of about one MiB."""
    with open_stage(tmp_path_factory.mktemp("sizes"), settings={"CHUNK_MIB": "1"}) as stage:
        stage.put(f"{FOLDER}/makes the folder.txt", b"x")
        stage.settle()
        yield stage


@pytest.fixture
def stage(shared: Stage) -> Iterator[Stage]:
    """The stage, without what an earlier test left; nothing may be left of its sessions either."""
    yield shared
    calm(shared)
    assert shared.graph.pending_sessions() == []


@dataclass(frozen=True, slots=True)
class Record:
    """What came of an object that was delivered wrongly: why it was parked, what SharePoint held then, and what in the end."""

    content: bytes
    reason: str
    held: bytes | None
    end: bytes | None
    versions: int


def key_of(fault: ReadFault, size: int, name: str) -> str:
    """A key of its own for each fault and size."""
    return f"{FOLDER}/{name}-{fault.name}-{size}.bin"


def held_at(stage: Stage, path: str) -> bytes | None:
    """The bytes of the file at PATH, None if there is none."""
    return None if stage.graph.item(path) is None else stage.graph.content(path)


def record_wrong_deliveries(stage: Stage, contents: dict[str, bytes], reasons: dict[str, str]) -> dict[str, Record]:
    """What there is of keys that were parked for REASONS, and what there is once MinIO delivers CONTENTS as they are."""
    held = {key: held_at(stage, key) for key in contents}
    stage.minio.heal()
    nudge(stage, *contents)
    stage.settle()
    return {
        key: Record(content, reasons[key], held[key], held_at(stage, key), versions_of(stage, key))
        for key, content in contents.items()
    }


@pytest.fixture(scope="module")
def lasting(shared: Stage) -> dict[str, Record]:
    """What came of objects that MinIO delivered wrongly until they were given up: new ones, and others that replace a file."""
    contents = {key_of(*case, name): os.urandom(case[1]) for case in CASES for name in ("new", "replaced")}
    for key in contents:
        if "replaced" in key:
            shared.put(key, b"before")
    shared.settle()
    for fault, size in CASES:
        for name in ("new", "replaced"):
            shared.minio.fail_reads(fault, count=1000, key=key_of(fault, size, name))
    others = [f"{FOLDER}/right-{number}.txt" for number in range(20)]
    for key in (*contents, *others):
        shared.put(key, contents.get(key, b"x"))
    for key in others:
        wait_until_settled(shared, key)
    reasons = {key: wait_until_parked(shared, key) for key in contents}
    assert why_not_ready(shared) == ""
    assert {versions_of(shared, key) for key in others} == {1}
    return record_wrong_deliveries(shared, contents, reasons)


@pytest.mark.parametrize(("fault", "size"), CASES, ids=str)
def test_an_object_of_another_size_than_is_said_is_parked(
    lasting: dict[str, Record], fault: ReadFault, size: int
) -> None:
    """With the reason, and nothing of it in SharePoint; a new event tries again."""
    key = key_of(fault, size, "new")
    record = lasting[key]

    assert f"lycee/{key}" in record.reason
    assert REASONS[fault] in record.reason
    assert "Given up after 2 tries." in record.reason
    assert record.held is None
    assert record.end == record.content
    assert record.versions == 1


@pytest.mark.parametrize(("fault", "size"), CASES, ids=str)
def test_what_was_there_before_stays(lasting: dict[str, Record], fault: ReadFault, size: int) -> None:
    record = lasting[key_of(fault, size, "replaced")]

    assert record.held == b"before"
    assert record.end == record.content
    assert record.versions == 2


def test_a_wrong_delivery_that_passes_is_made_up_for(stage: Stage) -> None:
    contents = {key_of(*case, "once"): os.urandom(case[1]) for case in CASES}
    for case in CASES:
        stage.minio.fail_reads(case[0], key=key_of(*case, "once"))
    for key, content in contents.items():
        stage.put(key, content)
    stage.settle()

    assert {key: stage.graph.content(key) for key in contents} == contents
    assert {state_of(stage, key) for key in contents} == {"settled"}
    assert {versions_of(stage, key) for key in contents} == {1}


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_what_comes_after_the_object_on_the_connection_is_no_part_of_it(stage: Stage, size: int) -> None:
    """Nor of the answers that follow."""
    keys = [f"{FOLDER}/surplus-{size}-{number}.bin" for number in range(4)]
    contents = {key: os.urandom(size) for key in keys}
    stage.minio.fail_reads(ReadFault.SURPLUS, count=1000)
    for key in keys:
        stage.put(key, contents[key])
    stage.settle()

    assert {key: stage.graph.content(key) for key in keys} == contents
    assert {versions_of(stage, key) for key in keys} == {1}


def test_an_object_on_which_minio_hangs_up_is_parked_alone(stage: Stage) -> None:
    """At the first look already: that is no sign that MinIO is away."""
    key, others = f"{FOLDER}/hung-up.bin", [f"{FOLDER}/hung-up-{number}.txt" for number in range(5)]
    stage.minio.fail_reads(ReadFault.RESET, count=1000, key=key)
    for name in (key, *others):
        stage.put(name, b"x")
    reason = wait_until_parked(stage, key)
    readiness = why_not_ready(stage)
    stage.minio.heal()
    nudge(stage, key)
    stage.settle()

    assert f"MinIO broke off for lycee/{key}" in reason
    assert readiness == ""
    assert {versions_of(stage, name) for name in (key, *others)} == {1}
