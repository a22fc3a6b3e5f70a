"""Reconciles that the service makes by itself: after its start, when their hour comes, after a damage, and never where that is turned off."""

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing

from e2e.comparing import FOLDER, delete_unannounced, fill_library, mirror, put_unannounced, scratch, uploads, writes
from e2e.console import Console
from e2e.trouble import wait_until

from simulator.stage import Stage

MakeStage = Callable[..., Stage]
OBJECTS = {f"{FOLDER}/{number:02}.txt": f"content {number}".encode() for number in range(40)}
DAY_SECONDS = 24 * 3600
SOON_SECONDS = 8.0
"""Longer than a start, and than the service waits after it."""


def test_the_service_makes_one_by_itself_after_its_start(make_stage: MakeStage, stage: Stage) -> None:
    """Objects without an event are there; it says how it ended in the log and in `status`. One that runs for longer, where that is turned off, made none."""
    turned_off, stage = stage, make_stage(settings={"RECONCILE_HOURS": "24"})
    for each in (turned_off, stage):
        put_unannounced(each, {f"{FOLDER}/a.txt": b"a"})
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
    assert [line for line in turned_off.service.log() if line["event"] == "reconciled"] == []
    assert turned_off.calls() == []


def test_the_next_one_is_made_when_its_hour_comes(make_stage: MakeStage) -> None:
    """Also counted from one that the command made; not each time that the service starts."""
    stage = make_stage()
    stage.begin()
    assert Console(stage).run("reconcile").code == 0
    stage.service.kill()
    put_unannounced(stage, {f"{FOLDER}/a.txt": b"a"})
    due_at = time.time() + SOON_SECONDS
    with closing(sqlite3.connect(stage.service.data_dir / "journal.db")) as journal:
        (text,) = journal.execute("SELECT text FROM notes WHERE name = 'reconciled'").fetchone()
        nearly_a_day_ago = json.dumps({**json.loads(text), "at": due_at - DAY_SECONDS})
        journal.execute("UPDATE notes SET text = ? WHERE name = 'reconciled'", (nearly_a_day_ago,))
        journal.commit()
    stage.service._settings["RECONCILE_HOURS"] = "24"
    stage.service.start()

    stage.graph.wait_for(lambda: stage.graph.item(f"{FOLDER}/a.txt") is not None, 30)
    assert time.time() >= due_at


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
    wait_until(lambda: scratch(stage), 30)
    asked_at = time.monotonic()
    stage.service.stop()
    assert time.monotonic() - asked_at < 10
    assert [line for line in stage.service.log() if line["level"] == "ERROR"] == []

    stage.minio.heal()
    stage.begin()
    line = stage.service.wait_for_line(lambda line: line["event"] == "reconciled")
    assert line["adopted"] == len(objects)
    assert uploads(stage) == {}
    assert scratch(stage) == []
