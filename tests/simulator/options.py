"""What a simulated tenant is made of and how strict it is; every switch defaults to the strict side."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import MappingProxyType

from simulator.clock import SimulatorClock

MIB = 1024 * 1024
LARGEST_PUT_BYTES = 262_144_000
GRAPH_RESOURCE = "https://graph.microsoft.com"


class GridRule(Enum):
    """When a fragment that is no multiple of 320 KiB is refused."""

    AT_ONCE = "at_once"
    AFTER_LAST_FRAGMENT = "after_last_fragment"


class OfficeRewriting(Enum):
    """When a library changes the bytes of an Office document that was just written (OneDrive/onedrive-api-docs#935)."""

    OFF = "off"
    IN_THE_ANSWER = "in_the_answer"
    AFTER_THE_ANSWER = "after_the_answer"


class ThrottleBody(Enum):
    """Which of the two error bodies seen in the field comes with a 429."""

    ACTIVITY_LIMIT_REACHED = "activity_limit_reached"
    TOO_MANY_REQUESTS = "too_many_requests"


class ColumnType(Enum):
    """The types of library columns that the simulator checks."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE_TIME = "date_time"
    CHOICE = "choice"


CHOICES = ("Brouillon", "Publié", "Archivé")
"""What a column of the type CHOICE takes."""


@dataclass(frozen=True, slots=True)
class LibraryOptions:
    """A document library: its display name, and the name in its URL, which a rename does not change."""

    name: str
    url_name: str


TEAM_LIBRARIES = (LibraryOptions("Documents", "Shared Documents"), LibraryOptions("Archives", "Archives"))


@dataclass(frozen=True, slots=True)
class SiteOptions:
    """A site, addressed as `host:/path`; the first library is its default one."""

    path: str = "contoso.sharepoint.com:/sites/team"
    libraries: tuple[LibraryOptions, ...] = TEAM_LIBRARIES

    @property
    def host(self) -> str:
        """The host name, such as `contoso.sharepoint.com`."""
        return self.path.partition(":")[0]

    @property
    def server_path(self) -> str:
        """The path on that host without a leading slash, such as `sites/team`."""
        return self.path.partition(":")[2].strip("/")


_COLUMNS = MappingProxyType(
    {
        "Title": ColumnType.TEXT,
        "Auteur": ColumnType.TEXT,
        "Pages": ColumnType.NUMBER,
        "Final": ColumnType.BOOLEAN,
        "Echeance": ColumnType.DATE_TIME,
        "Statut": ColumnType.CHOICE,
    }
)


@dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """Everything that can be chosen before the start; `GraphSimulator.change` replaces the switches while it runs.

    Sizes are in bytes, times in seconds, `bandwidth` in bytes per second and stream (None: unlimited),
    `resource_units` in resource units per minute (None: never throttled).
    """

    # The tenant.
    tenant_id: str = "22222222-2222-2222-2222-222222222222"
    client_id: str = "11111111-1111-1111-1111-111111111111"
    client_secret: str | None = "simulator-secret"
    sites: tuple[SiteOptions, ...] = (SiteOptions(),)
    columns: Mapping[str, ColumnType] = field(default_factory=lambda: _COLUMNS)
    app_roles: tuple[str, ...] = ("Sites.Selected",)
    granted_sites: tuple[str, ...] | None = None
    token_seconds: int = 3599

    # Rules that are strict by default; `put_limit` is a choice (real clients stop at 4 MiB), `put_cap` the service's.
    grid_rule: GridRule = GridRule.AT_ONCE
    put_limit: int = 4 * MIB
    put_cap: int = LARGEST_PUT_BYTES
    put_makes_parents: bool = True
    session_makes_parents: bool = False
    one_session_per_target: bool = True
    keep_partial_fragments: bool = True
    session_idle_seconds: float = 15 * 60.0
    session_life_seconds: float = 24 * 3600.0

    # Scenarios.
    office_rewriting: OfficeRewriting = OfficeRewriting.OFF
    folder_hold: bool = False
    throttle_body: ThrottleBody = ThrottleBody.ACTIVITY_LIMIT_REACHED

    # Cost and speed.
    resource_units: int | None = None
    fragment_units: int = 0
    latency: float = 0.0
    bandwidth: float | None = None
    drives_page: int = 200
    children_page: int = 200
    delta_page: int = 200

    # The process; these hold from the start to the end.
    keep_content: bool = True
    memory_limit: int = 8 * MIB
    folder: Path | None = None
    host: str = "127.0.0.1"
    public_name: str = "localhost"
    port: int = 0
    upload_port: int = 0
    clock: SimulatorClock = field(default_factory=SimulatorClock)


SWITCHES = frozenset(
    {
        "columns",
        "app_roles",
        "granted_sites",
        "token_seconds",
        "grid_rule",
        "put_limit",
        "put_cap",
        "put_makes_parents",
        "session_makes_parents",
        "one_session_per_target",
        "keep_partial_fragments",
        "session_idle_seconds",
        "session_life_seconds",
        "office_rewriting",
        "folder_hold",
        "throttle_body",
        "fragment_units",
        "drives_page",
        "children_page",
        "delta_page",
    }
)
