"""Takes MinIO's events from Kafka, as one replica of a consumer group: the way in for those who outgrow one machine.

A message is committed once the journal holds its event, not once that is mirrored: a file that is locked for hours must not
hold up its partition. So what is recorded here is done here, and the journal's disk must outlive the process; to keep that
little, no messages are taken while many keys are due.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from sharepoint_proxy import events
from sharepoint_proxy.errors import BadEventError, JournalError
from sharepoint_proxy.events import Kind, ObjectEvent, Rejection
from sharepoint_proxy.messages import Message, Taken

_log = logging.getLogger(__name__)

MOST_DUE = 500
"""A replica that dies for good leaves at most so many keys undone, and a batch; a reconcile finds them."""

_BATCH = 500
_POLL_SECONDS = 0.5
_AGAIN_SECONDS = 1.0


class Group(Protocol):
    """One member's place in the consumer group."""

    def take(self, *, most: int, seconds: float) -> list[Message]: ...
    def commit(self, messages: Sequence[Message]) -> None: ...
    def put_aside(self, message: Message, reason: str) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def close(self) -> None: ...
    def lag(self) -> Mapping[int, int]: ...
    def problems(self) -> Sequence[str]: ...


class Journal(Protocol):
    """Where events are recorded."""

    def mark(self, events: Sequence[ObjectEvent]) -> list[int]: ...
    def reject(self, reasons: Sequence[str], *, body: bytes) -> None: ...
    def due(self, *, most: int) -> int: ...


class Routing(Protocol):
    """Says which keys are mirrored."""

    def is_routed(self, bucket: str, key: str) -> bool: ...


class Metrics(Protocol):
    """Counts messages."""

    def took(self, taken: Taken) -> None: ...


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a message says: events that concern the mirror, and why something of it cannot be used."""

    message: Message
    wanted: tuple[ObjectEvent, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def taken(self) -> Taken:
        if self.reasons:
            return Taken.DEAD_LETTERED
        return Taken.RECORDED if self.wanted else Taken.IGNORED


class Consumer:
    """Records events until STOPPING is set. JOIN takes a place in the group; WAKE tells the workers that there is work."""

    def __init__(
        self,
        join: Callable[[], Group],
        *,
        journal: Journal,
        routing: Routing,
        metrics: Metrics,
        wake: Callable[[], None],
        stopping: threading.Event,
        most_due: int = MOST_DUE,
    ) -> None:
        self._join = join
        self._journal = journal
        self._routing = routing
        self._metrics = metrics
        self._wake = wake
        self._stopping = stopping
        self._most_due = most_due
        self._group: Group | None = None
        self._is_paused = False

    def run(self) -> None:
        """Take messages until the service stops; after whatever goes wrong the group is joined anew."""
        while not self._stopping.is_set():
            try:
                with closing(self._join()) as group:
                    self._group, self._is_paused = group, False
                    self._take_from(group)
            except Exception:  # noqa: BLE001 - whatever it is, messages must be taken again
                # Nobody reads what a thread raises, and nobody else takes messages here.
                _log.exception("defect")
            self._group = None
            self._stopping.wait(_AGAIN_SECONDS)

    def lag(self) -> Mapping[int, int]:
        """How many messages of each partition held here are not recorded yet."""
        group = self._group
        return group.lag() if group is not None else {}

    def problems(self) -> Sequence[str]:
        """What keeps messages from coming."""
        group = self._group
        return group.problems() if group is not None else ()

    def _take_from(self, group: Group) -> None:
        while not self._stopping.is_set():
            self._hold_back(group)
            messages = group.take(most=_BATCH, seconds=_POLL_SECONDS)
            if messages and self._record(messages, group):
                group.commit(messages)

    def _hold_back(self, group: Group) -> None:
        """Pause while many keys are due here, until half of them are done."""
        limit = self._most_due // 2 if self._is_paused else self._most_due
        is_full = self._due() > limit
        if is_full:
            # Again each time: partitions come while others are paused.
            group.pause()
        elif self._is_paused:
            group.resume()
        self._is_paused = is_full

    def _due(self) -> int:
        try:
            return self._journal.due(most=self._most_due + 1)
        except JournalError:
            # What cannot be read will hardly be written.
            return self._most_due + 1

    def _record(self, messages: Sequence[Message], group: Group) -> bool:
        """Write down what MESSAGES say, all events at once; False when the service stops before the disk takes them."""
        readings = [self._read(message) for message in messages]
        wanted = [event for reading in readings for event in reading.wanted]
        if not self._written(lambda: self._journal.mark(wanted)):
            return False
        if wanted:
            self._wake()
        if not all(self._put_aside(reading, group) for reading in readings if reading.reasons):
            return False
        for reading in readings:
            self._metrics.took(reading.taken)
        return True

    def _read(self, message: Message) -> _Reading:
        try:
            parsed = events.parse(message.value or b"")
        except BadEventError as error:
            return _Reading(message, reasons=(str(error),))
        except Exception as error:  # noqa: BLE001 - one message's surprise must not hold up all others
            _log.exception("defect", extra={"source": message.source})
            return _Reading(message, reasons=(f"Unexpected {type(error).__name__}; see the log.",))
        wanted = tuple(each for each in parsed if isinstance(each, ObjectEvent) and self._is_wanted(each))
        return _Reading(message, wanted, tuple(each.reason for each in parsed if isinstance(each, Rejection)))

    def _is_wanted(self, event: ObjectEvent) -> bool:
        return event.kind is not Kind.OTHER and self._routing.is_routed(event.bucket, event.key)

    def _put_aside(self, reading: _Reading, group: Group) -> bool:
        """Keep a message of which something is of no use in the journal, and send it where others can look at it."""
        message = reading.message
        if not self._written(lambda: self._journal.reject(reading.reasons, body=message.value or b"")):
            return False
        _log.warning("rejected", extra={"reason": reading.reasons[0], "source": message.source})
        group.put_aside(message, reading.reasons[0])
        return True

    def _written(self, write: Callable[[], object]) -> bool:
        """WRITE to the journal however long its disk refuses. The group takes the partitions elsewhere if that lasts for minutes."""
        while not self._stopping.is_set():
            try:
                write()
            except JournalError as error:
                _log.error("journal_failed", extra={"reason": str(error)})
                self._stopping.wait(_AGAIN_SECONDS)
            else:
                return True
        return False
