"""What a test or demo may look at and do behind the service's back."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cryptography import x509

from simulator.calls import Call
from simulator.drive import Conflict, Library
from simulator.faults import Fault
from simulator.items import Author, Item, StoredItem, Times, snapshot
from simulator.options import SWITCHES, SimulatorOptions
from simulator.tenant import Tenant

DEFAULT_LIBRARY = "Documents"
_SOMEBODY = Author(person="Ada Lovelace")


class Controls:
    """Thread-safe access to a tenant.

    Paths are relative to the library's root, without a leading slash; `library` is a display or URL name, `site` the
    `host:/path` of a site (None: the first that has such a library). A path that does not exist raises LookupError.
    """

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant

    # Looking

    def tree(self, library: str = DEFAULT_LIBRARY, *, site: str | None = None) -> dict[str, int | None]:
        """Every path of the library with its size in bytes, None for a folder, sorted."""
        with self.tenant.lock:
            root = self._library(library, site).root
            found = {item.path: None if item.is_folder else item.size for item in root.walk() if item is not root}
        return dict(sorted(found.items()))

    def content(self, path: str, library: str = DEFAULT_LIBRARY, *, site: str | None = None) -> bytes:
        """The bytes of the file at PATH."""
        with self.tenant.lock:
            item = self._item(path, library, site)
        if item.content is None:
            raise LookupError(f"{path!r} is a folder.")
        return item.content.read()

    def item(self, path: str, library: str = DEFAULT_LIBRARY, *, site: str | None = None) -> StoredItem | None:
        """The live item at PATH, or None."""
        with self.tenant.lock:
            item = self._library(library, site).find(_names(path))
            return snapshot(item, path=item.path) if item else None

    def item_by_id(self, item_id: str, library: str = DEFAULT_LIBRARY, *, site: str | None = None) -> StoredItem | None:
        """The item with ITEM_ID, be it live or in the recycle bin, or None."""
        with self.tenant.lock:
            found = self._library(library, site)
            if recycled := found.bin_item(item_id):
                return snapshot(recycled.item, path=recycled.path, recycled=True)
            item = found.live(item_id)
            return snapshot(item, path=item.path) if item else None

    def recycle_bin(self, library: str = DEFAULT_LIBRARY, *, site: str | None = None) -> list[str]:
        """The paths at which the items of the recycle bin were deleted, oldest first."""
        with self.tenant.lock:
            return [recycled.path for recycled in self._library(library, site).recycled]

    def pending_sessions(self) -> list[str]:
        """The library paths for which upload sessions are open."""
        with self.tenant.lock:
            return self.tenant.sessions.pending()

    def secrets(self) -> list[str]:
        """All that nobody may be told: the tokens ever given out, the assertions shown for them, the secrets of all upload URLs."""
        with self.tenant.lock:
            entra = self.tenant.entra
            return [*entra.tokens, *entra.assertions, *self.tenant.sessions.secrets]

    # Other people's work

    def put_foreign(
        self, path: str, content: bytes, library: str = DEFAULT_LIBRARY, *, site: str | None = None
    ) -> StoredItem:
        """Somebody stores CONTENT at PATH; folders are made, an existing file gets a new version."""
        *folders, name = _names(path)
        with self.tenant.lock:
            found = self._library(library, site)
            parent = found.ensure_folders(folders, _SOMEBODY)
            stored = self.tenant.store.of(content)
            item = found.write_file(parent, name, stored, conflict=Conflict.REPLACE, author=_SOMEBODY).item
            return self._done(item)

    def make_folder_foreign(self, path: str, library: str = DEFAULT_LIBRARY, *, site: str | None = None) -> StoredItem:
        """Somebody makes the folder PATH with all its parents."""
        with self.tenant.lock:
            return self._done(self._library(library, site).ensure_folders(_names(path), _SOMEBODY))

    def edit_foreign(
        self, path: str, content: bytes, library: str = DEFAULT_LIBRARY, *, site: str | None = None
    ) -> StoredItem:
        """Somebody edits the existing file at PATH, which then holds CONTENT."""
        with self.tenant.lock:
            item = self._item(path, library, site)
            stored = self.tenant.store.of(content)
            self._library(library, site).write_content(item, stored, author=_SOMEBODY, times=Times())
            return self._done(item)

    def rename_foreign(
        self, path: str, new_path: str, library: str = DEFAULT_LIBRARY, *, site: str | None = None
    ) -> StoredItem:
        """Somebody moves or renames the item at PATH to NEW_PATH; it keeps its id."""
        *folders, name = _names(new_path)
        with self.tenant.lock:
            found = self._library(library, site)
            parent = found.ensure_folders(folders, _SOMEBODY)
            return self._done(found.move(self._item(path, library, site), parent, name, Conflict.FAIL, _SOMEBODY))

    def delete_foreign(self, path: str, library: str = DEFAULT_LIBRARY, *, site: str | None = None) -> None:
        """Somebody deletes the item at PATH; it goes to the recycle bin."""
        with self.tenant.lock:
            self._library(library, site).delete(self._item(path, library, site))
        self.tenant.log.touch()

    # Calls and faults

    def calls(self, start: int = 0) -> list[Call]:
        """The calls answered since the start or the last `clear_calls`, from number START on."""
        return self.tenant.log.snapshot(start)

    def clear_calls(self) -> None:
        """Forget the calls so far."""
        self.tenant.log.clear()

    def calls_under_way(self) -> int:
        """How many calls are not answered yet: the end of one whose caller is gone may still take effect."""
        return self.tenant.log.under_way

    def wait_for(self, predicate: Callable[[], object], timeout: float = 10.0) -> bool:
        """Return True once PREDICATE, tried after every call, holds; raise TimeoutError after TIMEOUT seconds."""
        return self.tenant.log.wait_for(predicate, timeout)

    def add_fault(self, fault: Fault) -> None:
        """Let FAULT meet the calls it names."""
        with self.tenant.lock:
            self.tenant.faults.add(fault)

    def clear_faults(self) -> None:
        """Drop the faults that still wait."""
        with self.tenant.lock:
            self.tenant.faults.clear()

    def pending_faults(self) -> list[Fault]:
        """The faults that still wait."""
        with self.tenant.lock:
            return self.tenant.faults.pending()

    # Conditions

    def register(self, certificate: x509.Certificate) -> None:
        """Add CERTIFICATE to those of the application, as an administrator does who replaces one that ends soon."""
        with self.tenant.lock:
            self.tenant.application.register(certificate)

    @property
    def latency(self) -> float:
        """Seconds that each call waits before it takes effect."""
        return self.tenant.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self.tenant.latency = seconds

    @property
    def bandwidth(self) -> float | None:
        """Bytes per second and stream; None: unlimited."""
        return self.tenant.bandwidth

    @bandwidth.setter
    def bandwidth(self, bytes_per_second: float | None) -> None:
        self.tenant.bandwidth = bytes_per_second

    @property
    def resource_units(self) -> int | None:
        """Resource units per minute; None: unlimited."""
        return self.tenant.throttle.limit

    @resource_units.setter
    def resource_units(self, per_minute: int | None) -> None:
        with self.tenant.lock:
            self.tenant.throttle.limit = per_minute

    @property
    def options(self) -> SimulatorOptions:
        """The options as they are now."""
        return self.tenant.options

    def change(self, **switches: Any) -> None:
        """Replace rules and scenarios of SimulatorOptions by name; they hold from the next call on.

        Raise ValueError for a name that is no switch.
        """
        if strange := switches.keys() - SWITCHES:
            known = ", ".join(sorted(SWITCHES))
            raise ValueError(f"No such switch: {', '.join(sorted(strange))}. The switches are {known}.")
        with self.tenant.lock:
            self.tenant.options = replace(self.tenant.options, **switches)
            self.tenant.entra.token_seconds = self.tenant.options.token_seconds

    def advance(self, seconds: float) -> None:
        """Let SECONDS pass for tokens, certificates, upload sessions and throttling."""
        self.tenant.clock.advance(seconds)

    def revoke_tokens(self) -> None:
        """Make all tokens given out so far unknown: the next call with one is a 401."""
        with self.tenant.lock:
            self.tenant.entra.revoke_all()

    def expire_delta_tokens(self) -> None:
        """Make all delta tokens given out so far too old: a 410 asks for a new enumeration."""
        with self.tenant.lock:
            ends = [library.feed_end for site in self.tenant.sites for library in site.libraries]
            self.tenant.oldest_delta = max(ends) + 1

    def _library(self, name: str, site: str | None) -> Library:
        return self.tenant.library_named(name, site)

    def _item(self, path: str, library: str, site: str | None) -> Item:
        item = self._library(library, site).find(_names(path))
        if item is None:
            raise LookupError(f"There is no {path!r} in the library {library!r}.")
        return item

    def _done(self, item: Item) -> StoredItem:
        self.tenant.log.touch()
        return snapshot(item, path=item.path)


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name]
