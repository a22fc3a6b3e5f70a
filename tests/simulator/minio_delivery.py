"""Delivers events to a webhook as MinIO does, through a queue directory or directly.

The behaviour is that of ``internal/event/target/webhook.go`` and ``internal/store`` of minio/minio:

- with a queue directory one worker sends the oldest event first, one request at a time over one kept-alive connection,
  and repeats an event for ever until its answer is 2xx, so that one refused event holds up all later ones;
- without one every event is sent at once, in parallel, a single time, and is lost when that fails.
"""

import itertools
import json
import os
import threading
import uuid
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from simulator.minio_events import Event, EventName
from simulator.minio_sender import DeliveryLog, Sender, Target

DIRECT_WORKERS = 8


class Channel(Protocol):
    """One of MinIO's two ways to deliver."""

    def aim(self, target: Target) -> None:
        """Send to this target from now on."""

    def start(self) -> None:
        """Begin to deliver."""

    def stop(self) -> None:
        """End at once, as a killed server does."""

    def save(self, event: Event) -> None:
        """Take over an event; the S3 client waits for this, as with MINIO_API_SYNC_EVENTS."""

    def pause(self) -> None:
        """Let events pile up."""

    def resume(self) -> None:
        """Deliver what has piled up."""

    def drain(self, timeout: float) -> None:
        """Wait until no event waits; raises TimeoutError after ``timeout`` seconds."""


class QueueDirectory:
    """Events as files ``<uuid>.event``, oldest first by modification time, which outlive a stop.

    Like MinIO's it reads the directory once and then keeps the names in memory.
    """

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._lock = threading.Lock()
        self._modified_ns = {each: each.stat().st_mtime_ns for each in path.glob("*.event")}

    def __len__(self) -> int:
        return len(self._modified_ns)

    def add(self, event: Event) -> None:
        """Write an event; it appears under its name only when it is complete."""
        temporary = self._path / f"{uuid.uuid4()}.tmp"
        temporary.write_bytes(event.body)
        # The clock of a file system is too coarse to keep two events of one millisecond apart.
        os.utime(temporary, ns=(event.raised_ns, event.raised_ns))
        path = temporary.rename(temporary.with_suffix(".event"))
        with self._lock:
            self._modified_ns[path] = event.raised_ns

    def oldest_first(self) -> list[Path]:
        """The files that wait."""
        with self._lock:
            return sorted(self._modified_ns, key=self._modified_ns.__getitem__)

    def read(self, path: Path) -> Event | None:
        """The event of a file; None if it is not one."""
        body = path.read_bytes()
        try:
            said = json.loads(body)
            name = EventName(said["EventName"])
            return Event(name=name, key=said["Key"], body=body, raised_ns=self._modified_ns[path])
        except (ValueError, KeyError, TypeError):
            return None

    def remove(self, path: Path) -> None:
        """Forget an event that is delivered."""
        path.unlink()
        with self._lock:
            del self._modified_ns[path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """MinIO's intervals in seconds; tests shorten them. With ``idle_seconds`` 0 a new event is noticed at once."""

    retry_seconds: float = 3.0
    idle_seconds: float = 3.0
    answer_seconds: float = 60.0


class QueueChannel:
    """Delivers from a queue directory: one event at a time, oldest first, for ever."""

    def __init__(self, directory: Path, *, pace: Pace, log: DeliveryLog) -> None:
        self._directory = QueueDirectory(directory)
        self._pace = pace
        self._log = log
        self._changed = threading.Condition()
        self._running = False
        self._paused = False
        self._sender: Sender | None = None
        self._thread: threading.Thread | None = None

    def aim(self, target: Target) -> None:
        """Send to this target from now on; a request under way to the former one is broken off and repeated."""
        with self._changed:
            former, self._sender = self._sender, Sender(target, answer_seconds=self._pace.answer_seconds)
            self._changed.notify_all()
        if former:
            former.interrupt()

    def start(self) -> None:
        """Begin to deliver, first what an earlier run left in the directory."""
        self._running = True
        self._thread = threading.Thread(target=self._run, name="minio-queue", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End at once: the event under way stays in the directory."""
        with self._changed:
            self._running = False
            self._changed.notify_all()
        while self._thread and self._thread.is_alive():
            # The worker may have been about to connect when it was interrupted, hence the loop.
            if self._sender:
                self._sender.interrupt()
            self._thread.join(0.05)

    def save(self, event: Event) -> None:
        """Write the event to the directory."""
        self._directory.add(event)
        self._announce()

    def pause(self) -> None:
        """Let events pile up."""
        self._paused = True

    def resume(self) -> None:
        """Deliver what has piled up."""
        self._paused = False
        self._announce()

    def drain(self, timeout: float) -> None:
        """Wait until every event is delivered; raises TimeoutError after ``timeout`` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._directory, timeout):
                raise TimeoutError(f"{len(self._directory)} events are still in the queue after {timeout} s")

    def _announce(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _run(self) -> None:
        while self._running:
            for path in self._directory.oldest_first():
                self._deliver(path)
            self._await_tick()

    def _deliver(self, path: Path) -> None:
        event = self._directory.read(path)
        # What cannot be read is dropped, by MinIO too.
        if event is None or self._send(event):
            self._directory.remove(path)
            self._announce()

    def _send(self, event: Event) -> bool:
        """Attempt until the event is delivered; False when the stand-in stops before."""
        for attempt in itertools.count(1):
            sender = self._await_permission()
            if sender is None:
                break
            delivery = sender.send(event, attempt=attempt)
            self._log.add(delivery)
            if delivery.is_delivered:
                return True
            self._sleep(self._pace.retry_seconds)
        return False

    def _await_permission(self) -> Sender | None:
        """The sender, once there is one and deliveries are not paused; None when the stand-in stops."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running or (self._sender and not self._paused))
            return self._sender if self._running else None

    def _await_tick(self) -> None:
        if self._pace.idle_seconds:
            self._sleep(self._pace.idle_seconds)
            return
        with self._changed:
            self._changed.wait_for(lambda: not self._running or self._directory)

    def _sleep(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._running, seconds)


class DirectChannel:
    """Delivers without a queue directory: in parallel, a single attempt, lost on failure."""

    def __init__(self, *, sync_events: bool, pace: Pace, log: DeliveryLog) -> None:
        self._sync_events = sync_events
        self._pace = pace
        self._log = log
        self._target: Target | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._under_way: set[Future[None]] = set()

    def aim(self, target: Target) -> None:
        """Send to this target from now on."""
        self._target = target

    def start(self) -> None:
        """Begin to deliver."""
        self._pool = ThreadPoolExecutor(DIRECT_WORKERS, thread_name_prefix="minio-direct")

    def stop(self) -> None:
        """End; what is not sent yet is lost."""
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def save(self, event: Event) -> None:
        """Send the event, and with MINIO_API_SYNC_EVENTS wait for the answer."""
        if self._pool is None or self._target is None:
            return
        future = self._pool.submit(self._send, event, self._target)
        self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)
        if self._sync_events:
            future.result()

    def pause(self) -> None:
        """Refused: there is no queue."""
        raise RuntimeError("only a queue directory can be paused: give the stand-in a queue_dir")

    def resume(self) -> None:
        """Refused: there is no queue."""
        self.pause()

    def drain(self, timeout: float) -> None:
        """Wait until nothing is under way; raises TimeoutError after ``timeout`` seconds."""
        if wait(list(self._under_way), timeout).not_done:
            raise TimeoutError(f"events are still being sent after {timeout} s")

    def _send(self, event: Event, target: Target) -> None:
        sender = Sender(target, answer_seconds=self._pace.answer_seconds)
        self._log.add(sender.send(event, attempt=1))
        sender.close()
