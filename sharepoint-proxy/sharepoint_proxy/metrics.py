"""What Prometheus reads at /metrics: counters of what happened, and gauges that ask the parts of the service at that moment.

The page needs no password. So a label is one of few words and numbers: no key, path, name or URL is ever one, and no secret.
The only importer of prometheus_client.
"""

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol, TypeVar

from prometheus_client import (
    GC_COLLECTOR,
    CollectorRegistry,
    Counter,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from sharepoint_proxy.errors import JournalError, Subject
from sharepoint_proxy.messages import Taken
from sharepoint_proxy.records import Action, Counts, Job, Outcome, Reconciled, State

T = TypeVar("T")

_ANSWER_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""An answer waits for the outcome 25 seconds if nobody says otherwise; MinIO gives up after 60."""

_LOOK_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
"""From a key that needs nothing to an upload of many GiB."""

_NO_ANSWER = "none"

_ADDRESS = re.compile(r"(?:/[^/]+)?/(?P<collection>sites|drives)/(?P<rest>.+)")
_DRIVES_OF_SITE = re.compile(r"[^/:]+/drives?")
_ITEM = re.compile(r"[^/]+/(?:root|items/[^/:]+)(?P<path>:/[^:]*)?:?(?:/(?P<part>\w+)(?:\(.*\))?)?")
_UPLOAD_URL_CALLS = {"PUT": "fragment", "GET": "session_status", "DELETE": "session_cancel"}
_ITEM_CALLS = {"GET": "get_item", "DELETE": "delete", "PATCH": "update_item"}
_PART_CALLS = {
    ("PUT", "content"): "upload",
    ("GET", "content"): "download",
    ("POST", "createUploadSession"): "create_session",
    ("POST", "children"): "make_folder",
    ("GET", "children"): "children",
    ("GET", "delta"): "delta",
}


class Journal(Protocol):
    """What still has to be done."""

    def counts(self) -> Counts: ...
    def check_writable(self) -> None: ...


class Throttle(Protocol):
    """What keeps the process a good guest of Graph; times in seconds."""

    def limit(self) -> int: ...
    def paused_seconds(self) -> float: ...
    def paused_in_all(self) -> float: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the gauges ask, each time the page is read.

    `alarms` names what is wrong just now, `not_ready` says all but the journal that keeps the service from mirroring, `lag` how many
    messages of each of Kafka's partitions wait for this service. Times are in seconds since the epoch; `reconcile_interval` is in
    seconds, 0 for never.
    """

    version: str
    started_at: float
    certificate_ends_at: Callable[[], datetime]
    journal: Journal
    throttle: Throttle
    alarms: Callable[[], Collection[Subject]]
    not_ready: Callable[[], Sequence[str]]
    reconciled: Callable[[], Reconciled | None]
    reconcile_interval: float
    lag: Callable[[], Mapping[int, int]] = dict
    clock: Callable[[], float] = time.time


class Metrics:
    """One for the process; for any number of threads. It raises nothing, so that nothing fails for being counted."""

    content_type = CONTENT_TYPE_PLAIN_0_0_4

    def __init__(self, parts: Parts) -> None:
        # When a counter began is nothing that Prometheus needs in this format, and one more line for each.
        disable_created_metrics()  # type: ignore[no-untyped-call] # the library has no types there
        self._registry = CollectorRegistry()
        self._make_counters()
        Info(
            "sharepoint_proxy_build",
            "The version that runs, as a label; the value is always 1.",
            registry=self._registry,
        ).info({"version": parts.version})
        self._registry.register(_Gauges(parts))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._registry.register(GC_COLLECTOR)

    def page(self) -> bytes:
        """Everything, in Prometheus's text format."""
        return generate_latest(self._registry)

    def answered(self, kinds: Sequence[str], *, status: int, seconds: float) -> None:
        """A request to the webhook that brought events of these KINDS was answered with STATUS."""
        for kind in kinds:
            self._events.labels(kind, status).inc()
        self._answer_seconds.labels(status).observe(seconds)

    def graph_answered(self, method: str, path: str, status: int) -> None:
        """A request to Graph at PATH, or to an upload URL ("upload"), was answered with STATUS, or with nothing (0)."""
        self._graph_requests.labels(graph_call(method, path), status or _NO_ANSWER).inc()

    def took(self, taken: Taken) -> None:
        """A message from Kafka was TAKEN, and is on disk if it concerns the mirror."""
        self._messages.labels(taken.value).inc()

    def began(self, job: Job) -> None:
        """A worker looks at a key: the journal counts those."""

    def ended(self, _job: Job, outcome: Outcome, seconds: float) -> None:
        """That look took so many SECONDS and brought this OUTCOME."""
        # A key that only changes its queue has no outcome yet.
        if outcome.large is not None:
            return
        self._outcomes.labels(outcome.state.value, outcome.action.value).inc()
        self._look_seconds.labels(outcome.action.value).observe(seconds)
        if outcome.action is Action.UPLOADED:
            self._uploaded_bytes.inc(outcome.bytes)
        if outcome.state is State.WAITING:
            self._retries.labels(outcome.status or _NO_ANSWER).inc()

    def _make_counters(self) -> None:
        registry = self._registry
        self._events = Counter(
            "sharepoint_proxy_events",
            "Events that the webhook received, by their kind and by the status of the answer; rejected ones were recorded as of no use.",
            ("kind", "status"),
            registry=registry,
        )
        self._answer_seconds = Histogram(
            "sharepoint_proxy_webhook_duration_seconds",
            "Seconds from a request's arrival at the webhook to its answer, by the answer's status.",
            ("status",),
            buckets=_ANSWER_SECONDS,
            registry=registry,
        )
        self._messages = Counter(
            "sharepoint_proxy_kafka_messages",
            "Messages taken from Kafka: recorded in the journal, ignored as they do not concern the mirror, or of no use and so dead-lettered.",
            ("result",),
            registry=registry,
        )
        self._outcomes = Counter(
            "sharepoint_proxy_outcomes",
            "Looks at a key, by what became of the key (settled, waiting for another look, parked) and what was done for it.",
            ("state", "action"),
            registry=registry,
        )
        self._look_seconds = Histogram(
            "sharepoint_proxy_look_duration_seconds",
            "Seconds that a look at a key took, by what was done for it; none where nothing was, or where it failed.",
            ("action",),
            buckets=_LOOK_SECONDS,
            registry=registry,
        )
        self._make_counters_of_graph()
        self._begin_at_zero()

    def _make_counters_of_graph(self) -> None:
        registry = self._registry
        self._uploaded_bytes = Counter(
            "sharepoint_proxy_uploaded_bytes",
            "Bytes of the objects that became files in SharePoint.",
            registry=registry,
        )
        self._retries = Counter(
            "sharepoint_proxy_retries",
            "Looks at a key that must be repeated, by the status of the answer that said so; none where there was no such answer.",
            ("status",),
            registry=registry,
        )
        self._graph_requests = Counter(
            "sharepoint_proxy_graph_requests",
            "Requests to Microsoft Graph and its upload URLs, by what they are for and the answer's status; none where no answer came.",
            ("call", "status"),
            registry=registry,
        )

    def _begin_at_zero(self) -> None:
        """Show what may happen before it does: Prometheus sees no increase from nothing to 1."""
        for action in Action:
            self._outcomes.labels(State.SETTLED.value, action.value)
        for state in (State.WAITING, State.PARKED):
            self._outcomes.labels(state.value, Action.NONE.value)
        self._retries.labels(_NO_ANSWER)


class _Gauges(Collector):
    """Asks the parts; a journal that cannot be read leaves its own gauges out, and `sharepoint_proxy_journal_readable` says so."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        """Everything that is true at this moment."""
        yield from self._readiness()
        yield from self._backlog()
        yield from self._guest()
        yield from self._lag()
        yield from self._dates()
        yield from self._reconciled()

    def _readiness(self) -> Iterator[Metric]:
        is_writable = _from_journal(partial(_checked, self._parts.journal)) is not None
        is_ready = is_writable and not self._parts.not_ready()
        wrong = self._parts.alarms()
        yield _gauge(
            "ready", "Whether changes can be mirrored (1) or are only recorded (0), as /ready tells.", is_ready
        )
        yield _gauge(
            "journal_writable", "Whether events can be recorded (1) or MinIO has to keep them (0).", is_writable
        )
        alarm = _labelled(
            "alarm", "Whether this, which every key needs, works (0) or is away or refuses the service (1).", "subject"
        )
        for subject in Subject:
            alarm.add_metric([subject.value], subject in wrong)
        yield alarm

    def _backlog(self) -> Iterator[Metric]:
        counts = _from_journal(self._parts.journal.counts)
        readable = "Whether the journal could be read for this page (1) or not (0); then the gauges of keys are absent."
        yield _gauge("journal_readable", readable, counts is not None)
        if counts is None:
            return
        keys = _labelled(
            "keys",
            "Keys that may differ from SharePoint: they wait, are worked on, or are parked until somebody does something.",
            "state",
        )
        keys.add_metric(["waiting"], counts.waiting)
        keys.add_metric(["working"], counts.working)
        keys.add_metric(["parked"], counts.parked)
        yield keys
        age = 0.0 if counts.oldest_marked_at is None else self._parts.clock() - counts.oldest_marked_at
        oldest = "Seconds since the event of the key that waits, or is worked on, for longest; 0 where there is none."
        yield _gauge("oldest_waiting_age_seconds", oldest, max(0.0, age))

    def _guest(self) -> Iterator[Metric]:
        throttle = self._parts.throttle
        yield _gauge(
            "places", "Keys that may be worked on at once; fewer after Graph refused a request.", throttle.limit()
        )
        paused = "Seconds for which no more requests go to Graph, because it asked for a pause."
        yield _gauge("graph_pause_seconds", paused, throttle.paused_seconds())
        yield CounterMetricFamily(
            "sharepoint_proxy_throttled_seconds",
            "Seconds of pause that Graph has asked for; what several refusals ask for at the same time counts once.",
            throttle.paused_in_all(),
        )

    def _lag(self) -> Iterator[Metric]:
        lag = _labelled(
            "kafka_lag",
            "Messages of each partition held by this replica that are not recorded yet; absent where events come by the webhook.",
            "partition",
        )
        for partition, messages in sorted(self._parts.lag().items()):
            lag.add_metric([str(partition)], messages)
        yield lag

    def _dates(self) -> Iterator[Metric]:
        parts = self._parts
        ends = "When the certificate ends with which the service signs in at Entra ID, in seconds since the epoch."
        yield _gauge("certificate_expiry_timestamp_seconds", ends, parts.certificate_ends_at().timestamp())
        yield _gauge("start_time_seconds", "When the service started, in seconds since the epoch.", parts.started_at)

    def _reconciled(self) -> Iterator[Metric]:
        planned = (
            "Seconds between two comparisons of all of MinIO with SharePoint, as RECONCILE_HOURS says; 0 for never."
        )
        yield _gauge("reconcile_interval_seconds", planned, self._parts.reconcile_interval)
        last = _from_journal(self._parts.reconciled)
        if last is None:
            return
        began = "When the last comparison of all of MinIO with SharePoint began, in seconds since the epoch; absent before the first."
        yield _gauge("last_reconcile_timestamp_seconds", began, last.at)
        ended = "Whether the last comparison of all of MinIO with SharePoint came to its end (1) or broke off (0)."
        yield _gauge("last_reconcile_success", ended, not last.error)
        took = "Seconds that the last comparison of all of MinIO with SharePoint took."
        yield _gauge("last_reconcile_duration_seconds", took, last.seconds)
        found = "Keys that the last comparison of all of MinIO with SharePoint marked, adopted or found stale; 0 where it broke off."
        keys = _labelled("last_reconcile_keys", found, "result")
        for result, number in (("marked", last.marked), ("adopted", last.adopted), ("stale", last.stale)):
            keys.add_metric([result], number)
        yield keys


def graph_call(method: str, path: str) -> str:
    """What a request to Graph is for, in one of few words; in library paths a colon is encoded, so colons are Graph's own."""
    if path == "upload":
        return _UPLOAD_URL_CALLS.get(method, "other")
    if path == "download":
        return "download"
    address = _ADDRESS.fullmatch(path)
    if address is None:
        return "other"
    if address["collection"] == "drives":
        return _item_call(method, address["rest"])
    return "drive" if _DRIVES_OF_SITE.fullmatch(address["rest"]) else "site"


def _item_call(method: str, address: str) -> str:
    item = _ITEM.fullmatch(address)
    if item is None:
        return "other"
    if item["part"]:
        return _PART_CALLS.get((method, item["part"]), "other")
    if method == "GET" and item["path"]:
        return "find_item"
    return _ITEM_CALLS.get(method, "other")


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"sharepoint_proxy_{name}", meaning, value)


def _labelled(name: str, meaning: str, label: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"sharepoint_proxy_{name}", meaning, labels=[label])


def _from_journal(question: Callable[[], T]) -> T | None:
    """What the journal says; None when it cannot be used, which must not cost the rest of the page."""
    try:
        return question()
    except JournalError:
        return None


def _checked(journal: Journal) -> bool:
    journal.check_writable()
    return True
