"""Runs the mirror: takes keys that are due from the journal, converges each on a thread, writes down what came of it."""

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol

from sharepoint_proxy import backoff
from sharepoint_proxy.errors import (
    JournalError,
    LockedError,
    OccupiedError,
    OutageError,
    PermanentError,
    Subject,
    TransientError,
)
from sharepoint_proxy.paths import split_library
from sharepoint_proxy.records import Action, Job, Outcome, State

_log = logging.getLogger(__name__)

_IDLE_SECONDS = 0.5
"""Commands mark keys too, in the same journal, and cannot wake the service."""

_CROWDED_SECONDS = 1.0
"""While all places are taken; Graph may allow more of them at any time."""

_SOON_SECONDS = 0.5
_JOURNAL_RETRY_SECONDS = 1.0
_SCATTER_SECONDS = 5.0
_LONGEST_HOLD_SECONDS = 60.0
_SHOWS_THAT_GRAPH_WORKS = frozenset(Action) - {Action.UNCHANGED, Action.ABSENT, Action.FOLDER_KEPT, Action.NONE}
_OF_ONE_LIBRARY = frozenset({Subject.LIBRARY, Subject.QUOTA})
_LOCKED_PATIENCE = 3
"""A file open in Office is tried this many times as often as others: hours instead of one."""

_LEVELS = {State.SETTLED: logging.INFO, State.WAITING: logging.WARNING, State.PARKED: logging.ERROR}
_EVENTS = {State.SETTLED: "settled", State.WAITING: "postponed", State.PARKED: "parked"}


class Journal(Protocol):
    """Where the keys that are due come from."""

    def claim(self, *, places: int, large_places: int) -> list[Job]: ...
    def settle(self, job: Job, outcome: Outcome) -> None: ...
    def seconds_until_due(self, *, large_places: int) -> float | None: ...


class Throttle(Protocol):
    """What keeps the process a good guest of Graph."""

    def paused_seconds(self) -> float: ...
    def limit(self) -> int: ...


class Alarms(Protocol):
    """What is wrong just now."""

    def sound(self, subject: Subject, sentence: str, *, library: str) -> bool: ...
    def end(self, *subjects: Subject, library: str = "") -> None: ...


class Watcher(Protocol):
    """Is told what the workers do; it must be quick, and raise nothing."""

    def began(self, job: Job) -> None: ...
    def ended(self, job: Job, outcome: Outcome, seconds: float) -> None: ...


class Workers:
    """PLACES threads, of which LARGE_PLACES may run upload sessions at a time.

    CONVERGE does the work for one key; PUBLISH is told each outcome once it is written down; THROTTLE says when and how many
    may work; ALARMS are sounded when something that every key needs is away; WATCHERS see each look at a key begin and end.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        converge: Callable[[Job], Outcome],
        publish: Callable[[Job, Outcome], None],
        throttle: Throttle,
        places: int,
        large_places: int,
        max_attempts: int,
        alarms: Alarms,
        watchers: Sequence[Watcher] = (),
    ) -> None:
        self._journal = journal
        self._converge = converge
        self._publish = publish
        self._throttle = throttle
        self._places = places
        self._free_places = places
        self._free_large_places = large_places
        self._max_attempts = max_attempts
        self._alarms = alarms
        self._watchers = watchers
        self._outages = 0
        self._holding: set[Subject] = set()
        self._probes = 0
        self._held_until = 0.0
        self._changed = threading.Condition()
        self._look = True
        self._stopping = False
        self._threads = ThreadPoolExecutor(max_workers=places, thread_name_prefix="worker")
        self._dispatcher = threading.Thread(target=self._dispatch, name="dispatcher", daemon=True)

    def start(self) -> None:
        """Begin to take keys from the journal."""
        self._dispatcher.start()

    def wake(self) -> None:
        """Look at the journal now: something was marked."""
        with self._changed:
            self._look = True
            self._changed.notify_all()

    def ask_to_stop(self) -> None:
        """Take no more keys; returns at once."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Take no more keys, and return when those under way are settled."""
        self.ask_to_stop()
        if self._dispatcher.is_alive():
            self._dispatcher.join()
        self._threads.shutdown()

    def _dispatch(self) -> None:
        while (open_places := self._wait_for_work()) is not None:
            try:
                self._hand_out(*open_places)
            except JournalError as error:
                _log.error("journal_failed", extra={"reason": str(error)})
                time.sleep(_JOURNAL_RETRY_SECONDS)

    def _wait_for_work(self) -> tuple[int, int] | None:
        """Sleep until a key is due and a place is free, and return the open places; None when the service stops."""
        while True:
            with self._changed:
                if self._stopping:
                    return None
                self._look = False
            places, large_places = self._open_places()
            due = self._seconds_until_due(large_places) if places else _CROWDED_SECONDS
            pause = max(self._throttle.paused_seconds(), self._held_until - time.monotonic())
            if max(due, pause) <= 0:
                return places, large_places
            with self._changed:
                if not self._look and not self._stopping:
                    self._changed.wait(max(due, pause))

    def _open_places(self) -> tuple[int, int]:
        """How many keys may be taken now, and how many of them may need an upload session."""
        with self._changed:
            busy = self._places - self._free_places
            places = max(0, min(self._places, self._throttle.limit()) - busy)
            large_places = min(places, self._free_large_places)
            if not self._holding:
                return places, large_places
            places = 0 if self._probes else min(places, 1)
        # After an outage one key tries for all: a small one if there is one, as a large one may take hours.
        return places, 0 if self._seconds_until_due(0) <= 0 else min(places, large_places)

    def _seconds_until_due(self, large_places: int) -> float:
        try:
            due = self._journal.seconds_until_due(large_places=large_places)
        except JournalError:
            return _JOURNAL_RETRY_SECONDS
        return _IDLE_SECONDS if due is None else min(due, _IDLE_SECONDS)

    def _hand_out(self, places: int, large_places: int) -> None:
        for job in self._journal.claim(places=places, large_places=large_places):
            with self._changed:
                is_probe = bool(self._holding)
                self._free_places -= 1
                self._free_large_places -= job.large
                self._probes += is_probe
            self._threads.submit(self._run, job, is_probe=is_probe)

    def _run(self, job: Job, *, is_probe: bool = False) -> None:
        try:
            self._work(job)
        except Exception:  # noqa: BLE001 - whatever it is, the place must be given back
            # Nobody reads what a thread of the pool raises.
            _log.exception("defect", extra={"bucket": job.bucket, "key": job.key})
        finally:
            with self._changed:
                self._free_places += 1
                self._free_large_places += job.large
                self._probes -= is_probe
                self._look = True
                self._changed.notify_all()

    def _work(self, job: Job) -> None:
        began = time.monotonic()
        for watcher in self._watchers:
            watcher.began(job)
        outcome = self._judged(job)
        self._settle(job, outcome)
        self._go_on(outcome)
        self._publish(job, outcome)
        seconds = time.monotonic() - began
        for watcher in self._watchers:
            watcher.ended(job, outcome, seconds)
        # A key that only changes its queue has no outcome yet.
        if outcome.large is None:
            _report(job, outcome, seconds)

    def _judged(self, job: Job) -> Outcome:
        """What came of one try: errors become outcomes here and nowhere else."""
        try:
            return self._converge(job)
        except OccupiedError as error:
            return Outcome(state=State.PARKED, reason=str(error), status=error.status, blocked_by=error.by)
        except PermanentError as error:
            return Outcome(state=State.PARKED, reason=str(error), status=error.status)
        except OutageError as error:
            return self._kept(error)
        except TransientError as error:
            return self._postponed(job, error)
        except JournalError as error:
            return Outcome(
                state=State.WAITING, reason=str(error), delay=_JOURNAL_RETRY_SECONDS, counts_as_attempt=False
            )
        except Exception as error:  # noqa: BLE001 - one key's surprise must not end the thread
            # A defect of ours: shown with its traceback, tried again a bounded number of times.
            _log.exception("defect", extra={"bucket": job.bucket, "key": job.key})
            return self._postponed(job, TransientError(f"Unexpected {type(error).__name__}; see the log."))

    def _kept(self, error: OutageError) -> Outcome:
        """The key waits, whatever it takes, behind those that are due already: one of them may show that it works again."""
        if self._alarms.sound(error.subject, str(error), library=error.library):
            _log.error("outage", extra={"subject": error.subject.value, "reason": str(error), "status": error.status})
        delay = error.retry_after or self._hold_back(error.subject)
        return Outcome(
            state=State.WAITING,
            reason=str(error),
            status=error.status,
            counts_as_attempt=False,
            delay=delay + random.uniform(0, _SCATTER_SECONDS),  # noqa: S311 - it only scatters
        )

    def _hold_back(self, subject: Subject) -> float:
        """Let nobody begin for a while, longer each time; afterwards one key tries for all. A full library only stops uploads."""
        with self._changed:
            now = time.monotonic()
            if subject is not Subject.QUOTA and now >= self._held_until:
                self._holding.add(subject)
                self._outages += 1
                self._held_until = now + min(backoff.delay(self._outages), _LONGEST_HOLD_SECONDS)
            return max(0.0, self._held_until - now)

    def _go_on(self, outcome: Outcome) -> None:
        """What was just done shows what works."""
        if outcome.state is not State.SETTLED:
            return
        works = {Subject.MINIO}
        if outcome.action in _SHOWS_THAT_GRAPH_WORKS:
            works |= {Subject.GRAPH, Subject.TOKEN, Subject.LIBRARY}
        if outcome.action is Action.UPLOADED:
            works.add(Subject.QUOTA)
        library, _ = split_library(outcome.path if outcome.entry is None else outcome.entry.path)
        self._alarms.end(*(works - _OF_ONE_LIBRARY))
        self._alarms.end(*(works & _OF_ONE_LIBRARY), library=library)
        with self._changed:
            self._holding -= works
            if not self._holding:
                self._outages, self._held_until = 0, 0.0

    def _postponed(self, job: Job, error: TransientError) -> Outcome:
        attempt = job.attempts + 1
        waiting = Outcome(
            state=State.WAITING,
            reason=str(error),
            status=error.status,
            counts_as_attempt=error.counts_as_attempt,
            answers_sender=error.answers_sender,
        )
        if not error.counts_as_attempt:
            return replace(waiting, delay=error.retry_after or _SOON_SECONDS)
        if error.gives_up and attempt >= self._max_attempts * (
            _LOCKED_PATIENCE if isinstance(error, LockedError) else 1
        ):
            return replace(waiting, state=State.PARKED, reason=f"{error} Given up after {attempt} tries.")
        return replace(waiting, delay=max(error.retry_after or 0.0, backoff.delay(attempt)))

    def _settle(self, job: Job, outcome: Outcome) -> None:
        """Write the outcome down, however long the disk refuses: what was done must not be done again."""
        while True:
            try:
                return self._journal.settle(job, outcome)
            except JournalError as error:
                _log.error("journal_failed", extra={"reason": str(error)})
                if self._stopping:
                    return None
            time.sleep(_JOURNAL_RETRY_SECONDS)


def _report(job: Job, outcome: Outcome, seconds: float) -> None:
    """The one log line of an outcome."""
    _log.log(
        _LEVELS[outcome.state],
        _EVENTS[outcome.state],
        extra={
            "bucket": job.bucket,
            "key": job.key,
            "action": outcome.action.value,
            "bytes": outcome.bytes,
            "seconds": round(seconds, 3),
            "status": outcome.status,
            "attempt": job.attempts + 1,
            "reason": outcome.reason,
            "cause": job.event,
        },
    )
