"""A reconcile beside the service, beside another one, broken off, killed, and made by the service itself."""

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from e2e.comparing import (
    FOLDER,
    delete_unannounced,
    fill_library,
    mirror,
    put_unannounced,
    reconcile,
    scratch,
    uploads,
    writes,
)
from e2e.console import Command, Console
from e2e.trouble import calm

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
    wait_until(lambda: adopted(stage) > 0)
    assert adopted(stage) < len(OBJECTS)
    return command


MOMENTS = pytest.mark.parametrize("begin", [in_the_feed, among_the_objects])


def adopted(stage: Stage) -> int:
    """How many files the ledger knows."""
    with closing(sqlite3.connect(f"file:{stage.service.data_dir / 'journal.db'}?mode=ro", uri=True)) as journal:
        return int(journal.execute("SELECT COUNT(*) FROM ledger").fetchone()[0])


def wait_until(condition: Callable[[], bool], *, timeout: float = 30.0) -> None:
    """Return once CONDITION holds; of another process nobody tells."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_second_one_is_refused_in_one_sentence(common: Stage) -> None:
    with in_the_feed(common) as first:
        second = Console(common).run("reconcile", "--dry-run")
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


def test_the_service_makes_one_by_itself_after_its_start(make_stage: MakeStage) -> None:
    """Objects without an event are there; it says how it ended in the log and in `status`."""
    stage = make_stage(settings={"RECONCILE_HOURS": "24"})
    put_unannounced(stage, {f"{FOLDER}/a.txt": b"a"})
    fill_library(stage, {f"{FOLDER}/a.txt": b"a"})
    put_unannounced(stage, {f"{FOLDER}/b.txt": b"b"})
    stage.begin()
    line = stage.service.wait_for_line(lambda line: line["event"] == "reconciled")
    stage.settle()

    assert (line["objects"], line["adopted"], line["new"]) == (2, 1, 1)
    assert uploads(stage) == {f"{FOLDER}/b.txt": 1}
    assert scratch(stage) == []
    last = json.loads(Console(stage).run("status", "--json").out)["last_reconcile"]
    assert (last["objects"], last["adopted"], last["marked"], last["error"]) == (2, 1, 1, "")


def test_the_service_makes_none_where_that_is_turned_off(stage: Stage) -> None:
    put_unannounced(stage, {f"{FOLDER}/a.txt": b"a"})
    with pytest.raises(TimeoutError):
        stage.service.wait_for_line(lambda line: line["event"] == "reconciled", timeout=8)
    assert uploads(stage) == {}


def test_the_next_one_is_made_when_its_hour_comes(make_stage: MakeStage) -> None:
    """Also counted from one that the command made; not each time that the service starts."""
    stage = make_stage(settings={"RECONCILE_HOURS": "24"})
    stage.begin()
    stage.service.wait_for_line(lambda line: line["event"] == "reconciled")
    stage.service.stop()
    put_unannounced(stage, {f"{FOLDER}/a.txt": b"a"})
    stage.begin()
    with pytest.raises(TimeoutError):
        stage.service.wait_for_line(lambda _: uploads(stage) != {}, timeout=8)
    stage.service.stop()
    with closing(sqlite3.connect(stage.service.data_dir / "journal.db")) as journal:
        (text,) = journal.execute("SELECT text FROM notes WHERE name = 'reconciled'").fetchone()
        a_day_ago = json.dumps({**json.loads(text), "at": time.time() - 25 * 3600})
        journal.execute("UPDATE notes SET text = ? WHERE name = 'reconciled'", (a_day_ago,))
        journal.commit()
    stage.begin()
    stage.graph.wait_for(lambda: stage.graph.item(f"{FOLDER}/a.txt") is not None, 20)


def test_a_damaged_journal_leads_to_one(stage: Stage) -> None:
    """Although they are turned off: the service goes on with a ledger that knows its files."""
    mirror(stage, OBJECTS)
    stage.service.stop()
    delete_unannounced(stage, f"{FOLDER}/00.txt")
    put_unannounced(stage, {f"{FOLDER}/new.txt": b"new"})
    (stage.service.data_dir / "journal.db").write_bytes(b"no journal" * 1000)
    stage.begin()
    line = stage.service.wait_for_line(lambda line: line["event"] == "reconciled")
    stage.settle()

    assert (line["adopted"], line["new"], line["stale"]) == (len(OBJECTS) - 1, 1, 1)
    assert writes(stage) == {f"PUT_CONTENT {FOLDER}/new.txt": 1}
    stage.delete(f"{FOLDER}/01.txt")
    stage.settle()
    assert writes(stage) == {f"DELETE {FOLDER}/01.txt": 1}
    assert stage.graph.item(f"{FOLDER}/00.txt") is not None


def test_the_service_stops_soon_in_the_middle_of_one(make_stage: MakeStage) -> None:
    """Without a word of failure; the next start makes it anew."""
    stage = make_stage(settings={"RECONCILE_HOURS": "24"})
    objects = {f"{FOLDER}/{number:02}.bin": bytes(1000) for number in range(60)}
    put_unannounced(stage, objects)
    fill_library(stage, objects)
    stage.minio.latency = 0.5
    stage.begin()
    wait_until(lambda: 0 < adopted(stage) < len(objects))
    asked_at = time.monotonic()
    stage.service.stop()
    assert time.monotonic() - asked_at < 10
    assert [line for line in stage.service.log() if line["level"] == "ERROR"] == []

    stage.minio.heal()
    stage.begin()
    line = stage.service.wait_for_line(lambda line: line["event"] == "reconciled")
    assert line["same"] + line["adopted"] == len(objects)
    assert uploads(stage) == {}
    assert scratch(stage) == []
