"""Counts what reaches the library: uploads, their bytes, and those that changed nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field

from simulator.calls import Call, CallKind
from simulator.items import StoredItem

_UPLOADS = frozenset({CallKind.PUT_CONTENT, CallKind.FRAGMENT})
_SUCCESS = range(200, 300)


@dataclass(slots=True)
class Tally:
    """Is told each call at Graph; ITEM gives the item at a path. Sizes are in bytes.

    An upload is a new content of a file; the bytes of all of them were `needed`, but for one that gives a file the very content
    that it held, which is `repeated`. The bytes of calls that failed, for whatever reason, were `wasted`.
    """

    item: Callable[[str], StoredItem | None]
    calls: int = 0
    uploads: int = 0
    bytes_received: int = 0
    bytes_needed: int = 0
    bytes_wasted: int = 0
    repeated: list[str] = field(default_factory=list)
    _held: dict[str, tuple[str, str | None]] = field(default_factory=dict)

    def note(self, call: Call) -> None:
        """Look at what CALL did; it is told before its answer leaves, so that nothing else happened since."""
        self.calls += 1
        if call.kind not in _UPLOADS:
            return
        self.bytes_received += call.bytes_received
        self.bytes_wasted += 0 if call.status in _SUCCESS else call.bytes_received
        item = self.item(call.item_path)
        if item is None or item.is_folder:
            return
        held = self._held.get(item.id)
        self._held[item.id] = (item.ctag, item.quickxor)
        if held is None or held[0] != item.ctag:
            self._count(item, is_repeated=held is not None and held[1] == item.quickxor)

    def _count(self, item: StoredItem, *, is_repeated: bool) -> None:
        self.uploads += 1
        if is_repeated:
            self.repeated.append(item.path)
        else:
            self.bytes_needed += item.size or 0
