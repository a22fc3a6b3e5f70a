"""The console as an administrator uses it beside the service, with the settings of a stage: in this process, or by `scripts/cli`."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from click.testing import CliRunner

from sharepoint_proxy import cli
from sharepoint_proxy.toolbox import opened
from simulator.service_process import ROOT, SECRET
from simulator.stage import Stage

_KEPT = ("PATH", "HOME", "LANG")


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The answer of a command that was asked for JSON."""
        return json.loads(self.out)


class Command:
    """A command that runs; the end of its `with` block is its own at the latest."""

    def __init__(self, arguments: tuple[str, ...], variables: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [ROOT / "scripts" / "cli", *arguments],
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self.kill()
            self.wait()

    @property
    def pid(self) -> int:
        """Its process id; the shell of `scripts/cli` becomes the command itself."""
        return self._process.pid

    def wait(self, timeout: float = 120.0) -> Said:
        """Its end; raises subprocess.TimeoutExpired after TIMEOUT seconds."""
        out, err = self._process.communicate(timeout=timeout)
        return Said(self._process.returncode, out, err)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End it with SIGKILL, as a power cut would."""
        self._process.kill()


class Console:
    """Runs commands beside the service of STAGE, with SETTINGS added to its environment."""

    def __init__(self, stage: Stage, *, settings: Mapping[str, str] | None = None) -> None:
        self._stage = stage
        self._settings = settings or {}

    def run(self, *arguments: str) -> Said:
        """Run a command to its end in this process: all of it but the start of a process, which takes longer than most commands.

        Its environment and its output are this process's own meanwhile, so that only the main thread may do it.
        """
        assert threading.current_thread() is threading.main_thread()
        hidden = dict.fromkeys(os.environ.keys() - self.variables().keys())
        with CliRunner().isolation(env={**hidden, **self.variables()}) as (out, err, _):
            with opened(os.environ) as toolbox:
                code = cli.run(toolbox, arguments)
            sys.stdout.flush()
            sys.stderr.flush()
        return Said(code, out.getvalue().decode(), err.getvalue().decode())

    def start(self, *arguments: str) -> Command:
        """Begin a command as a process by `scripts/cli`, for a `with` block."""
        return Command(arguments, self.variables())

    def run_alone(self, *arguments: str, timeout: float = 120.0) -> Said:
        """Run a command to its end as a process by `scripts/cli`."""
        with self.start(*arguments) as command:
            return command.wait(timeout)

    def variables(self) -> dict[str, str]:
        """What a command gets: the service's own settings, and nothing of the caller's configuration."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        service = self._stage.service
        ours = {"WEBHOOK_SECRET": SECRET, "DATA_DIR": str(service.data_dir), "PORT": str(service.port)}
        return {**kept, "NO_INSTALL": "1", **ours, **self._stage.environment(), **self._settings}
