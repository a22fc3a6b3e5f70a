"""Keeps the notification rules of buckets, set from Python or by S3's PutBucketNotification."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from simulator.minio_events import EventName
from simulator.minio_requests import ErrorCode, S3Error

WEBHOOK_ARN = "arn:minio:sqs::STANDIN:webhook"

# The words of `mc event add --event`.
KEYWORDS = {"put": "s3:ObjectCreated:*", "delete": "s3:ObjectRemoved:*", "get": "s3:ObjectAccessed:*"}
PUT_AND_DELETE = frozenset({"put", "delete"})


@dataclass(frozen=True)
class Rule:
    """Which events of which keys of one bucket go to the webhook; ``*`` and ``?`` work in prefix and suffix."""

    events: frozenset[str]
    prefix: str = ""
    suffix: str = ""

    def matches(self, name: EventName, key: str) -> bool:
        """Whether the event is wanted."""
        family = name.rpartition(":")[0] + ":*"
        return bool(self.events & {name.value, family}) and self._pattern.fullmatch(key) is not None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        wildcard = f"{self.prefix}*{self.suffix}"
        return re.compile("".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in wildcard), re.DOTALL)


class Rules:
    """The rules of all buckets of one server."""

    def __init__(self) -> None:
        self._rules: dict[str, list[Rule]] = {}

    def add(self, bucket: str, *, prefix: str, suffix: str, keywords: Iterable[str]) -> None:
        """Add a rule as ``mc event add`` does; an equal one is kept once, as with --ignore-existing."""
        rule = Rule(frozenset(KEYWORDS[keyword] for keyword in keywords), prefix, suffix)
        rules = self._rules.setdefault(bucket, [])
        if rule not in rules:
            rules.append(rule)

    def matches(self, bucket: str, name: EventName, key: str) -> bool:
        """Whether any rule wants the event."""
        return any(rule.matches(name, key) for rule in self._rules.get(bucket, []))

    def replace(self, bucket: str, document: bytes) -> None:
        """Take the rules of a NotificationConfiguration instead of the present ones; raises S3Error."""
        try:
            root = ET.fromstring(document) if document else ET.Element("NotificationConfiguration")  # noqa: S314 - own tests
        except ET.ParseError as error:
            raise S3Error(ErrorCode.MALFORMED_XML) from error
        self._rules[bucket] = [_parsed(queue) for queue in root.iterfind("{*}QueueConfiguration")]

    def document(self, bucket: str) -> str:
        """The rules as a NotificationConfiguration."""
        queues = "".join(_written(rule) for rule in self._rules.get(bucket, []))
        return f'<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{queues}</NotificationConfiguration>'


def _parsed(queue: ET.Element) -> Rule:
    if queue.findtext("{*}Queue") != WEBHOOK_ARN:
        raise S3Error(ErrorCode.BAD_ARN)
    events = frozenset(event.text or "" for event in queue.iterfind("{*}Event"))
    if not events <= {*KEYWORDS.values(), *EventName}:
        raise S3Error(ErrorCode.BAD_EVENT)
    filters = {
        (rule.findtext("{*}Name") or ""): (rule.findtext("{*}Value") or "")
        for rule in queue.iterfind(".//{*}FilterRule")
    }
    return Rule(events, filters.get("prefix", ""), filters.get("suffix", ""))


def _written(rule: Rule) -> str:
    events = "".join(f"<Event>{event}</Event>" for event in sorted(rule.events))
    filters = "".join(
        f"<FilterRule><Name>{name}</Name><Value>{escape(value)}</Value></FilterRule>"
        for name, value in (("prefix", rule.prefix), ("suffix", rule.suffix))
        if value
    )
    return (
        f"<QueueConfiguration><Id></Id><Filter><S3Key>{filters}</S3Key></Filter>{events}"
        f"<Queue>{WEBHOOK_ARN}</Queue></QueueConfiguration>"
    )
