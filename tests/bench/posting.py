"""Posts events as MinIO does: over connections that stay open, one event after the other on each."""

import http.client
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from queue import SimpleQueue

from measure.senders import ORIGIN, Answered, exchange

from bench.bucket import BUCKET, Synthetic
from simulator.minio_events import EventName, build_event

MINIO_SENDERS = 8
"""MinIO without a queue directory posts from as many senders as it has cores; with one, from a single sender."""

Act = Callable[[], Iterable[bytes]]
"""Does something to the bucket, and gives the bodies of the events as it raises them."""

Bodies = SimpleQueue[bytes | None]
"""Bodies to post, in their order, and None at the end for each sender."""

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
    queue: Bodies = SimpleQueue()
    for body in (*bodies, *[None] * senders):
        queue.put(body)
    with ThreadPoolExecutor(senders) as threads:
        parts = [threads.submit(_post_all, port, queue) for _ in range(senders)]
        return [answer for part in parts for answer in part.result()]


def relay(port: int, acts: Iterable[Act], *, hands: int) -> list[Answered]:
    """Let so many HANDS do ACTS, and post what events they raise as from a queue directory: one after the other, holding up no hand."""
    queue: Bodies = SimpleQueue()
    with ThreadPoolExecutor(hands) as others, ThreadPoolExecutor(1) as sender:
        answers = sender.submit(_post_all, port, queue)
        try:
            for _ in others.map(lambda act: _do(act, queue), acts):
                pass
        finally:
            queue.put(None)
        return answers.result()


def _do(act: Act, queue: Bodies) -> None:
    for body in act():
        queue.put(body)


def _post_all(port: int, queue: Bodies) -> list[Answered]:
    """Post what comes in QUEUE, up to the None that ends it."""
    answers: list[Answered] = []
    with closing(connected(port)) as connection:
        while (body := queue.get()) is not None:
            answers.append(exchange(connection, body))
    refused = [answer.status for answer in answers if not 200 <= answer.status < 300]
    if refused:
        raise RuntimeError(f"The service refused {len(refused)} events, the first with {refused[0]}.")
    return answers
