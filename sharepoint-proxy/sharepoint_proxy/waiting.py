"""Where webhook requests wait for what becomes of their events, for a bounded time and in bounded number."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sharepoint_proxy.records import Job, Outcome, State

Name = tuple[str, str]


class Ticket:
    """One request's wait: for each (bucket, key), the newest outcome published since the ticket was drawn."""

    def __init__(self, names: Sequence[Name]) -> None:
        self.names = frozenset(names)
        self.outcomes: dict[Name, tuple[int, Outcome]] = {}

    def take(self, name: Name, generation: int, outcome: Outcome) -> None:
        """Keep the outcome of the look that began with this GENERATION, unless a newer one is known."""
        if name not in self.outcomes or self.outcomes[name][0] <= generation:
            self.outcomes[name] = (generation, outcome)

    def outcome(self, name: Name, generation: int) -> Outcome | None:
        """What came of a look at NAME that began with this GENERATION or a later one."""
        found = self.outcomes.get(name)
        return found[1] if found is not None and found[0] >= generation else None


class WaitingRoom:
    """Connects workers, who publish outcomes, with requests, who wait for them; at most SEATS requests wait at once.

    CLOCK is monotonic, in seconds.
    """

    def __init__(self, *, seats: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._free_seats = seats
        self._clock = clock
        self._changed = threading.Condition()
        self._tickets: defaultdict[Name, set[Ticket]] = defaultdict(set)
        self._closed = False

    @contextmanager
    def ticket(self, names: Sequence[Name]) -> Iterator[Ticket | None]:
        """A ticket to draw before the events are recorded, so that no outcome is missed; None when no seat is free."""
        with self._changed:
            seated = self._free_seats > 0 and not self._closed
            drawn = Ticket(names) if seated else None
            if drawn is not None:
                self._take_seat(drawn)
        try:
            yield drawn
        finally:
            if drawn is not None:
                self._leave(drawn)

    def publish(self, job: Job, outcome: Outcome) -> None:
        """Tell whoever waits for JOB's key what came of it."""
        name = (job.bucket, job.key)
        with self._changed:
            for ticket in self._tickets.get(name, ()):
                ticket.take(name, job.generation, outcome)
            if name in self._tickets:
                self._changed.notify_all()

    def wait(self, ticket: Ticket, generations: dict[Name, int], *, seconds: float) -> None:
        """Return when each key is settled or parked, or will not be looked at again in time, or after SECONDS."""
        deadline = self._clock() + seconds
        with self._changed:
            while not self._closed and (left := deadline - self._clock()) > 0:
                if all(_is_final(ticket.outcome(name, at), left) for name, at in generations.items()):
                    return
                self._changed.wait(left)

    def close(self) -> None:
        """Send everybody home with what is known: the service is stopping."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take_seat(self, ticket: Ticket) -> None:
        self._free_seats -= 1
        for name in ticket.names:
            self._tickets[name].add(ticket)

    def _leave(self, ticket: Ticket) -> None:
        with self._changed:
            self._free_seats += 1
            for name in ticket.names:
                self._tickets[name].discard(ticket)
                if not self._tickets[name]:
                    del self._tickets[name]


def _is_final(outcome: Outcome | None, left: float) -> bool:
    if outcome is None:
        return False
    return outcome.state is not State.WAITING or outcome.answers_sender or outcome.delay > left
