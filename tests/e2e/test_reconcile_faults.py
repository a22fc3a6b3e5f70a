"""A reconcile while Graph or MinIO fail: it goes on, or it ends in one sentence; nothing is ever taken for deleted."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from e2e.comparing import (
    FOLDER,
    delete_unannounced,
    mirror,
    put_unannounced,
    reconcile,
    running,
    scratch,
    tables,
    writes,
)
from e2e.console import Console, Said
from e2e.listing_relay import Break, ListingRelay
from e2e.trouble import calm

from simulator.calls import CallKind
from simulator.faults import Action, AnswerWith, CutConnection, CutPoint, Fault, FaultBody, Match, TruncateAnswer
from simulator.minio_faults import ReadFault
from simulator.stage import Stage

DELTA = CallKind.DELTA
FILES = 30


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage with some files on it, some of them with no object, whose library lists few items a page."""
    with running(tmp_path_factory.mktemp("reconcile-faults")) as stage:
        mirror(stage, {f"{FOLDER}/{number:02}.txt": b"content" for number in range(FILES)})
        delete_unannounced(stage, f"{FOLDER}/00.txt")
        stage.graph.change(delta_page=4)
        yield stage


@pytest.fixture
def stage(shared: Stage) -> Iterator[Stage]:
    """The stage, without what an earlier test left."""
    yield shared
    calm(shared)
    assert scratch(shared) == []


def failed(stage: Stage, *options: str, settings: dict[str, str] | None = None) -> Said:
    """A run that ends with exit code 1; nothing was written in the library, and nothing is left of it."""
    said = Console(stage, settings=settings).run("reconcile", *options)
    stage.settle()
    assert said.code == 1, said
    assert "Traceback" not in said.err
    assert writes(stage) == {}
    return said


PASSING: dict[str, Action] = {
    "429": AnswerWith(429, headers={"Retry-After": "1"}),
    "503 with advice": AnswerWith(503, headers={"Retry-After": "1"}),
    "503": AnswerWith(503, FaultBody.HTML),
    "500": AnswerWith(500),
    "no JSON": AnswerWith(200, FaultBody.HTML),
    "cut": CutConnection(CutPoint.AFTER_EFFECT),
    "half an answer": TruncateAnswer(),
    "401": AnswerWith(401),
}


@pytest.mark.parametrize("action", PASSING.values(), ids=PASSING)
def test_a_failure_in_the_middle_of_the_feed_passes(stage: Stage, action: Action) -> None:
    stage.graph.add_fault(Fault(Match(DELTA), action, times=1, after=3))
    said = Console(stage).run("reconcile", "--json", "--delete")
    stage.settle()

    assert said.code == 0
    assert said.document["found"] in ({"same": FILES - 1, "stale": 1}, {"same": FILES - 1})
    assert set(writes(stage)) <= {f"DELETE {FOLDER}/00.txt"}


def test_a_feed_that_graph_drops_is_begun_again(stage: Stage) -> None:
    """Nothing that was read before counts twice, and nothing counts as missing."""
    stage.graph.add_fault(Fault(Match(DELTA), AnswerWith(410, code="resyncChangesApplyDifferences"), times=1, after=4))
    said = Console(stage).run("reconcile", "--json")
    stage.settle()

    assert said.code == 0
    assert said.document["found"]["same"] == FILES - 1
    assert "missing" not in said.document["found"]
    assert "Reading the library from its beginning" in said.err


def test_a_feed_that_graph_drops_again_and_again_ends_the_run(stage: Stage) -> None:
    stage.graph.add_fault(Fault(Match(DELTA), AnswerWith(410), times=None, after=2))
    assert "Graph answered 410" in failed(stage, "--delete", "--force").err


@pytest.mark.parametrize("status", [403, 404])
def test_a_closed_library_ends_the_run(stage: Stage, status: int) -> None:
    stage.graph.add_fault(Fault(Match(DELTA), AnswerWith(status), times=None, after=2))
    assert f"Graph answered {status}" in failed(stage, "--delete", "--force").err


def test_a_feed_without_its_root_is_not_believed(stage: Stage) -> None:
    """Without it no item has a path, and all would seem to be missing."""
    before = tables(stage)
    with feed_without_root(stage):
        said = failed(stage, "--delete", "--force")
    assert "lacks its root" in said.err
    assert tables(stage)["changes"] == before["changes"]


@contextmanager
def feed_without_root(stage: Stage) -> Iterator[None]:
    """Meanwhile the library's feed of changes does not show its root."""
    library = stage.graph.tenant.library_named("Documents", None)
    position = library._latest[library.root.id]
    library._latest[library.root.id] = -1
    yield
    library._latest[library.root.id] = position


@pytest.mark.parametrize("how", list(Break))
def test_a_listing_that_breaks_off_goes_on(stage: Stage, how: Break) -> None:
    with ListingRelay(stage.minio.endpoint) as relay:
        relay.break_page(2, how)
        said = Console(stage, settings={"MINIO_ENDPOINT": relay.endpoint}).run("reconcile", "--json")
    stage.settle()

    assert said.code == 0, said
    assert said.document["objects"] == FILES - 1
    assert said.document["found"]["same"] == FILES - 1
    assert writes(stage) == {}


def test_a_missing_bucket_deletes_nothing(stage: Stage) -> None:
    """Nor does the bucket beside it lose anything: the run ends before anything is marked."""
    before = tables(stage)
    said = failed(stage, "--delete", "--force", settings={"MINIO_BUCKETS": "lycee,another"})
    assert said.err.startswith("sharepoint-proxy: The bucket another does not exist in MinIO: ")
    assert tables(stage)["changes"] == before["changes"]


def test_an_object_that_cannot_be_read_once_is_read_again(stage: Stage) -> None:
    """An adoption needs its bytes; one refusal in the middle is no reason for an upload."""
    key = f"{FOLDER}/adopted.txt"
    put_unannounced(stage, {key: b"content"})
    stage.graph.put_foreign(key, b"content")
    stage.minio.fail_reads(ReadFault.UNAVAILABLE, key=key)

    assert reconcile(stage)["adopted"] == 1
    assert writes(stage) == {}


def test_an_object_that_must_not_be_read_is_left_to_the_service(stage: Stage) -> None:
    """Which parks it, with the reason."""
    key = f"{FOLDER}/secret.txt"
    put_unannounced(stage, {key: b"content"})
    stage.graph.put_foreign(key, b"content")
    stage.minio.fail_reads(ReadFault.FORBIDDEN, key=key, count=1000)

    assert reconcile(stage)["changed"] == 1
    assert ("lycee", key, "parked") in stage.service.journal()
    stage.graph.delete_foreign(key)
    stage.minio.heal()
    stage.delete(key)
    stage.settle()
