"""Stands in for a MinIO server: S3 over HTTP on loopback, and webhook events as MinIO sends them.

Storage is moto's; events, queue directory, users, reads and MinIO's own rules are in the neighbouring modules.
From a shell: ``python -m simulator minio --help``.
"""

import argparse
import shlex
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from minio import Minio
from minio.commonconfig import CopySource
from minio.deleteobjects import DeleteObject

from simulator.minio_access import MinioAccess
from simulator.minio_app import S3Application
from simulator.minio_delivery import Channel, DirectChannel, Pace, QueueChannel
from simulator.minio_events import Event, EventName
from simulator.minio_faults import Faults, ReadFault
from simulator.minio_notifier import Caller, Notifier
from simulator.minio_requests import check_key
from simulator.minio_rules import PUT_AND_DELETE, Rules
from simulator.minio_sender import Delivery, DeliveryLog, Target
from simulator.minio_server import HOST, LoopbackServer
from simulator.minio_store import ObjectStore, object_state

_FOLDER_MOVERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class StandinOptions:
    """How a stand-in is set up; ``queue_dir`` None delivers directly, a ``channel`` otherwise altogether; ``port`` 0 takes a free one.

    The intervals are shorter than MinIO's own 3 s, for tests. ``sync_events`` is MINIO_API_SYNC_EVENTS: without a queue
    directory the S3 answer then waits for the webhook's; with one it always waits for the file.
    """

    buckets: tuple[str, ...] = ("lycee",)
    versioned_buckets: tuple[str, ...] = ()
    port: int = 0
    queue_dir: Path | None = None
    channel: Channel | None = None
    sync_events: bool = True
    retry_seconds: float = 0.2
    idle_seconds: float = 0.0
    answer_seconds: float = 60.0


DEFAULTS = StandinOptions()


class MinioStandin(MinioAccess):
    """A MinIO server to test against; objects and port outlive a ``stop``, until the end of the ``with`` block."""

    def __init__(self, *, options: StandinOptions = DEFAULTS) -> None:
        super().__init__(buckets=(*options.buckets, *options.versioned_buckets))
        self.options = options
        self._channel = options.channel or _channel(options, self._log)
        self._has_target = False
        self._notifier = Notifier(Rules(), self._save)
        self._faults = Faults()
        self._store = ObjectStore()
        self._server = LoopbackServer(options.port)
        self._users = {self.root_user: True, self.reader_key: False}
        for bucket in self.buckets:
            self._store.create_bucket(bucket, versioned=bucket in options.versioned_buckets)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._store.dispose()

    @property
    def endpoint(self) -> str:
        """The URL of the S3 API, known from the first start on."""
        return f"http://{HOST}:{self._server.port}"

    def start(self) -> None:
        """Serve, and deliver what is left in the queue directory."""
        application = S3Application(store=self._store, notifier=self._notifier, faults=self._faults, users=self._users)
        self._channel.start()
        self._server.start(application)
        self._notifier.endpoint = self.endpoint

    def stop(self) -> None:
        """Break off all connections, as the end of a process does; objects and queued events stay."""
        self._server.stop()
        self._channel.stop()

    def notify(self, *, url: str, token: str) -> None:
        """Send events to this webhook from now on; until the first call no event is raised at all."""
        self._channel.aim(Target(url, token))
        self._has_target = True

    def add_rule(
        self, bucket: str, *, prefix: str = "", suffix: str = "", events: frozenset[str] = PUT_AND_DELETE
    ) -> None:
        """Raise events for a bucket, as ``mc event add`` does: ``events`` are its words put, delete and get."""
        self._notifier.rules.add(bucket, prefix=prefix, suffix=suffix, keywords=events)

    def follow(self, report: Callable[[Delivery], None]) -> None:
        """Report each delivery as it is made, for ever."""
        self._log.follow(report)

    def pause(self) -> None:
        """Let events pile up in the queue directory."""
        self._channel.pause()

    def resume(self) -> None:
        """Deliver what has piled up."""
        self._channel.resume()

    def drain(self, timeout: float = 10.0) -> None:
        """Wait until every event is delivered; raises TimeoutError."""
        self._channel.drain(timeout)

    def put_synthetic(self, bucket: str, key: str, *, size: int, seed: int) -> None:
        """Add an object of any size that takes no memory: its bytes are ``synthetic_bytes(seed, 0, size)``.

        It is announced as a multipart upload; its eTag looks like one, but is made up.
        """
        check_key(key)
        with self._store.lock:
            stored = self._store.put_synthetic(bucket, key, size=size, seed=seed)
            caller = Caller(
                principal=self.root_user,
                source_ip=HOST,
                user_agent="MinIO (linux; amd64) minio-go/v7.0.90 mc",
                request_id=f"{time.time_ns():X}",
            )
            events = self._notifier.events(
                EventName.COMPLETE_MULTIPART_UPLOAD,
                bucket=bucket,
                state=object_state(stored),
                caller=caller,
                content_length="331",
            )
        self._notifier.save(events)

    def rename(self, bucket: str, source: str, target: str) -> None:
        """Move an object as ``mc mv`` does: HEAD, copy, delete; a name ending in ``/`` moves a folder, interleaved."""
        move(self.client(), bucket, source, target)

    def revoke_reader(self) -> None:
        """Let the access key of the read-only user be unknown from now on."""
        self._users.pop(self.reader_key, None)

    def admit_reader(self) -> None:
        """Know that access key again."""
        self._users[self.reader_key] = False

    def fail_reads(self, fault: ReadFault, *, count: int = 1, key: str | None = None) -> None:
        """Let the next reads (GET or HEAD) of a key, or of any, fail."""
        self._faults.plan(fault, count=count, key=key)

    def heal(self) -> None:
        """Drop all faults and the latency, and set the clock right."""
        self._faults.clear()

    @property
    def latency(self) -> float:
        """Seconds that every S3 answer takes longer."""
        return self._faults.latency_seconds

    @latency.setter
    def latency(self, seconds: float) -> None:
        self._faults.latency_seconds = seconds

    @property
    def clock_ahead(self) -> float:
        """Seconds by which the server's clock is fast (below 0: slow), and the root user's, who is on its machine.

        Of the read-only user it takes no request that is signed for quite another time.
        """
        return self._faults.clock_ahead_seconds

    @clock_ahead.setter
    def clock_ahead(self, seconds: float) -> None:
        self._faults.clock_ahead_seconds = seconds

    def _save(self, event: Event) -> None:
        if self._has_target:
            self._channel.save(event)


def _channel(options: StandinOptions, log: DeliveryLog) -> Channel:
    pace = Pace(
        retry_seconds=options.retry_seconds,
        idle_seconds=options.idle_seconds,
        answer_seconds=options.answer_seconds,
    )
    if options.queue_dir is None:
        return DirectChannel(sync_events=options.sync_events, pace=pace, log=log)
    return QueueChannel(options.queue_dir, pace=pace, log=log)


def move(client: Minio, bucket: str, source: str, target: str) -> None:
    """Rename an object, or with names that end in ``/`` a folder, by the requests of ``mc mv``."""
    if not source.endswith("/"):
        _move_object(client, bucket, source, target)
        return
    names = [str(each.object_name) for each in client.list_objects(bucket, prefix=source, recursive=True)]
    with ThreadPoolExecutor(_FOLDER_MOVERS) as pool:
        list(pool.map(lambda name: _move_object(client, bucket, name, target + name.removeprefix(source)), names))


def _move_object(client: Minio, bucket: str, source: str, target: str) -> None:
    client.copy_object(bucket, target, CopySource(bucket, source))
    # mc deletes in bulk, also a single object.
    for error in client.remove_objects(bucket, [DeleteObject(source)]):
        raise RuntimeError(f"cannot delete {error.name}: {error.message}")


def main(argv: Sequence[str]) -> int:
    """Serve until interrupted: print the settings to export, then a line for each delivery."""
    arguments = _parser().parse_args(argv)
    # So that the temporary queue directory goes, too, when the process is terminated.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="minio-standin-") as scratch, suppress(KeyboardInterrupt):
        _serve(arguments, queue_dir=arguments.queue_dir or Path(scratch))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="simulator minio", description=__doc__, allow_abbrev=False)
    parser.add_argument("--port", type=int, default=9000, help="of the S3 API; 0 takes a free one")
    parser.add_argument("--bucket", action="append", help="to create; may be repeated (default: lycee)")
    parser.add_argument("--versioned", action="store_true", help="enable versioning in the buckets")
    parser.add_argument("--queue-dir", type=Path, help="for events that wait (default: a temporary one)")
    parser.add_argument("--webhook", required=True, metavar="URL", help="where events go")
    parser.add_argument("--token", required=True, help="for the webhook's Authorization header")
    parser.add_argument(
        "--prefix", action="append", help="of the keys that raise events; may be repeated (default: all)"
    )
    parser.add_argument("--retry-seconds", type=float, default=3.0, help="between attempts (default: MinIO's 3)")
    parser.add_argument("--idle-seconds", type=float, default=3.0, help="of MinIO's ticker (default: 3)")
    return parser


def _serve(arguments: argparse.Namespace, *, queue_dir: Path) -> None:
    buckets = tuple(arguments.bucket or ["lycee"])
    options = StandinOptions(
        buckets=() if arguments.versioned else buckets,
        versioned_buckets=buckets if arguments.versioned else (),
        port=arguments.port,
        queue_dir=queue_dir,
        retry_seconds=arguments.retry_seconds,
        idle_seconds=arguments.idle_seconds,
    )
    with MinioStandin(options=options) as standin:
        standin.notify(url=arguments.webhook, token=arguments.token)
        for bucket in buckets:
            for prefix in arguments.prefix or [""]:
                standin.add_rule(bucket, prefix=prefix)
        for name, value in standin.environment().items():
            _print(f"export {name}={shlex.quote(value)}")
        standin.follow(lambda delivery: _print(_line(delivery)))


def _line(delivery: Delivery) -> str:
    answer = delivery.status or delivery.error
    return (
        f"{delivery.event_name} {delivery.key} -> {answer} after {delivery.seconds:.2f} s, attempt {delivery.attempt}"
    )


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the command's output
