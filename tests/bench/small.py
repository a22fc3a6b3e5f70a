"""Works with small files: a burst of events, a bucket that was filled before, one event alone."""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

from measure.senders import exchange

from bench.bucket import Synthetic
from bench.deeds import Cost, check, compete, copied, figures, folder_of, fresh, looped, mirrored
from bench.ground import Ground, Line, Running
from bench.peer import BUCKET_REMOTE, LIBRARY_REMOTE, TRANSFERS, Rclone
from bench.plan import MILLISECONDS_PER_SECOND, Plan, at_least, at_most
from bench.posting import MINIO_SENDERS, body_of, connected
from bench.results import Contender, Figure, Run, Who, Work
from bench.watch import Watch

SMALL_BYTES = 10 * 1024

_LATENCY_SECONDS = 0.1
_LINE = Line(latency=_LATENCY_SECONDS)
_FASTER = {Who.DEFAULTS: 3.0, Who.BEST: 1.5}
_ROUND_TRIPS = 1.25
_FASTER_THAN_COPYTO = 4.0
_DAY_SECONDS = 86_400.0
_TIMEOUT_SECONDS = 300.0
_BETWEEN_EVENTS_SECONDS = 0.3
"""Longer than what the service takes for a sign of a backlog."""

_QUEUED = "service, one event at a time"
_RECONCILE = "service, by reconcile"
_OLD = "service, objects a day old"
_SETTLED = 204
_HOW_TIMED = (
    "The service is timed from the first event, or from the start of the command, until SharePoint holds the last file;"
    " rclone from the start of its process to its end."
)


def small_files(plan: Plan) -> list[Work]:
    """400 files of 10 KiB: from a burst of events, and from a bucket that was filled before."""
    files = plan.of(400, quick=100)
    with plan.ground(_LINE) as ground:
        rclone = ground.rclone()
        objects = fresh(ground, count=files, size=SMALL_BYTES)
        few = objects[: plan.of(60, quick=20)]
        contenders = compete(
            plan,
            Figure.FILES_PER_SECOND,
            {
                Who.SERVICE: lambda: _burst(ground, files),
                _QUEUED: lambda: _burst(ground, files, senders=1),
                _RECONCILE: lambda: _reconcile(plan, files),
                _OLD: lambda: _reconcile(plan, files, age_seconds=_DAY_SECONDS),
                Who.NAIVE: lambda: looped(ground, few),
            },
            lambda transfers: copied(ground, rclone, objects, transfers=transfers),
            transfers=plan.of(TRANSFERS[1:], quick=TRANSFERS[-1:]),
        )
    burst = {Who.SERVICE, _QUEUED}
    reconcile: dict[str, str] = {_RECONCILE: Who.SERVICE, _OLD: _OLD}
    others = [each for each in contenders if each.who not in burst | reconcile.keys()]
    return [
        _faster(
            plan,
            "burst",
            f"{files} files of 10 KiB, from one burst of events",
            [*(each for each in contenders if each.who in burst), *others],
            "MinIO without a queue directory posts from several senders at once, here 8; with one, one event at a time.",
        ),
        _faster(
            plan,
            "reconcile",
            f"{files} files of 10 KiB in a bucket that was filled before, by `reconcile`",
            [*(replace(each, who=reconcile[each.who]) for each in contenders if each.who in reconcile), *others],
            "Objects older than an hour are given their date by a second call, as rclone gives it to all.",
        ),
    ]


def one_event(plan: Plan) -> list[Work]:
    """One event about a small file, again and again, each alone."""
    times = plan.of(20, quick=10)
    with plan.ground(_LINE) as ground:
        rclone = ground.rclone()
        objects = fresh(ground, count=times, size=SMALL_BYTES)
        with ground.service() as service:
            ours = _events(service, objects)
        check(ground, folder_of(objects), objects)
        few = objects[: plan.of(5, quick=2)]
        ground.library.make_folder("copied")
        theirs = [_copyto(ground, rclone, each) for each in few]
        naive = [looped(ground, [each]) for each in few]
    contenders = [
        Contender.of(Who.SERVICE, ours, note=f"{times} events"),
        Contender.of(Who.DEFAULTS, theirs, note="copyto"),
        Contender.of(
            Who.NAIVE, [{Figure.MILLISECONDS: each[Figure.SECONDS] * MILLISECONDS_PER_SECOND} for each in naive]
        ),
    ]
    work = Work(
        name="event",
        title="One event, a file of 10 KiB: until SharePoint holds it",
        latency=_LATENCY_SECONDS,
        headline=Figure.MILLISECONDS,
        runs=times,
        contenders=contenders,
        targets=(),
        notes=("rclone is timed from the start of its process to its end, the plain loop without whatever calls it.",),
    )
    ours_ms = contenders[0].figures[Figure.MILLISECONDS].median
    round_trips = ours_ms / (_LATENCY_SECONDS * MILLISECONDS_PER_SECOND)
    targets = (
        at_most(f"at most {_ROUND_TRIPS} round trips", round_trips, _ROUND_TRIPS),
        at_least(f"at least {_FASTER_THAN_COPYTO:g}x as fast as copyto", work.ratio(Who.DEFAULTS), _FASTER_THAN_COPYTO),
    )
    return [replace(work, targets=targets)]


def _burst(ground: Ground, files: int, *, senders: int = MINIO_SENDERS) -> Run:
    with ground.service() as service:
        return mirrored(ground, service, fresh(ground, count=files, size=SMALL_BYTES), senders=senders)


def _reconcile(plan: Plan, files: int, *, age_seconds: float = 0.0) -> Run:
    """Run the command beside a service whose journal is empty, as the library is: it reads all of it, whoever put it there."""
    with plan.ground(_LINE) as ground:
        prefix = ground.new_prefix()
        with ground.service(settings={"ALLOWED_PREFIXES": prefix}) as service:
            objects = fresh(ground, count=files, size=SMALL_BYTES, prefix=prefix, age_seconds=age_seconds)
            watch = service.reset()
            began = time.perf_counter()
            command = service.command("reconcile")
            seconds = watch.wait_for_files(files, timeout=_TIMEOUT_SECONDS) - began
            cost = Cost(
                seconds=seconds,
                cpu_seconds=service.cpu_seconds() + command.ended().cpu_seconds,
                peak_bytes=service.peak_bytes(),
            )
        check(ground, prefix, objects)
        return figures(objects, cost, watch)


def _events(service: Running, objects: Sequence[Synthetic]) -> list[Run]:
    """Announce one object after the other; the CPU time is that of all, as the kernel counts in hundredths of a second."""
    watch = service.reset()
    times = [_event(service, each) for each in objects]
    watch.look()
    cost = {
        Figure.CPU_PER_FILE: service.cpu_seconds() * MILLISECONDS_PER_SECOND / len(objects),
        Figure.CALLS_PER_FILE: len(watch.calls) / len(objects),
    }
    return [{**each, **cost} for each in times]


def _event(service: Running, each: Synthetic) -> Run:
    time.sleep(_BETWEEN_EVENTS_SECONDS)
    began = time.time()
    with closing(connected(service.port)) as connection:
        answered = exchange(connection, body_of(each))
    if answered.status != _SETTLED:
        raise RuntimeError(f"The event was answered {answered.status} and not {_SETTLED}: it was not settled at once.")
    service.watch.look()
    # The simulator notes when a call arrives; what it asks for takes effect after the latency.
    held_at = service.watch.calls_for_files()[-1].at + _LATENCY_SECONDS
    return {
        Figure.MILLISECONDS: (held_at - began) * MILLISECONDS_PER_SECOND,
        Figure.ANSWERED: answered.seconds * MILLISECONDS_PER_SECOND,
    }


def _copyto(ground: Ground, rclone: Rclone, each: Synthetic) -> Run:
    name = each.key.rpartition("/")[2]
    watch = Watch(ground.graph)
    ended = rclone.run("copyto", f"{BUCKET_REMOTE}/{each.key}", f"{LIBRARY_REMOTE}copied/{name}")
    watch.look()
    return {
        Figure.MILLISECONDS: ended.seconds * MILLISECONDS_PER_SECOND,
        Figure.CPU_PER_FILE: ended.cpu_seconds * MILLISECONDS_PER_SECOND,
        Figure.CALLS_PER_FILE: len(watch.calls),
    }


def _faster(plan: Plan, name: str, title: str, contenders: Sequence[Contender], note: str) -> Work:
    """A work of many files, whose files/s are compared with rclone's."""
    work = Work(
        name=name,
        title=title,
        latency=_LATENCY_SECONDS,
        headline=Figure.FILES_PER_SECOND,
        runs=plan.runs,
        contenders=contenders,
        targets=(),
        notes=(_HOW_TIMED, note),
    )
    targets = [
        at_least(f"at least {wanted:g}x rclone's {than.partition(', ')[2]}{_whose(who)}", work.ratio(than, who), wanted)
        for who in (Who.SERVICE, _OLD)
        if work.spread(who) is not None
        for than, wanted in _FASTER.items()
    ]
    return replace(work, targets=targets)


def _whose(who: str) -> str:
    return "" if who == Who.SERVICE else f" ({who.partition(', ')[2]})"
