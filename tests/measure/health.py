"""Asks the service's /health again and again, each time on a new connection as a container's health check does."""

import threading
import time
from types import TracebackType
from typing import Self

import requests

_PAUSE_SECONDS = 0.05


class HealthProbe:
    """Probes URL in the background during its `with` block; `seconds` and `statuses` hold what came of each try."""

    def __init__(self, url: str) -> None:
        self.seconds: list[float] = []
        self.statuses: list[int] = []
        self._url = url
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._probe, name="health", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _probe(self) -> None:
        while not self._ended.wait(_PAUSE_SECONDS):
            began = time.perf_counter()
            answer = requests.get(self._url, timeout=30)
            self.seconds.append(time.perf_counter() - began)
            self.statuses.append(answer.status_code)
