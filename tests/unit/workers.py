"""What the tests of the workers pass in: a journal in memory, a stage where jobs stand until they are let go, a throttle."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from unit.fakes import BUCKET

from sharepoint_proxy.alarms import Alarms
from sharepoint_proxy.errors import JournalError
from sharepoint_proxy.records import Job, Outcome, State
from sharepoint_proxy.worker import Workers

MAX_ATTEMPTS = 5
PATIENCE_SECONDS = 20.0

Settled = tuple[Job, Outcome]


def job(key: str, *, attempts: int = 0, large: bool = False) -> Job:
    """A claim on KEY."""
    return Job(bucket=BUCKET, key=key, generation=1, attempts=attempts, event="put", large=large)


class FakeJournal:
    """Jobs that wait, and what became of them. The first calls of each kind fail as often as the arguments say."""

    def __init__(
        self,
        jobs: Sequence[Job] = (),
        *,
        failing_claims: int = 0,
        failing_questions: int = 0,
        failing_settles: int = 0,
    ) -> None:
        self.settled: list[Settled] = []
        self.claims = 0
        self._failures = {"claim": failing_claims, "question": failing_questions, "settle": failing_settles}
        self._lock = threading.Lock()
        self._waiting = [(0.0, one) for one in jobs]
        self._told: queue.Queue[Settled] = queue.Queue()
        self._idle = threading.Event()

    def add(self, one: Job, *, due_in: float = 0.0) -> None:
        """Let ONE fall due after so many seconds."""
        with self._lock:
            self._waiting.append((time.monotonic() + due_in, one))

    def claim(self, *, places: int, large_places: int) -> list[Job]:
        self._fail_if_due("claim")
        with self._lock:
            due = [waiting for waiting in self._waiting if waiting[0] <= time.monotonic()]
            small = [waiting for waiting in due if not waiting[1].large]
            large = [waiting for waiting in due if waiting[1].large]
            taken = [*large[:large_places], *small][:places]
            self._waiting = [waiting for waiting in self._waiting if waiting not in taken]
            self.claims += len(taken)
        return [one for _, one in taken]

    def settle(self, one: Job, outcome: Outcome) -> None:
        self._fail_if_due("settle")
        self.settled.append((one, outcome))
        self._told.put((one, outcome))

    def seconds_until_due(self, *, large_places: int) -> float | None:
        self._fail_if_due("question")
        with self._lock:
            moments = [moment for moment, one in self._waiting if large_places or not one.large]
        if not moments:
            self._idle.set()
            return None
        return max(0.0, min(moments) - time.monotonic())

    def next_settled(self) -> Settled:
        """The next job that is settled, and its outcome."""
        return self._told.get(timeout=PATIENCE_SECONDS)

    def await_settled(self, number: int) -> list[Settled]:
        """The next so many of them."""
        return [self.next_settled() for _ in range(number)]

    def await_idle(self) -> None:
        """Return when somebody was told that nothing waits."""
        assert self._idle.wait(PATIENCE_SECONDS)

    def _fail_if_due(self, kind: str) -> None:
        with self._lock:
            self._failures[kind] -= 1
            if self._failures[kind] >= 0:
                raise JournalError("The disk is full.")


class Stage:
    """Where jobs that HOLDS says so of stand until they are let go; counts who is there at once."""

    def __init__(self, *, holds: Callable[[Job], bool] = lambda _: True) -> None:
        self.entries = 0
        self.most_at_once = 0
        self.most_large_at_once = 0
        self._holds = holds
        self._there: list[Job] = []
        self._lock = threading.Lock()
        self._entered = threading.Semaphore(0)
        self._leave = threading.Semaphore(0)

    def perform(self, one: Job) -> Outcome:
        """Converge ONE, in the time that the test gives it."""
        with self._lock:
            self.entries += 1
            self._there.append(one)
            self.most_at_once = max(self.most_at_once, len(self._there))
            self.most_large_at_once = max(self.most_large_at_once, sum(other.large for other in self._there))
        self._entered.release()
        if self._holds(one):
            assert self._leave.acquire(timeout=PATIENCE_SECONDS)
        with self._lock:
            self._there.remove(one)
        return Outcome(state=State.SETTLED)

    def await_entries(self, number: int) -> None:
        """Return when so many more have entered."""
        for _ in range(number):
            assert self._entered.acquire(timeout=PATIENCE_SECONDS)

    def let_one_go(self) -> None:
        """Let one of those who stand here leave."""
        self._leave.release()

    def let_all_go(self) -> None:
        """Let everybody leave from now on."""
        self._leave.release(1000)


class CalmThrottle:
    """A throttle that says what the test wants; PAUSE in seconds."""

    def __init__(self, *, limit: int = 1000, pause: float = 0.0) -> None:
        self.pause = pause
        self._limit = limit
        self._asked = threading.Semaphore(0)

    def limit(self) -> int:
        return self._limit

    def paused_seconds(self) -> float:
        self._asked.release()
        return self.pause

    def await_question(self) -> None:
        """Return when somebody asked once more whether there is a pause."""
        assert self._asked.acquire(timeout=PATIENCE_SECONDS)


@dataclass(slots=True)
class Running:
    """Workers at work, and what they were heard to say."""

    workers: Workers
    journal: FakeJournal
    alarms: Alarms

    def add(self, one: Job, *, due_in: float = 0.0) -> None:
        """Let ONE fall due after so many seconds, and tell the workers that it was marked."""
        self.journal.add(one, due_in=due_in)
        self.workers.wake()


@contextmanager
def running(
    journal: FakeJournal,
    converge: Callable[[Job], Outcome],
    *,
    places: int = 16,
    large_places: int = 4,
    throttle: CalmThrottle | None = None,
    publish: Callable[[Job, Outcome], None] | None = None,
    start: bool = True,
) -> Iterator[Running]:
    """Workers that CONVERGE the jobs of JOURNAL until the end of the block."""
    alarms = Alarms()
    workers = Workers(
        journal=journal,
        converge=converge,
        publish=publish or (lambda *_: None),
        throttle=throttle or CalmThrottle(),
        alarms=alarms,
        places=places,
        large_places=large_places,
        max_attempts=MAX_ATTEMPTS,
    )
    if start:
        workers.start()
    try:
        yield Running(workers=workers, journal=journal, alarms=alarms)
    finally:
        workers.stop()
