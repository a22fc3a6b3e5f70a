"""Runs a real MinIO server with the interface of the stand-in, when the machine has one.

Untried: it is written from MinIO's documentation and source; no binary was at hand. MINIO_BIN names one, else PATH is searched.
"""

import io
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import requests
from minio import MinioAdmin
from minio.commonconfig import ENABLED
from minio.credentials.providers import StaticProvider
from minio.notificationconfig import NotificationConfig, PrefixFilterRule, QueueConfig, SuffixFilterRule
from minio.versioningconfig import VersioningConfig

from simulator.minio_access import MinioAccess
from simulator.minio_relay import Relay
from simulator.minio_rules import KEYWORDS, PUT_AND_DELETE, WEBHOOK_ARN
from simulator.minio_sender import Target
from simulator.minio_server import HOST
from simulator.minio_standin import DEFAULTS, MinioStandin, StandinOptions, move
from simulator.minio_store import SYNTHETIC_PART_BYTES, synthetic_bytes

START_SECONDS = 60.0
STOP_SECONDS = 10.0
_POLL_SECONDS = 0.1
_POLICY = "sharepoint-proxy"


def find_minio(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The MinIO server of this machine, or None."""
    found = environ.get("MINIO_BIN") or shutil.which("minio", path=environ.get("PATH"))
    return Path(found) if found else None


def standin_or_minio(*, options: StandinOptions = DEFAULTS) -> "MinioStandin | RealMinio":
    """A real server if there is one, else the stand-in; both begin with ``start`` or a ``with`` block."""
    binary = find_minio()
    return RealMinio(binary, options=options) if binary else MinioStandin(options=options)


class RealMinio(MinioAccess):
    """A MinIO server as a process, with a queue directory and MINIO_API_SYNC_EVENTS; see MinioStandin for the methods.

    It has no faults and no latency, and keeps MinIO's own intervals. Its data is gone after the ``with`` block.
    """

    def __init__(self, binary: Path, *, options: StandinOptions = DEFAULTS) -> None:
        super().__init__(buckets=(*options.buckets, *options.versioned_buckets))
        self.options = options
        self._binary = binary
        self._folder = Path(tempfile.mkdtemp(prefix="minio-"))
        self._queue_dir = options.queue_dir or self._folder / "queue"
        self._port = options.port or _free_port()
        self._relay = Relay(self._log, answer_seconds=options.answer_seconds)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._relay.start()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._relay.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def endpoint(self) -> str:
        """The URL of the S3 API."""
        return f"http://{HOST}:{self._port}"

    def start(self) -> None:
        """Start the server and wait until it is healthy; raises TimeoutError or RuntimeError with its output."""
        for folder in (self._folder / "data", self._queue_dir):
            folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command(), env=self._settings(), stdout=log, stderr=log)
        self._await_health(self._process)
        self._prepare()

    def stop(self) -> None:
        """End the process; objects and queued events stay on disk."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def notify(self, *, url: str, token: str) -> None:
        """Send events to this webhook from now on."""
        self._relay.aim(Target(url, token))

    def add_rule(
        self, bucket: str, *, prefix: str = "", suffix: str = "", events: frozenset[str] = PUT_AND_DELETE
    ) -> None:
        """Raise events for a bucket, as ``mc event add`` does."""
        client = self.client()
        present = client.get_bucket_notification(bucket).queue_config_list or []
        rule = QueueConfig(
            queue=WEBHOOK_ARN,
            events=[KEYWORDS[event] for event in sorted(events)],
            prefix_filter_rule=PrefixFilterRule(prefix) if prefix else None,
            suffix_filter_rule=SuffixFilterRule(suffix) if suffix else None,
        )
        client.set_bucket_notification(bucket, NotificationConfig(queue_config_list=[*present, rule]))

    def pause(self) -> None:
        """Let events pile up in the queue directory."""
        self._relay.pause()

    def resume(self) -> None:
        """Deliver what has piled up."""
        self._relay.resume()

    def drain(self, timeout: float = 10.0) -> None:
        """Wait until the queue directory is empty; raises TimeoutError."""
        until = time.monotonic() + timeout
        while any(self._queue_dir.rglob("*.event")):
            if time.monotonic() > until:
                raise TimeoutError(f"events are still in {self._queue_dir} after {timeout} s")
            time.sleep(_POLL_SECONDS)

    def put_synthetic(self, bucket: str, key: str, *, size: int, seed: int) -> None:
        """Upload made-up content of any size, see ``synthetic_bytes``."""
        content = io.BufferedReader(_Synthetic(size=size, seed=seed))
        self.client().put_object(bucket, key, content, size, part_size=SYNTHETIC_PART_BYTES)

    def rename(self, bucket: str, source: str, target: str) -> None:
        """Move an object or a folder as ``mc mv`` does."""
        move(self.client(), bucket, source, target)

    def _command(self) -> list[str]:
        console = f"{HOST}:{_free_port()}"
        address = f"{HOST}:{self._port}"
        return [
            str(self._binary),
            "server",
            str(self._folder / "data"),
            "--address",
            address,
            "--console-address",
            console,
        ]

    def _settings(self) -> dict[str, str]:
        target = WEBHOOK_ARN.split(":")[-2]
        return {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self._folder),
            "MINIO_ROOT_USER": self.root_user,
            "MINIO_ROOT_PASSWORD": self.root_password,
            "MINIO_API_SYNC_EVENTS": "on",
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            f"MINIO_NOTIFY_WEBHOOK_ENABLE_{target}": "on",
            f"MINIO_NOTIFY_WEBHOOK_ENDPOINT_{target}": self._relay.url,
            f"MINIO_NOTIFY_WEBHOOK_QUEUE_DIR_{target}": str(self._queue_dir.resolve()),
        }

    def _await_health(self, process: subprocess.Popen[bytes]) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if process.poll() is not None:
                raise RuntimeError(f"{self._binary} ended at once: {(self._folder / 'log').read_text()[-2000:]}")
            with suppress(OSError):
                if requests.get(f"{self.endpoint}/minio/health/cluster", timeout=2).ok:
                    return
            time.sleep(_POLL_SECONDS)
        raise TimeoutError(f"{self._binary} is not healthy after {START_SECONDS} s")

    def _prepare(self) -> None:
        client = self.client()
        for bucket in self.buckets:
            if not client.bucket_exists(bucket):
                client.make_bucket(bucket)
        for bucket in self.options.versioned_buckets:
            client.set_bucket_versioning(bucket, VersioningConfig(ENABLED))
        admin = MinioAdmin(
            endpoint=urlsplit(self.endpoint).netloc,
            credentials=StaticProvider(self.root_user, self.root_password),
            secure=False,
        )
        admin.policy_add(_POLICY, policy=_reading(self.buckets))
        admin.user_add(self.reader_key, self.reader_secret)
        admin.policy_set(_POLICY, user=self.reader_key)


class _Synthetic(io.RawIOBase):
    """Made-up content as a file that is read from its beginning to its end."""

    def __init__(self, *, size: int, seed: int) -> None:
        self._size = size
        self._seed = seed
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # the buffer's type has no name before Python 3.12
        piece = synthetic_bytes(self._seed, self._at, min(len(buffer), self._size - self._at))
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def _reading(buckets: tuple[str, ...]) -> dict[str, object]:
    """A policy that allows to read and list, as the service needs it."""
    arns = [f"arn:aws:s3:::{bucket}" for bucket in buckets]
    listing = [
        *("s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketLocation"),
        *("s3:GetBucketVersioning", "s3:GetBucketNotification"),
    ]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": listing, "Resource": arns},
            {
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:GetObjectVersion"],
                "Resource": [f"{arn}/*" for arn in arns],
            },
        ],
    }


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])
