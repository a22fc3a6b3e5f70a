"""Runs the service as an administrator does, by scripts/serve, and keeps what it logs."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from simulator.secrecy import readable_journal

ROOT = Path(__file__).resolve().parents[2]
SECRET = "a-webhook-secret-for-tests"


class ServiceProcess:
    """A running sharepoint-proxy with SETTINGS over its environment; a context manager. COMMAND names the script that runs it."""

    def __init__(
        self,
        settings: Mapping[str, str],
        *,
        data_dir: Path,
        port: int | None = None,
        command: Sequence[str] = ("serve",),
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data_dir = data_dir
        self._settings = {"WEBHOOK_SECRET": SECRET, "DATA_DIR": str(data_dir), "PORT": str(self.port), **settings}
        self._command = command
        self._process: subprocess.Popen[str] | None = None
        self._lines: list[str] = []
        self._earlier_lines: list[str] = []
        self._answers: list[str] = []
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id of gunicorn's master."""
        if self._process is None:
            raise RuntimeError("the service was not started")
        return self._process.pid

    def start(self, *, wait: bool = True) -> None:
        """Start it; with WAIT return when it is ready to mirror."""
        self._process = subprocess.Popen(
            [ROOT / "scripts" / self._command[0], *self._command[1:]],
            env=_environment(self._settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._collect, args=(self._process,), daemon=True).start()
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self, timeout: float = 30.0) -> None:
        """Return when a line of this start says that the library is found."""
        self.wait_for_line(lambda line: line.get("event") == "startup", timeout)

    def wait_for_line(self, predicate: Callable[[dict[str, Any]], bool], timeout: float = 20.0) -> dict[str, Any]:
        """The first log line, past or coming, that satisfies PREDICATE; raises TimeoutError with the output so far."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                for line in self.log():
                    if predicate(line):
                        return line
                left = deadline - time.monotonic()
                if left <= 0 or not self.is_running():
                    raise TimeoutError("no such line in the service's output:\n" + "\n".join(self._lines[-30:]))
                self._changed.wait(min(left, 1.0))

    def wait_until_idle(self, timeout: float = 30.0) -> None:
        """Return when no key waits or is worked on; each outcome writes a log line, after which the journal is looked at."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while (unsettled := self.unsettled()) and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(min(left, 1.0))
        if unsettled:
            raise TimeoutError(f"still not settled: {unsettled[:5]}\n" + "\n".join(self._lines[-20:]))

    def unsettled(self) -> list[tuple[str, str]]:
        """The keys (bucket, key) in the journal that are neither settled nor parked."""
        return [(bucket, key) for bucket, key, state in self.journal() if state == "waiting"]

    def journal(self) -> list[tuple[str, str, str]]:
        """All rows of the journal: bucket, key, state."""
        with closing(sqlite3.connect(f"file:{self.data_dir / 'journal.db'}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT bucket, key, state FROM changes ORDER BY due_at").fetchall()

    def log(self) -> list[dict[str, Any]]:
        """All JSON lines so far."""
        with self._changed:
            return [json.loads(line) for line in self._lines if line.startswith("{")]

    def output(self) -> str:
        """Everything it wrote on stdout and stderr since it was last killed."""
        with self._changed:
            return "\n".join(self._lines)

    def told(self) -> dict[str, str]:
        """Everything that it ever told anybody: on stdout and stderr, in answers to `post` and `get`, and in its journal."""
        with self._changed:
            written = "\n".join([*self._earlier_lines, *self._lines])
        return {
            "output": written,
            "answers": "\n".join(self._answers),
            "journal": readable_journal(self.data_dir),
        }

    def is_running(self) -> bool:
        """True until the process ends."""
        return self._process is not None and self._process.poll() is None

    def post(self, body: object, *, token: str = SECRET, timeout: float = 60.0) -> requests.Response:
        """Post an event as an administrator with curl would."""
        headers = {"Authorization": f"Bearer {token}"}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._noted(requests.post(f"{self.url}/s3event", data=data, headers=headers, timeout=timeout))

    def get(self, path: str) -> requests.Response:
        """Read a page."""
        return self._noted(requests.get(self.url + path, timeout=10))

    def memory_peak_bytes(self) -> int:
        """The largest resident set so far of any process of the service, as the kernel counted it."""
        return max(peak_bytes(pid) for pid in family(self.pid))

    def wait(self, timeout: float = 40.0) -> int:
        """The exit code, once it has ended by itself."""
        return 0 if self._process is None else self._process.wait(timeout)

    def stop(self, timeout: float = 40.0) -> int:
        """Ask it to stop as Docker does, with SIGTERM; the exit code."""
        if self._process is None:
            return 0
        if self.is_running():
            self._process.terminate()
        return self._process.wait(timeout)

    def kill(self) -> None:
        """End all its processes at once with SIGKILL, as a power cut would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        with self._changed:
            self._earlier_lines += self._lines
            self._lines.clear()

    def _noted(self, answer: requests.Response) -> requests.Response:
        self._answers.append(f"{answer.headers}\n{answer.text}")
        return answer

    def _collect(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self._changed.notify_all()


def free_port() -> int:
    """A port that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The settings over what any process needs, and nothing of the caller's own configuration."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "NO_INSTALL": "1", **settings}


def family(master: int) -> list[int]:
    """The process MASTER and its children."""
    children = Path(f"/proc/{master}/task/{master}/children").read_text(encoding="ascii")
    return [master, *map(int, children.split())]


def peak_bytes(pid: int) -> int:
    """The largest resident memory of the process so far, as the kernel counted it since its program was started."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
