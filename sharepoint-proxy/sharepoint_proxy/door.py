"""The door of the status page: a password that cannot be tried often, and a token that only the page itself knows."""

import hmac
import secrets
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from enum import Enum, auto

WRONG_TRIES = 10
CLOSED_SECONDS = 60.0
_MOST_KNOWN = 100
# No address: those from which the right password has not come yet are counted as one.
_STRANGERS = ""


class Entry(Enum):
    """What came of a try."""

    OPEN = auto()
    WRONG = auto()
    CLOSED = auto()


class Door:
    """One for the process; for any number of threads. CLOCK is monotonic in seconds.

    After `WRONG_TRIES` within `CLOSED_SECONDS` nobody is let in, not even with the right password, until the first of them is so long
    ago: whoever guesses must not see which guess was right. A guess at a closed door does not keep it closed. Addresses from which the
    right password has come are counted apart, so that a stranger who guesses does not shut out those who were in.
    """

    def __init__(self, password: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.token = secrets.token_urlsafe(32)
        self._password = password.encode()
        self._clock = clock
        self._trying = threading.Lock()
        self._wrong: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=WRONG_TRIES))
        self._known: set[str] = set()

    def try_password(self, given: str, *, address: str) -> Entry:
        """Compare the password that somebody at ADDRESS gives."""
        with self._trying:
            now = self._clock()
            wrong = self._wrong[address if address in self._known else _STRANGERS]
            if len(wrong) == WRONG_TRIES and now - wrong[0] < CLOSED_SECONDS:
                return Entry.CLOSED
            if not hmac.compare_digest(given.encode(), self._password):
                wrong.append(now)
                return Entry.WRONG
            # What was wrong stays counted: behind a reverse proxy all have one address.
            if len(self._known) < _MOST_KNOWN:
                self._known.add(address)
            return Entry.OPEN

    def knows(self, token: str) -> bool:
        """True for the token that stands in the forms of the page: another site cannot read it, and so cannot send it."""
        return hmac.compare_digest(token.encode(), self.token.encode())
