"""The nouns that cross module lines; the glossary of the package.

object        what MinIO holds under a (bucket, key)
path          where it belongs in the document library: relative to the library's root, segments joined by "/"
drive item    what Graph calls a file or folder of the library
change        a key that may differ from its drive item: one row of the journal, "look at this key"
generation    grows with each event; tells whether a change came in while its key was worked on
ledger        what we last put where, and what Graph said of it
upload        a write under way: its intent is on disk before the first byte leaves
outcome       what came of one look at one key
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from sharepoint_proxy.errors import TransientError


class State(StrEnum):
    """Where a change stands after a look at its key."""

    SETTLED = "settled"
    WAITING = "waiting"
    PARKED = "parked"


class Action(StrEnum):
    """What was done for a key."""

    UPLOADED = "uploaded"
    MOVED = "moved"
    ADOPTED = "adopted"
    UNCHANGED = "unchanged"
    DELETED = "deleted"
    ABSENT = "absent"
    FOLDER_MADE = "folder_made"
    FOLDER_REMOVED = "folder_removed"
    FOLDER_KEPT = "folder_kept"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """The object that MinIO holds now under a key; SIZE in bytes, ETAG without quotes.

    `metadata` are the user's, by name in lower case without `x-amz-meta-`; a listing does not have them. `first_bytes` are those
    that were read along, if any.
    """

    bucket: str
    key: str
    size: int
    etag: str
    modified: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)
    first_bytes: bytes = field(default=b"", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of Graph whose status the caller asked for, with its JSON body (empty when there was none)."""

    status: int
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> str:
        """The error code of Graph's envelope, such as `nameAlreadyExists`; "" in a good answer."""
        error = self.body.get("error")
        return str(error.get("code", "")) if isinstance(error, dict) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveItem:
    """What Graph says of a file or folder of the library; `size` in bytes; size and child count are None when the answer does not say.

    `application_id` is that of the application that changed it last, `creator_id` that of the one that made it: "" for a
    person, None when the answer does not say.
    """

    id: str
    name: str
    size: int | None
    etag: str
    quickxor: str | None = None
    is_folder: bool = False
    child_count: int | None = None
    application_id: str | None = None
    creator_id: str | None = None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """The drive item in an answer; TransientError when the answer holds none (cut short, or HTML)."""
        if not isinstance(body.get("id"), str):
            raise TransientError("Graph's answer holds no drive item.")
        file = body.get("file") or {}
        return cls(
            id=body["id"],
            name=str(body.get("name", "")),
            size=body["size"] if isinstance(body.get("size"), int) else None,
            etag=str(body.get("eTag", "")),
            quickxor=(file.get("hashes") or {}).get("quickXorHash"),
            # A notebook of OneNote is a "package": a folder of its own kind.
            is_folder="folder" in body or "package" in body,
            child_count=(body.get("folder") or {}).get("childCount"),
            application_id=_application_id(body.get("lastModifiedBy")),
            creator_id=_application_id(body.get("createdBy")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedItem:
    """A drive item as the feed of changes lists it: with its parent's id in the place of a path.

    `modified` is the date that people see, as Graph writes it ("2026-01-31T08:00:00Z"), to the second; "" when it does not say.
    """

    item: DriveItem
    parent_id: str
    modified: str = ""
    is_root: bool = False
    is_deleted: bool = False

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """The entry in BODY; TransientError when there is none. A deleted one lacks its name."""
        return cls(
            item=DriveItem.read(body),
            parent_id=str((body.get("parentReference") or {}).get("id", "")),
            modified=str((body.get("fileSystemInfo") or {}).get("lastModifiedDateTime", "")),
            is_root="root" in body,
            is_deleted="deleted" in body,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedItem:
    """A file or folder of the library and its path there."""

    path: str
    item: DriveItem
    modified: str


def _application_id(identities: object) -> str | None:
    match identities:
        case {"application": {"id": str(application_id)}}:
            return application_id
        case dict():
            return ""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """What we last put where: the object's size and eTag beside the drive item it became.

    `made` is true for a folder that the mirror itself created, and so may remove.
    """

    bucket: str
    key: str
    path: str
    item_id: str
    size: int
    etag: str
    quickxor: str | None
    is_folder: bool = False
    made: bool = False

    @classmethod
    def read(cls, row: Any) -> Self:
        """The entry in ROW of the ledger's table, whose columns have the names of the fields."""
        values = {each.name: row[each.name] for each in fields(cls)}
        return cls(**values | {"is_folder": bool(row["is_folder"]), "made": bool(row["made"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """The intent to write the object of this eTag and size at this path; SESSION_URL is a secret.

    The intent to remove what is at the path is an upload of nothing: no object has an empty eTag.
    """

    path: str
    etag: str
    size: int
    session_url: str | None = None

    @property
    def is_removal(self) -> bool:
        """True for the intent to remove."""
        return not self.etag

    def __repr__(self) -> str:
        """Shows everything but the session's URL, which is a bearer secret."""
        return f"Upload(path={self.path!r}, etag={self.etag!r}, size={self.size})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A change that a worker has claimed; `upload` is what an earlier try began and did not finish.

    It waits since `marked_at` (seconds since the epoch).
    """

    bucket: str
    key: str
    generation: int
    attempts: int
    event: str
    large: bool
    upload: Upload | None = None
    marked_at: float = 0.0

    @property
    def name(self) -> str:
        """The key with its bucket in front, as logs and answers show it."""
        return f"{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one look at a key.

    A settled outcome writes `entry` to the ledger, or with `forget` removes the key's row there: nothing of it is at `path` any
    more, so folders there and above may be empty. A waiting one is looked at again after `delay` seconds; `large` then says
    that it needs one of the few places for upload sessions. A parked one may be `blocked_by` the object ("bucket/key") that
    holds its place. `emptied` is the folder (bucket, key)
    out of which something went.
    With `answers_sender` whoever sent the event is not to wait for more.
    """

    state: State
    action: Action = Action.NONE
    reason: str = ""
    bytes: int = 0
    status: int | None = None
    entry: LedgerEntry | None = None
    forget: bool = False
    path: str = ""
    emptied: tuple[str, str] | None = None
    delay: float = 0.0
    counts_as_attempt: bool = True
    large: bool | None = None
    blocked_by: str | None = None
    answers_sender: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A row of the journal as a person reads it: a key that may differ from SharePoint, and why it still does.

    `event` is what brought it here; times are in seconds since the epoch. A parked one may be `blocked_by` an object ("bucket/key").
    """

    bucket: str
    key: str
    state: State
    is_working: bool
    event: str
    marked_at: float
    due_at: float
    attempts: int
    reason: str
    status: int | None
    blocked_by: str | None

    @property
    def name(self) -> str:
        """The key with its bucket in front."""
        return f"{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many rows the journal holds in each state, and since when the oldest waits (seconds since the epoch)."""

    waiting: int
    working: int
    parked: int
    oldest_marked_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """How the last reconcile ended, as it is remembered: `at` and `seconds` are when it began and how long it took.

    `marked` keys were to be looked at; `stale` files have no object any more. `error` says why it did not get to its end; the
    numbers are 0 then.
    """

    at: float
    seconds: float
    objects: int = 0
    marked: int = 0
    adopted: int = 0
    stale: int = 0
    error: str = ""

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """What `text` was written by; None for anything else."""
        try:
            return cls(**json.loads(text or ""))
        except (TypeError, ValueError):
            return None

    def text(self) -> str:
        """The same for the journal."""
        return json.dumps(asdict(self))
