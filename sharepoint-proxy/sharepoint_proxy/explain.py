"""Tells why an object is, or is not, in the library: what each party says of it, in order of time, and what follows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from sharepoint_proxy.errors import NameRefusedError, ProxyError
from sharepoint_proxy.records import Change, DriveItem, LedgerEntry, State, StoredObject, Upload
from sharepoint_proxy.rewriting import difference


class Target(Protocol):
    """Where a key belongs in the library."""

    @property
    def path(self) -> str: ...
    @property
    def is_folder(self) -> bool: ...


class Routing(Protocol):
    """Says where keys belong."""

    def is_routed(self, bucket: str, key: str) -> bool: ...
    def may_remove(self, bucket: str, key: str) -> bool: ...
    def target(self, bucket: str, key: str) -> Target | None: ...


class Source(Protocol):
    """What MinIO holds."""

    def stat(self, bucket: str, key: str) -> StoredObject | None: ...


class Journal(Protocol):
    """The ledger."""

    def entry(self, bucket: str, key: str) -> LedgerEntry | None: ...


class Backlog(Protocol):
    """The journal."""

    def change(self, bucket: str, key: str) -> Change | None: ...
    def intent(self, bucket: str, key: str) -> Upload | None: ...
    def mirrored_at(self, bucket: str, key: str) -> float | None: ...


class Library(Protocol):
    """The document library."""

    def find(self, path: str) -> DriveItem | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that is known of a key, and since when (seconds since the epoch) where it has a date; `about` is one word."""

    about: str
    text: str
    at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What is known of a key: first what has no date, then the rest in order of time; `is_fine` when there is nothing to do."""

    facts: tuple[Fact, ...]
    verdict: str
    is_fine: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the parties said; where one did not answer, `silent` says why. What `is_kept` stays in SharePoint without its object."""

    stored: StoredObject | None = None
    item: DriveItem | None = None
    entry: LedgerEntry | None = None
    change: Change | None = None
    is_kept: bool = False
    silent: str = ""


class Explainer:
    """Asks everybody. LIBRARY is made at the first use, because finding it may fail; APPLICATION_ID is the one that Graph knows us by."""

    def __init__(
        self,
        *,
        routing: Routing,
        source: Source,
        journal: Journal,
        backlog: Backlog,
        library: Callable[[], Library],
        application_id: str,
    ) -> None:
        self._routing = routing
        self._source = source
        self._journal = journal
        self._backlog = backlog
        self._library = library
        self._application_id = application_id

    def story(self, bucket: str, key: str) -> Story:
        """What is known of KEY. Raises JournalError; what MinIO or Graph refuse becomes part of the story."""
        if not self._routing.is_routed(bucket, key):
            text = "No route takes the key: its events are ignored."
            return Story(
                facts=(Fact(about="route", text=text),),
                verdict="It is not mirrored: see ALLOWED_PREFIXES and MINIO_BUCKETS, or the prefixes and globs in ROUTES_FILE.",
                is_fine=True,
            )
        try:
            target = self._routing.target(bucket, key)
        except NameRefusedError as error:
            return Story(
                facts=(Fact(about="name", text=str(error)), *self._journal_facts(bucket, key)),
                verdict=f"It cannot be mirrored under this name. {error}",
                is_fine=False,
            )
        if target is None:
            text = "The key stands for the library's root."
            return Story(
                facts=(Fact(about="route", text=text),), verdict="There is nothing to do for it.", is_fine=True
            )
        return self._told(bucket, key, target)

    def _told(self, bucket: str, key: str, target: Target) -> Story:
        facts = [Fact(about="route", text=f"It belongs at {target.path} in the library.")]
        silent = []
        stored, item = None, None
        try:
            stored = self._source.stat(bucket, key)
            facts.append(_stored_fact(stored))
        except ProxyError as error:
            silent.append(str(error))
            facts.append(Fact(about="MinIO", text=str(error)))
        try:
            item = self._library().find(target.path)
            facts.append(self._item_fact(item))
        except ProxyError as error:
            silent.append(str(error))
            facts.append(Fact(about="SharePoint", text=str(error)))
        facts.extend(self._journal_facts(bucket, key))
        entry, change = self._journal.entry(bucket, key), self._backlog.change(bucket, key)
        is_kept = not self._routing.may_remove(bucket, key)
        known = _Known(stored=stored, item=item, entry=entry, change=change, is_kept=is_kept, silent=" ".join(silent))
        verdict, is_fine = _verdict(known, target)
        facts.sort(key=lambda fact: fact.at or 0.0)
        return Story(facts=tuple(facts), verdict=verdict, is_fine=is_fine)

    def _item_fact(self, item: DriveItem | None) -> Fact:
        if item is None:
            return Fact(about="SharePoint", text="Nothing is there.")
        if item.is_folder:
            return Fact(about="SharePoint", text=f"A folder is there, with {item.child_count or 0} items in it.")
        by = {self._application_id: "by the mirror", "": "by a person", None: "by somebody"}
        who = by.get(item.application_id, "by another application")
        return Fact(about="SharePoint", text=f"A file of {item.size} bytes is there, written last {who}.")

    def _journal_facts(self, bucket: str, key: str) -> Iterator[Fact]:
        entry = self._journal.entry(bucket, key)
        if entry is not None:
            what = "the folder" if entry.is_folder else f"{entry.size} bytes (eTag {entry.etag or 'unknown'})"
            text = f"The mirror put {what} at {entry.path}."
            yield Fact(about="ledger", text=text, at=self._backlog.mirrored_at(bucket, key))
        else:
            yield Fact(about="ledger", text="The mirror has put nothing there, as far as its ledger goes.")
        intent = self._backlog.intent(bucket, key)
        if intent is not None:
            what = "A removal" if intent.is_removal else f"A write of {intent.size} bytes"
            session = ", with an upload session that can be gone on with" if intent.session_url else ""
            yield Fact(
                about="journal", text=f"{what} at {intent.path} has begun and is not known to have ended{session}."
            )
        change = self._backlog.change(bucket, key)
        if change is not None:
            yield from _change_facts(change)


def _stored_fact(stored: StoredObject | None) -> Fact:
    if stored is None:
        return Fact(about="MinIO", text="MinIO holds no such object now.")
    text = f"MinIO got the object that it holds: {stored.size} bytes, eTag {stored.etag}."
    return Fact(about="MinIO", text=text, at=stored.modified.timestamp())


def _change_facts(change: Change) -> Iterator[Fact]:
    yield Fact(about="journal", text=f"An event came: {change.event}.", at=change.marked_at)
    if change.is_working:
        yield Fact(about="journal", text="A worker is at it.")
        return
    if change.reason:
        tries = f"{change.attempts} tries failed; the last: " if change.attempts else ""
        yield Fact(about="journal", text=f"{tries}{change.reason}")
    if change.state is State.PARKED:
        held = f" {change.blocked_by} holds its place." if change.blocked_by else ""
        yield Fact(about="journal", text=f"It is parked: it is not tried again by itself.{held}")
        return
    yield Fact(about="journal", text="It is looked at next.", at=change.due_at)


def _verdict(known: _Known, target: Target) -> tuple[str, bool]:
    """What follows, and whether all is well."""
    change = known.change
    if change is not None and change.state is State.PARKED:
        return f"It is parked: {change.reason} When that is mended: `sharepoint-proxy retry`.", False
    if change is not None:
        when = datetime.fromtimestamp(change.due_at, UTC).astimezone().strftime("%H:%M:%S")
        return (
            "A worker is at it." if change.is_working else f"It waits for its turn; the next look is due at {when}."
        ), False
    if known.silent:
        return f"Nobody can tell just now. {known.silent}", False
    if known.stored is None:
        return _verdict_without_object(known)
    if target.is_folder:
        is_there = known.item is not None and known.item.is_folder
        return (
            ("The folder is there.", True)
            if is_there
            else ("The folder is missing: `sharepoint-proxy reconcile` makes it.", False)
        )
    return _verdict_on_file(known.stored, known, target)


def _verdict_without_object(known: _Known) -> tuple[str, bool]:
    if known.item is None:
        return "It is in neither.", True
    if known.is_kept:
        return "It is gone from MinIO. Its route keeps files in SharePoint.", True
    if known.entry is not None and known.entry.item_id == known.item.id:
        return "It is gone from MinIO and still in SharePoint: `sharepoint-proxy reconcile --delete` removes it.", False
    return "What is in SharePoint was not written by the mirror, which leaves it alone.", True


def _verdict_on_file(stored: StoredObject, known: _Known, target: Target) -> tuple[str, bool]:
    missing = "No event of it has come, or it was removed by a person: `sharepoint-proxy reconcile` has it uploaded."
    if known.item is None or known.item.is_folder:
        return f"It is not there. {missing}", False
    if known.entry is None:
        return "A file is there that the mirror does not know: `sharepoint-proxy reconcile` compares the two.", False
    if (known.entry.etag, known.entry.size) != (stored.etag, stored.size):
        return (
            "It is there in an older version, and no event has told of the new one: `sharepoint-proxy reconcile`.",
            False,
        )
    said = difference(known.item, path=target.path, size=stored.size, quickxor=known.entry.quickxor)
    if said:
        return f"It was changed in SharePoint. {said} `sharepoint-proxy reconcile` writes it again.", False
    return "It is there, and it is what MinIO holds.", True
