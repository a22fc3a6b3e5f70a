"""Work that is broken off, and steps that are tried again."""

from collections.abc import Callable, Iterator

import pytest

from sharepoint_proxy.errors import (
    AccessError,
    OutageError,
    SourceChangedError,
    StoppingError,
    Subject,
    ThrottledError,
    TransientError,
)
from sharepoint_proxy.halt import TRIES, Halt


class Sleeper:
    """Notes how long it was to sleep; gives up after so many NAPS."""

    def __init__(self, *, naps: int = 1000) -> None:
        self.slept: list[float] = []
        self._naps = naps

    def __call__(self, seconds: float) -> bool:
        if seconds:
            self.slept.append(seconds)
        return len(self.slept) > self._naps


def failing(*errors: Exception) -> Callable[[], str]:
    """A step that raises ERRORS one after the other, and then works."""
    left: Iterator[Exception] = iter(errors)

    def step() -> str:
        for error in left:
            raise error
        return "done"

    return step


def test_a_failure_is_tried_again_after_a_while_and_told_of() -> None:
    sleeper, said = Sleeper(), list[str]()
    step = failing(TransientError("No."), OutageError("Away.", subject=Subject.MINIO, retry_after=7))
    assert Halt(sleeper).patiently(step, delayed=said.append) == "done"
    assert sleeper.slept[1] == 7
    assert [sentence.split(".")[0] for sentence in said] == ["No", "Away"]


def test_it_gives_up_after_so_many_failures() -> None:
    sleeper = Sleeper()
    with pytest.raises(TransientError):
        Halt(sleeper).patiently(failing(*[TransientError("No.")] * TRIES))
    assert len(sleeper.slept) == TRIES - 1
    assert 60 < sum(sleeper.slept) < 180


def test_a_pause_that_graph_asked_for_is_no_failure() -> None:
    """The client of Graph keeps it, for all threads."""
    sleeper = Sleeper()
    step = failing(*[ThrottledError("Slow down.", retry_after=3)] * (TRIES + 1))
    assert Halt(sleeper).patiently(step) == "done"
    assert sleeper.slept == []


@pytest.mark.parametrize(
    "error",
    [
        TransientError("Begin again.", status=410),
        AccessError("Not you.", status=403),
        SourceChangedError("It changed."),
        StoppingError("We stop."),
    ],
)
def test_what_does_not_pass_is_not_tried_again(error: Exception) -> None:
    sleeper = Sleeper()
    with pytest.raises(type(error)):
        Halt(sleeper).patiently(failing(error))
    assert sleeper.slept == []


def test_a_wait_can_be_broken_off_from_outside() -> None:
    """As by the end of the service."""
    with pytest.raises(StoppingError):
        Halt(Sleeper(naps=2)).patiently(failing(*[TransientError("No.")] * 5))


def test_no_step_is_begun_after_the_end() -> None:
    halt = Halt(Sleeper())
    halt.go_on()
    halt.now()
    with pytest.raises(StoppingError):
        halt.go_on()
    with pytest.raises(StoppingError):
        halt.patiently(lambda: pytest.fail("a step was begun"))
