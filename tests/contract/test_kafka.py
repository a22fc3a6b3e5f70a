"""The member of a consumer group, with librdkafka's mock cluster: what it takes, commits, puts aside and says of itself."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from unit.variables import read_with

from sharepoint_proxy.kafka import Membership
from sharepoint_proxy.messages import Message
from simulator.kafka_cluster import MockCluster, Watch, messages_in, new_name
from simulator.minio_kafka import KafkaChannel, partition_of
from simulator.service_process import free_port

PATIENCE_SECONDS = 30.0
LARGEST_BYTES = 1_000_000
"""What a producer sends if nobody configured it otherwise (message.max.bytes)."""


@dataclass
class Joined:
    """A member of a group of its own, and the topic that it reads."""

    cluster: MockCluster
    topic: str
    group: str
    member: Membership
    changes: list[int] = field(default_factory=list)

    def publish(self, *bodies: bytes) -> None:
        """Publish messages with one key, which are in one partition then."""
        channel = KafkaChannel(self.cluster.address, self.topic, partitions=self.cluster.partitions)
        for body in bodies:
            channel.publish(b"lycee/a", body)
        channel.drain(PATIENCE_SECONDS)

    def take(self, count: int) -> list[Message]:
        """The next COUNT messages."""
        taken: list[Message] = []
        self.until(lambda: len(taken) >= count, taken)
        return taken

    def until(self, is_so: Callable[[], bool], taken: list[Message]) -> None:
        """Take messages until something is so."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            assert time.monotonic() < deadline
            taken += self.member.take(most=10, seconds=0.1)


@pytest.fixture(scope="module")
def joined() -> Iterator[Joined]:
    with MockCluster() as cluster:
        topic, group = new_name("topic"), new_name("group")
        cluster.make_topic(topic)
        cluster.make_topic(f"{topic}.dead")
        brokers = {"KAFKA_BROKERS": cluster.address, "KAFKA_TOPIC": topic, "KAFKA_GROUP": group}
        settings = read_with(**brokers, KAFKA_SESSION_SECONDS=str(cluster.session_seconds)).settings
        changes: list[int] = []
        member = Membership(settings, changed=lambda: changes.append(1))
        yield Joined(cluster, topic, group, member, changes)
        member.close()


def test_it_takes_messages_in_their_order_with_their_place(joined: Joined) -> None:
    joined.publish(b"first", b"second", b"third")
    taken = joined.take(3)

    assert [each.value for each in taken] == [b"first", b"second", b"third"]
    assert {(each.topic, each.partition, each.key) for each in taken} == {
        (joined.topic, partition_of(b"lycee/a", partitions=4), b"lycee/a")
    }
    assert [each.offset for each in taken] == list(range(taken[0].offset, taken[0].offset + 3))
    assert joined.changes


def test_it_counts_as_behind_what_it_has_not_committed(joined: Joined) -> None:
    joined.publish(b"x", b"y")
    taken = joined.take(2)
    partition = taken[0].partition
    joined.until(lambda: joined.member.lag().get(partition, 0) >= 2, [])
    joined.member.commit(taken)
    joined.until(lambda: joined.member.lag()[partition] == 0, [])
    watch = Watch(joined.cluster, joined.group, joined.topic)
    joined.until(lambda: watch.behind() == 0, [])
    watch.close()

    assert set(joined.member.lag()) == set(range(joined.cluster.partitions))


def test_it_takes_nothing_while_it_is_paused(joined: Joined) -> None:
    joined.member.pause()
    joined.publish(b"waits")
    assert joined.member.take(most=10, seconds=0.5) == []

    joined.member.resume()
    assert [each.value for each in joined.take(1)] == [b"waits"]


def test_a_dead_letter_is_the_message_itself_with_the_reason(joined: Joined) -> None:
    message = Message(topic=joined.topic, partition=2, offset=7, key=b"lycee/a", value=b"\xff\x00")
    joined.member.put_aside(message, "It is not JSON.")
    (letter,) = messages_in(joined.cluster, f"{joined.topic}.dead", count=1)

    assert (letter.key(), letter.value()) == (b"lycee/a", b"\xff\x00")
    assert dict(letter.headers() or ()) == {"reason": b"It is not JSON.", "source": f"{joined.topic}/2/7".encode()}


def test_a_dead_letter_that_cannot_be_sent_is_told_in_the_log(joined: Joined, caplog: pytest.LogCaptureFixture) -> None:
    value = bytes(LARGEST_BYTES + 1)
    joined.member.put_aside(Message(topic=joined.topic, partition=2, offset=7, key=None, value=value), "Too long.")

    assert "dead_letter_failed" in caplog.text


def test_a_commit_for_a_partition_that_is_not_held_any_more_is_no_error(joined: Joined) -> None:
    joined.member.commit([Message(topic=joined.topic, partition=99, offset=7, key=None, value=b"x")])


def test_brokers_that_are_away_are_a_problem_and_no_error() -> None:
    settings = read_with(KAFKA_BROKERS=f"127.0.0.1:{free_port()}").settings
    member = Membership(settings, changed=lambda: None)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not member.problems() and time.monotonic() < deadline:
        assert member.take(most=10, seconds=0.1) == []

    (problem,) = member.problems()
    assert problem.startswith("Kafka is away or refuses this service: ")
    member.close()


@pytest.mark.parametrize(
    ("key", "checksum"), [(b"", 0x811C9DC5), (b"a", 0xE40C292C), (b"foobar", 0xBF9CF968), (b"foob", 0x3F5076EF)]
)
def test_the_stand_in_publishes_where_minio_does(key: bytes, checksum: int) -> None:
    """The checksums are those published with FNV-1a; sarama takes them for signed numbers and drops the sign."""
    magnitude = min(checksum, 2**32 - checksum)

    assert partition_of(key, partitions=2**31) == magnitude
    assert partition_of(key, partitions=7) == magnitude % 7
