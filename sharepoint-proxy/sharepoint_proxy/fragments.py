"""How long the fragments of an upload session are: as long as the line takes a few seconds for.

After each fragment Graph answers, and no byte flows until then: at 25 MB/s and 100 ms, fragments of 10 MiB use four fifths of the
line, and those of just under 60 MiB all but a twenty-fifth. What breaks is sent again from where the session stands, and a stop
waits for a fragment's end, so on a slow line they stay short.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

UNIT_BYTES = 320 * 1024
"""Graph takes multiples of it (Microsoft's page "driveItem: createUploadSession")."""

_FIRST_BYTES = 32 * UNIT_BYTES
"""10 MiB: what the same page recommends for a line that is stable."""

_LARGEST_BYTES = 191 * UNIT_BYTES
"""Each must be under 60 MiB (the same page)."""

_WANTED_SECONDS = 4.0


class Fragments:
    """The length of the next fragment of one upload, in bytes, `length`: FIXED_BYTES, or what suits the line. CLOCK is in seconds."""

    def __init__(self, fixed_bytes: int | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._is_fixed = fixed_bytes is not None
        self._clock = clock
        self.length = fixed_bytes or _FIRST_BYTES

    @contextmanager
    def timed(self, length: int) -> Iterator[None]:
        """While a fragment of LENGTH bytes is sent: those that follow are longer or shorter, and where it breaks, as short as the first."""
        began = self._clock()
        try:
            yield
        except Exception:
            self._set(_FIRST_BYTES)
            raise
        seconds = self._clock() - began
        self._set(int(length * _WANTED_SECONDS / seconds) if seconds > 0 else _LARGEST_BYTES)

    def _set(self, wanted: int) -> None:
        if not self._is_fixed:
            within = min(max(wanted, _FIRST_BYTES), _LARGEST_BYTES)
            self.length = within - within % UNIT_BYTES
