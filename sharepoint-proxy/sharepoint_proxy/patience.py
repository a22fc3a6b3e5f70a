"""Tries again what may pass: how often, how long to wait between, and that somebody may ask to stop."""

import threading
from collections.abc import Callable
from typing import TypeVar

from sharepoint_proxy.errors import AccessError, StoppingError, ThrottledError, TransientError

T = TypeVar("T")

_FINAL = (AccessError, StoppingError)
"""Errors that no second try changes."""


class Patience:
    """For any number of threads. TRIES failures without progress are the last; DELAY gives the seconds to wait after the first, the second..."""

    def __init__(self, *, tries: int, delay: Callable[[int], float]) -> None:
        self._tries = tries
        self._delay = delay
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Let every wait end, and every step be the last, with StoppingError."""
        self._stopping.set()

    def check(self) -> None:
        """StoppingError once `stop` was called."""
        if self._stopping.is_set():
            raise StoppingError("The work was broken off.")

    def run(self, step: Callable[[], T]) -> T:
        """What STEP returns, as soon as it raises no TransientError; the last one when patience is over."""
        failures = 0
        while True:
            self.check()
            try:
                return step()
            except TransientError as error:
                failures = self.after(error, failures)

    def after(self, error: TransientError, failures: int) -> int:
        """Wait until what failed with ERROR, after FAILURES earlier ones, may be tried again; how many there are now.

        ERROR itself is raised where no further try is made. A pause that Graph asked for is no failure, and kept by its client.
        """
        if isinstance(error, _FINAL):
            raise error
        if isinstance(error, ThrottledError):
            return failures
        if failures + 1 >= self._tries:
            raise error
        if self._stopping.wait(self._delay(failures + 1)):
            raise StoppingError("The work was broken off.") from error
        return failures + 1
