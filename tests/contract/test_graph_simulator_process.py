"""The simulator runs as a process of its own, and is looked at and steered over HTTP as it is in-process."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from contract.plain_graph import PlainGraph

from simulator.calls import CallKind
from simulator.faults import (
    Action,
    AnswerWith,
    CorruptBytes,
    CutConnection,
    CutPoint,
    Fault,
    FaultBody,
    Hang,
    LoseSession,
    Match,
    RewindSession,
    TruncateAnswer,
)
from simulator.options import OfficeRewriting
from simulator.remote import RemoteSimulator

TESTS = Path(__file__).parents[1]


@pytest.fixture
def remote(client: PlainGraph) -> Iterator[RemoteSimulator]:
    """The client's simulator, as another process would see it."""
    simulator = RemoteSimulator.of(client.simulator.environment())
    yield simulator
    simulator.close()


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """`python -m simulator graph ARGUMENTS` and the settings that it printed."""
    paths = [str(TESTS), str(TESTS.parent / "sharepoint-proxy")]
    command = [sys.executable, "-m", "simulator", "graph", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        settings: dict[str, str] = {}
        while "SITE_PATH" not in settings:
            (assignment,) = shlex.split(process.stdout.readline().removeprefix("export "))
            name, _, value = assignment.partition("=")
            settings[name] = value
        try:
            yield process, settings
        finally:
            process.kill()


def test_it_prints_its_settings_then_a_line_a_call_and_ends_on_sigterm(tmp_path: Path) -> None:
    with running("--folder", str(tmp_path), "--resource-units", "100", "--no-content") as (process, settings):
        remote = RemoteSimulator.of(settings)
        requests.get(settings["GRAPH_BASE_URL"] + "/me/drive", verify=settings["REQUESTS_CA_BUNDLE"], timeout=9)
        assert process.stdout is not None
        assert process.stdout.readline() == "401 OTHER GET /v1.0/me/drive 0 B 0 RU\n"
        assert (remote.resource_units, remote.environment()) == (100, settings)
        remote.close()

        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.key", "app.pem", "ca.pem"]
    assert (tmp_path / "app.key").stat().st_mode & 0o077 == 0


def test_it_says_what_is_wrong_when_the_port_is_taken(client: PlainGraph) -> None:
    port = client.simulator.base_url.removesuffix("/v1.0").rpartition(":")[2]
    command = [sys.executable, "-m", "simulator", "graph", "--port", port]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent / "sharepoint-proxy")])}

    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=30, check=False)

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "Choose another --port" in done.stderr


def test_an_unknown_simulator_gets_the_usage() -> None:
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    done = subprocess.run(
        [sys.executable, "-m", "simulator", "grph"], capture_output=True, text=True, env=environment, check=False
    )

    assert (done.returncode, done.stderr.startswith("usage: python -m simulator graph|minio")) == (2, True)


def test_another_process_sees_what_is_there(client: PlainGraph, remote: RemoteSimulator) -> None:
    item = client.put("a/b.txt").json()

    assert remote.tree() == client.simulator.tree() == {"a": None, "a/b.txt": 5}
    assert remote.content("a/b.txt") == b"hello"
    assert remote.item("a/b.txt") == client.simulator.item("a/b.txt")
    assert remote.item("missing") is None
    assert remote.calls() == client.simulator.calls()
    client.ask("DELETE", f"items/{item['id']}")
    assert remote.recycle_bin() == ["a/b.txt"]
    assert remote.item_by_id(item["id"]) == client.simulator.item_by_id(item["id"])
    assert remote.wait_for(lambda: len(remote.calls(start=1)) == 1)
    remote.clear_calls()
    assert client.simulator.calls() == []


def test_another_process_can_act_as_a_person(client: PlainGraph, remote: RemoteSimulator) -> None:
    remote.put_foreign("a.txt", b"one")
    remote.edit_foreign("a.txt", b"two")
    remote.make_folder_foreign("b/c")
    remote.rename_foreign("a.txt", "b/d.txt")

    assert client.simulator.tree() == {"b": None, "b/c": None, "b/d.txt": 3}
    remote.delete_foreign("b/d.txt")
    assert client.simulator.recycle_bin() == ["b/d.txt"]
    with pytest.raises(LookupError, match=r"There is no 'a\.txt'"):
        remote.edit_foreign("a.txt", b"three")
    with pytest.raises(ValueError, match="Invalid request"):
        remote.put_foreign("CON", b"")
    with pytest.raises(LookupError, match="No library 'Music'"):
        remote.tree("Music")


@pytest.mark.parametrize(
    "action",
    [
        AnswerWith(503, FaultBody.HTML, {"Retry-After": "2"}, inner="x", after_effect=True),
        CutConnection(CutPoint.HALF_BODY),
        Hang(0.5),
        TruncateAnswer(),
        LoseSession(name_stays_taken=True),
        RewindSession(2, told=False),
        CorruptBytes(),
    ],
)
def test_another_process_can_order_every_fault(client: PlainGraph, remote: RemoteSimulator, action: Action) -> None:
    fault = Fault(Match(CallKind.FRAGMENT, path="x"), action, times=None, after=2)

    remote.add_fault(fault)

    assert remote.pending_faults() == client.simulator.pending_faults() == [fault]
    remote.clear_faults()
    assert client.simulator.pending_faults() == []


def test_another_process_can_change_rules_and_conditions(client: PlainGraph, remote: RemoteSimulator) -> None:
    remote.latency, remote.bandwidth, remote.resource_units = 0.25, 1000.0, 50
    remote.change(office_rewriting=OfficeRewriting.IN_THE_ANSWER, granted_sites=["x"], put_limit=3)
    remote.advance(60)
    remote.revoke_tokens()
    remote.expire_delta_tokens()

    simulator = client.simulator
    assert (simulator.latency, simulator.bandwidth, simulator.resource_units) == (0.25, 1000.0, 50)
    assert (remote.latency, remote.bandwidth, remote.resource_units) == (0.25, 1000.0, 50)
    assert simulator.options.office_rewriting is OfficeRewriting.IN_THE_ANSWER
    assert (simulator.options.granted_sites, simulator.options.put_limit) == (("x",), 3)
    with pytest.raises(ValueError, match="No such switch: colour"):
        remote.change(colour="red")
    with pytest.raises(ValueError, match="'perhaps' is not a valid OfficeRewriting"):
        remote.change(office_rewriting="perhaps")


@pytest.mark.parametrize(
    ("method", "route", "sentence"),
    [
        ("GET", "nonsense", "is no control"),
        ("GET", "item", "The query lacks 'path'."),
        ("POST", "advance?seconds=soon", "could not convert"),
        ("POST", "faults", "Expecting value"),
    ],
)
def test_a_control_that_cannot_be_met_says_why(client: PlainGraph, method: str, route: str, sentence: str) -> None:
    answer = client.bare(method, f"{client.simulator.base_url.removesuffix('v1.0')}_simulator/{route}")

    assert answer.status_code in (400, 404)
    assert sentence in answer.json()["error"]


def test_a_fault_that_cannot_be_understood_is_refused(remote: RemoteSimulator) -> None:
    for document, sentence in [
        ({"action": {"type": "Explode"}}, "type must be one of AnswerWith"),
        ({"action": {"type": "Hang", "hours": 1}}, "The action Hang cannot be made"),
        ({"kind": "teleport", "action": {"type": "CorruptBytes"}}, "'teleport' is not a valid CallKind"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            remote._ask("POST", "faults", json=document)
