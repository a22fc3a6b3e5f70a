"""The whole stage: the Graph simulator, the MinIO stand-in (or MinIO itself) and the service between them."""

import io
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from simulator.calls import Call
from simulator.graph_server import GraphSimulator
from simulator.minio_binary import RealMinio
from simulator.minio_standin import MinioStandin, StandinOptions
from simulator.options import SimulatorOptions
from simulator.secrecy import leaks, secret_settings
from simulator.service_process import SECRET, ServiceProcess

BUCKET = "lycee"
PREFIXES = ("administration/", "bts-sio/", "archives/2024/")
ALLOWED_PREFIXES = "administration/,bts-sio/,archives/2024/=Archives/2024/"
PART_BYTES = 5 * 1024 * 1024


class Stage:
    """Servers on loopback in FOLDER, the service by scripts/serve; SETTINGS are added to its environment.

    SERVER is used instead of a stand-in made with the options MINIO.
    """

    def __init__(
        self,
        folder: Path,
        *,
        settings: Mapping[str, str] | None = None,
        graph: SimulatorOptions | None = None,
        minio: StandinOptions | None = None,
        server: MinioStandin | RealMinio | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.graph = GraphSimulator(options=graph or SimulatorOptions())
        standin = minio or StandinOptions(queue_dir=folder / "events")
        # A real server does all that the stand-in does but for its faults.
        self.minio = cast("MinioStandin", server or MinioStandin(options=standin))
        self._settings = settings or {}
        self._running = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as running:
            running.enter_context(self.graph)
            # MinIO ends first: while its connection is kept alive a stopping gunicorn waits for a last request on it.
            after_minio = running.enter_context(ExitStack())
            running.enter_context(self.minio)
            self.service = ServiceProcess(self.environment(), data_dir=self.folder / "data")
            after_minio.callback(self.service.stop)
            self._aim_minio()
            self._running = running.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()
        if kind is None:
            self.refuse_leaks(self.service)

    def refuse_leaks(self, service: ServiceProcess) -> None:
        """AssertionError if SERVICE told anybody a secret, whatever was played here."""
        ours = (SECRET, self.minio.root_password, *secret_settings(self.environment()))
        found = leaks((*ours, *self.graph.secrets()), service.told())
        if found:
            raise AssertionError(f"the service told secrets: {found}")

    def _aim_minio(self) -> None:
        self.minio.notify(url=f"{self.service.url}/s3event", token=SECRET)
        for bucket in self.minio.buckets:
            for prefix in PREFIXES:
                self.minio.add_rule(bucket, prefix=prefix)
        self._client = self.minio.client()

    def environment(self) -> dict[str, str]:
        """The service's settings on this stage."""
        return {
            **self.graph.environment(),
            **self.minio.environment(),
            "ALLOWED_PREFIXES": ALLOWED_PREFIXES,
            "DELETE_GRACE_SECONDS": "0.3",
            "RECONCILE_HOURS": "0",
            **self._settings,
        }

    def begin(self) -> None:
        """Start the service and forget the calls of its start."""
        self.service.start()
        self.graph.clear_calls()

    def put(self, key: str, content: bytes, *, bucket: str = BUCKET, **options: Any) -> None:
        """Store an object; above 5 MiB it is a multipart upload."""
        self._client.put_object(bucket, key, io.BytesIO(content), len(content), part_size=PART_BYTES, **options)

    def delete(self, key: str, *, bucket: str = BUCKET, version: str | None = None) -> None:
        """Remove an object, or one version of it."""
        self._client.remove_object(bucket, key, version_id=version)

    def settle(self, timeout: float = 30.0) -> None:
        """Wait until every event is delivered and every key that the service marked is settled or parked."""
        self.minio.drain(timeout)
        self.service.wait_until_idle(timeout)

    def calls(self) -> list[Call]:
        """The calls at Graph since the last time this was asked."""
        made = self.graph.calls()
        self.graph.clear_calls()
        return made

    def kinds(self) -> list[str]:
        """The kinds of the calls at Graph since the last time they were asked for, by name."""
        return [call.kind.name for call in self.calls()]
