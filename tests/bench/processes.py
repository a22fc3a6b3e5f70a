"""Processes that a benchmark starts, and what the kernel says of them: CPU time and memory."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from simulator.service_process import ROOT

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_STOP_SECONDS = 10.0
_KEPT = ("PATH", "HOME", "LANG")


class Helper:
    """`python -m MODULE ARGUMENTS` beside this process; `settings` holds what it prints as shell lines up to that of LAST."""

    def __init__(self, module: str, *arguments: str, last: str) -> None:
        self._name = f"python -m {module}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env=plain_environment(
                {"PYTHONPATH": os.pathsep.join((str(ROOT / "sharepoint-proxy"), str(ROOT / "tests")))}
            ),
        )
        self.settings: dict[str, str] = {}
        while last not in self.settings:
            self._read_setting()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def _read_setting(self) -> None:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError(f"{self._name} ended before it was ready.")
        (assignment,) = shlex.split(line.removeprefix("export "))
        name, _, value = assignment.partition("=")
        self.settings[name] = value


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that ran to its end: wall and CPU time in seconds, the largest resident memory in bytes, what it printed."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str


def plain_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """SETTINGS over what any process needs, and nothing of the caller's own configuration."""
    return {**{name: os.environ[name] for name in _KEPT if name in os.environ}, **settings}


class Program:
    """COMMAND, started with SETTINGS, its stdout and stderr in the file OUTPUT."""

    def __init__(self, command: Sequence[str], settings: Mapping[str, str], *, output: Path) -> None:
        self._name = f"{Path(command[0]).name} {command[1]}"
        self._output = output
        self._began = time.perf_counter()
        with output.open("wb") as stream:
            self._process = subprocess.Popen(
                command, env=plain_environment(settings), stdin=subprocess.DEVNULL, stdout=stream, stderr=stream
            )

    def ended(self) -> Ended:
        """Wait for its end; RuntimeError with what it printed when it failed."""
        # The kernel's own account of this child alone.
        _, status, usage = os.wait4(self._process.pid, 0)
        seconds = time.perf_counter() - self._began
        self._process.returncode = os.waitstatus_to_exitcode(status)
        said = self._output.read_text(encoding="utf-8", errors="replace")
        if self._process.returncode != 0:
            raise RuntimeError(f"{self._name} ended with {self._process.returncode}: {said[-2000:]}")
        return Ended(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, said)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()


def cpu_seconds(pids: Iterable[int]) -> float:
    """The CPU time that PIDS have used so far, in their own code and in the kernel."""
    # After the name, which is in brackets and may hold anything, come the state and the third to the last fields.
    stats = [Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split() for pid in pids]
    return sum(int(fields[11]) + int(fields[12]) for fields in stats) / _TICKS_PER_SECOND
