"""One member of a Kafka consumer group: takes messages, commits those that are recorded, puts aside those that are of no use.

The only importer of confluent_kafka, which is an extra: nothing imports this module before `sharepoint-proxy consume` runs.
Offsets are committed for what was recorded and nothing else; what was taken and not committed comes again, here or elsewhere.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from sharepoint_proxy.errors import ConfigError
from sharepoint_proxy.logs import SERVICE
from sharepoint_proxy.messages import Message
from sharepoint_proxy.settings import Settings

_log = logging.getLogger(__name__)

_STATISTICS_SECONDS = 2
_DEAD_LETTER_SECONDS = 10.0
_PREFETCHED_KIB = 4096
_SILENT = 0


class Membership:
    """One member of the group in SETTINGS, for one thread; only `lag` and `problems` may be asked by others.

    CHANGED is called when partitions come or go, before the first message of a new one. ConfigError when Kafka's client
    refuses the settings; that a broker is away shows in `problems`, and ends when it is back.
    """

    def __init__(self, settings: Settings, *, changed: Callable[[], None]) -> None:
        self._settings = settings
        self._changed = changed
        self._partitions: frozenset[int] = frozenset()
        self._lag: dict[int, int] = {}
        self._broker_problem = ""
        self._topic_problem = ""
        self._producer: confluent_kafka.Producer | None = None
        self._consumer = _made(self._options())
        self._consumer.subscribe(
            [settings.kafka_topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )

    def take(self, *, most: int, seconds: float) -> list[Message]:
        """The next messages, at most so many: none after so many SECONDS without any, and those that are there once one is."""
        taken: list[Message] = []
        while len(taken) < most and (polled := self._consumer.poll(0 if taken else seconds)) is not None:
            if (error := polled.error()) is not None:
                self._note_topic_problem(error)
                break
            taken.append(_message(polled))
        return taken

    def commit(self, messages: Sequence[Message]) -> None:
        """Let the group go on after MESSAGES; of a partition that was lost meanwhile its new member decides."""
        last = {message.partition: message for message in messages}
        offsets = [TopicPartition(each.topic, each.partition, each.offset + 1) for each in last.values()]
        try:
            self._consumer.store_offsets(offsets=offsets)
            self._consumer.commit(asynchronous=True)
        except KafkaException as error:
            # They are recorded twice then, which is harmless.
            _log.info("not_committed", extra={"reason": _text(error), "messages": len(messages)})

    def put_aside(self, message: Message, reason: str) -> None:
        """Send MESSAGE as it is to the dead-letter topic, with REASON and where it stood; that it cannot be sent is logged."""
        failures: list[str] = []
        try:
            producer = self._dead_letter_producer()
            producer.produce(
                self._settings.kafka_dead_letter_topic or f"{self._settings.kafka_topic}.dead",
                key=message.key,
                value=message.value,
                headers={"reason": reason.encode(), "source": message.source.encode()},
                on_delivery=lambda error, _: failures.append(str(error)) if error else None,
            )
            if producer.flush(_DEAD_LETTER_SECONDS):
                failures.append("no broker took it in time")
        except (BufferError, KafkaException) as error:
            failures.append(_text(error))
        if failures:
            _log.error("dead_letter_failed", extra={"source": message.source, "reason": failures[0]})

    def pause(self) -> None:
        """Take no messages for now, also of partitions that have come since; the place in the group is kept by `take`."""
        self._consumer.pause(self._consumer.assignment())

    def resume(self) -> None:
        """Take messages again."""
        self._consumer.resume(self._consumer.assignment())

    def close(self) -> None:
        """Commit what is recorded, and leave the group, which then goes on at once without this member."""
        self._consumer.close()

    def lag(self) -> dict[int, int]:
        """How many messages of each partition held are not recorded yet, as of the last seconds."""
        return {partition: lag for partition, lag in self._lag.items() if partition in self._partitions}

    def problems(self) -> list[str]:
        """What keeps messages from coming."""
        return [problem for problem in (self._broker_problem, self._topic_problem) if problem]

    def _options(self) -> dict[str, Any]:
        session_ms = self._settings.kafka_session_seconds * 1000
        return {
            **connection(self._settings),
            "group.id": self._settings.kafka_group,
            # What was published before the group existed has to be mirrored too.
            "auto.offset.reset": "earliest",
            # Committed are the offsets that `commit` stores, and they once more when partitions go and at the end.
            "enable.auto.offset.store": False,
            "enable.auto.commit": True,
            "auto.commit.interval.ms": 1000,
            "session.timeout.ms": session_ms,
            "heartbeat.interval.ms": session_ms // 3,
            # Only the partitions that move stop for a moment, when a replica comes or goes.
            "partition.assignment.strategy": "cooperative-sticky",
            # Partitions that are added are noticed.
            "topic.metadata.refresh.interval.ms": 30_000,
            "queued.max.messages.kbytes": _PREFETCHED_KIB,
            "statistics.interval.ms": _STATISTICS_SECONDS * 1000,
            "stats_cb": self._note_statistics,
            "error_cb": self._note_error,
        }

    def _dead_letter_producer(self) -> confluent_kafka.Producer:
        if self._producer is None:
            self._producer = confluent_kafka.Producer(connection(self._settings))
        return self._producer

    def _assigned(self, _: object, partitions: Sequence[TopicPartition]) -> None:
        self._topic_problem = ""
        if partitions:
            self._move(self._partitions | _numbers(partitions))

    def _revoked(self, _: object, partitions: Sequence[TopicPartition]) -> None:
        self._move(self._partitions - _numbers(partitions))

    def _move(self, partitions: frozenset[int]) -> None:
        self._partitions = partitions
        self._changed()
        _log.info("partitions", extra={"partitions": sorted(partitions)})

    def _note_error(self, error: KafkaError) -> None:
        """Keep what the client complains of; each broker's failed connections come many times a second."""
        if not self._broker_problem:
            _log.warning("kafka", extra={"reason": error.str()})
        self._broker_problem = f"Kafka is away or refuses this service: {error.str()}."

    def _note_topic_problem(self, error: KafkaError) -> None:
        self._topic_problem = f"Kafka gives no messages of the topic {self._settings.kafka_topic}: {error.str()}."
        _log.warning("kafka", extra={"reason": self._topic_problem})

    def _note_statistics(self, text: str) -> None:
        """Every few seconds the client says how it is; the format is that of librdkafka's STATISTICS.md."""
        told: Mapping[str, Any] = json.loads(text)
        if self._broker_problem and any(broker["state"] == "UP" for broker in told["brokers"].values()):
            self._broker_problem = ""
            _log.info("kafka", extra={"reason": "A broker answers."})
        topic = told["topics"].get(self._settings.kafka_topic, {})
        self._lag = {int(number): _behind(partition) for number, partition in topic.get("partitions", {}).items()}


def refuse_unusable(settings: Settings) -> None:
    """ConfigError when Kafka's client refuses SETTINGS; no broker is asked."""
    _made({**connection(settings), "group.id": settings.kafka_group}).close()


def _made(options: dict[str, Any]) -> confluent_kafka.Consumer:
    try:
        return confluent_kafka.Consumer(options)
    except KafkaException as error:
        raise ConfigError([f"Kafka's client refuses the KAFKA_ settings: {_text(error)}."]) from None


def connection(settings: Settings) -> dict[str, Any]:
    """How the brokers are reached, in the client's own terms; None of the settings' secrets is ever logged by it."""
    options = {
        "bootstrap.servers": ",".join(settings.kafka_brokers),
        "security.protocol": settings.kafka_security_protocol,
        "sasl.mechanism": settings.kafka_sasl_mechanism,
        "sasl.username": settings.kafka_sasl_username,
        "sasl.password": settings.kafka_sasl_password,
        "ssl.ca.location": settings.kafka_ca_path,
        "ssl.certificate.location": settings.kafka_cert_path,
        "ssl.key.location": settings.kafka_key_path,
        "client.id": SERVICE,
        "reconnect.backoff.ms": 500,
        "reconnect.backoff.max.ms": 1000,
        # What it would write to stderr comes as errors too.
        "log_level": _SILENT,
    }
    return {
        name: value if isinstance(value, int) else str(value) for name, value in options.items() if value is not None
    }


def _message(polled: confluent_kafka.Message) -> Message:
    return Message(
        topic=polled.topic() or "",
        partition=polled.partition() or 0,
        offset=polled.offset() or 0,
        key=polled.key(),
        value=polled.value(),
    )


def _numbers(partitions: Sequence[TopicPartition]) -> frozenset[int]:
    return frozenset(each.partition for each in partitions)


def _behind(partition: Mapping[str, int]) -> int:
    """The messages between what was recorded, by this group or here, and the partition's end; all while nothing was."""
    if partition["consumer_lag"] >= 0:
        return partition["consumer_lag"]
    return max(0, partition["hi_offset"] - max(0, partition["lo_offset"]))


def _text(error: Exception) -> str:
    """The client's own words, which end without a full stop."""
    cause = error.args[0] if error.args else None
    return (cause.str() if isinstance(cause, KafkaError) else str(error)).removesuffix(".")
