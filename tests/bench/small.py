"""Works with small files: a burst of events, a bucket that was filled before, one event alone."""

import time
from collections.abc import Sequence
from contextlib import closing

from bench.bucket import BUCKET, Synthetic
from bench.deeds import Cost, check, compete, copied, figures, fresh, looped, mirrored
from bench.ground import Ground, Line, Running
from bench.peer import BUCKET_REMOTE, LIBRARY_REMOTE, Rclone
from bench.plan import MILLISECONDS_PER_SECOND, Plan, at_least, at_most
from bench.posting import body_of, connected
from bench.processes import run
from bench.results import Contender, Figure, Run, Target, Who, Work
from bench.watch import Watch
from measure.senders import exchange
from simulator.service_process import ROOT, SECRET

SMALL_BYTES = 10 * 1024

_LATENCY_SECONDS = 0.1
_FASTER_THAN_DEFAULTS = 3.0
_FASTER_THAN_BEST = 1.5
_ROUND_TRIPS = 1.25
_FASTER_THAN_COPYTO = 4.0
_DAY_SECONDS = 86_400.0
_TIMEOUT_SECONDS = 300.0
_BETWEEN_EVENTS_SECONDS = 0.3
"""Longer than what the service takes for a sign of a backlog."""

_SETTLED = 204
_HOW_TIMED = (
    "The service is timed from the first event, or from the start of the command, until SharePoint holds the last file;"
    " rclone from the start of its process to its end."
)


def small_files(plan: Plan) -> list[Work]:
    """400 files of 10 KiB: from a burst of events, and from a bucket that was filled the day before."""
    files = plan.of(400, quick=120)
    with plan.ground(Line(latency=_LATENCY_SECONDS)) as ground:
        rclone = ground.rclone()
        objects = fresh(ground, count=files, size=SMALL_BYTES)
        few = objects[: plan.of(100, quick=20)]
        contenders = compete(
            plan,
            Figure.FILES_PER_SECOND,
            {
                Who.SERVICE: lambda: _burst(ground, files),
                Who.SERVICE_QUEUED: lambda: _burst(ground, files, senders=1),
                Who.RECONCILE: lambda: _reconcile(ground, files, age_seconds=_DAY_SECONDS),
                Who.RECONCILE_FRESH: lambda: _reconcile(ground, files),
                Who.NAIVE: lambda: looped(ground, few),
            },
            lambda transfers: copied(ground, rclone, objects, transfers=transfers),
        )
    of_reconcile = {Who.RECONCILE, Who.RECONCILE_FRESH}
    of_burst = {Who.SERVICE, Who.SERVICE_QUEUED}
    return [
        _faster(
            plan,
            "burst",
            f"{files} files of 10 KiB, from one burst of events",
            [each for each in contenders if each.who not in of_reconcile],
            "MinIO without a queue directory posts from several senders at once, here 8; with one, one event at a time.",
        ),
        _faster(
            plan,
            "reconcile",
            f"{files} files of 10 KiB in a bucket that was filled before, by `reconcile`",
            [each for each in contenders if each.who not in of_burst],
            "Objects older than an hour are given their date by a second call, as rclone gives it to all.",
        ),
    ]
