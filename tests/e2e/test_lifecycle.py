"""Start, stop, crash: a wrong configuration is refused in one message, and a process that dies loses nothing."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.calls import CallKind
from simulator.faults import AnswerWith, CutConnection, CutPoint, Fault, Match
from simulator.options import SimulatorOptions
from simulator.service_process import ROOT, SECRET, free_port
from simulator.stage import Stage

MIB = 1024 * 1024


def serve(settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run scripts/serve until it ends by itself."""
    environment = {"PATH": os.environ["PATH"], "NO_INSTALL": "1", **settings}
    return subprocess.run(
        [ROOT / "scripts" / "serve"], env=environment, capture_output=True, text=True, timeout=30, check=False
    )


def test_it_lists_every_problem_at_once(tmp_path: Path) -> None:
    ended = serve(
        {
            "CERT_PATH": str(tmp_path / "missing.cer"),
            "KEY_PATH": str(tmp_path / "missing.key"),
            "ALLOWED_PREFIXES": "/administration",
            "UPLOAD_WORKERS": "many",
            "WEBHOOK_SECRET": SECRET,
        }
    )

    assert ended.returncode == 2
    for name in (
        "TENANT_ID",
        "CLIENT_ID",
        "SITE_PATH",
        "missing.cer",
        "missing.key",
        "ALLOWED_PREFIXES",
        "UPLOAD_WORKERS",
    ):
        assert name in ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout
    assert SECRET not in ended.stderr + ended.stdout


def test_it_refuses_a_second_service_on_one_journal(common: Stage) -> None:
    ended = serve(
        {
            **common.environment(),
            "WEBHOOK_SECRET": SECRET,
            "DATA_DIR": str(common.service.data_dir),
            "PORT": str(free_port()),
        }
    )

    assert ended.returncode == 2
    assert "Another sharepoint-proxy is using DATA_DIR" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_it_waits_for_a_library_that_is_not_there_yet(make_stage: Callable[..., Stage]) -> None:
    """A wrong name is said, with those that exist; events are kept meanwhile."""
    stage = make_stage(settings={"DOCUMENT_LIBRARY": "Dokumente", "SYNC_WAIT_SECONDS": "0"})
    stage.service.start(wait=False)
    stage.service.wait_for_line(lambda line: line["event"] == "not_ready")
    ready = stage.service.get("/ready")
    answer = stage.service.post({"EventName": "s3:ObjectCreated:Put", "Key": "lycee/administration/note.txt"})

    assert ready.status_code == 503
    assert '"Documents" (URL name "Shared Documents")' in ready.json()["reasons"][0]
    assert answer.status_code == 202
    assert stage.service.get("/health").status_code == 200


@pytest.mark.parametrize("name", ["documents", "shared documents", "ARCHIVES"])
def test_it_finds_the_library_by_either_name(make_stage: Callable[..., Stage], name: str) -> None:
    stage = make_stage(settings={"DOCUMENT_LIBRARY": f'"{name}"'})
    stage.begin()
    stage.put("administration/note.txt", b"hello")
    stage.settle()
    library = "Archives" if name == "ARCHIVES" else "Documents"

    assert stage.graph.content("administration/note.txt", library) == b"hello"


def test_it_goes_on_after_a_kill(common: Stage) -> None:
    """What was acknowledged before kill -9 arrives after the next start."""
    common.graph.latency = 0.3
    common.minio.pause()
    names = [f"administration/{number}.txt" for number in range(40)]
    for name in names:
        common.put(name, name.encode())
    common.minio.resume()
    common.minio.drain()
    common.service.kill()
    common.graph.latency = 0.0
    common.service.start()
    common.settle()

    assert all(common.graph.content(name) == name.encode() for name in names)


def test_it_resumes_a_large_upload_after_a_kill(make_stage: Callable[..., Stage]) -> None:
    """The upload session goes on where it stood: at most one fragment is sent again."""
    stage = make_stage(settings={"CHUNK_MIB": "2.5"}, graph=SimulatorOptions())
    stage.begin()
    stage.graph.bandwidth = 5 * MIB
    content = os.urandom(20 * MIB)
    stage.put("administration/film.mp4", content)
    stage.graph.wait_for(lambda: sum(call.kind is CallKind.FRAGMENT for call in stage.graph.calls()) >= 3)
    stage.service.kill()
    stage.graph.bandwidth = None
    stage.service.start()
    stage.settle()
    calls = stage.calls()

    assert stage.graph.content("administration/film.mp4") == content
    assert sum(call.kind is CallKind.SESSION_CREATE and call.status == 200 for call in calls) == 1
    received = sum(call.bytes_received for call in calls if call.kind is CallKind.FRAGMENT)
    assert received <= len(content) + 2.5 * MIB


def test_it_stops_at_a_fragment_boundary(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(settings={"CHUNK_MIB": "1"})
    stage.begin()
    stage.graph.bandwidth = 2 * MIB
    content = os.urandom(12 * MIB)
    stage.put("administration/film.mp4", content)
    stage.graph.wait_for(lambda: any(call.kind is CallKind.FRAGMENT for call in stage.graph.calls()))
    code = stage.service.stop()
    sent = [call for call in stage.calls() if call.kind is CallKind.FRAGMENT]
    stage.graph.bandwidth = None
    stage.service.start()
    stage.settle()

    assert code == 0
    assert 0 < len(sent) < 12
    assert all(call.status == 202 for call in sent)
    assert stage.graph.content("administration/film.mp4") == content


def test_a_broken_fragment_is_resumed(common: Stage) -> None:
    """The session says what it holds, here a part of the fragment that broke; nothing starts from zero."""
    common.graph.add_fault(Fault(Match(CallKind.FRAGMENT), CutConnection(CutPoint.HALF_BODY)))
    content = os.urandom(12 * MIB)
    common.put("administration/film.mp4", content)
    common.settle()
    calls = common.calls()

    assert common.graph.content("administration/film.mp4") == content
    assert [call.kind for call in calls].count(CallKind.SESSION_STATUS) == 1
    assert sum(call.kind is CallKind.SESSION_CREATE and call.status == 200 for call in calls) == 1


def test_an_answer_lost_after_the_write_is_no_second_upload(common: Stage) -> None:
    """One look finds that the file is there."""
    common.graph.add_fault(Fault(Match(CallKind.PUT_CONTENT), CutConnection(CutPoint.AFTER_EFFECT)))
    common.put("administration/note.txt", b"hello")
    common.settle()

    assert common.kinds() == ["PUT_CONTENT", "ITEM_GET"]


def test_retry_after_pauses_every_thread(common: Stage) -> None:
    """While Graph asks for a pause no request leaves."""
    common.graph.add_fault(Fault(Match(CallKind.PUT_CONTENT), AnswerWith(429, headers={"Retry-After": "2"})))
    common.minio.pause()
    for number in range(30):
        common.put(f"administration/{number}.txt", b"x")
    common.minio.resume()
    common.settle(60)
    calls = common.calls()
    refused_at = next(call.at for call in calls if call.status == 429)

    # Requests that had left already when the pause was asked for still arrive.
    assert not [call for call in calls if refused_at + 0.5 < call.at < refused_at + 1.9]
    assert sum(call.status == 201 for call in calls) == 30


def test_no_secret_reaches_the_output(common: Stage) -> None:
    common.graph.add_fault(Fault(Match(CallKind.FRAGMENT), CutConnection(CutPoint.BEFORE_BODY), times=2))
    common.put("administration/film.mp4", os.urandom(6 * MIB))
    common.put("administration/note.txt", b"hello")
    common.settle()
    output = common.service.output()

    for secret in (SECRET, common.minio.reader_secret, "tempauth", "Bearer ", "PRIVATE KEY"):
        assert secret not in output
