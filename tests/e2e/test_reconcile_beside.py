"""A reconcile beside the service, beside another one, broken off, and killed."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from e2e.comparing import (
    FOLDER,
    fill_library,
    put_unannounced,
    reconcile,
    scratch,
    uploads,
    writes,
)
from e2e.console import Command, Console
from e2e.trouble import calm, wait_until

from simulator.calls import CallKind
from simulator.stage import Stage

MakeStage = Callable[..., Stage]
OBJECTS = {f"{FOLDER}/{number:02}.txt": f"content {number}".encode() for number in range(40)}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage with objects that are in the library too, and that the service does not know."""
    with Stage(tmp_path_factory.mktemp("beside")) as stage:
        stage.begin()
        fill_library(stage, OBJECTS)
        yield stage


@pytest.fixture
def common(shared: Stage) -> Iterator[Stage]:
    """The stage, with its objects unknown again."""
    put_unannounced(shared, OBJECTS)
    with closing(sqlite3.connect(shared.service.data_dir / "journal.db")) as journal:
        journal.execute("DELETE FROM ledger")
        journal.commit()
    shared.graph.clear_calls()
    yield shared
    shared.graph.change(delta_page=200)
    calm(shared)


def in_the_feed(stage: Stage) -> Command:
    """A reconcile in the middle of the library's feed."""
    stage.graph.change(delta_page=2)
    stage.graph.latency = 0.2
    command = Console(stage).start("reconcile")
    stage.graph.wait_for(lambda: sum(call.kind is CallKind.DELTA for call in stage.graph.calls()) > 2)
    return command


def among_the_objects(stage: Stage) -> Command:
    """A reconcile in the middle of reading the objects, that has written down the first of them."""
    stage.minio.latency = 0.8
    command = Console(stage).start("reconcile")
    wait_until(lambda: adopted(stage) > 0, 30)
    assert adopted(stage) < len(OBJECTS)
    return command


MOMENTS = pytest.mark.parametrize("begin", [in_the_feed, among_the_objects])


def adopted(stage: Stage) -> int:
    """How many files the ledger knows."""
    with closing(sqlite3.connect(f"file:{stage.service.data_dir / 'journal.db'}?mode=ro", uri=True)) as journal:
        return int(journal.execute("SELECT COUNT(*) FROM ledger").fetchone()[0])


def test_a_second_one_is_refused_in_one_sentence(common: Stage) -> None:
    with in_the_feed(common) as first:
        second = Console(common).run("reconcile", "--dry-run")
        common.graph.latency = 0.0
        assert first.wait().code == 0

    assert second.code == 1
    assert second.err.count("\n") == 1
    assert "A reconcile is running already" in second.err
    assert second.out == ""
    assert adopted(common) == len(OBJECTS)


@MOMENTS
def test_an_interrupted_one_leaves_nothing_behind(common: Stage, begin: Callable[[Stage], Command]) -> None:
    """It ends soon, with the usual exit code; what it adopted stays, and the next one does the rest."""
    with begin(common) as command:
        assert scratch(common) != []
        pressed_at = time.monotonic()
        command.interrupt()
        said = command.wait()
    assert said.code == 130
    assert said.err.strip() == "sharepoint-proxy: Interrupted; what was done so far stays done."
    assert time.monotonic() - pressed_at < 5
    assert scratch(common) == []

    before = adopted(common)
    calm(common)
    assert reconcile(common) == {key: count for key, count in (("adopted", 40 - before), ("same", before)) if count}
    assert writes(common) == {}


@MOMENTS
def test_a_killed_one_is_no_hindrance(common: Stage, begin: Callable[[Stage], Command]) -> None:
    with begin(common) as command:
        command.kill()
        assert command.wait().code == -9

    calm(common)
    found = reconcile(common)
    assert found.get("adopted", 0) + found.get("same", 0) == len(OBJECTS)
    assert writes(common) == {}
    assert scratch(common) == []


def test_nothing_is_sent_twice_beside_a_service_that_is_uploading(common: Stage) -> None:
    """Objects come, change and go all the while; each content is sent once, as it would be without a reconcile."""
    common.graph.latency = 0.05
    common.graph.change(delta_page=10)
    keys = [f"bts-sio/{number:03}.txt" for number in range(60)]
    stop = threading.Event()

    def reconcile_again_and_again() -> None:
        while not stop.is_set():
            assert Console(common).run_alone("reconcile", "--delete", "--force").code == 0

    reconciles = threading.Thread(target=reconcile_again_and_again)
    reconciles.start()
    for key in keys:
        common.put(key, b"first")
        stop.wait(0.05)
    for key in keys[::3]:
        common.delete(key)
    common.minio.drain(60)
    stop.set()
    reconciles.join()
    common.settle(60)

    kept = [key for number, key in enumerate(keys) if number % 3]
    sent = uploads(common)
    assert {key: sent[key] for key in kept} == dict.fromkeys(kept, 1)
    assert max(sent.values()) == 1
    assert {path for path, size in common.graph.tree().items() if path.startswith("bts-sio/") and size} == set(kept)
    assert set(reconcile(common)) <= {"same", "adopted"}


def test_it_can_wait_until_the_service_has_done_all(stage: Stage) -> None:
    """And says so when there is no service; what was marked waits for it."""
    put_unannounced(stage, OBJECTS)
    said = Console(stage).run("reconcile", "--wait")
    assert said.code == 0
    assert "Nothing waits any more" in said.out
    assert set(OBJECTS) <= set(stage.graph.tree())

    stage.service.stop()
    put_unannounced(stage, {f"{FOLDER}/new.txt": b"new"})
    said = Console(stage).run("reconcile", "--wait")
    assert said.code == 1
    assert "The service does not answer" in said.out
    stage.begin()
    stage.settle()
    assert stage.graph.content(f"{FOLDER}/new.txt") == b"new"
