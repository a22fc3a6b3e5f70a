"""SharePoint rewrites Office documents after an upload: their size and hash change, and nothing must come of it."""

import os
from collections.abc import Iterator

import pytest
from e2e.trouble import FOLDER, MIB, calm, nudge, open_stage, statuses, versions_of

from simulator.calls import CallKind
from simulator.faults import CutConnection, CutPoint, Fault, Match
from simulator.options import OfficeRewriting
from simulator.stage import Stage

PUT, FRAGMENT, DELETE = CallKind.PUT_CONTENT, CallKind.FRAGMENT, CallKind.DELETE
SIZES = {"small": 10_000, "large": 5 * MIB}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for all tests here."""
    with open_stage(tmp_path_factory.mktemp("office")) as stage:
        yield stage


@pytest.fixture(params=[OfficeRewriting.IN_THE_ANSWER, OfficeRewriting.AFTER_THE_ANSWER], ids=lambda when: when.value)
def stage(shared: Stage, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """The stage, whose library rewrites documents before or after it answers."""
    shared.graph.change(office_rewriting=request.param)
    yield shared
    shared.graph.change(office_rewriting=OfficeRewriting.OFF)
    calm(shared)


def key_for(stage: Stage, name: str) -> str:
    """A key of its own for each time of rewriting."""
    return f"{FOLDER}/{stage.graph.options.office_rewriting.value}-{name}"


def rewritten(stage: Stage, key: str, content: bytes) -> bool:
    """True if the file at KEY is CONTENT with what SharePoint added."""
    held = stage.graph.content(key)
    return held.startswith(content) and len(held) > len(content)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("suffix", ["docx", "xlsx", "PPTX"])
def test_a_document_that_changed_by_itself_is_left_alone(stage: Stage, suffix: str, size: int) -> None:
    """One upload, no look, no second upload when the event is repeated; an edit of the object is one more upload."""
    key = key_for(stage, f"{size}.{suffix}")
    first, second = os.urandom(size), os.urandom(size)
    stage.put(key, first)
    stage.settle()
    assert rewritten(stage, key, first)
    written = versions_of(stage, key)
    stage.graph.clear_calls()

    nudge(stage, key)
    stage.put(key, first)
    stage.settle()
    assert (stage.kinds(), versions_of(stage, key)) == ([], written)

    stage.put(key, second)
    stage.settle()
    assert rewritten(stage, key, second)
    assert statuses(stage, key, PUT, FRAGMENT) == [200]


def test_a_document_that_changed_by_itself_is_deleted_with_its_object(stage: Stage) -> None:
    key = key_for(stage, "deleted.docx")
    stage.put(key, b"hello")
    stage.settle()
    stage.delete(key)
    stage.settle()

    assert stage.graph.item(key) is None
    assert statuses(stage, key, DELETE) == [204]


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_lost_answer_for_a_document_costs_at_most_one_more_upload(stage: Stage, size: int) -> None:
    """The bytes that are there cannot be told from somebody else's; it never loops, and never deletes."""
    key = key_for(stage, f"lost-{size}.docx")
    content = os.urandom(size)
    kind = PUT if size < MIB else FRAGMENT
    stage.graph.add_fault(Fault(Match(kind, key), CutConnection(CutPoint.AFTER_EFFECT)))
    stage.put(key, content)
    stage.settle()

    assert rewritten(stage, key, content)
    assert len(statuses(stage, key, kind)) <= 2
    assert statuses(stage, key, DELETE) == []
    nudge(stage, key)
    stage.settle()
    assert len(statuses(stage, key, kind)) <= 2
