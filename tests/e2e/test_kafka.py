"""Events by way of Kafka: one replica, its successor, and two of which one is killed.

Against librdkafka's mock cluster, and once more against the brokers that KAFKA_TEST_BROKERS names.
"""

import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from unit.monitored import samples_in, value_in

from simulator.calls import CallKind
from simulator.group_stage import GroupStage
from simulator.kafka_cluster import BROKERS_VARIABLE, Cluster, MockCluster, RealCluster, messages_in
from simulator.service_process import ServiceProcess

FOLDER = "administration"
FILES = 30
POISON = {b"lycee/null": None, b"lycee/text": b"not JSON", b"lycee/deep": b"[" * 100_000, b"lycee/else": b"{}"}
SLOW = {"UPLOAD_WORKERS": "2", "LARGE_UPLOADS": "1"}
LATENCY_SECONDS = 0.15


@pytest.fixture(scope="module", params=["mock", "real"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    if request.param == "mock":
        with MockCluster() as mock:
            yield mock
        return
    if BROKERS_VARIABLE not in os.environ:
        pytest.skip(f"{BROKERS_VARIABLE} names no broker of a real Kafka")
    yield RealCluster()


@pytest.fixture(scope="module")
def stage(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GroupStage]:
    """One replica, which holds all partitions."""
    with GroupStage(tmp_path_factory.mktemp("stage"), cluster) as running:
        running.start()
        yield running


def counted(replica: ServiceProcess, result: str) -> float:
    """How many messages the replica has taken with this result."""
    return value_in(replica.get("/metrics").text, "kafka_messages_total", result=result) or 0.0


def as_text(header: str | bytes | None) -> str:
    """The value of a message's header."""
    assert isinstance(header, bytes)
    return header.decode()


def lags_of(replica: ServiceProcess) -> dict[int, float]:
    """The lag of each partition that REPLICA holds."""
    samples = samples_in(replica.get("/metrics").text)
    return {int(one.labels["partition"]): one.value for one in samples if one.name == "sharepoint_proxy_kafka_lag"}


def path_of(number: int) -> str:
    """The key and path of a file among many."""
    return f"{FOLDER}/{number}.txt"


def content_of(number: int) -> bytes:
    """What is in it."""
    return f"content {number}".encode()


def test_what_is_published_is_mirrored(stage: GroupStage) -> None:
    stage.put(f"{FOLDER}/stays.txt", b"first")
    stage.put(f"{FOLDER}/stays.txt", b"second")
    stage.put(f"{FOLDER}/goes.txt", b"x")
    stage.settle()
    stage.delete(f"{FOLDER}/goes.txt")
    stage.settle()

    assert stage.graph.content(f"{FOLDER}/stays.txt") == b"second"
    assert stage.graph.item(f"{FOLDER}/goes.txt") is None
    assert counted(stage.replica, "recorded") == 4


def test_what_nobody_can_use_is_put_aside_and_holds_up_nothing(stage: GroupStage) -> None:
    for key, body in POISON.items():
        stage.channel.publish(key, body)
    stage.put(f"{FOLDER}/after-poison.txt", b"x")
    stage.settle()
    letters = {letter.key(): letter for letter in messages_in(stage.cluster, f"{stage.topic}.dead", count=len(POISON))}

    assert {key: letter.value() for key, letter in letters.items()} == POISON
    for letter in letters.values():
        headers = dict(letter.headers() or ())
        assert re.fullmatch(rf"{stage.topic}/\d+/\d+", as_text(headers["source"]))
        assert re.search("JSON|no event", as_text(headers["reason"]))
    assert stage.graph.content(f"{FOLDER}/after-poison.txt") == b"x"
    assert counted(stage.replica, "dead_lettered") == len(POISON)
    assert sum(line["event"] == "rejected" for line in stage.replica.log()) == len(POISON)


def test_what_does_not_concern_the_mirror_is_passed_over(stage: GroupStage) -> None:
    before = counted(stage.replica, "ignored")
    stage.channel.publish(b"lycee/elsewhere/a", b'{"EventName": "s3:ObjectCreated:Put", "Key": "lycee/elsewhere/a"}')
    stage.settle()

    assert counted(stage.replica, "ignored") == before + 1


def test_the_lag_of_each_partition_can_be_watched(stage: GroupStage) -> None:
    """Kafka's client tells it every two seconds."""
    stage.put(f"{FOLDER}/lag.txt", b"x")
    stage.settle()
    expected = dict.fromkeys(range(stage.cluster.partitions), 0.0)
    deadline = time.monotonic() + 10
    while (lags := lags_of(stage.replica)) != expected and time.monotonic() < deadline:
        time.sleep(0.1)

    assert lags == expected


def test_without_brokers_it_does_not_start_and_says_what_is_missing(stage: GroupStage, tmp_path: Path) -> None:
    settings = {name: value for name, value in stage.environment().items() if name != "KAFKA_BROKERS"}
    service = ServiceProcess(settings, data_dir=tmp_path, command=("cli", "consume"))
    service.start(wait=False)

    assert service.wait() == 2
    assert re.fullmatch("sharepoint-proxy: KAFKA_BROKERS is not set: give the brokers .*", service.output())


def test_a_successor_goes_on_where_a_replica_stopped_and_answers_for_its_files(stage: GroupStage) -> None:
    """It takes what was published meanwhile and nothing twice, and removes a file that its own ledger does not know."""
    stage.put(f"{FOLDER}/of-another.txt", b"x")
    stage.settle()
    stage.replica.stop()
    stage.put(f"{FOLDER}/meanwhile.txt", b"y")
    stage.delete(f"{FOLDER}/of-another.txt")
    stage.start()
    stage.settle()

    assert stage.graph.content(f"{FOLDER}/meanwhile.txt") == b"y"
    assert stage.graph.item(f"{FOLDER}/of-another.txt") is None
    assert counted(stage.replica, "recorded") == 2


def test_nothing_is_lost_when_a_replica_is_killed_at_work_and_removed(cluster: Cluster, tmp_path: Path) -> None:
    """What it had recorded is finished by a drain of its journal; everything else the other replica does."""
    with GroupStage(tmp_path, cluster, settings=SLOW) as group:
        victim, other = group.start(wait=False), group.start(wait=False)
        for replica in (victim, other):
            group.wait_for_partitions(replica)
        group.graph.latency = LATENCY_SECONDS
        for number in range(FILES):
            group.put(path_of(number), content_of(number))
        victim.wait_for_line(lambda line: line["event"] == "settled")
        victim.kill()
        abandoned = len(victim.unsettled())
        for number in range(FILES, 2 * FILES):
            group.put(path_of(number), content_of(number))
        drain = group.drain(victim)
        group.settle()
        sent = Counter(call.item_path for call in group.graph.calls() if call.kind is CallKind.PUT_CONTENT)

        assert abandoned > 0
        assert drain.wait() == 0
        assert victim.unsettled() == []
        assert [n for n in range(2 * FILES) if group.graph.content(path_of(n)) != content_of(n)] == []
        assert sum(sent.values()) - 2 * FILES <= abandoned
