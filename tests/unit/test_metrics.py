"""What Prometheus reads: each count in its place, gauges of the moment, and a page that no broken part takes away."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.monitored import Monitored, samples_in
from unit.web_server import KEY, SECRET, UPLOADED, WebServer, body_of, record_of
from unit.workers import job

from sharepoint_proxy.errors import JournalError, Subject
from sharepoint_proxy.library import Drive, Library
from sharepoint_proxy.metrics import graph_call
from sharepoint_proxy.records import Action, Answer, Counts, Outcome, Reconciled, State
from sharepoint_proxy.throttle import Throttle

DRIVE = Drive(id="b!drives-sites", name="Documents", url_path="/sites/team/Documents")
MODIFIED = datetime(2026, 1, 31, tzinfo=UTC)
BROKEN = JournalError("The disk is full.")
DUE = Outcome(state=State.WAITING, reason="Busy.", status=503, delay=1.0)


class Recorder:
    """Answers the library's calls so that each is made once, and keeps the call."""

    def __init__(self) -> None:
        self.call_made = ("", "")

    def call(self, method: str, path: str, **_: object) -> Answer:
        self.call_made = (method, urlsplit(f"/v1.0{path}").path)
        body = {"id": "1", "uploadUrl": "https://upload.example/1", "value": [], "folder": {}}
        return Answer({"POST": 201 if "/children" in path else 200, "DELETE": 204}.get(method, 200), body)


class NoBytes:
    """An empty body."""

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Iterator[bytes]:
        return iter(())


CALLS: Mapping[str, Callable[[Library, str], object]] = {
    "upload": lambda library, path: library.put(path, NoBytes()),
    "create_session": lambda library, path: library.create_session(path, MODIFIED),
    "delete": lambda library, _: library.delete("01ABC"),
    "get_item": lambda library, _: library.get("01ABC"),
    "find_item": lambda library, path: library.find(path),
    "make_folder": lambda library, path: library.make_folder(path),
    "update_item": lambda library, _: library.set_modified("01ABC", MODIFIED),
}


@pytest.fixture
def service() -> Monitored:
    return Monitored()


@given(call=st.sampled_from(sorted(CALLS)), names=st.lists(st.text(min_size=1), min_size=1, max_size=4))
def test_each_call_of_the_library_has_its_name_whatever_the_file_is_called(call: str, names: list[str]) -> None:
    recorder = Recorder()
    path = "/".join(name.replace("/", "-").encode("utf-8", "replace").decode() for name in names)
    CALLS[call](Library(recorder, DRIVE), path)

    assert graph_call(*recorder.call_made) == call


@pytest.mark.parametrize(
    "name", ["content", "children", "delta", "createUploadSession", "drives/x/root", "items", "root"]
)
def test_a_file_named_like_a_call_is_still_a_file(name: str) -> None:
    recorder = Recorder()
    Library(recorder, DRIVE).find(f"administration/{name}")
    assert graph_call(*recorder.call_made) == "find_item"


@pytest.mark.parametrize(
    ("method", "path", "call"),
    [
        ("GET", "/v1.0/sites/contoso.sharepoint.com", "site"),
        ("GET", "/v1.0/sites/contoso.sharepoint.com:/sites/drives/drive", "site"),
        ("GET", "/v1.0/sites/contoso.sharepoint.com,1,2/drive", "drive"),
        ("GET", "/v1.0/sites/contoso.sharepoint.com,1,2/drives", "drive"),
        ("GET", "/sites/contoso.sharepoint.com,1,2/drives", "drive"),
        ("GET", "/v1.0/drives/b!1/root", "get_item"),
        ("GET", "/v1.0/drives/b!1/root/delta", "delta"),
        ("GET", "/v1.0/drives/b!1/root/delta(token='abc')", "delta"),
        ("GET", "/v1.0/drives/b!1/root/children", "children"),
        ("GET", "/v1.0/drives/b!1/root:/a/b:/children", "children"),
        ("GET", "/v1.0/drives/b!1/items/01ABC/content", "download"),
        ("GET", "/v1.0/drives/b!1/root:/a/b:/content", "download"),
        ("GET", "/v1.0/drives/b!1/root:/a/b:/versions", "other"),
        ("GET", "/v1.0/drives/b!1/list", "other"),
        ("POST", "/v1.0/$batch", "other"),
        ("POST", "/v1.0/drives/b!1/root", "other"),
        ("PUT", "upload", "fragment"),
        ("GET", "upload", "session_status"),
        ("DELETE", "upload", "session_cancel"),
        ("POST", "upload", "other"),
        ("GET", "download", "download"),
        ("GET", "", "other"),
    ],
)
def test_other_calls_have_their_names(method: str, path: str, call: str) -> None:
    assert graph_call(method, path) == call


def test_requests_to_graph_are_counted_by_call_and_answer(service: Monitored) -> None:
    for status in (201, 201, 429, 0):
        service.metrics.graph_answered("PUT", "/v1.0/drives/b!1/root:/a/b.txt:/content", status)

    assert service.value("graph_requests_total", call="upload", status="201") == 2
    assert service.value("graph_requests_total", call="upload", status="429") == 1
    assert service.value("graph_requests_total", call="upload", status="none") == 1


def test_outcomes_are_counted_with_their_bytes_and_their_time(service: Monitored) -> None:
    service.metrics.ended(job("a"), Outcome(state=State.SETTLED, action=Action.UPLOADED, bytes=1000), 0.2)
    service.metrics.ended(job("b"), Outcome(state=State.SETTLED, action=Action.DELETED), 0.1)
    service.metrics.ended(job("c"), Outcome(state=State.PARKED, reason="No."), 0.1)

    assert service.value("outcomes_total", state="settled", action="uploaded") == 1
    assert service.value("outcomes_total", state="settled", action="deleted") == 1
    assert service.value("outcomes_total", state="parked", action="none") == 1
    assert service.value("uploaded_bytes_total") == 1000
    assert service.value("look_duration_seconds_sum", action="uploaded") == 0.2
    assert service.value("look_duration_seconds_bucket", action="uploaded", le="0.1") == 0
    assert service.value("look_duration_seconds_bucket", action="uploaded", le="0.25") == 1


def test_what_must_be_repeated_is_counted_by_the_answer_that_said_so(service: Monitored) -> None:
    service.metrics.ended(job("a"), DUE, 0.1)
    service.metrics.ended(job("b"), Outcome(state=State.WAITING, reason="Cut."), 0.1)

    assert service.value("outcomes_total", state="waiting", action="none") == 2
    assert service.value("retries_total", status="503") == 1
    assert service.value("retries_total", status="none") == 1


def test_a_key_that_only_changes_its_queue_has_no_outcome(service: Monitored) -> None:
    service.metrics.ended(job("a"), Outcome(state=State.WAITING, large=True, counts_as_attempt=False), 0.1)

    assert service.value("outcomes_total", state="waiting", action="none") == 0
    assert service.value("retries_total", status="none") == 0
    assert service.value("look_duration_seconds_count", action="none") is None


def test_counters_stand_at_zero_before_anything_happens(service: Monitored) -> None:
    """Prometheus sees no increase where a series begins with 1."""
    assert service.value("outcomes_total", state="settled", action="uploaded") == 0
    assert service.value("outcomes_total", state="parked", action="none") == 0
    assert service.value("uploaded_bytes_total") == 0
    assert service.value("throttled_seconds_total") == 0


def test_the_backlog_is_read_when_the_page_is(service: Monitored) -> None:
    service.journal.held = Counts(waiting=12, working=3, parked=2, oldest_marked_at=service.clock())
    service.clock.turn(90)

    assert [service.value("keys", state=state) for state in ("waiting", "working", "parked")] == [12, 3, 2]
    assert service.value("oldest_waiting_age_seconds") == 90
    assert service.value("journal_readable") == 1


def test_nothing_is_old_where_nothing_waits(service: Monitored) -> None:
    assert service.value("oldest_waiting_age_seconds") == 0


def test_a_clock_that_was_set_back_makes_nothing_younger_than_now(service: Monitored) -> None:
    service.journal.held = Counts(waiting=1, working=0, parked=0, oldest_marked_at=service.clock() + 60)
    assert service.value("oldest_waiting_age_seconds") == 0


def test_a_journal_that_cannot_be_read_costs_its_own_gauges_alone(service: Monitored) -> None:
    service.journal.unreadable = BROKEN

    assert service.value("journal_readable") == 0
    assert service.value("keys", state="waiting") is None
    assert service.value("oldest_waiting_age_seconds") is None
    assert service.value("ready") == 1
    assert service.value("uploaded_bytes_total") == 0


def test_it_is_ready_while_nothing_is_wrong(service: Monitored) -> None:
    assert service.value("ready") == 1
    assert service.value("journal_writable") == 1
    assert {service.value("alarm", subject=subject.value) for subject in Subject} == {0}


def test_a_full_disk_makes_it_not_ready(service: Monitored) -> None:
    service.journal.unwritable = BROKEN
    assert (service.value("ready"), service.value("journal_writable")) == (0, 0)


def test_an_alarm_is_told_by_its_subject(service: Monitored) -> None:
    service.alarms.add(Subject.QUOTA)
    service.not_ready.append("The library is full.")

    assert service.value("ready") == 0
    assert service.value("alarm", subject="quota") == 1
    assert service.value("alarm", subject="graph") == 0


def test_pauses_and_places_are_told(service: Monitored) -> None:
    service.throttle.places, service.throttle.pause, service.throttle.pauses = 8, 12.5, 42.0

    assert service.value("places") == 8
    assert service.value("graph_pause_seconds") == 12.5
    assert service.value("throttled_seconds_total") == 42


def test_seconds_of_pause_that_overlap_count_once(service: Monitored) -> None:
    """A burst of refusals asks for one pause, and the longest one of it counts."""
    throttle = Throttle(most=16, clock=service.clock)
    throttle.refused(10)
    service.clock.turn(4)
    throttle.refused(10)
    throttle.refused(2)
    assert throttle.paused_in_all() == 14

    service.clock.turn(100)
    throttle.refused(5)
    assert throttle.paused_in_all() == 19


def test_the_last_reconcile_is_absent_before_the_first(service: Monitored) -> None:
    assert service.value("last_reconcile_timestamp_seconds") is None
    assert service.value("reconcile_interval_seconds") == 86400


def test_the_last_reconcile_tells_when_how_long_and_what_it_found(service: Monitored) -> None:
    service.reconciled = Reconciled(at=1_800_000_000.0, seconds=61.5, marked=3, adopted=2000, stale=1)

    assert service.value("last_reconcile_timestamp_seconds") == 1_800_000_000
    assert service.value("last_reconcile_duration_seconds") == 61.5
    found = {result: service.value("last_reconcile_keys", result=result) for result in ("marked", "adopted", "stale")}
    assert found == {"marked": 3, "adopted": 2000, "stale": 1}


def test_a_reconcile_that_broke_off_is_told_apart(service: Monitored) -> None:
    service.reconciled = Reconciled(at=1_800_000_000.0, seconds=61.5, error="MinIO does not answer.")
    assert service.value("last_reconcile_success") == 0

    service.reconciled = Reconciled(at=1_800_000_600.0, seconds=61.5)
    assert service.value("last_reconcile_success") == 1


def test_a_certificate_that_was_renewed_is_seen(service: Monitored) -> None:
    assert service.value("certificate_expiry_timestamp_seconds") == service.certificate_ends_at.timestamp()
    service.certificate_ends_at += timedelta(days=365)
    assert service.value("certificate_expiry_timestamp_seconds") == service.certificate_ends_at.timestamp()


def test_the_start_and_the_version_are_told(service: Monitored) -> None:
    assert service.value("start_time_seconds") == service.clock()
    assert service.value("build_info", version="1.2.3") == 1


def test_the_process_is_told_of_too(service: Monitored) -> None:
    names = {sample.name for sample in samples_in(service.page())}
    assert {"process_resident_memory_bytes", "process_open_fds", "python_info"} <= names


def test_two_services_of_one_process_count_apart(service: Monitored) -> None:
    other = Monitored()
    service.metrics.ended(job("a"), UPLOADED, 0.1)
    assert other.value("outcomes_total", state="settled", action="uploaded") == 0


def test_events_are_counted_by_kind_and_answer(service: Monitored) -> None:
    records = [
        record_of(),
        record_of(f"{KEY}2", name="s3:ObjectRemoved:Delete"),
        record_of(name="s3:ObjectAccessed:Get"),
    ]
    with WebServer(metrics=service.metrics, wait_seconds=0) as web:
        assert web.post(body_of(*records, {"eventName": "s3:ObjectCreated:Put"})).status == 202

    for kind in ("created", "removed", "other", "rejected"):
        assert service.value("events_total", kind=kind, status="202") == 1
    assert service.value("webhook_duration_seconds_count", status="202") == 1


def test_a_refusal_is_counted_by_its_status(service: Monitored) -> None:
    with WebServer(metrics=service.metrics) as web:
        assert web.post(b'{"hello": "you"}').status == 400
        assert web.post(body_of(record_of()), token=None).status == 401
        assert web.post(body_of(record_of()), token="wrong").status == 403
        assert web.request("GET", "/s3event").status == 405
        web.journal.broken = BROKEN
        assert web.post(body_of(record_of())).status == 503

    for status in ("400", "401", "403", "405", "503"):
        assert service.value("webhook_duration_seconds_count", status=status) == 1
    assert service.value("events_total", kind="created", status="503") == 1
    assert service.value("events_total", kind="created", status="403") is None


def test_the_page_is_read_without_a_password_and_counts_no_visitors(service: Monitored) -> None:
    with WebServer(metrics=service.metrics) as web:
        answer = web.request("GET", "/metrics")
        web.request("GET", "/health")

    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert service.value("webhook_duration_seconds_count", status="200") is None


def test_the_page_is_only_read(service: Monitored) -> None:
    with WebServer(metrics=service.metrics) as web:
        assert web.request("POST", "/metrics", body=b"{}").status == 405


def test_no_key_and_no_secret_is_on_the_page(service: Monitored) -> None:
    with WebServer(metrics=service.metrics, wait_seconds=0) as web:
        web.post(body_of(record_of("administration/watermark-key.txt", bucket="lycee")))
        web.post(body_of(record_of()), token="watermark-wrong-secret")
    service.metrics.graph_answered("PUT", "/v1.0/drives/b!watermark-drive/root:/watermark-path/file.txt:/content", 201)
    service.metrics.graph_answered("watermark-method", "/v1.0/watermark-path", 404)
    service.metrics.ended(job("watermark-job"), Outcome(state=State.PARKED, reason="watermark-reason"), 0.1)
    service.reconciled = Reconciled(at=1.0, seconds=1.0, error="watermark-failure")
    service.not_ready.append("watermark-sentence")
    service.journal.unreadable = JournalError("watermark-error")

    assert "watermark" not in service.page()
    assert SECRET not in service.page()
    assert "lycee" not in service.page()
