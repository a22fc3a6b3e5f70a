"""Joins the parts of the mirror: what decides, what writes, what moves and what removes."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from sharepoint_proxy import columns, mirror, moving, removing, writing
from sharepoint_proxy.columns import Columns
from sharepoint_proxy.mirror import Mirror
from sharepoint_proxy.moving import Moves
from sharepoint_proxy.paths import Routing
from sharepoint_proxy.removing import Remover
from sharepoint_proxy.writing import Writer


class Source(moving.Source, writing.Source, removing.Source, Protocol):
    """What MinIO holds."""


class Journal(mirror.Journal, columns.Journal, moving.Journal, writing.Journal, removing.Journal, Protocol):
    """The ledger, and the intents of what is under way."""


class Library(mirror.Library, columns.Library, moving.Library, writing.Library, removing.Library, Protocol):
    """The document library."""


class Sessions(writing.Sessions, removing.Sessions, Protocol):
    """Uploads by session."""


def make_mirror(
    routing: Routing,
    source: Source,
    journal: Journal,
    handover: moving.Ledger,
    memory: columns.Memory,
    library: Library,
    sessions: Sessions,
    *,
    metadata_columns: Sequence[tuple[str, str]],
    application_id: str,
    grace_seconds: float,
    seconds: Callable[[], float],
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Mirror:
    """The mirror over these parts. SECONDS is the journal's clock (since the epoch), CLOCK gives the time of day."""
    moves = Moves(
        routing=routing,
        source=source,
        ledger=handover,
        journal=journal,
        library=library,
        grace_seconds=grace_seconds,
        clock=seconds,
    )
    writer = Writer(
        source=source,
        journal=journal,
        library=library,
        sessions=sessions,
        moves=moves,
        folder_above=routing.folder_above,
        application_id=application_id,
        clock=clock,
    )
    remover = Remover(
        routing=routing,
        source=source,
        journal=journal,
        library=library,
        sessions=sessions,
        application_id=application_id,
    )
    return Mirror(
        routing=routing,
        source=source,
        journal=journal,
        library=library,
        writer=writer,
        remover=remover,
        columns=Columns(metadata_columns, library=library, memory=memory, journal=journal),
        application_id=application_id,
    )
