"""Upload sessions: their names, secrets and lives, and the rules that each fragment has to keep.

Sources: "driveItem: createUploadSession" (learn.microsoft.com) and, where practice differs, the issues named below.
"""

import hmac
import re
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from simulator.contents import Content, ContentStore, ContentWriter, Mark
from simulator.drive import Conflict, Library
from simulator.graph_errors import GraphError, invalid, name_exists, not_found
from simulator.items import Author, Item, Times
from simulator.names import comparison_key

GRID_BYTES = 320 * 1024
LARGEST_FRAGMENT_BYTES = 60 * 1024 * 1024

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a session's file goes: FOLDERS are made below PARENT at the end if they are missing then."""

    library: Library
    parent: Item
    folders: tuple[str, ...]
    name: str
    conflict: Conflict
    author: Author
    times: Times

    @property
    def path(self) -> str:
        """The path in the library of the file to be."""
        return "/".join(part for part in (self.parent.path, *self.folders, self.name) if part)

    @property
    def key(self) -> tuple[str, str]:
        """What two sessions for the same file have in common."""
        return self.library.id, comparison_key(self.path)


@dataclass(frozen=True, slots=True)
class Range:
    """A parsed Content-Range: bytes FIRST to LAST of TOTAL."""

    first: int
    last: int
    total: int

    @property
    def length(self) -> int:
        """The bytes in the range."""
        return self.last - self.first + 1

    @property
    def is_last(self) -> bool:
        """True if the file ends with this range."""
        return self.last + 1 == self.total

    @property
    def is_on_grid(self) -> bool:
        """True if the length is a multiple of 320 KiB, or leads from an odd start back to such a multiple."""
        return self.is_last or self.length % GRID_BYTES == 0 or (self.last + 1) % GRID_BYTES == 0


@dataclass(slots=True, kw_only=True)
class UploadSession:
    """A session and the bytes it has.

    `announced` is where the client was last told to go on; `turn` grows when a fragment under way loses its right to write;
    `begins` tells where each fragment that it took began.
    """

    target: Target
    writer: ContentWriter
    born_at: float
    expires_at: float
    defer_commit: bool = False
    guid: str = field(default_factory=lambda: str(uuid.uuid4()))
    secret: str = field(default_factory=lambda: f"v1.{secrets.token_urlsafe(48)}")
    item_id: str = field(default_factory=lambda: f"01{secrets.token_hex(16).upper()}")
    total: int | None = None
    announced: int | None = None
    left_grid: bool = False
    begins: list[Mark] = field(default_factory=list)
    is_lost: bool = False
    turn: int = 0

    @property
    def received(self) -> int:
        """The bytes stored so far."""
        return self.writer.size

    @property
    def is_full(self) -> bool:
        """True once the last byte is there."""
        return self.received == self.total

    def rewind(self, fragments: int) -> None:
        """Give up the last FRAGMENTS fragments, as far as there are so many."""
        given_up = self.begins[-fragments:]
        del self.begins[-fragments:]
        if given_up:
            self.writer.rewind(given_up[0])

    def expected_ranges(self) -> list[str]:
        """`nextExpectedRanges`: empty once the last byte is there."""
        return [] if self.is_full else [f"{self.received}-"]

    def check(self, part: Range, content_length: int | None, *, refuse_off_grid: bool) -> None:
        """Raise the GraphError that a fragment with the header PART and CONTENT_LENGTH deserves."""
        if content_length != part.length:
            raise invalid("The Content-Range header length does not match the provided number of bytes.")
        if self.total not in (None, part.total):
            text = (
                f"The current upload session is for {self.total} total bytes, but the current fragment declares a total"
            )
            raise invalid(f"{text} of {part.total}.", inner="fragmentLengthMismatch")
        if part.length > LARGEST_FRAGMENT_BYTES:
            raise invalid("The fragment is larger than 60 MiB.", inner="maxFragmentLengthExceeded")
        self._check_place(part)
        if refuse_off_grid and not part.is_on_grid:
            raise invalid("The fragment's length is not a multiple of 320 KiB.")

    def _check_place(self, part: Range) -> None:
        if part.first < self.received:
            raise _wrong_range("fragmentOverlap")
        came_unasked = part.first % GRID_BYTES != 0 and part.first != self.announced
        if part.first > self.received or came_unasked:
            raise _wrong_range("fragmentOutOfOrder")


def parse_range(header: str | None) -> Range:
    """The Content-Range in HEADER; raise a 400 for one that SharePoint refuses."""
    match = _RANGE.fullmatch(header or "")
    if match is None:
        raise invalid("The Content-Range header is missing or malformed.")
    if match[3] == "*":
        raise invalid("Content-Range must include a total length")
    part = Range(int(match[1]), int(match[2]), int(match[3]))
    if part.last < part.first or part.last >= part.total:
        raise invalid("The Content-Range header's range does not lie within the total length.")
    return part


class Fragment:
    """One fragment on its way into a session."""

    def __init__(self, session: UploadSession, part: Range) -> None:
        session.turn += 1
        session.total = part.total
        session.left_grid |= not part.is_on_grid
        self._session = session
        self._turn = session.turn
        self._mark: Mark = session.writer.mark()

    @property
    def is_current(self) -> bool:
        """False once the client has gone on without this request."""
        return self._session.turn == self._turn

    def write(self, piece: bytes) -> bool:
        """Append PIECE to the session; False, and nothing is done, once the client has gone on without this request."""
        if self.is_current:
            self._session.writer.write(piece)
        return self.is_current

    def accept(self) -> None:
        """Count this fragment among those that the session took."""
        self._session.begins.append(self._mark)

    def undo(self) -> None:
        """Take the bytes of this fragment back, if nobody else has written since."""
        if self.is_current:
            self._session.writer.rewind(self._mark)


class UploadSessions:
    """The sessions of a tenant, at most one for each target while that rule is on.

    `secrets` holds those of all sessions that there ever were, so that a test can look for them where they must not be.
    """

    def __init__(self, store: ContentStore, clock: Callable[[], float]) -> None:
        self.secrets: list[str] = []
        self._store = store
        self._clock = clock
        self._sessions: dict[str, UploadSession] = {}

    def create(
        self, target: Target, *, idle_seconds: float, only_one: bool, defer_commit: bool = False
    ) -> UploadSession:
        """Open a session for TARGET; raise a 409 while another one is open (OneDrive/onedrive-api-docs#747)."""
        self._drop_expired()
        if only_one and any(session.target.key == target.key for session in self._sessions.values()):
            raise name_exists("An upload session already exists for this file.")
        now = self._clock()
        session = UploadSession(
            target=target,
            writer=self._store.writer(),
            born_at=now,
            expires_at=now + idle_seconds,
            defer_commit=defer_commit,
        )
        self._sessions[session.guid] = session
        self.secrets.append(session.secret)
        return session

    def peek(self, guid: str) -> UploadSession | None:
        """The session with GUID, whatever its state."""
        return self._sessions.get(guid)

    def open(self, guid: str, secret: str, *, life_seconds: float) -> UploadSession:
        """The live session with GUID; raise a 401 for a wrong or aged SECRET, a 404 if there is none."""
        session = self._sessions.get(guid)
        if session is None or session.is_lost or session.expires_at <= self._clock():
            raise session_not_found()
        if not hmac.compare_digest(secret.encode(), session.secret.encode()):
            raise GraphError(401, "unauthenticated", "Unauthenticated")
        if self._clock() >= session.born_at + life_seconds:
            raise GraphError(401, "unauthenticated", "Unauthenticated", inner="expiredToken")
        return session

    def prolong(self, session: UploadSession, idle_seconds: float) -> None:
        """Push the expiry of SESSION forward, as each fragment does (OneDrive/onedrive-api-docs#1260)."""
        session.expires_at = self._clock() + idle_seconds

    def finish(self, session: UploadSession) -> Content:
        """Close SESSION and return what it holds."""
        del self._sessions[session.guid]
        return session.writer.finish()

    def cancel(self, session: UploadSession) -> None:
        """Close SESSION and give up its bytes."""
        session.turn += 1
        del self._sessions[session.guid]
        session.writer.discard()

    def lose(self, session: UploadSession, *, name_stays_taken: bool) -> None:
        """Make SESSION unknown to its client; its name is free again unless NAME_STAYS_TAKEN."""
        session.is_lost = True
        session.turn += 1
        if not name_stays_taken:
            self.cancel(session)

    def pending(self) -> list[str]:
        """The library paths that open sessions are for."""
        self._drop_expired()
        return [session.target.path for session in self._sessions.values() if not session.is_lost]

    def _drop_expired(self) -> None:
        now = self._clock()
        for session in [session for session in self._sessions.values() if session.expires_at <= now]:
            self.cancel(session)


def session_not_found() -> GraphError:
    """404 for a session that is finished, cancelled, expired or lost."""
    return not_found("The upload session was not found")


def _wrong_range(inner: str) -> GraphError:
    return GraphError(416, "invalidRange", "The fragment does not start at the next expected byte.", inner=inner)
