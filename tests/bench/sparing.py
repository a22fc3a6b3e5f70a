"""Works that are done with as few calls as possible: overwrites, objects that did not change, a folder that is renamed."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from bench.bucket import Batch, Synthetic
from bench.deeds import check, folder_of, fresh, mirrored
from bench.ground import Ground, Line
from bench.peer import BUCKET_REMOTE, LIBRARY_REMOTE, Rclone
from bench.plan import MILLISECONDS_PER_SECOND, Plan, at_most
from bench.posting import MINIO_SENDERS, Act, body_of, post, relay
from bench.processes import Ended
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
_WRITERS = 8
_MOVERS = 4
"""`mc mv` moves so many objects of a folder at once."""

_SETTLE_SECONDS = 300.0
_ON_RENAMING = (
    "MinIO has no renaming: the service sees copies and removals, object by object, and finds out what they are;"
    " rclone is told, and moves the folder as a whole."
)


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
            notes=(
                "In one burst: all is written when the first event is delivered, as after a pause of the delivery.",
            ),
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


def rename(plan: Plan) -> list[Work]:
    """A folder of 500 files gets another name."""
    files = plan.of(500, quick=100)
    with plan.ground(Line()) as ground:
        rclone = ground.rclone()
        folders: list[str] = []
        runs = plan.by_turns(
            {
                Who.SERVICE: lambda: _renamed(ground, files, folders),
                Who.DEFAULTS: lambda: _moved(ground, rclone, folders[-1]),
            }
        )
    contenders = [
        Contender.of(Who.SERVICE, runs[Who.SERVICE]),
        Contender.of(Who.DEFAULTS, runs[Who.DEFAULTS], note="moveto, told both names"),
    ]
    figures = contenders[0].figures
    calls, sent = figures[Figure.CALLS_PER_FILE].highest, figures[Figure.BYTES].highest
    return [
        Work(
            name="rename",
            title=f"A folder of {files} files renamed in MinIO",
            latency=_LATENCY_SECONDS,
            headline=Figure.CALLS,
            runs=plan.runs,
            contenders=contenders,
            targets=(
                at_most("at most 1 call a file, beside those for the folder", calls, 1.0, "a file"),
                at_most("no bytes uploaded", sent, 0, "bytes"),
            ),
            notes=(_ON_RENAMING,),
        )
    ]


def _versions(keys: int, prefix: str) -> list[Batch]:
    """The keys with other bytes and another size each time."""
    seed = time.time_ns() // 1000 % 1_000_000_000
    return [
        Batch(
            prefix=prefix, count=keys, size=SMALL_BYTES + version, seed=seed + version * keys, modified=int(time.time())
        )
        for version in range(_VERSIONS)
    ]


def _overwritten(ground: Ground, keys: int, *, is_live: bool) -> Run:
    """Overwrite keys that are mirrored, and count what is uploaded until all is settled."""
    with ground.service() as service:
        objects = fresh(ground, count=keys, size=SMALL_BYTES)
        mirrored(ground, service, objects)
        versions = _versions(keys, folder_of(objects))
        watch = service.reset()
        began = time.perf_counter()
        if is_live:
            relay(service.port, _written_one_by_one(ground, versions), hands=_WRITERS)
        else:
            written = [each for version in versions for each in ground.bucket.put(version)]
            began = time.perf_counter()
            post(service.port, [body_of(each) for each in written], senders=MINIO_SENDERS)
        service.process.wait_until_idle(_SETTLE_SECONDS)
        seconds = time.perf_counter() - began
        watch.look()
        check(ground, folder_of(objects), list(versions[-1].objects()))
        return {
            Figure.UPLOADS: watch.files,
            Figure.SECONDS: seconds,
            Figure.EVENTS_PER_SECOND: keys * _VERSIONS / seconds,
            Figure.CPU_PER_EVENT: service.cpu_seconds() * MILLISECONDS_PER_SECOND / (keys * _VERSIONS),
        }


def _written_one_by_one(ground: Ground, versions: Iterable[Batch]) -> Iterator[Act]:
    for each in (each for version in versions for each in version.objects()):
        yield partial(_written, ground, each)


def _written(ground: Ground, each: Synthetic) -> Iterator[bytes]:
    ground.bucket.write(each)
    yield body_of(each)


def _looked_at(watch: Watch, deed: Callable[[], Ended]) -> Run:
    ended = deed()
    watch.look()
    return {Figure.CALLS: len(watch.calls), Figure.UPLOADS: watch.files, Figure.SECONDS: ended.seconds}


def _compare(rclone: Rclone, objects: Sequence[Synthetic]) -> Ended:
    folder = folder_of(objects).rstrip("/")
    return rclone.run("copy", f"{BUCKET_REMOTE}/{folder}", f"{LIBRARY_REMOTE}{folder}", "--size-only")


def _renamed(ground: Ground, files: int, folders: list[str]) -> Run:
    """Mirror a folder, rename it as `mc mv` does, and count what that costs; the new name goes into FOLDERS."""
    ground.graph.latency = 0.0
    with ground.service() as service:
        objects = fresh(ground, count=files, size=SMALL_BYTES)
        mirrored(ground, service, objects)
        ground.graph.latency = _LATENCY_SECONDS
        folders.append(ground.new_prefix())
        watch = service.reset()
        began = time.time()
        relay(service.port, (partial(_move, ground, each, folders[-1]) for each in objects), hands=_MOVERS)
        service.process.wait_until_idle(_SETTLE_SECONDS)
        watch.look()
        cpu_seconds = service.cpu_seconds()
    check(ground, folders[-1], [replace(each, key=_below(folders[-1], each)) for each in objects])
    return {
        Figure.CALLS: len(watch.calls),
        Figure.CALLS_PER_FILE: len(watch.calls_for_files()) / files,
        Figure.BYTES: watch.bytes_uploaded,
        Figure.SECONDS: max(call.at for call in watch.calls) + _LATENCY_SECONDS - began,
        Figure.CPU_PER_FILE: cpu_seconds * MILLISECONDS_PER_SECOND / files,
    }


def _move(ground: Ground, each: Synthetic, prefix: str) -> Iterator[bytes]:
    yield body_of(ground.bucket.copy(each, _below(prefix, each)), EventName.COPY)
    ground.bucket.remove(each)
    yield body_of(each, EventName.DELETE)


def _below(prefix: str, each: Synthetic) -> str:
    return prefix + each.key.rpartition("/")[2]


def _moved(ground: Ground, rclone: Rclone, folder: str) -> Run:
    watch = Watch(ground.graph)
    new_name = ground.new_prefix()
    ended = rclone.run("moveto", f"{LIBRARY_REMOTE}{folder.rstrip('/')}", f"{LIBRARY_REMOTE}{new_name.rstrip('/')}")
    watch.look()
    return {
        Figure.CALLS: len(watch.calls),
        Figure.BYTES: watch.bytes_uploaded,
        Figure.SECONDS: ended.seconds,
    }
