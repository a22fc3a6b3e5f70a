"""The log of calls that the simulator answered, and the means to wait for one."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from threading import Condition, RLock


class CallKind(Enum):
    """What a call is for; faults are matched and costs are charged by it."""

    OPENID = "openid"
    TOKEN = "token"
    SITE = "site"
    DRIVES = "drives"
    DRIVE = "drive"
    ITEM_GET = "item_get"
    CHILDREN = "children"
    FOLDER_CREATE = "folder_create"
    PUT_CONTENT = "put_content"
    SESSION_CREATE = "session_create"
    FRAGMENT = "fragment"
    SESSION_STATUS = "session_status"
    SESSION_COMMIT = "session_commit"
    SESSION_CANCEL = "session_cancel"
    DELETE = "delete"
    PATCH = "patch"
    DELTA = "delta"
    DOWNLOAD = "download"
    DOWNLOAD_BYTES = "download_bytes"
    VERSIONS = "versions"
    FIELDS = "fields"
    COLUMNS = "columns"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it was answered; it never holds a token, an upload secret or a query.

    `status` is 0 when the connection was cut instead of answered, `at` the Unix time in seconds of its arrival,
    `item_path` the path in the library of the item it addressed, when it addressed one, `note` a remark on a call that
    worked but leans on something undocumented.
    """

    kind: CallKind
    method: str
    path: str
    status: int
    bytes_received: int
    resource_units: int
    at: float
    client_request_id: str | None = None
    item_path: str = ""
    note: str = ""

    def line(self) -> str:
        """The call on one line for a terminal."""
        target = self.item_path or self.path
        note = f" ({self.note})" if self.note else ""
        return f"{self.status or 'cut'} {self.kind.name} {self.method} {target} {self.bytes_received} B {self.resource_units} RU{note}"


class CallLog:
    """All calls since the start or the last `clear`; LISTENER is told of each one."""

    def __init__(self, lock: RLock, listener: Callable[[Call], None] | None = None) -> None:
        self._calls: list[Call] = []
        self._changed = Condition(lock)
        self._changes = 0
        self._listener = listener
        self._under_way = 0

    @property
    def under_way(self) -> int:
        """How many calls have arrived and are not recorded yet."""
        with self._changed:
            return self._under_way

    @contextmanager
    def arrived(self) -> Iterator[None]:
        """Count a call as under way."""
        with self._changed:
            self._under_way += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._count_change()

    def add(self, call: Call) -> None:
        """Record CALL and wake whoever waits."""
        with self._changed:
            self._calls.append(call)
            self._count_change()
        if self._listener:
            self._listener(call)

    def touch(self) -> None:
        """Wake whoever waits: something other than a call changed."""
        with self._changed:
            self._count_change()

    def snapshot(self, start: int = 0) -> list[Call]:
        """The calls so far from number START on, oldest first."""
        with self._changed:
            return self._calls[start:]

    def clear(self) -> None:
        """Forget the calls so far."""
        with self._changed:
            self._calls.clear()

    def wait_for(self, predicate: Callable[[], object], timeout: float) -> bool:
        """Return True once PREDICATE holds, tried after each call; raise TimeoutError after TIMEOUT seconds.

        PREDICATE runs without any lock, so that it may itself cause calls.
        """
        deadline = time.monotonic() + timeout
        seen = self._changes
        while not predicate():
            if not self._wait_for_change(seen, deadline - time.monotonic()):
                recent = "\n".join(call.line() for call in self.snapshot()[-20:])
                raise TimeoutError(f"The simulator waited {timeout} s in vain. The last calls:\n{recent or '(none)'}")
            seen = self._changes
        return True

    def _wait_for_change(self, seen: int, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._changes != seen, timeout)

    def _count_change(self) -> None:
        self._changes += 1
        self._changed.notify_all()
