"""Kafka for tests: librdkafka's mock cluster, which lives in this process, or a cluster that is there already."""

import os
import time
import uuid
from typing import Self

from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

BROKERS_VARIABLE = "KAFKA_TEST_BROKERS"
_SECONDS = 20.0
_SILENT = {"log_level": 0}


class MockCluster:
    """One broker in this process, on loopback; topics are made when they are asked for. A context manager.

    The producer that hosts it is the only client which knows its address, in its metadata (`test.mock.num.brokers` in librdkafka's
    CONFIGURATION.md).
    """

    partitions = 4
    """What each topic has there, whatever is asked for."""

    session_seconds = 4
    """More than the 3 s for which a first member waits for others there."""

    def __init__(self) -> None:
        self._host: Producer | None = None
        self.address = ""

    def __enter__(self) -> Self:
        self._host = Producer({"bootstrap.servers": "mock", "test.mock.num.brokers": 1, **_SILENT})
        self.address = ",".join(
            f"{broker.host}:{broker.port}" for broker in self._host.list_topics(timeout=_SECONDS).brokers.values()
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._host = None

    def make_topic(self, name: str) -> None:
        """Make the topic NAME: asking for it does."""
        Producer({"bootstrap.servers": self.address, **_SILENT}).list_topics(name, timeout=_SECONDS)


class RealCluster:
    """The cluster whose brokers KAFKA_TEST_BROKERS names, as `host:port,host:port`."""

    partitions = 12
    session_seconds = 6
    """The shortest that a broker takes if nobody configured it otherwise."""

    def __init__(self) -> None:
        self.address = os.environ[BROKERS_VARIABLE]

    def make_topic(self, name: str) -> None:
        """Make the topic NAME."""
        administrator = AdminClient({"bootstrap.servers": self.address, **_SILENT})
        administrator.create_topics([NewTopic(name, self.partitions, 1)])[name].result(_SECONDS)


Cluster = MockCluster | RealCluster


def new_name(kind: str) -> str:
    """A name for a topic or a group that nobody has used."""
    return f"{kind}-{uuid.uuid4().hex[:12]}"


def messages_in(cluster: Cluster, topic: str, *, count: int, timeout: float = _SECONDS) -> list[Message]:
    """The first COUNT messages of TOPIC, once they are there; TimeoutError if they do not come."""
    reader = Consumer(
        {
            "bootstrap.servers": cluster.address,
            "group.id": new_name("reader"),
            "auto.offset.reset": "earliest",
            **_SILENT,
        }
    )
    reader.assign([TopicPartition(topic, partition, 0) for partition in range(cluster.partitions)])
    found: list[Message] = []
    deadline = time.monotonic() + timeout
    try:
        while len(found) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(found)} of {count} messages are in {topic}")
            message = reader.poll(0.2)
            if message is not None and message.error() is None:
                found.append(message)
    finally:
        reader.close()
    return found


class Watch:
    """Sees how far GROUP has come in TOPIC, without being a member."""

    def __init__(self, cluster: Cluster, group: str, topic: str) -> None:
        self._asker = Consumer({"bootstrap.servers": cluster.address, "group.id": group, **_SILENT})
        self._partitions = [TopicPartition(topic, each) for each in range(cluster.partitions)]

    def behind(self) -> int:
        """How many messages the group has not committed yet."""
        places = self._asker.committed(self._partitions, timeout=_SECONDS)
        return sum(self._end(place) - max(0, place.offset) for place in places)

    def close(self) -> None:
        """Look no more."""
        self._asker.close()

    def _end(self, place: TopicPartition) -> int:
        _, end = self._asker.get_watermark_offsets(place, timeout=_SECONDS)
        return int(end)
