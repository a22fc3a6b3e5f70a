"""Sees what arrives at Graph, by the simulator's log of calls, which is read on from where the last look ended."""

import time
from collections import Counter

from bench.bucket import SUFFIX
from simulator.calls import Call, CallKind
from simulator.remote import RemoteSimulator

_LOOK_SECONDS = 0.025
_STORED = frozenset({200, 201})
_WITH_CONTENT = frozenset({CallKind.PUT_CONTENT, CallKind.FRAGMENT})
_OF_NOBODY = frozenset({CallKind.TOKEN, CallKind.OPENID})
"""Signing in happens once an hour, and is nobody's cost a file."""

_TOO_MANY_REQUESTS = 429


class Watch:
    """The calls since this was made; nobody else may clear them meanwhile."""

    def __init__(self, graph: RemoteSimulator) -> None:
        self._graph = graph
        graph.clear_calls()
        self._read = 0
        self.calls: list[Call] = []

    def look(self) -> list[Call]:
        """The calls since the last look."""
        fresh = self._graph.calls(self._read)
        self._read += len(fresh)
        self.calls += [call for call in fresh if call.kind not in _OF_NOBODY]
        return fresh

    def wait_for_files(self, count: int, *, below: str = "", timeout: float) -> float:
        """Return once COUNT files below a folder are in the library, with the moment by `time.perf_counter`; TimeoutError."""
        deadline = time.perf_counter() + timeout
        there = sum(map(is_file, self.calls_below(below)))
        while there < count:
            if time.perf_counter() > deadline:
                raise TimeoutError(f"Only {there} of {count} files arrived in {timeout:.0f} s.")
            time.sleep(_LOOK_SECONDS)
            there += sum(is_file(call) and call.item_path.startswith(below) for call in self.look())
        return time.perf_counter()

    def wait_for_calls(self, count: int, *, kind: CallKind | None = None, timeout: float) -> None:
        """Return once COUNT calls, of KIND or of any, have been answered; TimeoutError."""
        deadline = time.perf_counter() + timeout
        while sum(kind in {None, call.kind} for call in self.calls) < count:
            if time.perf_counter() > deadline:
                raise TimeoutError(f"Graph had fewer than {count} calls in {timeout:.0f} s.")
            time.sleep(_LOOK_SECONDS)
            self.look()

    def calls_below(self, folder: str) -> list[Call]:
        """The calls that are about items whose path begins with FOLDER."""
        return [call for call in self.calls if call.item_path.startswith(folder)]

    def calls_for_files(self) -> list[Call]:
        """The calls that are about an object's file, and not about a folder."""
        return [call for call in self.calls if call.item_path.endswith(SUFFIX)]

    @property
    def files(self) -> int:
        """How many uploads ended well."""
        return sum(map(is_file, self.calls))

    @property
    def bytes_uploaded(self) -> int:
        """The bytes of contents that arrived, whatever became of them."""
        return sum(call.bytes_received for call in self.calls if call.kind in _WITH_CONTENT)

    @property
    def refused(self) -> int:
        """How many calls were answered 429."""
        return sum(call.status == _TOO_MANY_REQUESTS for call in self.calls)

    def kinds(self) -> Counter[str]:
        """How many calls there were of each kind."""
        return Counter(call.kind.name for call in self.calls)


def is_file(call: Call) -> bool:
    """True if a file was whole with this call."""
    return call.kind in _WITH_CONTENT and call.status in _STORED
