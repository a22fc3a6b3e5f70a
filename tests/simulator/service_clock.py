"""The time of day as the service sees it, which a test may set while the service runs."""

import struct
from pathlib import Path

_SHIM = Path(__file__).parent / "set_clock"


class ServiceClock:
    """A clock that a service with `environment` in its settings goes by; its setting is kept in FOLDER."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "clock"
        self._ahead = 0.0
        self.ahead = 0.0

    def environment(self) -> dict[str, str]:
        """What the service's process needs to go by this clock, see `simulator.set_clock`."""
        return {"PYTHONPATH": str(_SHIM), "SET_CLOCK": str(self._path)}

    @property
    def ahead(self) -> float:
        """Seconds by which it is ahead of the true time; below 0 it is behind."""
        return self._ahead

    @ahead.setter
    def ahead(self, seconds: float) -> None:
        self._ahead = seconds
        # In one piece and in place: the service has the file mapped into its memory.
        with self._path.open("r+b" if self._path.exists() else "wb", buffering=0) as file:
            file.write(struct.pack("d", seconds))
