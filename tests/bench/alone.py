"""What the simulator of Graph takes by itself, so that it is known how far it is from being what is measured."""

import http.client
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit

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
_TIMEOUT_SECONDS = 60.0
_ALONE = "simulator, lean clients"
_ON_CLIENTS = (
    f"{_CLIENTS} connections that stay open, one request after the other on each, from one process on the same machine."
)

Exchange = Callable[[http.client.HTTPSConnection, int], None]
"""Makes the request of this number on a connection, and reads the answer."""


def simulator_alone(plan: Plan) -> list[Work]:
    """Small files and fragments as fast as plain clients send them, beside the load that the service makes in the burst."""
    files, fragments = plan.of((4000, 40), quick=(1000, 16))
    burst = plan.of(400, quick=100)
    with plan.ground(Line()) as ground:
        runs = plan.by_turns(
            {_ALONE: partial(_alone, ground, files, fragments), Who.SERVICE: partial(_load, ground, burst)}
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
        notes=(_ON_CLIENTS,),
    )
    times = work.ratio(Who.SERVICE, _ALONE)
    return [replace(work, targets=(at_least(f"at least {_SEVERAL:g}x the burst's load", times, _SEVERAL),))]


def _alone(ground: Ground, files: int, fragments: int) -> Run:
    ground.graph.latency = 0.0
    folder = f"alone-{ground.new_folder().name}"
    ground.library.make_folder(folder)
    put = partial(_put, ground.library, folder, b"".join(pieces(1, 0, SMALL_BYTES)))
    urls = [ground.library.new_session(f"{folder}/large-{number}.bin") for number in range(fragments)]
    send = partial(_send, urls, b"".join(pieces(2, 0, _FRAGMENT_BYTES)))
    put_seconds = _all_of(ground, ground.graph.base_url, put, files)
    sent_seconds = _all_of(ground, urls[0], send, fragments)
    return {
        Figure.REQUESTS_PER_SECOND: files / put_seconds,
        Figure.MB_PER_SECOND: fragments * _FRAGMENT_BYTES / _BYTES_PER_MB / sent_seconds,
    }


def _load(ground: Ground, files: int) -> Run:
    """The requests that the service makes in the burst, at the latency that this has."""
    ground.graph.latency = _LATENCY_SECONDS
    with ground.service() as service:
        found = mirrored(ground, service, fresh(ground, count=files, size=SMALL_BYTES))
    requests = found[Figure.FILES_PER_SECOND] * found[Figure.CALLS_PER_FILE]
    return {Figure.REQUESTS_PER_SECOND: requests, Figure.MB_PER_SECOND: found[Figure.MB_PER_SECOND]}


def _all_of(ground: Ground, url: str, exchange: Exchange, count: int) -> float:
    """Make all requests below COUNT to the host of URL, shared among the clients; the seconds it took."""
    context = ssl.create_default_context(cafile=str(ground.graph.ca_path))
    host = urlsplit(url).netloc

    def work_off(client: int) -> None:
        with closing(http.client.HTTPSConnection(host, context=context, timeout=_TIMEOUT_SECONDS)) as connection:
            for number in range(client, count, _CLIENTS):
                exchange(connection, number)

    with ThreadPoolExecutor(_CLIENTS) as threads:
        began = time.perf_counter()
        list(threads.map(work_off, range(_CLIENTS)))
        return time.perf_counter() - began


def _put(
    library: PlainLibrary, folder: str, content: bytes, connection: http.client.HTTPSConnection, number: int
) -> None:
    url = library.content_url(f"{folder}/{number}.bin")
    _request(connection, url, content, {"Authorization": library.authorization})


def _send(urls: Sequence[str], fragment: bytes, connection: http.client.HTTPSConnection, number: int) -> None:
    whole = f"bytes 0-{len(fragment) - 1}/{len(fragment)}"
    _request(connection, urls[number], fragment, {"Content-Range": whole})


def _request(connection: http.client.HTTPSConnection, url: str, body: bytes, headers: Mapping[str, str]) -> None:
    address = urlsplit(url)
    connection.request("PUT", f"{address.path}?{address.query}", body, dict(headers))
    response = connection.getresponse()
    said = response.read()
    if response.status not in {200, 201}:
        raise RuntimeError(f"The simulator answered {response.status}: {said[:300]!r}")
