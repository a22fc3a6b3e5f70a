"""The stage with Kafka on it: MinIO publishes its events, and several replicas of the service consume them."""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from simulator.kafka_cluster import Cluster, Watch, new_name
from simulator.minio_kafka import KafkaChannel
from simulator.minio_standin import StandinOptions
from simulator.options import SimulatorOptions
from simulator.service_process import ServiceProcess
from simulator.stage import Stage

_POLL_SECONDS = 0.05
_JOIN_SECONDS = 40.0


class GroupStage:
    """Graph and MinIO on loopback in FOLDER with a topic of their own at CLUSTER; replicas are started by the test."""

    def __init__(
        self,
        folder: Path,
        cluster: Cluster,
        *,
        settings: Mapping[str, str] | None = None,
        graph: SimulatorOptions | None = None,
    ) -> None:
        self.cluster = cluster
        self.topic = new_name("minio-events")
        self.group = new_name("sharepoint-proxy")
        cluster.make_topic(self.topic)
        cluster.make_topic(f"{self.topic}.dead")
        self.channel = KafkaChannel(cluster.address, self.topic, partitions=cluster.partitions)
        self._stage = Stage(folder, settings=settings, graph=graph, minio=StandinOptions(channel=self.channel))
        self.graph = self._stage.graph
        self.minio = self._stage.minio
        self.replicas: list[ServiceProcess] = []
        self._watch = Watch(cluster, self.group, self.topic)
        self._running = ExitStack()

    def __enter__(self) -> Self:
        self._running.enter_context(self._stage)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for replica in self.replicas:
            replica.stop()
        self._watch.close()
        self._running.close()
        if kind is None:
            for replica in self.replicas:
                self._stage.refuse_leaks(replica)

    def environment(self) -> dict[str, str]:
        """The settings of a replica."""
        return {
            "KAFKA_BROKERS": self.cluster.address,
            "KAFKA_TOPIC": self.topic,
            "KAFKA_GROUP": self.group,
            "KAFKA_SESSION_SECONDS": str(self.cluster.session_seconds),
            **self._stage.environment(),
        }

    @property
    def replica(self) -> ServiceProcess:
        """The replica that was started last."""
        return self.replicas[-1]

    def start(self, *, wait: bool = True) -> ServiceProcess:
        """One more replica; with WAIT return when it holds partitions."""
        folder = self._stage.folder / f"replica-{len(self.replicas)}"
        self.replicas.append(ServiceProcess(self.environment(), data_dir=folder, command=("cli", "consume")))
        self.replica.start(wait=wait)
        if wait:
            self.wait_for_partitions(self.replica)
        return self.replica

    def drain(self, replica: ServiceProcess) -> ServiceProcess:
        """What works off the journal of REPLICA, which must not run, and ends by itself."""
        self.replicas.append(
            ServiceProcess(self.environment(), data_dir=replica.data_dir, command=("cli", "consume", "--drain"))
        )
        self.replica.start(wait=False)
        return self.replica

    def wait_for_partitions(self, replica: ServiceProcess) -> None:
        """Return when REPLICA holds partitions."""
        replica.wait_for_line(
            lambda line: line.get("event") == "partitions" and bool(line["partitions"]), _JOIN_SECONDS
        )

    def put(self, key: str, content: bytes) -> None:
        """Store an object."""
        self._stage.put(key, content)

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._stage.delete(key)

    def settle(self, timeout: float = 40.0) -> None:
        """Wait until every event is published, recorded, and settled or parked by the replicas that run."""
        self.minio.drain(timeout)
        deadline = time.monotonic() + timeout
        while left := self.open():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{left} events or keys are still open")
            time.sleep(_POLL_SECONDS)

    def open(self) -> int:
        """How many events nobody has recorded, and if there are none, how many keys the running replicas have still to settle."""
        return self._watch.behind() or sum(len(each.unsettled()) for each in self.replicas if each.is_running())
