"""Posts events as MinIO does: over connections that stay open, one event after the other on each."""

import http.client
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from queue import Empty, SimpleQueue

from measure.senders import ORIGIN, Answered, exchange

from bench.bucket import BUCKET, Synthetic
from simulator.minio_events import EventName, build_event

MINIO_SENDERS = 8
"""MinIO without a queue directory posts from as many senders as it has cores; with one, from a single sender."""

Act = Callable[[], Iterable[bytes]]
"""Does something to the bucket, if anything, and gives the bodies of the events as it raises them."""

_TIMEOUT_SECONDS = 120.0
_NS_PER_SECOND = 1_000_000_000


def body_of(each: Synthetic, name: EventName = EventName.PUT, *, age_seconds: float = 0.0) -> bytes:
    """The body that MinIO posts about EACH, for an event that was raised so long ago."""
    now_ns = time.time_ns() - int(age_seconds * _NS_PER_SECOND)
    return build_event(name=name, bucket=BUCKET, state=each.state(), origin=ORIGIN, now_ns=now_ns).body


def connected(port: int) -> http.client.HTTPConnection:
    """A connection to the service at PORT of this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
    connection.connect()
    return connection


def post(port: int, bodies: Iterable[bytes], *, senders: int) -> list[Answered]:
    """Post BODIES to the service at PORT from SENDERS at once; RuntimeError when one is not taken."""
    return play(port, (_only(body) for body in bodies), senders=senders)


def play(port: int, acts: Iterable[Act], *, senders: int) -> list[Answered]:
    """Let SENDERS at once do the next of ACTS and post its events; RuntimeError when one is not taken."""
    queue: SimpleQueue[Act] = SimpleQueue()
    for act in acts:
        queue.put(act)
    with ThreadPoolExecutor(senders) as threads:
        parts = [threads.submit(_play_on, port, queue) for _ in range(senders)]
        answers = [answer for part in parts for answer in part.result()]
    refused = [answer.status for answer in answers if not 200 <= answer.status < 300]
    if refused:
        raise RuntimeError(f"The service refused {len(refused)} events, the first with {refused[0]}.")
    return answers


def _only(body: bytes) -> Act:
    return lambda: (body,)


def _play_on(port: int, queue: SimpleQueue[Act]) -> list[Answered]:
    answers: list[Answered] = []
    with closing(connected(port)) as connection:
        while True:
            try:
                act = queue.get_nowait()
            except Empty:
                return answers
            answers += [exchange(connection, body) for body in act()]
