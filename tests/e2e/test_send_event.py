"""scripts/send-event against a running service, and against a listener that keeps what it is sent."""

import http.server
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from simulator.calls import CallKind
from simulator.faults import AnswerWith, Fault, Match
from simulator.service_process import SECRET, free_port
from simulator.stage import Stage

SCRIPT = Path(__file__).parents[2] / "scripts" / "send-event"
KEYS = (
    "plain.txt",
    'with "quotes".txt',
    "back\\slash.txt",
    "été 中 \u201b.txt",
    "a b+c%2F&[1]{2}.txt",
    "'$HOME' `id`.txt",
)

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="this machine has no curl")


def send(
    *arguments: str,
    secret: str | None = SECRET,
    path: str = os.environ["PATH"],
    script: Path = SCRIPT,
    **variables: str,
) -> tuple[int, str]:
    """The script's exit code, and what it says."""
    secrets = {} if secret is None else {"WEBHOOK_SECRET": secret}
    done = subprocess.run(
        [script, *arguments],
        env={"PATH": path, **secrets, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


@dataclass(slots=True)
class Listener:
    """Answers every request with STATUS, and keeps what it was sent."""

    status: int
    url: str = ""
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)


@contextmanager
def listening(status: int = 204) -> Iterator[Listener]:
    """A listener on loopback."""
    listener = Listener(status)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            listener.requests.append((self.path, self.headers["Authorization"], body))
            self.send_response(listener.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        listener.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield listener
        server.shutdown()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The script in a folder laid out like the project, whose .env is the test's own."""
    (tmp_path / "scripts").mkdir()
    return Path(shutil.copy(SCRIPT, tmp_path / "scripts"))


@pytest.fixture
def stage(common: Stage) -> Stage:
    """One for all tests here, empty when each of them begins."""
    return common


def test_an_object_is_mirrored_on_demand_whatever_its_key(stage: Stage) -> None:
    stage.minio.pause()
    for name in KEYS:
        stage.put(f"administration/{name}", name.encode())
        code, said = send("--url", stage.service.url, f"lycee/administration/{name}")
        assert code == 0, said
        assert said.startswith(("204: settled", "202: recorded"))
    stage.service.wait_until_idle()

    assert sorted(stage.graph.content(path) for path, size in stage.graph.tree().items() if size is not None) == sorted(
        name.encode() for name in KEYS
    )


def test_a_removal_is_mirrored_on_demand(stage: Stage) -> None:
    stage.put("administration/note.txt", b"x")
    stage.settle()
    stage.minio.pause()
    stage.delete("administration/note.txt")
    code, said = send("--removed", "--url", f"{stage.service.url}/", "lycee/administration/note.txt")
    stage.service.wait_until_idle()

    assert code == 0, said
    assert [path for path, size in stage.graph.tree().items() if size is not None] == []


def test_an_answer_that_is_not_final_shows_where_the_object_stands(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(settings={"SYNC_WAIT_SECONDS": "0"})
    stage.begin()
    stage.graph.add_fault(Fault(Match(CallKind.PUT_CONTENT), AnswerWith(423), times=None))
    stage.minio.pause()
    stage.put("administration/note.txt", b"x")
    code, said = send("--url", stage.service.url, "lycee/administration/note.txt")
    first, _, body = said.partition("\n")

    assert (code, first) == (0, "202: recorded, but not settled yet.")
    assert json.loads(body)["records"][0]["state"] == "waiting"


def test_a_wrong_secret_is_said(stage: Stage) -> None:
    code, said = send("--url", stage.service.url, "lycee/administration/note.txt", secret="wrong")

    assert code == 1
    assert said.startswith("403: the proxy has another WEBHOOK_SECRET.\n")


@pytest.mark.parametrize(
    ("status", "code", "meaning"),
    [
        (200, 0, "200: see what it says"),
        (401, 1, "401: no token arrived"),
        (404, 1, "404: that is not the proxy's webhook"),
        (503, 1, "503: the proxy cannot write its journal"),
        (500, 1, "500: see what it says"),
    ],
)
def test_every_answer_has_its_meaning(status: int, code: int, meaning: str) -> None:
    with listening(status) as listener:
        ended, said = send("--url", listener.url, "lycee/a.txt")

    assert ended == code
    assert said.startswith(meaning)


def test_a_service_that_is_not_there_is_said() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    code, said = send("--url", url, "lycee/a.txt")

    assert code == 1
    assert f"000: there is no answer from {url}.\n" in said


def test_the_secret_is_no_argument_of_any_program_and_is_not_printed(tmp_path: Path) -> None:
    """Every program that is called notes its arguments first."""
    for name in ("curl", "sed", "tr", "cat", "tail"):
        noting = f'#!/bin/sh\nprintf "%s\\n" "$0" "$@" >>"{tmp_path}/calls"\nexec {shutil.which(name)} "$@"\n'
        (tmp_path / name).write_text(noting)
        (tmp_path / name).chmod(0o755)
    with listening() as listener:
        code, said = send("--url", listener.url, "lycee/a.txt", path=f"{tmp_path}:{os.environ['PATH']}")
    calls = (tmp_path / "calls").read_text()

    assert code == 0, said
    assert listener.requests[0][1] == f"Bearer {SECRET}"
    assert "/curl\n" in calls
    assert SECRET not in calls + said


def test_a_web_proxy_does_not_get_to_see_the_secret() -> None:
    with listening() as listener, listening() as web_proxy:
        code, said = send("--url", listener.url, "lycee/a.txt", http_proxy=web_proxy.url, ALL_PROXY=web_proxy.url)

    assert code == 0, said
    assert (len(listener.requests), len(web_proxy.requests)) == (1, 0)


def test_a_secret_may_hold_quotes_and_backslashes() -> None:
    with listening() as listener:
        code, said = send("--url", listener.url, "lycee/a.txt", secret="a\"b\\c'd$e")

    assert code == 0, said
    assert listener.requests[0][:2] == ("/s3event", "Bearer a\"b\\c'd$e")


@pytest.mark.parametrize(
    "line", ["WEBHOOK_SECRET=word", "WEBHOOK_SECRET = x\nWEBHOOK_SECRET='word' # why\r", 'WEBHOOK_SECRET= "word"']
)
def test_the_secret_may_stand_in_the_env_file(project: Path, line: str) -> None:
    (project.parents[1] / ".env").write_text(f"#WEBHOOK_SECRET=old\n{line}\nWEBHOOK_SECRET_PREVIOUS=other\n")
    with listening() as listener:
        code, said = send("--url", listener.url, "lycee/a.txt", secret=None, script=project)

    assert code == 0, said
    assert listener.requests[0][1] == "Bearer word"


@pytest.mark.parametrize("where", ["environment", "env file"])
def test_the_secret_may_stand_in_a_file_of_its_own(project: Path, tmp_path: Path, where: str) -> None:
    (tmp_path / "secret").write_text("word\r\n")
    variables = {"WEBHOOK_SECRET_FILE": f"{tmp_path}/secret"}
    if where == "env file":
        (tmp_path / ".env").write_text(f"WEBHOOK_SECRET_FILE={variables.pop('WEBHOOK_SECRET_FILE')}\n")
    with listening() as listener:
        code, said = send("--url", listener.url, "lycee/a.txt", secret=None, script=project, **variables)

    assert code == 0, said
    assert listener.requests[0][1] == "Bearer word"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "give the object as BUCKET/KEY"),
        (["lycee"], "give the object as BUCKET/KEY"),
        (["/a.txt"], "give the object as BUCKET/KEY"),
        (["--url"], "give the object as BUCKET/KEY"),
        (["lycee/a.txt", "b.txt"], "give one BUCKET/KEY, in quotes"),
        (["lycee/a\nb.txt"], "a key with control characters"),
        (["--delete", "lycee/a.txt"], "what is --delete? Usage:"),
    ],
)
def test_wrong_usage_is_answered_by_one_sentence(arguments: list[str], sentence: str) -> None:
    code, said = send(*arguments)

    assert code == 2
    assert said.startswith(f"scripts/send-event: {sentence}")
    assert said.count("\n") == 1


@pytest.mark.parametrize("variables", [{}, {"WEBHOOK_SECRET_FILE": "/nonexistent/secret"}])
def test_a_missing_secret_is_said(project: Path, variables: dict[str, str]) -> None:
    code, said = send("lycee/a.txt", secret=None, script=project, **variables)

    assert code == 2
    assert "WEBHOOK_SECRET" in said.splitlines()[-1]
