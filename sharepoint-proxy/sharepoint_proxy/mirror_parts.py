"""Joins the parts of the mirror: what decides, what writes, what moves and what removes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sharepoint_proxy import columns, mirror, moving, removing, writing
from sharepoint_proxy.columns import Columns
from sharepoint_proxy.mirror import Mirror
from sharepoint_proxy.moving import Moves
from sharepoint_proxy.paths import Routing
from sharepoint_proxy.removing import Remover
from sharepoint_proxy.writing import Writer


class Source(mirror.Source, moving.Source, writing.Source, removing.Source, Protocol):
    """What MinIO holds."""


class Journal(mirror.Journal, columns.Journal, moving.Journal, writing.Journal, removing.Journal, Protocol):
    """The ledger, and the intents of what is under way."""


class Library(mirror.Library, columns.Library, moving.Library, writing.Library, removing.Library, Protocol):
    """The document library."""


class Sessions(writing.Sessions, removing.Sessions, Protocol):
    """Uploads by session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a mirror works with. SECONDS is the journal's clock (since the epoch), CLOCK gives the time of day."""

    routing: Routing
    source: Source
    journal: Journal
    handover: moving.Ledger
    memory: columns.Memory
    library: Library
    sessions: Sessions
    metadata_columns: Sequence[tuple[str, str]]
    application_id: str
    grace_seconds: float
    seconds: Callable[[], float]
    clock: Callable[[], datetime]

    def mirror(self) -> Mirror:
        """The mirror over these parts."""
        return Mirror(
            routing=self.routing,
            source=self.source,
            journal=self.journal,
            library=self.library,
            writer=self._writer(),
            remover=self._remover(),
            columns=Columns(self.metadata_columns, library=self.library, memory=self.memory, journal=self.journal),
            application_id=self.application_id,
        )

    def _writer(self) -> Writer:
        return Writer(
            source=self.source,
            journal=self.journal,
            library=self.library,
            sessions=self.sessions,
            moves=self._moves(),
            folder_above=self.routing.folder_above,
            key_of=self.routing.key,
            application_id=self.application_id,
            clock=self.clock,
        )

    def _moves(self) -> Moves:
        return Moves(
            routing=self.routing,
            source=self.source,
            ledger=self.handover,
            journal=self.journal,
            library=self.library,
            grace_seconds=self.grace_seconds,
            clock=self.seconds,
        )

    def _remover(self) -> Remover:
        return Remover(
            routing=self.routing,
            source=self.source,
            journal=self.journal,
            library=self.library,
            sessions=self.sessions,
            application_id=self.application_id,
        )
