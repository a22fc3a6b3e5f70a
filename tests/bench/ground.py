"""What a work is done on: the simulator of Graph and the bucket as processes of their own, and, started as often as needed, the service."""

import itertools
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from subprocess import TimeoutExpired
from types import TracebackType
from typing import Self

import requests
from measure.senders import graph_is_away
from minio import Minio

from bench.bucket import Batch, Synthetic
from bench.library import PlainLibrary
from bench.peer import Rclone
from bench.posting import body_of, post
from bench.processes import Helper, Program, cpu_seconds
from bench.watch import Watch
from simulator.remote import RemoteSimulator
from simulator.service_process import ROOT, SECRET, ServiceProcess, family, peak_bytes

FOLDER = "bts-sio/"
"""The prefix that is mirrored; each run has a folder of its own below it."""

ACCESS_KEY, SECRET_KEY = "sharepoint-proxy", "sharepoint-proxy-secret"
_ELSEWHERE = Synthetic(key="elsewhere/a.bin", size=1, seed=1, modified=1_770_000_000)
"""An object that is not mirrored."""

_BITS = 8
_STOP_SECONDS = 15.0
_TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The way to Graph: LATENCY of each call in seconds, BANDWIDTH of each stream in bytes a second, resource UNITS a minute."""

    latency: float = 0.0
    bandwidth: float | None = None
    units: int | None = None

    def arguments(self) -> list[str]:
        """The options of the simulator."""
        limits = (
            ("--bandwidth-mbit", self.bandwidth and self.bandwidth * _BITS / 1_000_000),
            ("--resource-units", self.units),
        )
        given = [argument for option, value in limits if value for argument in (option, str(value))]
        return ["--latency", str(self.latency), *given]


class Bucket:
    """The bucket at ENDPOINT, as somebody writes to it."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._session = requests.Session()
        self._session.trust_env = False

    def put(self, *batches: Batch) -> list[Synthetic]:
        """Store all objects of BATCHES; they are returned."""
        self._order("put", json=[batch.as_json() for batch in batches])
        return [each for batch in batches for each in batch.objects()]

    def write(self, each: Synthetic) -> None:
        """Store one object."""
        self._order("write", json=asdict(each))

    def copy(self, source: Synthetic, key: str) -> Synthetic:
        """Copy an object to KEY on the server."""
        copied = replace(source, key=key, modified=int(time.time()))
        self._order("copy", {"source": source.key, "target": key, "modified": str(copied.modified)})
        return copied

    def remove(self, each: Synthetic) -> None:
        """Remove an object."""
        self._order("remove", {"key": each.key})

    def client(self) -> Minio:
        """MinIO's own client of it."""
        host = self.endpoint.removeprefix("http://")
        return Minio(host, access_key=ACCESS_KEY, secret_key=SECRET_KEY, secure=False, region="us-east-1")

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _order(self, name: str, query: Mapping[str, str] | None = None, *, json: object = None) -> None:
        url = f"{self.endpoint}/_bench/{name}"
        self._session.post(url, params=query, json=json, timeout=_TIMEOUT_SECONDS).raise_for_status()


class Ground:
    """Everything but the service, in FOLDER, with LINE as the way to Graph; SETTINGS are what a service has beside its defaults."""

    def __init__(self, folder: Path, line: Line, *, settings: Mapping[str, str] | None = None) -> None:
        self.line = line
        self._folder = folder
        self._settings = settings or {}
        self._numbers = itertools.count(1)
        self._running = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as running:
            options = ("--no-content", "--quiet", *self.line.arguments())
            self.simulator = running.enter_context(Helper("simulator", "graph", *options, last="SITE_PATH"))
            server = running.enter_context(Helper("bench.s3_server", last="MINIO_ENDPOINT"))
            self.graph = RemoteSimulator.of(self.simulator.settings)
            running.callback(self.graph.close)
            self.bucket = Bucket(server.settings["MINIO_ENDPOINT"])
            running.callback(self.bucket.close)
            self.library = self.plain_library()
            running.callback(self.library.close)
            self._running = running.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def plain_library(self) -> PlainLibrary:
        """A client of the library with a connection of its own."""
        return PlainLibrary(self.simulator.settings)

    def settings(self) -> dict[str, str]:
        """The settings of a service: its defaults, but for the reconcile at its start, which would mark what events should."""
        return {
            **self.simulator.settings,
            "MINIO_ENDPOINT": self.bucket.endpoint,
            "MINIO_ACCESS_KEY": ACCESS_KEY,
            "MINIO_SECRET_KEY": SECRET_KEY,
            "ALLOWED_PREFIXES": FOLDER,
            "RECONCILE_HOURS": "0",
            **self._settings,
        }

    def new_prefix(self) -> str:
        """A prefix that nobody has used."""
        return f"{FOLDER}run-{next(self._numbers)}/"

    def new_folder(self) -> Path:
        """A folder on the disk that nobody has used."""
        return self._folder / f"{next(self._numbers)}"

    @contextmanager
    def service(
        self, *, settings: Mapping[str, str] | None = None, data_dir: Path | None = None
    ) -> Iterator["Running"]:
        """A new service with an empty journal, or that in DATA_DIR, ready; it is killed where it does not stop soon."""
        process = ServiceProcess({**self.settings(), **(settings or {})}, data_dir=data_dir or self.new_folder())
        with process_ends(process):
            process.start()
            # Whatever a first request makes a service do is no part of any work.
            post(process.port, [body_of(_ELSEWHERE)], senders=1)
            yield Running(process, self.graph, {**self.settings(), **(settings or {})})

    @contextmanager
    def service_without_graph(self, data_dir: Path) -> Iterator["Running"]:
        """A service with the journal in DATA_DIR that takes events, and reaches neither Entra ID nor Graph."""
        settings = {**self.settings(), **graph_is_away()}
        process = ServiceProcess(settings, data_dir=data_dir)
        with process_ends(process):
            process.start(wait=False)
            process.wait_for_line(lambda line: line["event"] == "not_ready")
            post(process.port, [body_of(_ELSEWHERE)], senders=1)
            yield Running(process, self.graph, settings)

    def rclone(self) -> Rclone:
        """The peer with a configuration of its own, signed in."""
        made = Rclone(
            self.simulator.settings,
            endpoint=self.bucket.endpoint,
            drive_id=self.library.drive_id,
            folder=self.new_folder(),
        )
        made.sign_in()
        return made


@contextmanager
def process_ends(process: ServiceProcess) -> Iterator[None]:
    """Stop PROCESS at the end of the block; what it has still to do is not waited for."""
    try:
        yield
    finally:
        with suppress(TimeoutExpired):
            process.stop(_STOP_SECONDS)
        if process.is_running():
            process.kill()


class Running:
    """A service that is ready; CPU time is counted from here on, or from `reset`."""

    def __init__(self, process: ServiceProcess, graph: RemoteSimulator, settings: Mapping[str, str]) -> None:
        self.process = process
        self.port = process.port
        self._settings = settings
        self._pids = family(process.pid)
        self._graph = graph
        self.watch = self.reset()

    def reset(self) -> Watch:
        """Forget the calls and the CPU time so far."""
        self.watch = Watch(self._graph)
        self._cpu_seconds = cpu_seconds(self._pids)
        return self.watch

    def command(self, *arguments: str) -> Program:
        """Start a command of the console beside it, by `scripts/cli`."""
        data_dir = self.process.data_dir
        ours = {"WEBHOOK_SECRET": SECRET, "DATA_DIR": str(data_dir), "PORT": str(self.port), "NO_INSTALL": "1"}
        command = [str(ROOT / "scripts" / "cli"), *arguments]
        return Program(command, {**self._settings, **ours}, output=data_dir / "command.txt")

    def cpu_seconds(self) -> float:
        """The CPU time of all its processes."""
        return cpu_seconds(self._pids) - self._cpu_seconds

    def peak_bytes(self) -> int:
        """The largest resident memory of each of its processes, added up; what they share is counted for each."""
        return sum(peak_bytes(pid) for pid in self._pids)
