"""Works that are done with as few calls as possible: overwrites, objects that did not change, a folder that is renamed."""

import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from bench.bucket import Batch, Synthetic
from bench.deeds import check, folder_of, fresh, mirrored
from bench.ground import Ground, Line
from bench.peer import BUCKET_REMOTE, LIBRARY_REMOTE, Rclone
from bench.plan import MILLISECONDS_PER_SECOND, Plan, at_most
from bench.posting import MINIO_SENDERS, Act, body_of, play, post
from bench.results import Contender, Figure, Run, Who, Work
from bench.small import SMALL_BYTES
from bench.watch import Watch
from simulator.minio_events import EventName

_LATENCY_SECONDS = 0.02
_LIVE = "service, each event while the next is written"
_VERSIONS = 20
_MORE_UPLOADS = 1.1
_OBJECTS_A_CALL = 200
_CALLS_BESIDE = 20
_MOVERS = 4
"""`mc mv` moves so many objects of a folder at once."""

_SETTLE_SECONDS = 300.0


def overwrites(plan: Plan) -> list[Work]:
    """Each of 100 keys overwritten 20 times."""
    keys = plan.of(100, quick=50)
    with plan.ground(Line(latency=_LATENCY_SECONDS)) as ground:
        runs = plan.by_turns(
            {
                Who.SERVICE: lambda: _overwritten(ground, keys, is_live=False),
                _LIVE: lambda: _overwritten(ground, keys, is_live=True),
            }
        )
    contenders = [Contender.of(who, found) for who, found in runs.items()]
    uploads = contenders[0].figures[Figure.UPLOADS].median
    most = keys * _MORE_UPLOADS
    return [
        Work(
            name="overwrites",
            title=f"{keys * _VERSIONS:,} overwrites of {keys} keys",
            latency=_LATENCY_SECONDS,
            headline=Figure.UPLOADS,
            runs=plan.runs,
            contenders=contenders,
            targets=(at_most(f"at most {most:.0f} uploads when they come in one burst", uploads, most, "uploads"),),
            notes=("In one burst: all is written when the first event is delivered, as after a pause of the delivery.",),
        )
    ]


def unchanged(plan: Plan) -> list[Work]:
    """A reconcile of 10,000 objects that are mirrored already."""
    count = plan.of(10_000, quick=1000)
    with plan.ground(Line()) as ground, ground.service() as service:
        objects = fresh(ground, count=count, size=1024)
        mirrored(ground, service, objects)
        rclone = ground.rclone()
        ground.graph.latency = _LATENCY_SECONDS
        runs = plan.by_turns(
            {
                Who.SERVICE: lambda: _looked_at(service.reset(), service.command("reconcile").ended),
                Who.DEFAULTS: lambda: _looked_at(Watch(ground.graph), partial(_compare, rclone, objects)),
            }
        )
    contenders = [Contender.of(who, found) for who, found in runs.items()]
    figures = contenders[0].figures
    most = count / _OBJECTS_A_CALL + _CALLS_BESIDE
    return [
        Work(
            name="unchanged",
            title=f"{count:,} unchanged objects, by `reconcile`",
            latency=_LATENCY_SECONDS,
            headline=Figure.CALLS,
            runs=plan.runs,
            contenders=contenders,
            targets=(
                at_most(f"at most {most:.0f} calls of Graph", figures[Figure.CALLS].highest, most, "calls"),
                at_most("no upload", figures[Figure.UPLOADS].highest, 0, "uploads"),
            ),
            notes=("rclone compares sizes alone (--size-only): of these files it did not write the dates.",),
        )
    ]
