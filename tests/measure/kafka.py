"""How a backlog in Kafka is mirrored by one replica and by three, and what it costs that one of the three is killed halfway."""

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from measure.report import machine, say, table
from simulator.calls import CallKind
from simulator.group_stage import GroupStage
from simulator.kafka_cluster import BROKERS_VARIABLE, Cluster, MockCluster, RealCluster
from simulator.options import SimulatorOptions

_LONGEST_SECONDS = 1800.0
_POLL_SECONDS = 0.25
_FOLDER = "bts-sio"
_HEADINGS = ("replicas", "killed at", "its keys", "seconds", "files/s", "missing", "sent again")


def main(arguments: Sequence[str]) -> None:
    """Measure as ARGUMENTS say, and print."""
    chosen = _parser().parse_args(arguments)
    say(machine())
    with _cluster() as cluster:
        say(
            f"{chosen.files} files, {chosen.workers} workers a replica, {chosen.latency} s latency of Graph, {cluster.partitions} partitions"
        )
        table(
            _HEADINGS, (_measure(cluster, chosen, replicas, kill=kill) for replicas, kill in ((1, 0), (3, 0), (3, 1)))
        )
    say("its keys: recorded by the killed replica and not settled yet; it was started again at once")
    say("sent again: uploads beyond one a file")
    say(machine())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="measure kafka", description=__doc__, allow_abbrev=False)
    parser.add_argument("--files", type=int, default=5000, help="each with one event (default: 5000)")
    parser.add_argument("--workers", type=int, default=8, help="uploads at once in each replica (default: 8)")
    parser.add_argument("--latency", type=float, default=0.3, help="seconds that Graph takes to answer (default: 0.3)")
    return parser


@contextmanager
def _cluster() -> Iterator[Cluster]:
    """The brokers that KAFKA_TEST_BROKERS names, otherwise a mock cluster in this process."""
    if BROKERS_VARIABLE in os.environ:
        say("a real Kafka")
        yield RealCluster()
        return
    say("librdkafka's mock cluster")
    with MockCluster() as mock:
        yield mock


def _measure(cluster: Cluster, chosen: argparse.Namespace, replicas: int, *, kill: int) -> tuple[object, ...]:
    """One run with topic, group and library of its own; a row of the table."""
    settings = {"UPLOAD_WORKERS": str(chosen.workers)}
    with (
        TemporaryDirectory(prefix="measure-") as folder,
        GroupStage(Path(folder), cluster, settings=settings, graph=SimulatorOptions(latency=chosen.latency)) as group,
    ):
        run = _Run(group, chosen.files)
        run.fill()
        run.start(replicas)
        began = time.monotonic()
        group.minio.resume()
        killed_at = run.kill_one_halfway() if kill else None
        run.finish()
        seconds = time.monotonic() - began
        return (
            replicas,
            "-" if killed_at is None else f"{killed_at.files} files",
            "-" if killed_at is None else killed_at.keys,
            f"{seconds:.1f}",
            f"{chosen.files / seconds:.1f}",
            run.missing(),
            run.uploads() - chosen.files,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Killed:
    """A replica was killed when so many FILES were in the library and it had so many KEYS of its own to settle."""

    files: int
    keys: int


class _Run:
    """FILES objects, and the replicas of GROUP that mirror them."""

    def __init__(self, group: GroupStage, files: int) -> None:
        self._group = group
        self._files = files

    def fill(self) -> None:
        """Store all objects; their events wait in MinIO."""
        self._group.minio.pause()
        for number in range(self._files):
            self._group.put(f"{_FOLDER}/{number:05}.txt", _content(number))

    def start(self, replicas: int) -> None:
        """Start so many, and return when each has partitions."""
        for _ in range(replicas):
            self._group.start(wait=False)
        for replica in self._group.replicas:
            self._group.wait_for_partitions(replica)

    def kill_one_halfway(self) -> _Killed:
        """Kill a replica with SIGKILL when half of the files are there, and start it again."""
        while (files := self.uploads()) < self._files // 2:
            time.sleep(_POLL_SECONDS)
        victim = self._group.replicas[0]
        victim.kill()
        keys = len(victim.unsettled())
        victim.start(wait=False)
        return _Killed(files=files, keys=keys)

    def finish(self) -> None:
        """Return when everything is recorded and settled."""
        self._group.minio.drain(_LONGEST_SECONDS)
        deadline = time.monotonic() + _LONGEST_SECONDS
        while self._group.open():
            if time.monotonic() > deadline:
                raise TimeoutError("the replicas do not come to an end")
            time.sleep(_POLL_SECONDS)

    def uploads(self) -> int:
        """How many uploads there were."""
        return sum(call.kind is CallKind.PUT_CONTENT and call.status < 300 for call in self._group.graph.calls())

    def missing(self) -> int:
        """How many files are not what their objects are."""
        there = (self._group.graph.content(f"{_FOLDER}/{number:05}.txt") for number in range(self._files))
        return sum(content != _content(number) for number, content in enumerate(there))


def _content(number: int) -> bytes:
    return f"file {number}".encode()
