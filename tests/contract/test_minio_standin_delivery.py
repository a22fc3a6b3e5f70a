"""The stand-in delivers events as MinIO does, with and without a queue directory."""

import io
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from contract.minio_receiver import Received, Receiver

from simulator.minio_sender import Target
from simulator.minio_standin import MinioStandin, StandinOptions

TOKEN = "s3cret-token"
RETRY_SECONDS = 0.1


@pytest.fixture
def queued(tmp_path: Path) -> StandinOptions:
    """A stand-in with a queue directory and little patience."""
    return StandinOptions(queue_dir=tmp_path / "queue", retry_seconds=RETRY_SECONDS)


@pytest.fixture
def direct() -> StandinOptions:
    """A stand-in without a queue directory."""
    return StandinOptions(retry_seconds=RETRY_SECONDS)


def aim(standin: MinioStandin, receiver: Receiver) -> None:
    standin.notify(url=receiver.url, token=TOKEN)
    standin.add_rule("lycee")


def put(standin: MinioStandin, *keys: str) -> None:
    client = standin.client()
    for key in keys:
        client.put_object("lycee", key, io.BytesIO(b"hello"), 5)


def failing(times: int, status: int | None) -> Callable[[Received], int | None]:
    """An answer for a receiver: STATUS for the first TIMES requests, then 204."""
    return lambda request: status if request.number < times else 204


def test_it_delivers_in_order_over_one_connection(queued: StandinOptions) -> None:
    keys = [f"{number}.txt" for number in range(30)]
    with Receiver() as receiver, MinioStandin(options=queued) as standin:
        aim(standin, receiver)
        standin.pause()
        put(standin, *keys)
        standin.resume()
        standin.drain()

    assert receiver.keys() == [f"lycee/{key}" for key in keys]
    assert len({request.connection for request in receiver.received}) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 503, 302, None])
def test_it_repeats_what_is_not_answered_with_2xx_and_holds_up_all_later_events(
    queued: StandinOptions, status: int | None
) -> None:
    with Receiver(failing(2, status)) as receiver, MinioStandin(options=queued) as standin:
        aim(standin, receiver)
        put(standin, "a.txt", "b.txt")
        standin.drain()
        attempts = standin.deliveries()

    assert receiver.keys() == ["lycee/a.txt", "lycee/a.txt", "lycee/a.txt", "lycee/b.txt"]
    assert [(each.key, each.attempt, each.status) for each in attempts] == [
        ("lycee/a.txt", 1, status),
        ("lycee/a.txt", 2, status),
        ("lycee/a.txt", 3, 204),
        ("lycee/b.txt", 1, 204),
    ]
    assert attempts[1].at - attempts[0].at >= RETRY_SECONDS


def test_it_repeats_an_event_until_the_receiver_is_up(queued: StandinOptions) -> None:
    with Receiver() as receiver:
        url = receiver.url
    with MinioStandin(options=queued) as standin:
        standin.notify(url=url, token=TOKEN)
        standin.add_rule("lycee")
        put(standin, "a.txt")
        refused = standin.wait_for(lambda each: each.attempt == 2)
        with Receiver() as receiver:
            standin.notify(url=receiver.url, token=TOKEN)
            standin.drain()

    assert refused.status is None
    assert refused.error
    assert receiver.keys() == ["lycee/a.txt"]


def test_it_gives_up_on_a_late_answer_and_repeats_the_event(tmp_path: Path) -> None:
    options = StandinOptions(queue_dir=tmp_path, retry_seconds=0, answer_seconds=0.2)
    late = threading.Event()

    def answer(request: Received) -> int:
        if request.number == 0:
            late.wait(10)
        return 204

    with Receiver(answer) as receiver, MinioStandin(options=options) as standin:
        aim(standin, receiver)
        put(standin, "a.txt")
        standin.drain()
        late.set()
        first, second = standin.deliveries()

    assert (first.status, second.status) == (None, 204)
    assert first.seconds >= options.answer_seconds


def test_it_writes_the_event_to_a_file_before_it_answers_the_s3_client(queued: StandinOptions) -> None:
    with Receiver() as receiver, MinioStandin(options=queued) as standin:
        aim(standin, receiver)
        standin.pause()
        put(standin, "a.txt")
        assert queued.queue_dir is not None
        files = [path.suffix for path in queued.queue_dir.iterdir()]

    assert files == [".event"]
    assert receiver.received == []


def test_it_keeps_events_over_a_stop_and_sends_them_oldest_first_after_the_start(queued: StandinOptions) -> None:
    keys = [f"{number}.txt" for number in range(10)]
    with Receiver() as receiver:
        with MinioStandin(options=queued) as standin:
            aim(standin, receiver)
            standin.pause()
            put(standin, *keys)
        assert receiver.received == []
        with MinioStandin(options=queued) as successor:
            successor.notify(url=receiver.url, token=TOKEN)
            successor.drain()

    assert receiver.keys() == [f"lycee/{key}" for key in keys]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"EventName": "s3:Other", "Key": "a"}'])
def test_it_drops_files_that_hold_no_event(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.event").write_bytes(content)
    with Receiver() as receiver, MinioStandin(options=StandinOptions(queue_dir=tmp_path)) as standin:
        aim(standin, receiver)
        put(standin, "a.txt")
        standin.drain()

    assert receiver.keys() == ["lycee/a.txt"]
    assert list(tmp_path.iterdir()) == []


def test_it_keeps_objects_and_port_over_a_stop(queued: StandinOptions) -> None:
    with MinioStandin(options=queued) as standin:
        put(standin, "a.txt")
        endpoint = standin.endpoint
        standin.stop()
        standin.start()

        assert standin.endpoint == endpoint
        assert standin.client().stat_object("lycee", "a.txt").size == 5


def test_it_sends_an_event_again_when_it_was_stopped_before_the_answer(queued: StandinOptions) -> None:
    asked, stopped = threading.Event(), threading.Event()

    def answer(request: Received) -> int:
        asked.set()
        if request.number == 0:
            stopped.wait(10)
        return 204

    with Receiver(answer) as receiver, MinioStandin(options=queued) as standin:
        aim(standin, receiver)
        put(standin, "a.txt")
        assert asked.wait(10)
        standin.stop()
        stopped.set()
        standin.start()
        standin.drain()

    assert receiver.keys() == ["lycee/a.txt", "lycee/a.txt"]


def test_it_notices_new_events_only_when_its_ticker_ticks(tmp_path: Path) -> None:
    options = StandinOptions(queue_dir=tmp_path, idle_seconds=3600)
    with Receiver() as receiver, MinioStandin(options=options) as standin:
        aim(standin, receiver)
        put(standin, "a.txt")
        with pytest.raises(TimeoutError, match="1 events are still in the queue"):
            standin.drain(0.2)

    assert receiver.received == []


def test_it_dials_anew_when_the_receiver_has_closed_the_connection(queued: StandinOptions) -> None:
    with Receiver(hangs_up=True) as receiver, MinioStandin(options=queued) as standin:
        aim(standin, receiver)
        for key in ("a.txt", "b.txt", "c.txt"):
            put(standin, key)
            standin.drain()
        attempts = [each.attempt for each in standin.deliveries()]

    assert attempts == [1, 1, 1]
    assert len({request.connection for request in receiver.received}) == 3


def test_it_loses_an_event_that_fails_without_a_queue_directory(direct: StandinOptions) -> None:
    with Receiver(failing(1, 503)) as receiver, MinioStandin(options=direct) as standin:
        aim(standin, receiver)
        put(standin, "a.txt", "b.txt")
        standin.drain()

    assert receiver.keys() == ["lycee/a.txt", "lycee/b.txt"]
    assert [each.status for each in standin.deliveries()] == [503, 204]


def test_it_sends_in_parallel_without_a_queue_directory(direct: StandinOptions) -> None:
    both_are_here = threading.Barrier(2, timeout=10)

    def answer(_: Received) -> int:
        both_are_here.wait()
        return 204

    with Receiver(answer) as receiver, MinioStandin(options=direct) as standin:
        aim(standin, receiver)
        writers = [threading.Thread(target=put, args=(standin, key)) for key in ("a.txt", "b.txt")]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()

    assert sorted(receiver.keys()) == ["lycee/a.txt", "lycee/b.txt"]


@pytest.mark.parametrize("sync_events", [True, False])
def test_its_s3_answer_waits_for_the_webhook_only_with_sync_events(*, sync_events: bool) -> None:
    s3_has_answered = threading.Event()
    seen: list[bool] = []

    def answer(_: Received) -> int:
        seen.append(s3_has_answered.wait(0.3 if sync_events else 10))
        return 204

    with Receiver(answer) as receiver, MinioStandin(options=StandinOptions(sync_events=sync_events)) as standin:
        aim(standin, receiver)
        put(standin, "a.txt")
        s3_has_answered.set()
        standin.drain()

    assert seen == [not sync_events]


def test_it_cannot_pause_without_a_queue_directory(direct: StandinOptions) -> None:
    with MinioStandin(options=direct) as standin, pytest.raises(RuntimeError, match="give the stand-in a queue_dir"):
        standin.pause()


def test_it_raises_no_event_before_it_has_a_target(queued: StandinOptions) -> None:
    with Receiver() as receiver, MinioStandin(options=queued) as standin:
        standin.add_rule("lycee")
        put(standin, "before.txt")
        standin.notify(url=receiver.url, token=TOKEN)
        put(standin, "after.txt")
        standin.drain()

    assert receiver.keys() == ["lycee/after.txt"]


def test_it_says_what_was_delivered_when_a_wait_is_in_vain(queued: StandinOptions) -> None:
    with Receiver() as receiver, MinioStandin(options=queued) as standin:
        aim(standin, receiver)
        put(standin, "a.txt")
        standin.drain()
        with pytest.raises(TimeoutError, match=r"s3:ObjectCreated:Put lycee/a\.txt 204"):
            standin.wait_for(lambda each: each.key == "lycee/b.txt", timeout=0.1)


@pytest.mark.parametrize(
    ("token", "header"),
    [("word", "Bearer word"), ("Basic dXNlcg==", "Basic dXNlcg=="), ("", ""), ("one two three", "")],
)
def test_it_makes_the_authorization_of_the_token_as_minio_does(token: str, header: str) -> None:
    assert Target("http://127.0.0.1", token).authorization == header
