"""Work on several threads that can be broken off, and that tries again what may pass."""

import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from sharepoint_proxy import backoff
from sharepoint_proxy.errors import AccessError, SourceChangedError, StoppingError, ThrottledError, TransientError

T = TypeVar("T")

TRIES = 8
"""Some two minutes."""

_FINAL = (AccessError, SourceChangedError, StoppingError)
"""Errors that no second try changes."""


class Halt:
    """Ends the work on all threads: every step raises StoppingError once `now` was called, or SLEEP says so.

    SLEEP waits so many seconds and returns True to give up.
    """

    def __init__(self, sleep: Callable[[float], bool]) -> None:
        self._sleep = sleep
        self._now = threading.Event()

    def now(self) -> None:
        """Let all end."""
        self._now.set()

    def go_on(self) -> None:
        """Return, unless all is to end."""
        self._wait(0.0)

    def patiently(
        self, step: Callable[[], T], *, tries: int = TRIES, delayed: Callable[[str], None] = lambda _reason: None
    ) -> T:
        """What STEP returns, after at most so many TRIES that fail; DELAYED is told why it does not go on at once.

        A pause that Graph asked for is no failure, and kept by its client. 410 is an answer, not a failure that passes.
        """
        failures = 0
        while True:
            self.go_on()
            try:
                return step()
            except _FINAL:
                raise
            except ThrottledError as error:
                delayed(str(error))
            except TransientError as error:
                failures += 1
                if failures >= tries or error.status == HTTPStatus.GONE:
                    raise
                seconds = error.retry_after or backoff.delay(failures)
                delayed(f"{error} Trying again in {seconds:.0f} s.")
                self._wait(seconds)

    def _wait(self, seconds: float) -> None:
        if self._now.is_set() or self._sleep(seconds):
            raise StoppingError("The work was broken off.")
