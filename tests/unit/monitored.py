"""Metrics over parts that a test plays, and the page as Prometheus reads it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from unit.fakes import Clock

from sharepoint_proxy.errors import JournalError, Subject
from sharepoint_proxy.metrics import Metrics, Parts
from sharepoint_proxy.records import Counts, Reconciled

PREFIX = "sharepoint_proxy_"
NOTHING = Counts(waiting=0, working=0, parked=0, oldest_marked_at=None)


@dataclass
class FakeJournal:
    """Says what the test lays into it; raises what `unreadable` or `unwritable` hold instead."""

    held: Counts = NOTHING
    unreadable: JournalError | None = None
    unwritable: JournalError | None = None

    def counts(self) -> Counts:
        if self.unreadable is not None:
            raise self.unreadable
        return self.held

    def check_writable(self) -> None:
        if self.unwritable is not None:
            raise self.unwritable


@dataclass
class FakeThrottle:
    """A throttle that says what the test wants; pauses in seconds."""

    places: int = 16
    pause: float = 0.0
    pauses: float = 0.0

    def limit(self) -> int:
        return self.places

    def paused_seconds(self) -> float:
        return self.pause

    def paused_in_all(self) -> float:
        return self.pauses


@dataclass
class Monitored:
    """The parts of a service that has just started, and its metrics."""

    journal: FakeJournal = field(default_factory=FakeJournal)
    throttle: FakeThrottle = field(default_factory=FakeThrottle)
    alarms: set[Subject] = field(default_factory=set)
    not_ready: list[str] = field(default_factory=list)
    reconciled: Reconciled | None = None
    lag: dict[int, int] = field(default_factory=dict)
    certificate_ends_at: datetime = datetime(2027, 1, 31, tzinfo=UTC)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.metrics = Metrics(
            Parts(
                version="1.2.3",
                started_at=self.clock(),
                certificate_ends_at=lambda: self.certificate_ends_at,
                journal=self.journal,
                throttle=self.throttle,
                alarms=lambda: self.alarms,
                not_ready=lambda: self.not_ready,
                reconciled=lambda: self.reconciled,
                reconcile_interval=86400.0,
                lag=lambda: self.lag,
                clock=self.clock,
            )
        )

    def page(self) -> str:
        """The page."""
        return self.metrics.page().decode()

    def value(self, name: str, **labels: str) -> float | None:
        """The value of one series, its name without the prefix; None where it is absent."""
        return value_in(self.page(), name, **labels)


def samples_in(page: str) -> list[Sample]:
    """All series of PAGE."""
    return [sample for family in text_string_to_metric_families(page) for sample in family.samples]


def value_in(page: str, name: str, **labels: str) -> float | None:
    """The value of one series in PAGE, its name without the prefix; None where it is absent."""
    found = [one for one in samples_in(page) if (one.name, one.labels) == (PREFIX + name, labels)]
    return found[0].value if found else None
