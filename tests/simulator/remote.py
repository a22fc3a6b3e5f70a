"""A simulator in another process, with the methods that `GraphSimulator` has in this one."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import requests

from simulator.calls import Call
from simulator.controls import DEFAULT_LIBRARY
from simulator.faults import Fault
from simulator.items import StoredItem
from simulator.wire_json import call_from_json, fault_from_json, fault_to_json, item_from_json, to_json

_TIMEOUT_SECONDS = 30
_POLL_SECONDS = 0.05


class RemoteSimulator:
    """The simulator whose Graph is at BASE_URL (`https://localhost:PORT/v1.0`), trusted by the authority at CA_PATH.

    A refused control raises LookupError (nothing there) or ValueError, with the simulator's own sentence.
    """

    def __init__(self, base_url: str, ca_path: Path | str) -> None:
        self.base_url = base_url
        self.ca_path = Path(ca_path)
        self._controls = base_url.removesuffix("/v1.0") + "/_simulator/"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(ca_path)

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "RemoteSimulator":
        """The simulator that a service with the settings in ENVIRONMENT uses."""
        return cls(environment["GRAPH_BASE_URL"], environment["REQUESTS_CA_BUNDLE"])

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def environment(self) -> dict[str, str]:
        """The settings of a service that is to use the simulator."""
        return dict(self._get("environment"))

    # Looking

    def tree(self, library: str = DEFAULT_LIBRARY, *, site: str | None = None) -> dict[str, int | None]:
        """Every path of the library with its size in bytes, None for a folder, sorted."""
        return dict(self._get("tree", library=library, site=site))

    def content(self, path: str, library: str = DEFAULT_LIBRARY, *, site: str | None = None) -> bytes:
        """The bytes of the file at PATH."""
        return self._ask("GET", "content", {"path": path, "library": library, "site": site}).content

    def item(self, path: str, library: str = DEFAULT_LIBRARY, *, site: str | None = None) -> StoredItem | None:
        """The live item at PATH, or None."""
        found = self._get("item", path=path, library=library, site=site)
        return item_from_json(found) if found else None

    def item_by_id(self, item_id: str, library: str = DEFAULT_LIBRARY, *, site: str | None = None) -> StoredItem | None:
        """The item with ITEM_ID, be it live or in the recycle bin, or None."""
        found = self._get("item", id=item_id, library=library, site=site)
        return item_from_json(found) if found else None

    def recycle_bin(self, library: str = DEFAULT_LIBRARY, *, site: str | None = None) -> list[str]:
        """The paths at which the items of the recycle bin were deleted, oldest first."""
        return list(self._get("recycle_bin", library=library, site=site))

    def pending_sessions(self) -> list[str]:
        """The library paths for which upload sessions are open."""
        return list(self._get("sessions"))

    # Other people's work

    def put_foreign(
        self, path: str, content: bytes, library: str = DEFAULT_LIBRARY, *, site: str | None = None
    ) -> StoredItem:
        """Somebody stores CONTENT at PATH; folders are made, an existing file gets a new version."""
        query = {"path": path, "library": library, "site": site}
        return item_from_json(self._ask("PUT", "content", query, data=content).json())

    def make_folder_foreign(self, path: str, library: str = DEFAULT_LIBRARY, *, site: str | None = None) -> StoredItem:
        """Somebody makes the folder PATH with all its parents."""
        query = {"path": path, "library": library, "site": site}
        return item_from_json(self._ask("POST", "folder", query).json())

    def edit_foreign(
        self, path: str, content: bytes, library: str = DEFAULT_LIBRARY, *, site: str | None = None
    ) -> StoredItem:
        """Somebody edits the existing file at PATH, which then holds CONTENT."""
        query = {"path": path, "library": library, "site": site, "must_exist": "1"}
        return item_from_json(self._ask("PUT", "content", query, data=content).json())

    def rename_foreign(
        self, path: str, new_path: str, library: str = DEFAULT_LIBRARY, *, site: str | None = None
    ) -> StoredItem:
        """Somebody moves or renames the item at PATH to NEW_PATH; it keeps its id."""
        query = {"path": path, "new_path": new_path, "library": library, "site": site}
        return item_from_json(self._ask("POST", "rename", query).json())

    def delete_foreign(self, path: str, library: str = DEFAULT_LIBRARY, *, site: str | None = None) -> None:
        """Somebody deletes the item at PATH; it goes to the recycle bin."""
        self._ask("DELETE", "item", {"path": path, "library": library, "site": site})

    # Calls and faults

    def calls(self, start: int = 0) -> list[Call]:
        """The calls answered since the start or the last `clear_calls`, from number START on."""
        return [call_from_json(call) for call in self._get("calls", start=str(start))]

    def clear_calls(self) -> None:
        """Forget the calls so far."""
        self._ask("DELETE", "calls")

    def wait_for(self, predicate: Callable[[], object], timeout: float = 10.0) -> bool:
        """Return True once PREDICATE, tried every 50 ms, holds; raise TimeoutError after TIMEOUT seconds."""
        deadline = time.monotonic() + timeout
        while not predicate():
            if time.monotonic() > deadline:
                raise TimeoutError(f"The simulator waited {timeout} s in vain.")
            time.sleep(_POLL_SECONDS)
        return True

    def add_fault(self, fault: Fault) -> None:
        """Let FAULT meet the calls it names."""
        self._ask("POST", "faults", json=fault_to_json(fault))

    def clear_faults(self) -> None:
        """Drop the faults that still wait."""
        self._ask("DELETE", "faults")

    def pending_faults(self) -> list[Fault]:
        """The faults that still wait."""
        return [fault_from_json(fault) for fault in self._get("faults")]

    # Conditions

    @property
    def latency(self) -> float:
        """Seconds that each call waits before it takes effect."""
        return float(self._get("settings")["latency"])

    @latency.setter
    def latency(self, seconds: float) -> None:
        self.change(latency=seconds)

    @property
    def bandwidth(self) -> float | None:
        """Bytes per second and stream; None: unlimited."""
        value: float | None = self._get("settings")["bandwidth"]
        return value

    @bandwidth.setter
    def bandwidth(self, bytes_per_second: float | None) -> None:
        self.change(bandwidth=bytes_per_second)

    @property
    def resource_units(self) -> int | None:
        """Resource units per minute; None: unlimited."""
        value: int | None = self._get("settings")["resource_units"]
        return value

    @resource_units.setter
    def resource_units(self, per_minute: int | None) -> None:
        self.change(resource_units=per_minute)

    def change(self, **switches: Any) -> None:
        """Replace rules and scenarios of SimulatorOptions by name; they hold from the next call on."""
        self._ask("PATCH", "settings", json=to_json(switches))

    def advance(self, seconds: float) -> None:
        """Let SECONDS pass for tokens, upload sessions and throttling."""
        self._ask("POST", "advance", {"seconds": str(seconds)})

    def revoke_tokens(self) -> None:
        """Make all tokens given out so far unknown: the next call with one is a 401."""
        self._ask("POST", "revoke_tokens")

    def expire_delta_tokens(self) -> None:
        """Make all delta tokens given out so far too old: a 410 asks for a new enumeration."""
        self._ask("POST", "expire_delta_tokens")

    def _get(self, name: str, **query: str | None) -> Any:
        return self._ask("GET", name, query).json()

    def _ask(
        self,
        method: str,
        name: str,
        query: Mapping[str, str | None] | None = None,
        *,
        data: bytes | None = None,
        json: object = None,
    ) -> requests.Response:
        url = self._controls + name
        answer = self._session.request(method, url, params=query, data=data, json=json, timeout=_TIMEOUT_SECONDS)
        if answer.status_code == requests.codes.not_found:
            raise LookupError(answer.json()["error"])
        if not answer.ok:
            raise ValueError(answer.json()["error"])
        return answer
