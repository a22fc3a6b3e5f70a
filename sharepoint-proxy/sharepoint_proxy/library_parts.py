"""What the service does about its libraries beside mirroring: tells of those that are closed, and lets their keys go on when they open again."""

import logging
import threading
from collections.abc import Callable, Sequence

from sharepoint_proxy import backoff
from sharepoint_proxy.alarms import Alarms
from sharepoint_proxy.backlog import Backlog
from sharepoint_proxy.errors import JournalError, OutageError, Subject
from sharepoint_proxy.libraries import Libraries

_LONGEST_SECONDS = 60.0
_FIRST_TRIES = 7
"""So many waits between two looks become longer; the last is about a minute."""

_log = logging.getLogger(__name__)


class Reopening:
    """Looks after LIBRARIES on a thread of its own, if they are several, until STOPPING is set."""

    def __init__(
        self,
        libraries: Libraries,
        alarms: Alarms,
        backlog: Backlog,
        *,
        wake: Callable[[], None],
        stopping: threading.Event,
    ) -> None:
        self._libraries = libraries
        self._alarms = alarms
        self._backlog = backlog
        self._wake = wake
        self._stopping = stopping

    def start(self, closed: Sequence[OutageError]) -> None:
        """Tell of the libraries that are CLOSED already, and look after them all from now on."""
        for error in closed:
            self._alarms.sound(error.subject, str(error), library=error.library)
            _log.error("outage", extra={"subject": error.subject.value, "reason": str(error), "status": error.status})
        if self._libraries.are_several:
            threading.Thread(target=self._run, name="libraries", daemon=True).start()

    def _run(self) -> None:
        looks = 0
        reopened: list[tuple[str, str]] = []
        while not self._stopping.wait(min(backoff.delay(looks + 1), _LONGEST_SECONDS)):
            looks = min(looks + 1, _FIRST_TRIES) if self._libraries.any_closed else 0
            for _, sentence in reopened:
                # Once more: a worker may have been writing down that its key waits.
                self._hasten(sentence)
            reopened = self._libraries.reopened()
            for alias, sentence in reopened:
                self._alarms.end(Subject.LIBRARY, library=alias)
                _log.info("library_open", extra={"library": alias, "waiting": self._hasten(sentence)})

    def _hasten(self, sentence: str) -> int:
        """Let the keys go on that wait for this reason; how many there are."""
        try:
            waiting = self._backlog.hasten(sentence)
        except JournalError as error:
            # They come by themselves, only later.
            _log.error("journal_failed", extra={"reason": str(error)})
            return 0
        self._wake()
        return waiting
