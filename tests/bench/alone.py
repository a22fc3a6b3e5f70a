"""What the simulator of Graph takes by itself, so that it is known how far it is from being what is measured."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from bench.bucket import pieces
from bench.deeds import fresh, mirrored
from bench.ground import Ground, Line
from bench.library import PlainLibrary
from bench.plan import MIB, Plan, at_least
from bench.results import Contender, Figure, Run, Who, Work
from bench.small import SMALL_BYTES

_CLIENTS = 8
_SEVERAL = 3.0
_BYTES_PER_MB = 1_000_000
_FRAGMENT_BYTES = 10 * MIB
_LATENCY_SECONDS = 0.1
_ALONE = "simulator, plain clients"


def simulator_alone(plan: Plan) -> list[Work]:
    """Small files and fragments as fast as plain clients send them, beside the load that the service makes in the burst."""
    files, fragments = plan.of((2000, 16), quick=(800, 8))
    with plan.ground(Line()) as ground:
        runs = plan.by_turns(
            {
                _ALONE: partial(_alone, ground, files, fragments),
                Who.SERVICE: partial(_load, ground, plan.of(400, quick=120)),
            }
        )
    contenders = [Contender.of(who, found) for who, found in runs.items()]
    work = Work(
        name="alone",
        title="The simulator alone, without latency, beside the burst's load",
        latency=0.0,
        headline=Figure.REQUESTS_PER_SECOND,
        runs=plan.runs,
        contenders=contenders,
        targets=(),
        notes=(
            f"{_CLIENTS} connections that stay open, one request after the other on each, from one process on the same machine.",
        ),
    )
    times = work.ratio(Who.SERVICE, _ALONE)
    return [replace(work, targets=(at_least(f"at least {_SEVERAL:g}x the burst's load", times, _SEVERAL),))]


def _alone(ground: Ground, files: int, fragments: int) -> Run:
    ground.graph.latency = 0.0
    content = b"".join(pieces(1, 0, SMALL_BYTES))
    fragment = b"".join(pieces(2, 0, _FRAGMENT_BYTES))
    folder = f"alone-{ground.new_folder().name}"
    put_seconds = _each(ground, lambda library, number: library.put(f"{folder}/{number}.bin", content), files)
    sent_seconds = _each(
        ground,
        lambda library, number: library.send(f"{folder}/large-{number}.bin", len(fragment), iter((fragment,))),
        fragments,
    )
    return {
        Figure.REQUESTS_PER_SECOND: files / put_seconds,
        Figure.MB_PER_SECOND: fragments * len(fragment) / _BYTES_PER_MB / sent_seconds,
    }


def _each(ground: Ground, deed: Callable[[PlainLibrary, int], None], count: int) -> float:
    """Do DEED for each number below COUNT, shared among all clients; the seconds it took."""
    clients = [ground.plain_library() for _ in range(_CLIENTS)]

    def work_off(client: int) -> None:
        for number in range(client, count, _CLIENTS):
            deed(clients[client], number)

    with ThreadPoolExecutor(_CLIENTS) as threads:
        began = time.perf_counter()
        list(threads.map(work_off, range(_CLIENTS)))
        seconds = time.perf_counter() - began
    for client in clients:
        client.close()
    return seconds


def _load(ground: Ground, files: int) -> Run:
    """The requests that the service makes in the burst, at the latency that this has."""
    ground.graph.latency = _LATENCY_SECONDS
    with ground.service() as service:
        found = mirrored(ground, service, fresh(ground, count=files, size=SMALL_BYTES))
    requests = found[Figure.FILES_PER_SECOND] * found[Figure.CALLS_PER_FILE]
    return {Figure.REQUESTS_PER_SECOND: requests, Figure.MB_PER_SECOND: found[Figure.MB_PER_SECOND]}
