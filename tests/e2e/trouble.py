"""What tests of faults share: one stage for a whole module, and questions about one key amid others."""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from simulator.calls import Call, CallKind
from simulator.faults import AnswerWith, CutPoint, Fault, FaultBody, Match
from simulator.options import OfficeRewriting
from simulator.stage import BUCKET, Stage

MIB = 1024 * 1024
FOLDER = "administration"
IMPATIENT = {"MAX_ATTEMPTS": "2", "SYNC_WAIT_SECONDS": "0"}
"""A key is tried twice, some half a second apart; no answer waits, so that keys meet their faults at the same time."""

_LOOK_SECONDS = 0.02

GRAPH_KINDS = tuple(kind for kind in CallKind if kind not in {CallKind.OPENID, CallKind.TOKEN})


@contextmanager
def open_stage(folder: Path, *, settings: dict[str, str] | None = None, **options: object) -> Iterator[Stage]:
    """A stage whose service is ready and gives up soon; SETTINGS and OPTIONS are added."""
    made = Stage(folder, settings={**IMPATIENT, **(settings or {})}, **options)  # type: ignore[arg-type] # forwarded as they are
    with made as running:
        running.begin()
        yield running


def calm(stage: Stage) -> None:
    """End all faults, wait for what they left behind, and forget the calls."""
    stage.graph.clear_faults()
    stage.graph.latency = 0.0
    stage.graph.bandwidth = None
    stage.minio.heal()
    stage.settle()
    stage.graph.clear_calls()


def empty(stage: Stage) -> None:
    """End all faults, and leave nothing in MinIO, the library and the journal: for the next test the stage is as good as new."""
    stage.graph.change(children_page=200, office_rewriting=OfficeRewriting.OFF)
    stage.graph.resource_units = None
    stage.minio.resume()
    calm(stage)
    for key in stored(stage):
        stage.delete(key)
    stage.settle()
    # What a test lost behind MinIO's back was never announced.
    nudge(stage, *rows(stage, "ledger"))
    stage.settle()
    for path in [path for path in stage.graph.tree() if "/" not in path]:
        stage.graph.delete_foreign(path)
    stage.minio._store.bucket(BUCKET).multiparts.clear()
    stage.graph.clear_calls()
    assert [rows(stage, table) for table in ("changes", "uploads", "ledger")] == [[], [], []]


def start_again(stage: Stage) -> None:
    """Start the service, which was stopped; returns when it is ready to mirror."""

    def starts() -> int:
        return sum(line["event"] == "startup" for line in stage.service.log())

    seen = starts()
    stage.service.start(wait=False)
    stage.service.wait_for_line(lambda _: starts() > seen)


def nudge(stage: Stage, *keys: str, bucket: str = BUCKET) -> None:
    """Post an event for each of KEYS, as an administrator does who wants them looked at again."""
    for key in keys:
        answer = stage.service.post({"EventName": "s3:ObjectCreated:Put", "Key": f"{bucket}/{key}"})
        assert answer.status_code in {202, 204}


def refuse_all(stage: Stage, status: int, body: FaultBody = FaultBody.JSON) -> None:
    """Let Graph answer each call with STATUS, until the faults are cleared."""
    for kind in GRAPH_KINDS:
        stage.graph.add_fault(Fault(Match(kind), AnswerWith(status, body), times=None))


def why_not_ready(stage: Stage) -> str:
    """What /ready complains of; "" when it is ready."""
    answer = stage.service.get("/ready")
    assert answer.status_code == (503 if answer.json()["reasons"] else 200)
    return " ".join(answer.json()["reasons"])


def held(stage: Stage, *, bucket: str = BUCKET) -> dict[str, bytes]:
    """All objects of the bucket."""
    client = stage.minio.client()
    return {key: client.get_object(bucket, key).data for key in stored(stage, bucket=bucket)}


def stored(stage: Stage, *, bucket: str = BUCKET) -> list[str]:
    """The keys of all objects of the bucket."""
    return [str(found.object_name) for found in stage.minio.client().list_objects(bucket, recursive=True)]


def rows(stage: Stage, table: str) -> list[str]:
    """The keys of a table of the journal."""
    path = stage.folder / "data" / "journal.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as journal:
        return [key for (key,) in journal.execute(f"SELECT key FROM {table}")]  # noqa: S608 - the tests' own names


def wait_until_postponed(stage: Stage, key: str, *, attempt: int = 1) -> str:
    """Why KEY was put off in its try number ATTEMPT or a later one, once that is known."""
    line = stage.service.wait_for_line(
        lambda line: line["event"] == "postponed" and line["key"] == key and line["attempt"] >= attempt
    )
    return str(line["reason"])


def wait_for_outage(stage: Stage, keys: Sequence[str]) -> str:
    """What /ready complains of once one of KEYS, which nothing was known of before, met an outage; "" if one was parked instead."""

    def met(line: dict[str, Any]) -> bool:
        is_ours = line.get("key") in keys and line["event"] in {"postponed", "parked"}
        return is_ours and (line["event"] == "parked" or bool(why_not_ready(stage)))

    stage.service.wait_for_line(met)
    return why_not_ready(stage)


def tries_counted(stage: Stage, key: str) -> int:
    """How many tries of KEY, which waits, count towards MAX_ATTEMPTS."""
    path = stage.service.data_dir / "journal.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as journal:
        return int(journal.execute("SELECT attempts FROM changes WHERE key = ?", (key,)).fetchone()[0])


def in_journal(stage: Stage, query: str) -> set[str]:
    """The first column of what QUERY finds in the journal."""
    with closing(sqlite3.connect(f"file:{stage.service.data_dir / 'journal.db'}?mode=ro", uri=True)) as journal:
        return {row[0] for row in journal.execute(query)}


def wait_until_parked(stage: Stage, key: str, *, saying: str = "") -> str:
    """Why KEY was parked, once it is, for a reason that holds SAYING."""
    line = stage.service.wait_for_line(
        lambda line: line["event"] == "parked" and line["key"] == key and saying in line["reason"]
    )
    return str(line["reason"])


def wait_until_settled(stage: Stage, key: str) -> None:
    """Return once KEY was settled for the first time."""
    stage.service.wait_for_line(lambda line: line["event"] == "settled" and line["key"] == key)


def wait_until(holds: Callable[[], object], timeout: float = 10.0) -> None:
    """Return once HOLDS is true, for what nobody announces; raises TimeoutError."""
    deadline = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout} s in vain")
        time.sleep(_LOOK_SECONDS)


def fault_name(value: object) -> str:
    """A short name for a fault, fit for a test's name and for a key."""
    if not isinstance(value, AnswerWith):
        at = getattr(value, "at", None)
        return f"{type(value).__name__}-{at.value}" if isinstance(at, CutPoint) else type(value).__name__
    advice = [f"{name}-{text}" for name, text in value.headers.items() if "/" not in text]
    when = "after" if value.after_effect else ""
    return "-".join(part for part in (str(value.status), value.code or "", value.body.value, *advice, when) if part)


def state_of(stage: Stage, key: str) -> str:
    """What the journal says of KEY: "waiting", "parked", or "settled" when it says nothing."""
    states = {name: state for _, name, state in stage.service.journal()}
    return states.get(key, "settled")


def about(calls: Sequence[Call], path: str, *kinds: CallKind) -> list[Call]:
    """Those of CALLS that are of KINDS (none: any) and about PATH."""
    return [call for call in calls if path in call.item_path and (not kinds or call.kind in kinds)]


def calls_about(stage: Stage, path: str, *kinds: CallKind) -> list[Call]:
    """The calls of KINDS (none: any) about PATH since they were last forgotten."""
    return about(stage.graph.calls(), path, *kinds)


def statuses(stage: Stage, path: str, *kinds: CallKind) -> list[int]:
    """The statuses of those calls; 0 is a connection that was cut."""
    return [call.status for call in calls_about(stage, path, *kinds)]


def versions_of(stage: Stage, path: str) -> int:
    """How often the file at PATH was written."""
    item = stage.graph.item(path)
    assert item is not None
    return item.versions
