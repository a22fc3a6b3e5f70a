"""What is done at several works: mirror objects by the service, by rclone or by a plain loop, and what one such run cost."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from urllib3 import BaseHTTPResponse

from bench.bucket import BUCKET, Batch, Synthetic
from bench.ground import Ground, Running
from bench.peer import TRANSFERS, Rclone
from bench.plan import MIB, MILLISECONDS_PER_SECOND, Plan
from bench.posting import MINIO_SENDERS, body_of, post
from bench.processes import Ended
from bench.results import Contender, Figure, Run, Who, best
from bench.watch import Watch

_BYTES_PER_MB = 1_000_000
_FRAGMENT_BYTES = 10 * MIB
"""As a first script would have it from Microsoft's page: the size that is recommended."""

_PUT_BYTES = 4 * MIB
_TIMEOUT_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a run took: wall and CPU time in seconds, the peak of the resident memory in bytes."""

    seconds: float
    cpu_seconds: float
    peak_bytes: float

    @classmethod
    def of(cls, ended: Ended) -> "Cost":
        """That of a program that ran to its end."""
        return cls(seconds=ended.seconds, cpu_seconds=ended.cpu_seconds, peak_bytes=ended.peak_bytes)


def fresh(
    ground: Ground, *, count: int, size: int, prefix: str | None = None, age_seconds: float = 0.0
) -> list[Synthetic]:
    """COUNT new objects of SIZE bytes in the bucket, below a PREFIX of their own unless one is given, put AGE_SECONDS ago."""
    seed = time.time_ns() // 1000 % 1_000_000_000
    modified = int(time.time() - age_seconds)
    return ground.bucket.put(
        Batch(prefix=prefix or ground.new_prefix(), count=count, size=size, seed=seed, modified=modified)
    )


def mirrored(ground: Ground, service: Running, objects: Sequence[Synthetic], *, senders: int = MINIO_SENDERS) -> Run:
    """Announce OBJECTS, which have one prefix, in one burst; the figures once SharePoint holds the last of them."""
    bodies = [body_of(each) for each in objects]
    watch = service.reset()
    began = time.perf_counter()
    post(service.port, bodies, senders=senders)
    ended = watch.wait_for_files(len(objects), below=folder_of(objects), timeout=_TIMEOUT_SECONDS)
    cost = Cost(seconds=ended - began, cpu_seconds=service.cpu_seconds(), peak_bytes=service.peak_bytes())
    check(ground, folder_of(objects), objects)
    return figures(objects, cost, watch)


def copied(ground: Ground, rclone: Rclone, objects: Sequence[Synthetic], *, transfers: int | None = None) -> Run:
    """Let rclone copy the prefix of OBJECTS into a folder of the library that is there and empty."""
    folder = f"rclone-{ground.new_folder().name}"
    ground.library.make_folder(folder)
    watch = Watch(ground.graph)
    ended = rclone.copy(folder_of(objects), folder, transfers=transfers)
    watch.look()
    check(ground, f"{folder}/", objects)
    return figures(objects, Cost.of(ended), watch)


def looped(ground: Ground, objects: Sequence[Synthetic]) -> Run:
    """Do what a first script would: read one object after the other from MinIO and send it, each with one call or one session."""
    client = ground.bucket.client()
    folder = f"loop-{ground.new_folder().name}"
    ground.library.make_folder(folder)
    watch = Watch(ground.graph)
    began, cpu_began = time.perf_counter(), time.process_time()
    for each in objects:
        response = client.get_object(BUCKET, each.key)
        path = f"{folder}/{each.key.rpartition('/')[2]}"
        if each.size <= _PUT_BYTES:
            ground.library.put(path, response.read())
        else:
            ground.library.send(path, each.size, _fragments(response, each.size))
        response.close()
        response.release_conn()
    cost = Cost(seconds=time.perf_counter() - began, cpu_seconds=time.process_time() - cpu_began, peak_bytes=0)
    watch.look()
    return {name: value for name, value in figures(objects, cost, watch).items() if name is not Figure.PEAK}


def compete(
    plan: Plan,
    headline: Figure,
    ours: Mapping[str, Callable[[], Run]],
    rclone: Callable[[int | None], Run],
    *,
    transfers: Sequence[int] = TRANSFERS[1:],
) -> list[Contender]:
    """OURS and rclone, all by turns: it by its defaults, and by the best of them and all the TRANSFERS that are tried."""
    settings = (None, *transfers)
    runs = plan.by_turns({**ours, **{number: partial(rclone, number) for number in settings}})
    tried = [Contender.of(Who.BEST, runs[number], note=f"--transfers {number or TRANSFERS[0]}") for number in settings]
    return [
        *(Contender.of(who, runs[who]) for who in ours),
        Contender.of(Who.DEFAULTS, runs[None], note=f"--transfers {TRANSFERS[0]}"),
        best(tried, headline),
    ]


def figures(objects: Sequence[Synthetic], cost: Cost, watch: Watch) -> Run:
    """What a run that brought OBJECTS into the library cost."""
    total = sum(each.size for each in objects)
    return {
        Figure.SECONDS: cost.seconds,
        Figure.FILES_PER_SECOND: len(objects) / cost.seconds,
        Figure.MB_PER_SECOND: total / _BYTES_PER_MB / cost.seconds,
        Figure.CPU_PER_FILE: cost.cpu_seconds * MILLISECONDS_PER_SECOND / len(objects),
        Figure.CPU_PER_MIB: cost.cpu_seconds * MILLISECONDS_PER_SECOND * MIB / total,
        Figure.PEAK: cost.peak_bytes / MIB,
        Figure.CALLS_PER_FILE: len(watch.calls) / len(objects),
    }


def check(ground: Ground, folder: str, objects: Sequence[Synthetic]) -> None:
    """RuntimeError unless the files in FOLDER of the library are OBJECTS, by names and sizes."""
    wanted = {each.key.rpartition("/")[2]: each.size for each in objects}
    found = {path[len(folder) :]: size for path, size in ground.graph.tree().items() if path.startswith(folder)}
    if found != wanted:
        raise RuntimeError(
            f"The library does not hold in {folder} what the bucket holds: {len(found)} of {len(wanted)} files."
        )


def folder_of(objects: Sequence[Synthetic]) -> str:
    """The prefix that OBJECTS have in common, which is also their folder in the library."""
    return objects[0].key.rpartition("/")[0] + "/"


def _fragments(response: BaseHTTPResponse, size: int) -> Iterator[bytes]:
    left = size
    while left > 0:
        fragment = response.read(min(_FRAGMENT_BYTES, left))
        left -= len(fragment)
        yield fragment
