"""The consumer records first and commits then, lets nothing hold up the rest, and takes no more than can be done here."""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from sharepoint_proxy.consumer import Consumer
from sharepoint_proxy.errors import JournalError
from sharepoint_proxy.events import ObjectEvent
from sharepoint_proxy.messages import Message, Taken

TOPIC = "minio-events"
ROUTED = "administration/"
JOIN_SECONDS = 10.0


def message(body: object, *, partition: int = 0, offset: int = 0) -> Message:
    """A message whose value is BODY, as JSON unless it is bytes or nothing."""
    value = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    return Message(topic=TOPIC, partition=partition, offset=offset, key=b"lycee/key", value=value)


def put(key: str, *, name: str = "s3:ObjectCreated:Put") -> object:
    """The smallest body that says something of a key."""
    return {"EventName": name, "Key": f"lycee/{ROUTED}{key}"}


@dataclass
class Played:
    """Kafka, the journal and the metrics in one: what happens is in `done`, in its order. The service stops when BATCHES are over."""

    batches: list[list[Message]]
    is_full: list[bool] = field(default_factory=list)
    journal_fails: int = 0
    rejection_fails: int = 0
    joins_fail: int = 0
    done: list[object] = field(default_factory=list)
    counted: list[Taken] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def join(self) -> "Played":
        if self.joins_fail:
            self.joins_fail -= 1
            raise RuntimeError("Kafka's client is in a bad mood.")
        self.done.append("join")
        return self

    def take(self, *, most: int, seconds: float) -> list[Message]:
        assert most > 0
        assert seconds > 0
        if not self.batches:
            self.stopping.set()
            return []
        return self.batches.pop(0)

    def commit(self, messages: Sequence[Message]) -> None:
        self.done.append(("commit", [(each.partition, each.offset) for each in messages]))

    def put_aside(self, message: Message, reason: str) -> None:
        assert reason
        self.done.append(("put aside", message.value))

    def pause(self) -> None:
        self.done.append("pause")

    def resume(self) -> None:
        self.done.append("resume")

    def close(self) -> None:
        self.done.append("leave")

    def lag(self) -> dict[int, int]:
        return {0: 7}

    def problems(self) -> list[str]:
        return ["Kafka is away."]

    def mark(self, events: Sequence[ObjectEvent]) -> list[int]:
        if self.journal_fails:
            self.journal_fails -= 1
            raise JournalError("The disk is full.")
        self.done.append(("mark", [event.key.removeprefix(ROUTED) for event in events]))
        return list(range(len(events)))

    def reject(self, reasons: Sequence[str], *, body: bytes) -> None:
        if self.rejection_fails:
            self.rejection_fails -= 1
            raise JournalError("The disk is full.")
        self.done.append(("reject", len(reasons), body))

    def due(self, *, most: int) -> int:
        return most if self.is_full and self.is_full.pop(0) else 0

    def is_routed(self, bucket: str, key: str) -> bool:
        assert bucket == "lycee"
        return key.startswith(ROUTED)

    def took(self, taken: Taken) -> None:
        self.counted.append(taken)

    def run(self) -> list[object]:
        """What a consumer does with all of that, but for coming and going."""
        consumer = Consumer(
            self.join, journal=self, routing=self, metrics=self, wake=lambda: None, stopping=self.stopping
        )
        thread = threading.Thread(target=consumer.run)
        thread.start()
        thread.join(JOIN_SECONDS)
        assert not thread.is_alive()
        return [each for each in self.done if each not in ("join", "leave")]


def test_it_records_a_batch_at_once_before_it_commits_it() -> None:
    played = Played([[message(put("a"), offset=3), message(put("b"), offset=4), message(put("c"), partition=2)]])

    assert played.run() == [("mark", ["a", "b", "c"]), ("commit", [(0, 3), (0, 4), (2, 0)])]
    assert played.counted == [Taken.RECORDED] * 3


def test_it_keeps_the_order_of_the_messages() -> None:
    names = ["s3:ObjectCreated:Put", "s3:ObjectRemoved:Delete", "s3:ObjectCreated:Put"]
    played = Played([[message(put("a", name=name), offset=at) for at, name in enumerate(names)]])

    assert played.run()[0] == ("mark", ["a", "a", "a"])


@pytest.mark.parametrize(
    "body",
    [
        {"EventName": "s3:ObjectCreated:Put", "Key": "lycee/elsewhere/a"},
        put("a", name="s3:ObjectAccessed:Get"),
        {"Event": "s3:TestEvent"},
    ],
)
def test_what_does_not_concern_the_mirror_is_committed_and_no_more(body: object) -> None:
    played = Played([[message(body)]])

    assert played.run() == [("mark", []), ("commit", [(0, 0)])]
    assert played.counted == [Taken.IGNORED]


@pytest.mark.parametrize(
    "body", [None, b"", b"not JSON", b"\xff", b"[" * 100_000, b"[]", {}, {"Records": [{"s3": {}}]}]
)
def test_what_nobody_can_use_is_kept_and_put_aside_and_the_rest_goes_on(body: object) -> None:
    poison = message(body, offset=1)
    played = Played([[message(put("a")), poison, message(put("b"), offset=2)]])

    assert played.run() == [
        ("mark", ["a", "b"]),
        ("reject", 1, poison.value or b""),
        ("put aside", poison.value),
        ("commit", [(0, 0), (0, 1), (0, 2)]),
    ]
    assert played.counted == [Taken.RECORDED, Taken.DEAD_LETTERED, Taken.RECORDED]


def test_a_message_of_which_a_part_is_of_use_is_recorded_and_put_aside() -> None:
    good = {"eventName": "s3:ObjectCreated:Put", "s3": {"bucket": {"name": "lycee"}, "object": {"key": f"{ROUTED}a"}}}
    played = Played([[message({"Records": [good, {}]})]])

    assert [each[0] for each in played.run() if isinstance(each, tuple)] == ["mark", "reject", "put aside", "commit"]


@pytest.mark.parametrize(("marks", "rejections"), [(1, 0), (0, 1)])
def test_a_journal_that_fails_is_tried_again_before_anything_is_committed(marks: int, rejections: int) -> None:
    batch = [message(put("a")), message(b"poison", offset=1)]
    played = Played([batch], journal_fails=marks, rejection_fails=rejections)

    assert played.run()[-1] == ("commit", [(0, 0), (0, 1)])
    assert sum(isinstance(each, tuple) and each[0] == "commit" for each in played.done) == 1


def test_a_stop_while_the_journal_fails_commits_nothing() -> None:
    played = Played([[message(put("a"))]], journal_fails=1_000_000)
    threading.Timer(0.2, played.stopping.set).start()

    assert played.run() == []


def test_it_takes_nothing_while_too_much_is_due_and_says_so_again_each_time() -> None:
    """Partitions may come meanwhile, which are not paused yet."""
    played = Played([[], [], [message(put("a"))]], is_full=[True, True, False])

    assert played.run() == ["pause", "pause", "resume", ("mark", ["a"]), ("commit", [(0, 0)])]


def test_it_leaves_the_group_when_the_service_stops() -> None:
    played = Played([])
    played.run()

    assert played.done == ["join", "leave"]


def test_it_joins_again_after_whatever_went_wrong(caplog: pytest.LogCaptureFixture) -> None:
    played = Played([[message(put("a"))]], joins_fail=1)

    assert played.run() == [("mark", ["a"]), ("commit", [(0, 0)])]
    assert "defect" in caplog.text


def test_it_shows_what_the_group_says_while_it_is_a_member() -> None:
    said: list[object] = []
    played = Played([[message(put("a"))]])
    wake: Callable[[], None] = lambda: said.extend((consumer.lag(), consumer.problems()))  # noqa: E731 - it needs the consumer
    consumer = Consumer(
        played.join, journal=played, routing=played, metrics=played, wake=wake, stopping=played.stopping
    )
    before = (consumer.lag(), consumer.problems())
    consumer.run()

    assert before == ({}, ())
    assert said == [{0: 7}, ["Kafka is away."]]
    assert (consumer.lag(), consumer.problems()) == ({}, ())
