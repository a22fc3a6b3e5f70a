"""The metrics of a running service: what is counted after uploads, removals, refusals and a key that is given up."""

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from e2e.trouble import FOLDER, IMPATIENT, MIB, wait_until_parked, why_not_ready
from unit.monitored import samples_in, value_in

from sharepoint_proxy.records import Action
from simulator.calls import CallKind
from simulator.faults import AnswerWith, Fault, Match
from simulator.service_process import SECRET
from simulator.stage import BUCKET, Stage

KEY = f"{FOLDER}/watermark-key.txt"
LARGE_KEY = f"{FOLDER}/watermark-large-key.bin"
PAUSE_SECONDS = 2
LONGEST_NUMBER_CHARACTERS = 3


def page_of(stage: Stage) -> str:
    """What Prometheus would read now."""
    answer = stage.service.get("/metrics")
    assert answer.status_code == 200
    return answer.text


def value(stage: Stage, name: str, **labels: str) -> float:
    """One series as Prometheus would read it now; 0 where it is absent."""
    return value_in(page_of(stage), name, **labels) or 0.0


def wait_until_told(stage: Stage, key: str, action: Action) -> None:
    """Return once the log tells that ACTION was done for KEY: that is the last thing, after the counting."""
    stage.service.wait_for_line(lambda line: line.get("key") == key and line.get("action") == action)


def by_kind(page: str) -> Counter[str]:
    """The events received, whatever the answer was."""
    events = Counter[str]()
    for one in samples_in(page):
        if one.name == "sharepoint_proxy_events_total":
            events[one.labels["kind"]] += int(one.value)
    return events


def requests_by_call(stage: Stage) -> Counter[str]:
    """The requests to Graph so far, by what they were for."""
    requests = Counter[str]()
    for one in samples_in(page_of(stage)):
        if one.name == "sharepoint_proxy_graph_requests_total":
            requests[one.labels["call"]] += int(one.value)
    return requests


def test_it_works(common: Stage) -> None:
    page = page_of(common)

    assert value_in(page, "ready") == 1
    assert value_in(page, "keys", state="waiting") == 0
    assert value_in(page, "graph_requests_total", call="site", status="200") == 1


def test_uploads_and_removals_are_counted(common: Stage) -> None:
    before = page_of(common)
    common.put(KEY, b"hello")
    common.put(LARGE_KEY, bytes(5 * MIB))
    wait_until_told(common, KEY, Action.UPLOADED)
    wait_until_told(common, LARGE_KEY, Action.UPLOADED)
    common.delete(KEY)
    wait_until_told(common, KEY, Action.DELETED)
    common.settle()
    page = page_of(common)

    def added(name: str, **labels: str) -> float:
        return (value_in(page, name, **labels) or 0) - (value_in(before, name, **labels) or 0)

    assert added("outcomes_total", state="settled", action="uploaded") == 2
    assert added("outcomes_total", state="settled", action="deleted") == 1
    assert added("uploaded_bytes_total") == 5 + 5 * MIB
    assert added("look_duration_seconds_count", action="uploaded") == 2
    assert added("graph_requests_total", call="upload", status="201") == 1
    assert added("graph_requests_total", call="create_session", status="200") == 1
    assert added("graph_requests_total", call="fragment", status="201") == 1
    assert added("graph_requests_total", call="delete", status="204") == 1
    assert by_kind(page) - by_kind(before) == {"created": 2, "removed": 1}


def test_every_request_to_graph_is_counted_by_what_it_is_for(common: Stage) -> None:
    """Beside what the simulator says that it was asked."""
    before = requests_by_call(common)
    common.put(f"{FOLDER}/folder/", b"")
    common.put(f"{FOLDER}/content", b"hello")
    common.settle()
    asked = len([call for call in common.graph.calls() if call.kind not in {CallKind.TOKEN, CallKind.OPENID}])
    counted = requests_by_call(common)

    assert (counted - before).total() == asked
    assert "other" not in counted


def test_a_pause_that_graph_asks_for_is_counted_in_seconds(stage: Stage) -> None:
    refusal = AnswerWith(429, headers={"Retry-After": str(PAUSE_SECONDS)})
    stage.graph.add_fault(Fault(Match(CallKind.PUT_CONTENT), refusal))
    stage.put(KEY, b"hello")
    wait_until_told(stage, KEY, Action.UPLOADED)
    page = page_of(stage)

    assert value_in(page, "graph_requests_total", call="upload", status="429") == 1
    assert value_in(page, "graph_requests_total", call="upload", status="201") == 1
    assert value_in(page, "throttled_seconds_total") == pytest.approx(PAUSE_SECONDS)
    assert value_in(page, "retries_total", status="429") == 1
    assert value_in(page, "outcomes_total", state="waiting", action="none") == 1


def test_a_key_that_is_given_up_is_counted_as_parked(tmp_path: Path) -> None:
    with Stage(tmp_path, settings=IMPATIENT) as stage:
        stage.begin()
        stage.graph.add_fault(Fault(Match(CallKind.PUT_CONTENT), AnswerWith(500), times=None))
        stage.put(KEY, b"hello")
        wait_until_parked(stage, KEY)
        page = page_of(stage)

        assert value_in(page, "keys", state="parked") == 1
        assert value_in(page, "outcomes_total", state="parked", action="none") == 1
        assert value_in(page, "graph_requests_total", call="upload", status="500") == 2
        assert value_in(page, "ready") == 1


def test_an_outage_is_an_alarm(stage: Stage) -> None:
    stage.graph.add_fault(Fault(Match(CallKind.PUT_CONTENT), AnswerWith(507), times=None))
    stage.put(KEY, b"hello")
    stage.service.wait_for_line(lambda line: line["event"] == "postponed" and line["key"] == KEY)
    page = page_of(stage)

    assert why_not_ready(stage)
    assert value_in(page, "ready") == 0
    assert value_in(page, "alarm", subject="quota") == 1
    assert value_in(page, "keys", state="waiting") == 1
    assert (value_in(page, "oldest_waiting_age_seconds") or 0) > 0


def test_a_reconcile_is_told_of(tmp_path: Path) -> None:
    with Stage(tmp_path, settings={"RECONCILE_HOURS": "24"}) as stage:
        stage.begin()
        stage.service.wait_for_line(lambda line: line["event"] == "reconciled")
        page = page_of(stage)

        assert value_in(page, "last_reconcile_success") == 1
        assert value_in(page, "last_reconcile_keys", result="stale") == 0
        assert value_in(page, "reconcile_interval_seconds") == 24 * 3600
        assert value_in(page, "graph_requests_total", call="delta", status="200")


def test_senders_that_are_refused_are_counted(common: Stage) -> None:
    before = value(common, "webhook_duration_seconds_count", status="403")
    common.service.post({"EventName": "s3:ObjectCreated:Put", "Key": f"{BUCKET}/{KEY}"}, token="wrong")
    assert value(common, "webhook_duration_seconds_count", status="403") == before + 1


def test_whoever_reads_the_page_learns_no_key_no_name_and_no_secret(common: Stage) -> None:
    """It needs no password, so it must hold nothing that is not for everybody."""
    common.put(KEY, b"hello")
    common.put(LARGE_KEY, bytes(5 * MIB))
    common.settle()
    page = page_of(common)
    # Numbers are on the page; longer values are names, addresses and secrets.
    settings = {value for value in common.environment().values() if len(value) > LONGEST_NUMBER_CHARACTERS}
    told = {*settings, *common.graph.secrets(), SECRET, "watermark", BUCKET, FOLDER, "upload.localhost", "https://"}

    assert [secret for secret in told if secret in page] == []


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is absent; Debian has it in the package prometheus."
)
def test_prometheus_finds_nothing_to_complain_of(common: Stage) -> None:
    common.put(KEY, b"hello")
    common.settle()

    command = ["promtool", "check", "metrics"]
    checked = subprocess.run(command, input=page_of(common), capture_output=True, text=True, check=False, timeout=60)

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
