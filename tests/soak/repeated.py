"""Does something again and again on a thread of its own."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Repeated:
    """A thread that calls ACT until `stop`, each time after PAUSE() seconds."""

    def __init__(self, act: Callable[[], None], *, pause: Callable[[], float]) -> None:
        self._act = act
        self._pause = pause
        self._stopping = threading.Event()
        self._threads = ThreadPoolExecutor(1)
        self._running: Future[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._running = self._threads.submit(self._run)

    def wait(self, seconds: float) -> None:
        """Sleep, but not beyond the stop; for ACT itself."""
        self._stopping.wait(seconds)

    def stop(self) -> None:
        """Return when ACT has ended; raises what it raised, which ended the thread before its time."""
        self._stopping.set()
        self._threads.shutdown()
        if self._running is not None:
            self._running.result()

    def _run(self) -> None:
        while not self._stopping.wait(self._pause()):
            self._act()
