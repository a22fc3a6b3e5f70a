"""What a soak is played on: Graph, MinIO and the service, of which every log line is kept across its deaths."""

import json
import os
import signal
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from subprocess import Popen, TimeoutExpired
from types import TracebackType
from typing import Self

from simulator.graph_server import GraphSimulator
from simulator.items import StoredItem
from simulator.minio_standin import MinioStandin, StandinOptions
from simulator.options import SimulatorOptions
from simulator.service_process import SECRET, ServiceProcess
from simulator.stage import ALLOWED_PREFIXES
from soak import keys
from soak.tally import Tally

_SETTINGS = {
    "ALLOWED_PREFIXES": ALLOWED_PREFIXES,
    "BUCKET_AS_FOLDER": "true",
    "CHUNK_MIB": "2.5",
    "DELETE_GRACE_SECONDS": "0.3",
}

_SESSION_IDLE_SECONDS = 30.0
"""Sooner than SharePoint's quarter of an hour, so that sessions expire while the soak runs."""


class Service(ServiceProcess):
    """The service, whose log lines of all lives are in `history`."""

    def __init__(self, settings: Mapping[str, str], *, data_dir: Path) -> None:
        super().__init__(settings, data_dir=data_dir)
        self.history: list[str] = []

    def kill(self) -> None:
        """End all its processes at once with SIGKILL, if there are any."""
        if self.is_running():
            super().kill()

    def kill_worker(self) -> bool:
        """End the process that serves with SIGKILL, and leave gunicorn's master; False when there is none just now."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        with suppress(OSError):
            for child in children.read_text(encoding="ascii").split():
                os.kill(int(child), signal.SIGKILL)
                return True
        return False

    def end(self, patience: float) -> None:
        """Ask it to stop, and kill what is still there after PATIENCE seconds, as Docker does."""
        try:
            self.stop(patience)
        except TimeoutExpired:
            self.kill()

    def _collect(self, process: Popen[str]) -> None:
        for line in process.stdout or ():
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self.history.append(self._lines[-1])
                self._changed.notify_all()


class Ground:
    """Everything in FOLDER, on loopback; a context manager. The service is not started yet."""

    def __init__(self, folder: Path) -> None:
        self.tally = Tally(self._item)
        self.graph = GraphSimulator(
            options=SimulatorOptions(session_idle_seconds=_SESSION_IDLE_SECONDS), listener=self.tally.note
        )
        self.minio = MinioStandin(
            options=StandinOptions(
                buckets=(keys.PLAIN_BUCKET,), versioned_buckets=(keys.VERSIONED_BUCKET,), queue_dir=folder / "events"
            )
        )
        self._folder = folder
        self._running = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as running:
            running.enter_context(self.graph)
            running.enter_context(self.minio)
            settings = {**self.graph.environment(), **self.minio.environment(), **_SETTINGS}
            self.service = Service(settings, data_dir=self._folder / "data")
            running.callback(self.service.kill)
            self._aim_minio()
            self._running = running.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def _item(self, path: str) -> StoredItem | None:
        return self.graph.item(path)

    def _aim_minio(self) -> None:
        self.minio.notify(url=f"{self.service.url}/s3event", token=SECRET)
        for bucket in keys.BUCKETS:
            for prefix in (*keys.FOLDERS, keys.ANNOUNCED_ONLY):
                self.minio.add_rule(bucket, prefix=prefix)


def lines_about(log: Iterable[str], bucket: str, key: str) -> list[str]:
    """The lines of LOG that are about one object."""
    parsed = ((line, json.loads(line)) for line in log if line.startswith("{"))
    return [line for line, said in parsed if (said.get("bucket"), said.get("key")) == (bucket, key)]
