"""A real MinIO server, where there is one, does what the stand-in does; and what is around it works without one."""

import io
from pathlib import Path

import pytest
from contract.minio_receiver import Received, Receiver

from simulator.minio_binary import RealMinio, find_minio, standin_or_minio
from simulator.minio_relay import Relay
from simulator.minio_sender import DeliveryLog, Target
from simulator.minio_standin import MinioStandin, StandinOptions

needs_minio = pytest.mark.skipif(
    find_minio() is None, reason="no MinIO server: put `minio` on PATH or name it in MINIO_BIN"
)


@pytest.fixture
def options(tmp_path: Path) -> StandinOptions:
    """A queue directory and a versioned bucket."""
    return StandinOptions(versioned_buckets=("versioned",), queue_dir=tmp_path / "queue")


@needs_minio
def test_a_real_server_delivers_like_the_stand_in(options: StandinOptions) -> None:
    binary = find_minio()
    assert binary
    with Receiver() as receiver, RealMinio(binary, options=options) as minio:
        minio.notify(url=receiver.url, token="s3cret-token")
        minio.add_rule("lycee")
        minio.client().put_object("lycee", "a.txt", io.BytesIO(b"hello"), 5)
        minio.rename("lycee", "a.txt", "b.txt")
        minio.drain(30)

    assert receiver.keys() == ["lycee/a.txt", "lycee/b.txt", "lycee/a.txt"]
    assert receiver.received[0].headers["Authorization"] == "Bearer s3cret-token"


def test_it_finds_the_server_that_is_named_in_the_environment() -> None:
    assert find_minio({"MINIO_BIN": "/opt/minio", "PATH": ""}) == Path("/opt/minio")
    assert find_minio({"PATH": ""}) is None


def test_it_falls_back_to_the_stand_in() -> None:
    assert isinstance(standin_or_minio(), RealMinio if find_minio() else MinioStandin)


def test_its_relay_passes_events_and_answers_on(options: StandinOptions) -> None:
    log = DeliveryLog()
    relay = Relay(log, answer_seconds=10)
    relay.start()

    def answer(request: Received) -> int:
        return 503 if request.number == 0 else 204

    with Receiver(answer) as receiver, MinioStandin(options=options) as source:
        relay.aim(Target(receiver.url, "other-token"))
        source.notify(url=relay.url, token="any")
        source.add_rule("lycee")
        source.client().put_object("lycee", "a.txt", io.BytesIO(b"hello"), 5)
        source.drain()
        bodies = [delivery.body.decode() for delivery in source.deliveries()]
        statuses = [delivery.status for delivery in source.deliveries()]
    relay.stop()

    assert [request.body for request in receiver.received] == bodies
    assert statuses == [503, 204]
    assert receiver.received[0].headers["Authorization"] == "Bearer other-token"
    assert [(each.status, each.attempt) for each in log.snapshot()] == [(503, 1), (204, 2)]


def test_its_relay_refuses_events_while_it_is_paused(options: StandinOptions) -> None:
    relay = Relay(DeliveryLog(), answer_seconds=10)
    relay.start()
    with Receiver() as receiver, MinioStandin(options=options) as source:
        relay.aim(Target(receiver.url, "token"))
        relay.pause()
        source.notify(url=relay.url, token="any")
        source.add_rule("lycee")
        source.client().put_object("lycee", "a.txt", io.BytesIO(b"hello"), 5)
        refused = source.wait_for(lambda each: each.attempt == 2)
        relay.resume()
        source.drain()
    relay.stop()

    assert refused.status == 503
    assert receiver.keys() == ["lycee/a.txt"]
