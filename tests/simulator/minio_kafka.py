"""Publishes events to Kafka as MinIO's own target does (``internal/event/target/kafka.go`` of minio/minio).

The message's key is ``bucket/key`` undecoded, its value the webhook's body. The partition is sarama's: FNV-1a of the key as a
signed number, modulo the partitions, without its sign.
"""

from confluent_kafka import KafkaError, Producer

from simulator.minio_events import Event
from simulator.minio_sender import Target

_FNV_OFFSET = 0x811C9DC5
_FNV_PRIME = 0x01000193
_WORD = 1 << 32
_SECONDS = 20.0


class KafkaChannel:
    """Publishes to TOPIC with PARTITIONS at the brokers ADDRESS; an event is acknowledged before the S3 client is."""

    def __init__(self, address: str, topic: str, *, partitions: int) -> None:
        self._topic = topic
        self._partitions = partitions
        self._producer = Producer({"bootstrap.servers": address, "linger.ms": 0, "log_level": 0})
        self._held: list[Event] | None = None
        self._failures: list[str] = []

    def aim(self, target: Target) -> None:
        """Nothing: where events go is given from the beginning."""

    def start(self) -> None:
        """Nothing: the first event connects."""

    def stop(self) -> None:
        """End; what is published stays."""
        self._producer.flush(_SECONDS)

    def save(self, event: Event) -> None:
        """Publish an event, or keep it while paused."""
        if self._held is not None:
            self._held.append(event)
            return
        self.publish(event.key.encode(), event.body)
        self._producer.poll(0)

    def publish(self, key: bytes, body: bytes | None) -> None:
        """Publish anything at all."""
        partition = partition_of(key, partitions=self._partitions)
        self._producer.produce(self._topic, key=key, value=body, partition=partition, on_delivery=self._note)

    def pause(self) -> None:
        """Let events pile up."""
        self._held = self._held or []

    def resume(self) -> None:
        """Publish what has piled up."""
        held, self._held = self._held or [], None
        for event in held:
            self.save(event)

    def drain(self, timeout: float) -> None:
        """Wait until every event is acknowledged; raises TimeoutError."""
        if self._producer.flush(timeout) or self._failures:
            raise TimeoutError(f"not every event was published: {self._failures[:3]}")

    def _note(self, error: KafkaError | None, _: object) -> None:
        if error is not None:
            self._failures.append(error.str())


def partition_of(key: bytes, *, partitions: int) -> int:
    """The partition to which MinIO publishes events of a message key."""
    value = _FNV_OFFSET
    for byte in key:
        value = (value ^ byte) * _FNV_PRIME % _WORD
    signed = value - _WORD if value >= _WORD // 2 else value
    # Go's remainder has the sign of the dividend, and sarama takes it off.
    return abs(signed) % partitions
