"""What a reconcile is asked for and what it finds: the words that its modules and the console share."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from sharepoint_proxy.records import LedgerEntry, PlacedItem, State, StoredObject

CAUSE = "reconcile"
"""What stands in the place of an event's name in the journal and the log."""


class Verdict(StrEnum):
    """What a reconcile found of one key.

    same       the library holds what the ledger says was sent
    adopted    the library held the object's bytes already; the ledger now knows
    waiting    the workers are to look at it anyway
    new        in MinIO, not in the library
    changed    the library holds other bytes
    missing    the mirror wrote it, and it is not in its place any more
    edited     the mirror wrote it, and it holds other bytes by now
    refused    it has no acceptable name in SharePoint
    parked     the same, or another object holds its place; the journal says so already
    gone       neither in MinIO nor in the library; the ledger still knew it
    stale      in the library by the mirror's hand, no longer in MinIO
    foreign    in the library by somebody else's hand, not in MinIO
    """

    SAME = "same"
    ADOPTED = "adopted"
    WAITING = "waiting"
    NEW = "new"
    CHANGED = "changed"
    MISSING = "missing"
    EDITED = "edited"
    REFUSED = "refused"
    PARKED = "parked"
    GONE = "gone"
    STALE = "stale"
    FOREIGN = "foreign"


MARKED = (Verdict.NEW, Verdict.CHANGED, Verdict.MISSING, Verdict.EDITED, Verdict.REFUSED, Verdict.GONE)
"""The verdicts after which the workers are to look at the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked for: a part of what is routed (BUCKET and the beginning of its keys; None for all of it), and what may be done.

    VERIFY reads every object instead of trusting eTags. DELETE removes what is no longer in MinIO, at most MOST_PERCENT of the files
    unless FORCE, and with FOREIGN also files that the mirror did not write.
    """

    bucket: str | None = None
    prefix: str = ""
    dry_run: bool = False
    verify: bool = False
    delete: bool = False
    foreign: bool = False
    force: bool = False
    most_percent: float = 10.0


class Target(Protocol):
    """Where a key belongs in the library."""

    @property
    def path(self) -> str: ...
    @property
    def is_folder(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger holds of a key, and when that was written there (seconds since the epoch)."""

    entry: LedgerEntry
    at: float


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a key stands that the workers have before them, or have parked: IS_BLOCKED while another object holds its place."""

    state: State
    is_blocked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One object beside what the library, the ledger and the journal hold for its key.

    TARGET is None for a key that stands for the library's root, or whose name is refused. WAS_WRITTEN says that the workers wrote
    it since the reconcile began.
    """

    stored: StoredObject
    target: Target | None
    is_refused: bool
    placed: PlacedItem | None
    known: Known | None
    standing: Standing | None
    was_written: bool


@dataclass(frozen=True, slots=True)
class Found:
    """A case with its verdict. Where that is `adopted`, the ledger is to hold ENTRY."""

    case: Case
    verdict: Verdict
    entry: LedgerEntry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A key that is not as it should be, or a file without an object."""

    verdict: Verdict
    bucket: str
    key: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a reconcile found, by verdict; `removed` were marked for deletion, unless that was `refused` with this sentence."""

    found: dict[Verdict, int]
    objects: int
    removed: int
    refused: str
    began_at: float
    seconds: float

    @property
    def marked(self) -> int:
        """The keys that the workers were told to look at."""
        return self.removed + sum(self.found.get(verdict, 0) for verdict in MARKED)
