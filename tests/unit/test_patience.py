"""What may pass is tried again, so often and no more; and a wait ends when somebody asks to stop."""

import threading
from itertools import count

import pytest

from sharepoint_proxy.errors import (
    AccessError,
    OutageError,
    PermanentError,
    ProxyError,
    StoppingError,
    Subject,
    ThrottledError,
    TransientError,
)
from sharepoint_proxy.patience import Patience

TRIES = 4


class Step:
    """Fails so often with ERROR, then returns the number of its calls."""

    def __init__(self, error: ProxyError, *, times: int) -> None:
        self._error = error
        self._times = times
        self._calls = count(1)
        self.made = 0

    def __call__(self) -> int:
        self.made = next(self._calls)
        if self.made <= self._times:
            raise self._error
        return self.made


def patient(*, seconds: float = 0.0, waits: list[int] | None = None) -> Patience:
    """A patience that waits so long each time, and notes after how many failures in WAITS."""

    def delay(failures: int) -> float:
        if waits is not None:
            waits.append(failures)
        return seconds

    return Patience(tries=TRIES, delay=delay)


@pytest.mark.parametrize("error", [TransientError("broke"), OutageError("away", subject=Subject.MINIO)])
def test_it_tries_again_until_it_works(error: TransientError) -> None:
    assert patient().run(Step(error, times=TRIES - 1)) == TRIES


def test_it_gives_up_with_the_last_error() -> None:
    step = Step(TransientError("broke"), times=TRIES)
    with pytest.raises(TransientError, match="broke"):
        patient().run(step)
    assert step.made == TRIES


@pytest.mark.parametrize("error", [PermanentError("never"), AccessError("barred"), StoppingError("stop")])
def test_it_tries_nothing_again_that_cannot_help(error: ProxyError) -> None:
    step = Step(error, times=1)
    with pytest.raises(type(error)):
        patient().run(step)
    assert step.made == 1


def test_a_pause_that_graph_asked_for_is_no_failure() -> None:
    """The client of Graph keeps it; here it costs neither a try nor a wait."""
    waits: list[int] = []
    step = Step(ThrottledError("later"), times=10 * TRIES)
    assert patient(waits=waits).run(step) == 10 * TRIES + 1
    assert waits == []


def test_it_waits_longer_each_time() -> None:
    waits: list[int] = []
    patient(waits=waits).run(Step(TransientError("broke"), times=TRIES - 1))
    assert waits == [1, 2, 3]


def test_a_wait_ends_when_it_is_time_to_stop() -> None:
    patience = patient(seconds=3600.0)
    step = Step(TransientError("broke"), times=1)
    failures: list[Exception] = []

    def work() -> None:
        try:
            patience.run(step)
        except StoppingError as error:
            failures.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    patience.stop()
    worker.join(timeout=10)
    assert len(failures) == 1
    with pytest.raises(StoppingError):
        patience.run(step)
