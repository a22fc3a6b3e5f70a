"""The simulator's time, which a test may push forward, and the text form that Graph gives it."""

import time
from datetime import UTC, datetime

_GRAPH_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


class SimulatorClock:
    """Unix time in seconds, ahead of the machine's clock by the sum of all `advance` calls."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Let SECONDS pass at once: tokens age, upload sessions expire, throttling windows end."""
        self._ahead += seconds


def to_text(seconds: float) -> str:
    """SECONDS (Unix time) as Graph writes it, in UTC and cut to whole seconds as SharePoint stores it."""
    return datetime.fromtimestamp(seconds, UTC).strftime(_GRAPH_FORMAT)


def from_text(text: str) -> float:
    """The Unix time in seconds that TEXT names, cut to whole seconds; raise ValueError if it is no time with a zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return float(int(moment.timestamp()))
