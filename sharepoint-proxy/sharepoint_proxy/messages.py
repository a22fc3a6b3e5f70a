"""What Kafka holds for the mirror: MinIO's events, each in a message of its own, and what becomes of them."""

from dataclasses import dataclass
from enum import StrEnum


class Taken(StrEnum):
    """What became of a message: its events are in the journal, none of them concerns the mirror, or it is of no use."""

    RECORDED = "recorded"
    IGNORED = "ignored"
    DEAD_LETTERED = "dead_lettered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message and where it stands. MinIO's key is "bucket/key", and its value the body that a webhook would get."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None

    @property
    def source(self) -> str:
        """Where it stands, in one word."""
        return f"{self.topic}/{self.partition}/{self.offset}"
