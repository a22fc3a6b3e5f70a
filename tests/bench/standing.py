"""Works that concern what waits: how many events a second are taken while Graph is away, and what an event costs while many wait."""

from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from measure.intake import load
from measure.report import percentile

from bench.bucket import BUCKET, Synthetic
from bench.deeds import fresh
from bench.ground import Ground, Line
from bench.plan import MILLISECONDS_PER_SECOND, Plan, at_least, at_most
from bench.posting import body_of, post
from bench.results import Contender, Figure, Run, Who, Work
from sharepoint_proxy import paths, tables
from sharepoint_proxy.database import Database
from sharepoint_proxy.events import Kind, ObjectEvent
from sharepoint_proxy.journal import Journal

_SENDERS = 8
_EVENTS_PER_SECOND = 300.0
_P99_MS = 50.0
_UNLIMITED = "service, as fast as it answers"
_SIZE = 1024
_BATCH = 10_000
_WARM_UP = 100
_MEASURED = 400
_FLAT = 1.2
_TIMEOUT_SECONDS = 300.0
_LINE = Line(latency=0.02)
_ON_GROWTH = (
    f"Two costs added up, each of {_MEASURED} events: to take one while Graph is away, and to mirror its file,"
    " with as many rows left afterwards as are named."
)


def intake(plan: Plan) -> list[Work]:
    """Events from eight senders while neither Entra ID nor Graph can be reached."""
    seconds = plan.of(10.0, quick=4.0)
    runs = plan.by_turns(
        {Who.SERVICE: partial(_taken, _EVENTS_PER_SECOND, seconds), _UNLIMITED: partial(_taken, None, seconds)}
    )
    contenders = [
        Contender.of(Who.SERVICE, runs[Who.SERVICE], note=f"{_EVENTS_PER_SECOND:g} events/s sent"),
        Contender.of(_UNLIMITED, runs[_UNLIMITED]),
    ]
    most = contenders[1].figures[Figure.EVENTS_PER_SECOND].median
    p99 = contenders[0].figures[Figure.P99].median
    return [
        Work(
            name="intake",
            title=f"Intake with Graph away, {_SENDERS} senders",
            latency=0.0,
            headline=Figure.EVENTS_PER_SECOND,
            runs=plan.runs,
            contenders=contenders,
            targets=(
                at_least(f"at least {_EVENTS_PER_SECOND:g} events/s on disk", most, _EVENTS_PER_SECOND, "events/s"),
                at_most(f"p99 at most {_P99_MS:g} ms at {_EVENTS_PER_SECOND:g} events/s", p99, _P99_MS, "ms"),
            ),
        )
    ]


def growth(plan: Plan) -> list[Work]:
    """What an event costs, from its request to SharePoint, while 100, 1,000, 10,000, 100,000 others wait."""
    sizes = plan.of((100, 1_000, 10_000, 100_000), quick=(100, 10_000))
    with plan.ground(_LINE) as ground:
        deeds: dict[int, Callable[[], Run]] = {waiting: partial(_while_waiting, ground, waiting) for waiting in sizes}
        runs = plan.by_turns(deeds)
    contenders = [Contender.of(f"service, {waiting:,} rows waiting", runs[waiting]) for waiting in sizes]
    medians = [each.figures[Figure.CPU_PER_EVENT].median for each in contenders]
    return [
        Work(
            name="growth",
            title="An event while many rows wait, from its request to SharePoint",
            latency=_LINE.latency,
            headline=Figure.CPU_PER_EVENT,
            runs=plan.runs,
            contenders=contenders,
            targets=(at_most("cost per event flat within 20 %", max(medians) / min(medians), _FLAT),),
            notes=(_ON_GROWTH,),
        )
    ]


def _taken(rate: float | None, seconds: float) -> Run:
    found = load(rate, senders=_SENDERS, seconds=seconds)
    return {
        Figure.EVENTS_PER_SECOND: found.events_per_second,
        Figure.P99: percentile(found.times, 99) * MILLISECONDS_PER_SECOND,
        Figure.LOST: found.taken - found.rows,
    }


def _while_waiting(ground: Ground, waiting: int) -> Run:
    """The CPU time that it takes to put an event on the disk, and to mirror a file, while WAITING others wait."""
    taking = _taking(ground, waiting) * MILLISECONDS_PER_SECOND
    mirroring = _mirroring(ground, waiting) * MILLISECONDS_PER_SECOND
    return {
        Figure.CPU_PER_EVENT: taking + mirroring,
        Figure.CPU_TO_TAKE: taking,
        Figure.CPU_PER_FILE: mirroring,
    }


def _taking(ground: Ground, waiting: int) -> float:
    """CPU seconds to take an event while Graph is away and WAITING rows wait."""
    data_dir = ground.new_folder()
    objects = fresh(ground, count=waiting + _MEASURED, size=_SIZE)
    _fill(data_dir, objects[_MEASURED:])
    bodies = [body_of(each) for each in objects[:_MEASURED]]
    with ground.service_without_graph(data_dir) as service:
        service.reset()
        post(service.port, bodies, senders=_SENDERS)
        return service.cpu_seconds() / _MEASURED


def _mirroring(ground: Ground, waiting: int) -> float:
    """CPU seconds to mirror a file after which WAITING rows or more are left."""
    data_dir = ground.new_folder()
    _fill(data_dir, fresh(ground, count=waiting + _WARM_UP + _MEASURED, size=_SIZE))
    with ground.service(data_dir=data_dir) as service:
        service.watch.wait_for_files(_WARM_UP, timeout=_TIMEOUT_SECONDS)
        watch = service.reset()
        watch.wait_for_files(_MEASURED, timeout=_TIMEOUT_SECONDS)
        cost = service.cpu_seconds() / watch.files
        service.process.kill()
    return cost


def _fill(data_dir: Path, backlog: Sequence[Synthetic]) -> None:
    """Mark the objects in a new journal."""
    data_dir.mkdir(parents=True)
    with closing(Database(data_dir / "journal.db", schema=tables.SCHEMA)) as database:
        journal = Journal(database, place_of=paths.comparison_key, delete_grace_seconds=0.0)
        for start in range(0, len(backlog), _BATCH):
            journal.mark([_event(each) for each in backlog[start : start + _BATCH]])


def _event(each: Synthetic) -> ObjectEvent:
    return ObjectEvent(bucket=BUCKET, key=each.key, name="s3:ObjectCreated:Put", kind=Kind.CREATED, size=each.size)
