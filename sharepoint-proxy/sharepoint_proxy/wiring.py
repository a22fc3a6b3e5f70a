"""Joins the parts: settings in, a running service out."""

import fcntl
import logging
import os
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO, TypeVar
from wsgiref.types import WSGIApplication

from sharepoint_proxy import __version__, assembly, backoff, database, page, tables, web
from sharepoint_proxy.activity import Activity, Snapshot
from sharepoint_proxy.alarms import Alarms
from sharepoint_proxy.assembly import Configuration
from sharepoint_proxy.backlog import Backlog
from sharepoint_proxy.column_memory import ColumnMemory
from sharepoint_proxy.consume_parts import Replica
from sharepoint_proxy.database import Database
from sharepoint_proxy.errors import ConfigError, JournalError, OutageError, ProxyError
from sharepoint_proxy.fragments import Fragments
from sharepoint_proxy.handover import Handover
from sharepoint_proxy.libraries import Libraries
from sharepoint_proxy.library_parts import Reopening
from sharepoint_proxy.metrics import Metrics, Parts
from sharepoint_proxy.mirror_parts import Parts as MirrorParts
from sharepoint_proxy.notes import Notes
from sharepoint_proxy.reconcile_parts import LAST, Reconciling, Schedule
from sharepoint_proxy.records import Job, Outcome, Reconciled, State
from sharepoint_proxy.sessions import Sessions
from sharepoint_proxy.settings import Settings
from sharepoint_proxy.source import Source
from sharepoint_proxy.throttle import Throttle
from sharepoint_proxy.waiting import WaitingRoom
from sharepoint_proxy.worker import Workers

T = TypeVar("T")

WAITING_SEATS = 64
"""Requests that may wait for an outcome at once; gunicorn has more threads, so that /health always finds one."""

_CERTIFICATE_ENDS_SOON = timedelta(days=30)
_HOUR_SECONDS = 3600.0
_DAY_SECONDS = 86400.0
_CONNECTOR_STOP_SECONDS = 5.0
_SHOWN_WAITING = 20
_SHOWN_PARKED = 200

_log = logging.getLogger(__name__)


def hold_data_dir_or_exit(data_dir: Path) -> IO[str]:
    """The lock on DATA_DIR, which ends with this process and its children: one service per journal. Otherwise exit code 2."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / "lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        assembly.refuse_start(
            ConfigError([f"Another sharepoint-proxy is using DATA_DIR {data_dir}: stop it, or name another folder."])
        )
    except OSError as error:
        advice = f"DATA_DIR {data_dir} cannot be written by uid {os.getuid()} ({error.strerror}): it must be a folder that this user may write."
        assembly.refuse_start(ConfigError([advice]))
    return lock


def prepare_journal_or_exit(settings: Settings) -> None:
    """Make sure that there is a sound journal: a damaged one is set aside, one that cannot be written ends in exit code 2."""
    try:
        made, damaged = database.open_or_replace(
            assembly.journal_path(settings), schema=tables.SCHEMA, now=datetime.now(UTC)
        )
        if damaged is not None:
            reason = (
                f"The journal was damaged. It is kept as {damaged}, and a new one begins. What it had still to do is lost:"
                " everything is compared once the library is found."
            )
            assembly.journal_in(made, settings).schedule_reconcile(reason)
            _log.error("journal_damaged", extra={"reason": reason})
        made.close()
    except JournalError as error:
        assembly.refuse_start(
            ConfigError([f"{error} Is DATA_DIR {settings.data_dir} on a disk with room that may be written?"])
        )


class Service:
    """One mirror: its journal, its threads and its WSGI application. Build it in the process that serves, after any fork.

    With REPLICA it is one of several that share the library, and a consumer group of Kafka.
    """

    def __init__(self, configuration: Configuration, *, replica: type[Replica] | None = None) -> None:
        settings = configuration.settings
        self._configuration = configuration
        self._settings = settings
        self._database = Database(assembly.journal_path(settings), schema=tables.SCHEMA)
        self._clock = assembly.steady_clock()
        self._journal = assembly.journal_in(self._database, settings, self._clock)
        self._room = WaitingRoom(seats=WAITING_SEATS)
        self._throttle = Throttle(most=settings.upload_workers, keep_pause=self._keep_pause)
        self._alarms = Alarms()
        self._activity = Activity()
        self._backlog = Backlog(self._database)
        self._notes = Notes(self._database)
        self._started_at = time.time()
        self._stopping = threading.Event()
        self._not_ready = ["The document library was not found yet."]
        self._metrics = self._make_metrics()
        self._graph = assembly.make_graph(configuration, self._throttle, answered=self._metrics.graph_answered)
        self._libraries = assembly.make_libraries(self._graph, configuration)
        self._converge = _too_early
        self._workers = Workers(
            journal=self._journal,
            converge=lambda job: self._converge(job),  # noqa: PLW0108 - it is replaced when the library is found
            publish=self._room.publish,
            throttle=self._throttle,
            places=settings.upload_workers,
            large_places=settings.large_uploads,
            max_attempts=settings.max_attempts,
            alarms=self._alarms,
            watchers=(self._activity, self._metrics),
        )
        self._replica = None if replica is None else self._make_replica(replica)
        self._connector = threading.Thread(target=self._connect, name="connector", daemon=True)
        self.app = self._make_app()

    def start(self) -> None:
        """Find the library in the background, then work; events are recorded from now on."""
        for warning in self._configuration.warnings:
            _log.warning("configuration", extra={"reason": warning})
        self._journal.recover()
        self._go_on_with_pause()
        self._connector.start()
        threading.Thread(target=self._watch_certificate, name="certificate", daemon=True).start()

    def ask_to_stop(self) -> None:
        """Let no new work begin, send waiting requests home, stop uploads at their next fragment; returns at once."""
        self._stopping.set()
        self._workers.ask_to_stop()
        self._throttle.stop()
        self._room.close()

    def stop(self) -> None:
        """Stop, and return when everything under way is settled and the journal is closed."""
        self.ask_to_stop()
        # It may hang in a call to Graph, and has nothing to settle.
        if self._connector.is_alive():
            self._connector.join(_CONNECTOR_STOP_SECONDS)
        if self._replica is not None:
            self._replica.stop()
        self._workers.stop()
        self._database.close()

    def snapshot(self) -> Snapshot:
        """What there is to see just now; JournalError when the journal cannot be read."""
        drives = self._libraries.drives()
        return Snapshot(
            at=time.time(),
            version=__version__,
            started_at=self._started_at,
            reasons=tuple(self._what_is_wrong()),
            counts=self._journal.counts(),
            transfers=tuple(self._activity.transfers()),
            waiting=tuple(self._backlog.changes(State.WAITING, limit=_SHOWN_WAITING)),
            parked=tuple(self._backlog.changes(State.PARKED, limit=_SHOWN_PARKED)),
            done=tuple(self._activity.done()),
            minutes=tuple(self._activity.minutes()),
            paused_seconds=self._throttle.paused_seconds(),
            places=self._throttle.limit(),
            library_name=", ".join(drive.name for drive in drives.values()),
            library_url=next((drive.web_url for drive in drives.values()), ""),
            library_urls={alias: drive.web_url for alias, drive in drives.items()},
            certificate_ends_at=self._configuration.credential.not_after,
            reconciled=Reconciled.parse(self._notes.read(LAST)),
        )

    def _make_app(self) -> WSGIApplication:
        settings = self._settings
        return web.create_app(
            web.Intake(
                secrets=self._configuration.webhook_secrets,
                routing=self._configuration.routing,
                journal=self._journal,
                room=self._room,
                wake=self._workers.wake,
                not_ready=self._what_is_wrong,
                sync_wait_seconds=settings.sync_wait_seconds,
                sync_max_lag_seconds=settings.sync_max_lag_seconds,
                metrics=self._metrics,
            ),
            pages=[
                page.blueprint(
                    page.Desk(
                        snapshot=self.snapshot,
                        backlog=self._backlog,
                        wake=self._workers.wake,
                        password=settings.admin_password,
                        secrets=self._configuration.webhook_secrets,
                        places=settings.upload_workers,
                    )
                )
            ],
        )

    def _make_metrics(self) -> Metrics:
        return Metrics(
            Parts(
                version=__version__,
                started_at=self._started_at,
                certificate_ends_at=lambda: self._configuration.credential.not_after,
                journal=self._journal,
                throttle=self._throttle,
                alarms=self._alarms.subjects,
                not_ready=self._what_is_away,
                lag=lambda: self._replica.lag() if self._replica is not None else {},
                reconciled=lambda: Reconciled.parse(self._notes.read(LAST)),
                reconcile_interval=self._settings.reconcile_hours * _HOUR_SECONDS,
            )
        )

    def _make_replica(self, replica: type[Replica]) -> Replica:
        return replica(
            self._settings,
            self._configuration.routing,
            self._journal,
            metrics=self._metrics,
            wake=self._workers.wake,
            stopping=self._stopping,
            clock=self._clock,
        )

    def _what_is_wrong(self) -> list[str]:
        try:
            self._journal.check_writable()
        except JournalError as error:
            return [str(error), *self._what_is_away()]
        return self._what_is_away()

    def _what_is_away(self) -> list[str]:
        """What keeps keys from being mirrored, but for the journal."""
        replica = self._replica.problems() if self._replica is not None else ()
        return [*self._not_ready, *self._alarms.sentences(), *self._configuration.certificate.problems(), *replica]

    def _keep_pause(self, seconds: float) -> None:
        try:
            self._journal.keep_pause(seconds)
        except JournalError as error:
            # It holds in this process all the same.
            _log.error("journal_failed", extra={"reason": str(error)})

    def _go_on_with_pause(self) -> None:
        """Keep what is left of a pause that Graph asked for before the start: nothing is sent until it is over."""
        if (left := self._journal.pause_left()) > 0:
            self._not_ready = [f"Graph asked for a pause, of which {left:.0f} s were left at the start."]
            _log.warning("not_ready", extra={"reason": self._not_ready[0], "seconds": round(left, 1)})
            self._throttle.refused(left)

    def _watch_certificate(self) -> None:
        """Warn each day, from a month before its end on."""
        certificate = self._configuration.certificate
        while True:
            left = certificate.renewed().not_after - datetime.now(UTC)
            if left < _CERTIFICATE_ENDS_SOON:
                advice = "Make a new one, add it to the app registration in Entra ID, and replace the files."
                soon = f"The certificate {self._settings.cert_path} ends in {left.days} days. {advice}"
                _log.warning("certificate", extra={"reason": " ".join(certificate.problems()) or soon})
            if self._stopping.wait(_DAY_SECONDS):
                return

    def _connect(self) -> None:
        """Find the libraries, however long that takes, then let the workers begin; of several, one will do."""
        attempt = 0
        while not self._stopping.is_set():
            try:
                return self._begin_without(self._libraries.connect())
            except ProxyError as error:
                attempt += 1
                self._not_ready = [str(error)]
                delay = min(backoff.delay(attempt), 60.0)
                _log.error("not_ready", extra={"reason": str(error), "attempt": attempt, "seconds": round(delay, 1)})
            self._stopping.wait(delay)
        return None

    def _begin_without(self, closed: Sequence[OutageError]) -> None:
        shelf = self._libraries
        source = assembly.make_source(self._settings)
        sessions = Sessions(
            self._graph,
            shelf,
            fragments=partial(Fragments, self._settings.chunk_bytes),
            is_stopping=self._stopping.is_set,
        )
        handover = Handover(self._database)
        mirror = MirrorParts(
            routing=self._configuration.routing,
            source=self._activity.watched(source),
            journal=self._journal,
            handover=handover if self._replica is None else self._replica.careful_handover(handover),
            memory=ColumnMemory(self._database),
            library=shelf,
            sessions=sessions,
            metadata_columns=self._settings.metadata_columns,
            application_id=self._settings.client_id,
            grace_seconds=self._settings.delete_grace_seconds,
            seconds=self._clock,
            clock=lambda: datetime.fromtimestamp(self._clock(), UTC),
        ).mirror()
        self._converge = (mirror if self._replica is None else self._replica.careful(mirror, source)).converge
        self._not_ready = []
        self._report_start()
        reopening = Reopening(shelf, self._alarms, self._backlog, wake=self._workers.wake, stopping=self._stopping)
        reopening.start(closed)
        self._workers.start()
        if self._replica is not None:
            self._replica.start()
        self._start_reconciling(source, shelf)

    def _report_start(self) -> None:
        """The log line that says where files go, and what waits."""
        counts = self._journal.counts()
        drives = list(self._libraries.drives().values())
        facts = {
            "drive_id": ", ".join(drive.id for drive in drives),
            "library": ", ".join(drive.name for drive in drives),
            "path": ", ".join(drive.url_path for drive in drives),
            "certificate_sha256": self._configuration.credential.thumbprint_sha256,
        }
        _log.info("startup", extra={**facts, "waiting": counts.waiting, "parked": counts.parked})

    def _start_reconciling(self, source: Source, shelf: Libraries) -> None:
        """Compare everything now and then, in a thread of its own."""
        reconciling = Reconciling(
            self._settings,
            self._configuration.routing,
            self._database,
            self._journal,
            source,
            shelf,
            sleep=self._stopping.wait,
        )
        schedule = Schedule(reconciling, self._notes, hours=self._settings.reconcile_hours, stopping=self._stopping)
        threading.Thread(target=schedule.run, name="reconcile", daemon=True).start()


def _too_early(job: Job) -> Outcome:
    """Stands in for the mirror until the library is found; the workers start after that."""
    raise AssertionError(job)
