"""What tests of restores share: the command's work on a stage, and looks at what it did to MinIO, the library and the journal."""

import json
import subprocess
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from sharepoint_proxy import tables
from sharepoint_proxy.database import Database
from sharepoint_proxy.fates import Fate, Restored
from sharepoint_proxy.restore import Restorer
from sharepoint_proxy.restore_parts import make_restorer
from simulator.calls import Call, CallKind
from simulator.minio_standin import MinioStandin
from simulator.rclone_remote import PROGRAM
from simulator.service_process import SECRET
from simulator.stage import BUCKET, Stage

MIB = 1024 * 1024
NOTE = "administration/note.txt"

READING = {
    *(CallKind.OPENID, CallKind.TOKEN, CallKind.SITE, CallKind.DRIVE, CallKind.DRIVES),
    *(CallKind.ITEM_GET, CallKind.CHILDREN, CallKind.DOWNLOAD, CallKind.DOWNLOAD_BYTES, CallKind.COLUMNS),
}
"""The kinds of calls that change nothing in SharePoint."""


class Restores:
    """Restores on STAGE as the command does, with the rights of MinIO's root user unless told otherwise."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._database: Database | None = None
        self.fetched_bytes = 0

    def variables(self, **others: str) -> dict[str, str]:
        """The environment of the command."""
        minio = self.stage.minio
        own = {
            "WEBHOOK_SECRET": SECRET,
            "DATA_DIR": str(self.stage.folder / "data"),
            "RESTORE_ACCESS_KEY": minio.root_user,
            "RESTORE_SECRET_KEY": minio.root_password,
        }
        return {**self.stage.environment(), **own, **others}

    @property
    def database(self) -> Database:
        """The service's journal, from another process than the service's."""
        if self._database is None:
            self._database = Database(self.stage.folder / "data" / "journal.db", schema=tables.SCHEMA)
        return self._database

    def restorer(self, **others: str) -> Restorer:
        """A restorer on the service's journal."""
        return make_restorer(self.variables(**others), database=self.database)

    def run(
        self,
        prefix: str = "",
        *,
        bucket: str = BUCKET,
        to: tuple[str, str] | None = None,
        dry_run: bool = False,
        overwrite: bool = False,
        **others: str,
    ) -> Generator[Restored, None, None]:
        """What the command yields."""
        return self.restorer(**others).run(
            bucket=bucket, prefix=prefix, to=to, dry_run=dry_run, overwrite=overwrite, on_bytes=self._count
        )

    def fates(self, prefix: str = "", **options: Any) -> dict[str, Fate]:
        """What became of each key."""
        return {restored.key: restored.fate for restored in self.run(prefix, **options)}

    def close(self) -> None:
        """Close the journal."""
        if self._database is not None:
            self._database.close()

    def _count(self, count: int) -> None:
        self.fetched_bytes += count


def mirror(stage: Stage, objects: dict[str, bytes], *, bucket: str = BUCKET) -> None:
    """Put OBJECTS, wait until they are in the library, and forget the calls for that."""
    for key, content in objects.items():
        stage.put(key, content, bucket=bucket)
    stage.settle()
    stage.graph.clear_calls()


def lose(minio: MinioStandin, prefix: str = "", *, bucket: str = BUCKET) -> None:
    """Take objects away behind MinIO's back, so that no event tells of it."""
    with minio._store.lock:
        for key in [key for key in minio._store.bucket(bucket).keys if key.startswith(prefix)]:
            minio._store.remove_prefix(bucket, key)


def begun_uploads(stage: Stage, *, bucket: str = BUCKET) -> int:
    """How many multipart uploads MinIO keeps that were neither completed nor aborted."""
    return len(stage.minio._store.bucket(bucket).multiparts)


def writes(stage: Stage) -> list[Call]:
    """The calls since the last time that may have changed the library."""
    return [call for call in stage.calls() if call.kind not in READING]


def downloads(stage: Stage) -> list[int]:
    """The statuses of the downloads since the calls were last forgotten."""
    return [call.status for call in stage.graph.calls() if call.kind is CallKind.DOWNLOAD_BYTES]


def listed_by_rclone(minio: MinioStandin) -> dict[str, str]:
    """The date that rclone shows of each object."""
    remote = {"type": "s3", "provider": "Minio", "endpoint": minio.endpoint, "region": "us-east-1"}
    user = {"access_key_id": minio.root_user, "secret_access_key": minio.root_password}
    environment = {f"RCLONE_CONFIG_M_{name.upper()}": value for name, value in (remote | user).items()}
    command = [str(PROGRAM), "lsjson", "--recursive", "--files-only", f"m:{BUCKET}"]
    done = subprocess.run(command, env={"TZ": "UTC", **environment}, capture_output=True, text=True, check=True)
    return {entry["Path"]: entry["ModTime"] for entry in json.loads(done.stdout)}


@contextmanager
def restores_on(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Restores]:
    """Restores on STAGE, whose certificates this process trusts meanwhile."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", stage.environment()["REQUESTS_CA_BUNDLE"])
    with closing(Restores(stage)) as opened:
        yield opened
