"""Turns what happened to an object into the events that the rules ask for, and hands them to the delivery."""

import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256

from simulator.minio_events import Event, EventName, ObjectState, Origin, build_event
from simulator.minio_rules import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who did something: the part of an event that comes from the S3 request."""

    principal: str
    source_ip: str
    user_agent: str
    request_id: str
    range: str = ""


class Notifier:
    """The event notification of one server; ``save`` takes an event over for delivery."""

    def __init__(self, rules: Rules, save: Callable[[Event], None]) -> None:
        self.rules = rules
        self.endpoint = ""
        self.host_id = sha256(b"minio stand-in").hexdigest()
        self._deployment_id = str(uuid.uuid4())
        self._save = save
        self._lock = threading.Lock()
        self._last_ns = 0

    def events(
        self, name: EventName, *, bucket: str, state: ObjectState, caller: Caller, content_length: str
    ) -> list[Event]:
        """The event for one change of one object, or none if no rule wants it."""
        if not self.rules.matches(bucket, name, state.key):
            return []
        origin = Origin(
            principal=caller.principal,
            source_ip=caller.source_ip,
            user_agent=caller.user_agent,
            request_id=caller.request_id,
            range=caller.range,
            host_id=self.host_id,
            deployment_id=self._deployment_id,
            endpoint=self.endpoint,
            content_length=content_length,
        )
        return [build_event(name=name, bucket=bucket, state=state, origin=origin, now_ns=self.unique_ns())]

    def save(self, events: Iterable[Event]) -> None:
        """Hand events over for delivery, in their order."""
        for event in events:
            self._save(event)

    def unique_ns(self) -> int:
        """The time in nanoseconds since 1970, never the same twice, so that events keep their order in the queue."""
        with self._lock:
            self._last_ns = max(time.time_ns(), self._last_ns + 1)
            return self._last_ns
