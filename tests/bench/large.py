"""Works with large files: one, several at once, and large ones beside many small ones."""

from dataclasses import replace

from bench.deeds import compete, copied, folder_of, fresh, looped, mirrored
from bench.ground import Ground, Line
from bench.plan import MIB, Plan, at_least, at_most
from bench.posting import body_of, post
from bench.results import Contender, Figure, Run, Who, Work
from bench.small import SMALL_BYTES
from simulator.calls import CallKind

_LINE = Line(latency=0.1, bandwidth=25_000_000)
_LINE_MB = 25.0
_SHARE_OF_LINE = 95.0
_MOST_MEMORY_MIB = 150.0
_TIMES_ALONE = 1.3
_LARGEST_LOOPED_MIB = 200
_TIMEOUT_SECONDS = 60.0
_DAY_SECONDS = 86_400.0


def one_large(plan: Plan) -> list[Work]:
    """One file of 1 GiB over a line of 25 MB/s a stream."""
    size_mib = plan.of(1024, quick=75)
    with plan.ground(_LINE) as ground:
        rclone = ground.rclone()
        objects = fresh(ground, count=1, size=size_mib * MIB)
        shorter = fresh(ground, count=1, size=min(size_mib, _LARGEST_LOOPED_MIB) * MIB)
        runs = plan.by_turns(
            {
                Who.SERVICE: lambda: _mirrored(ground, count=1, size_mib=size_mib),
                Who.DEFAULTS: lambda: copied(ground, rclone, objects),
                Who.NAIVE: lambda: looped(ground, shorter),
            }
        )
    work = Work(
        name="large",
        title=f"1 file of {size_mib} MiB, 25 MB/s a stream",
        latency=_LINE.latency,
        headline=Figure.MB_PER_SECOND,
        runs=plan.runs,
        contenders=[Contender.of(who, found) for who, found in runs.items()],
        targets=(),
        notes=(f"The plain loop sends a file of at most {_LARGEST_LOOPED_MIB} MiB.",),
    )
    share = 100 * Contender.of(Who.SERVICE, runs[Who.SERVICE]).figures[Figure.MB_PER_SECOND].median / _LINE_MB
    targets = (
        at_least(f"at least {_SHARE_OF_LINE:g} % of the stream's limit", share, _SHARE_OF_LINE, "%"),
        at_least("not slower than rclone", work.ratio(Who.DEFAULTS), 1.0),
    )
    return [replace(work, targets=targets)]


def several_large(plan: Plan) -> list[Work]:
    """Eight files of 200 MiB over a line of 25 MB/s a stream."""
    size_mib = plan.of(200, quick=25)
    with plan.ground(_LINE) as ground:
        rclone = ground.rclone()
        objects = fresh(ground, count=8, size=size_mib * MIB)
        contenders = compete(
            plan,
            Figure.MB_PER_SECOND,
            {Who.SERVICE: lambda: _mirrored(ground, count=8, size_mib=size_mib)},
            lambda transfers: copied(ground, rclone, objects, transfers=transfers),
            transfers=(8,),
        )
    work = Work(
        name="parallel",
        title=f"8 files of {size_mib} MiB, 25 MB/s a stream",
        latency=_LINE.latency,
        headline=Figure.MB_PER_SECOND,
        runs=plan.runs,
        contenders=contenders,
        targets=(),
        notes=("More than 8 transfers would change nothing with 8 files.",),
    )
    memory = contenders[0].figures[Figure.PEAK].median
    targets = (
        at_least("not slower than rclone's best", work.ratio(Who.BEST), 1.0),
        at_most(f"at most {_MOST_MEMORY_MIB:g} MiB of memory", memory, _MOST_MEMORY_MIB, "MiB"),
    )
    return [replace(work, targets=targets)]


def mixed(plan: Plan) -> list[Work]:
    """400 small files, alone and while two files of 500 MiB are sent."""
    files, size_mib = plan.of(400, quick=120), plan.of(500, quick=100)
    with plan.ground(_LINE) as ground:
        runs = plan.by_turns({Who.SERVICE: lambda: _beside(ground, files=files, size_mib=size_mib)})
    contenders = [Contender.of(who, found) for who, found in runs.items()]
    times = contenders[0].figures[Figure.TIMES_ALONE].median
    return [
        Work(
            name="mixed",
            title=f"{files} files of 10 KiB while 2 files of {size_mib} MiB are sent, 25 MB/s a stream",
            latency=_LINE.latency,
            headline=Figure.TIMES_ALONE,
            runs=plan.runs,
            contenders=contenders,
            targets=(at_most(f"at most {_TIMES_ALONE:g}x their time alone", times, _TIMES_ALONE),),
        )
    ]


def _mirrored(ground: Ground, *, count: int, size_mib: int) -> Run:
    """By a new service, into a folder that is there, as it is for rclone."""
    with ground.service() as service:
        objects = fresh(ground, count=count, size=size_mib * MIB)
        ground.library.make_folder(folder_of(objects).rstrip("/"))
        return mirrored(ground, service, objects)


def _beside(ground: Ground, *, files: int, size_mib: int) -> Run:
    """The time of a burst of small files beside two large ones, as a multiple of that of another such burst before."""
    with ground.service() as service:
        alone = mirrored(ground, service, fresh(ground, count=files, size=SMALL_BYTES))
        large = fresh(ground, count=2, size=size_mib * MIB)
        ground.library.make_folder(folder_of(large).rstrip("/"))
        small = fresh(ground, count=files, size=SMALL_BYTES)
        watch = service.reset()
        # As if it had waited somewhere: nobody then waits for the outcome.
        post(service.port, [body_of(each, age_seconds=_DAY_SECONDS) for each in large], senders=1)
        watch.wait_for_calls(len(large), kind=CallKind.SESSION_CREATE, timeout=_TIMEOUT_SECONDS)
        beside = mirrored(ground, service, small)
        service.process.kill()
    return {
        Figure.TIMES_ALONE: beside[Figure.SECONDS] / alone[Figure.SECONDS],
        Figure.SECONDS: beside[Figure.SECONDS],
        Figure.PEAK: beside[Figure.PEAK],
    }
