"""The service's own clients of Graph, joined as the service joins them, against a simulator."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Self

from sharepoint_proxy.content import ObjectReader, Stretch
from sharepoint_proxy.errors import TransientError
from sharepoint_proxy.fragments import Fragments
from sharepoint_proxy.graph import Graph
from sharepoint_proxy.library import Drive, Library, find_drive
from sharepoint_proxy.records import DriveItem
from sharepoint_proxy.sessions import Sessions
from sharepoint_proxy.throttle import Throttle
from sharepoint_proxy.tokens import Tokens
from simulator import tls
from simulator.calls import Call, CallKind
from simulator.graph_server import GraphSimulator

SCOPE = "https://graph.microsoft.com/.default"
GRID = 320 * 1024
FRAGMENT_BYTES = 3 * GRID
"""Half of it is no multiple of 320 KiB, so a fragment that breaks in the middle leaves the grid."""

MODIFIED = datetime(2026, 1, 31, 11, 4, 33, tzinfo=UTC)
_PIECE_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate and its key, as text."""

    certificate_pem: str
    private_key_pem: str

    @classmethod
    def of(cls, issued: tls.Issued) -> Self:
        """What ISSUED holds."""
        return cls(issued.certificate_pem().decode(), issued.key_pem().decode())


class GrantedTokens:
    """Tokens that SIMULATOR gives away at once, for tests that are not about tokens."""

    def __init__(self, simulator: GraphSimulator) -> None:
        self._simulator = simulator
        self._token: str | None = None

    def current(self) -> str:
        """The token that was not dropped, else a new one."""
        if self._token is None:
            form = {
                "client_id": self._simulator.client_id,
                "client_secret": "simulator-secret",
                "grant_type": "client_credentials",
                "scope": SCOPE,
            }
            granted = self._simulator.tenant.entra.grant(self._simulator.tenant_id, form)
            self._token = str(granted["access_token"])
        return self._token

    def drop(self, value: str) -> None:
        """Forget VALUE."""
        if value == self._token:
            self._token = None


class ServiceGraph:
    """Client, library and sessions for one library of SIMULATOR; `stopping` ends uploads at their next fragment."""

    def __init__(self, simulator: GraphSimulator, *, tokens: Tokens | None = None, library: str | None = None) -> None:
        self.simulator = simulator
        self.throttle = Throttle(most=16)
        self.tokens = tokens or GrantedTokens(simulator)
        self.graph = Graph(base_url=simulator.base_url, tokens=self.tokens, throttle=self.throttle, connections=16)
        self.drive = self.find_drive(library)
        self.library = Library(self.graph, self.drive)
        self.stopping = threading.Event()
        self.sessions = Sessions(
            self.graph, self.library, fragments=partial(Fragments, FRAGMENT_BYTES), is_stopping=self.stopping.is_set
        )
        self.kept: list[str | None] = []
        simulator.clear_calls()

    def close(self) -> None:
        """Close the connections, which the simulator would otherwise wait for at its end."""
        self.graph._session.close()

    def find_drive(self, library: str | None) -> Drive:
        """The drive of the simulator's site."""
        host, _, path = self.simulator.site_path.partition(":")
        return find_drive(self.graph, site_host=host, site_relative_path=path, library=library)

    def put(self, path: str, content: bytes) -> DriveItem:
        """Write CONTENT in one call."""
        with reader_of(content) as reader:
            return self.library.put(path, Stretch(reader, 0, len(content)))

    def send(self, path: str, content: bytes | ObjectReader, *, session_url: str | None = None) -> DriveItem:
        """Write CONTENT by session; the URLs to be kept go to `kept`."""
        reader = content if isinstance(content, ObjectReader) else reader_of(content)
        with reader:
            return self.sessions.send(path, reader, modified=MODIFIED, session_url=session_url, keep=self.kept.append)

    def calls(self, *kinds: CallKind) -> list[Call]:
        """The calls of these kinds, or all."""
        return [call for call in self.simulator.calls() if not kinds or call.kind in kinds]

    def statuses(self, *kinds: CallKind) -> list[int]:
        """Their statuses; 0 is a connection that was cut."""
        return [call.status for call in self.calls(*kinds)]

    def kinds(self) -> list[CallKind]:
        """The kinds of all calls in their order."""
        return [call.kind for call in self.simulator.calls()]


def registered() -> Credential:
    """The certificate of the application as the simulator knows it from its start."""
    return Credential.of(tls.application())


def make_tokens(
    simulator: GraphSimulator,
    *,
    clock: Callable[[], float] | None = None,
    credential: Callable[[], Credential] = registered,
) -> Tokens:
    """Tokens of the registered application."""
    make = partial(Tokens, clock=clock) if clock is not None else Tokens
    return make(
        client_id=simulator.client_id,
        authority=simulator.authority,
        known_authority=False,
        scope=SCOPE,
        credential=credential,
    )


def content_of(size: int, *, seed: int = 0) -> bytes:
    """SIZE bytes that repeat nowhere."""
    return hashlib.shake_128(str(seed).encode()).digest(size)


def reader_of(content: bytes) -> ObjectReader:
    """A reader of CONTENT, as if it lay in MinIO."""
    return ObjectReader(partial(_opened, content), len(content))


class BreakingSource:
    """CONTENT whose stream ends once in ERROR after BREAK_AT bytes, as when MinIO is restarted."""

    def __init__(self, content: bytes, *, break_at: int, error: TransientError | None = None) -> None:
        self._content = content
        self._break_at = break_at
        self._error = error or TransientError("MinIO broke off.")
        self._is_whole = False

    def reader(self) -> ObjectReader:
        """A reader of the content."""
        return ObjectReader(self._open, len(self._content))

    @contextmanager
    def _open(self, offset: int) -> Iterator[Iterator[bytes]]:
        yield _pieces(self._content, offset) if self._is_whole else self._broken_pieces(offset)

    def _broken_pieces(self, offset: int) -> Iterator[bytes]:
        yield from _pieces(self._content[: self._break_at], offset)
        self._is_whole = True
        raise self._error


@contextmanager
def _opened(content: bytes, offset: int) -> Iterator[Iterator[bytes]]:
    yield _pieces(content, offset)


def _pieces(content: bytes, offset: int) -> Iterator[bytes]:
    return (content[start : start + _PIECE_BYTES] for start in range(offset, len(content), _PIECE_BYTES))
