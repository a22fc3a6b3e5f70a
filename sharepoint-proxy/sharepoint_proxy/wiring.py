"""Joins the parts: settings in, a running service out. The only module that knows every other."""

import fcntl
import logging
import os
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, NoReturn, TypeVar
from wsgiref.types import WSGIApplication

from sharepoint_proxy import backoff, certificate, database, environment, library, paths, tables, web
from sharepoint_proxy.alarms import Alarms
from sharepoint_proxy.certificate import Credential
from sharepoint_proxy.database import Database
from sharepoint_proxy.errors import ConfigError, JournalError, ProxyError
from sharepoint_proxy.graph import Graph
from sharepoint_proxy.journal import Journal
from sharepoint_proxy.library import Drive, Library
from sharepoint_proxy.mirror import Mirror
from sharepoint_proxy.paths import Routing
from sharepoint_proxy.records import Job, Outcome
from sharepoint_proxy.sessions import Sessions
from sharepoint_proxy.settings import STAND_IN, Settings
from sharepoint_proxy.source import Source
from sharepoint_proxy.throttle import Throttle
from sharepoint_proxy.tokens import Tokens
from sharepoint_proxy.waiting import WaitingRoom
from sharepoint_proxy.worker import Workers

T = TypeVar("T")

WAITING_SEATS = 64
"""Requests that may wait for an outcome at once; gunicorn has more threads, so that /health always finds one."""

_CERTIFICATE_ENDS_SOON = timedelta(days=30)
_DAY_SECONDS = 86400.0
_CONNECTOR_STOP_SECONDS = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Everything that the start needs, proved usable as far as that goes without a network."""

    settings: Settings
    routing: Routing
    credential: Credential
    warnings: tuple[str, ...]


def configure(variables: Mapping[str, str]) -> Configuration:
    """The configuration in VARIABLES; ConfigError that lists every problem of it."""
    reading = environment.read(variables)
    settings = reading.settings
    problems = list(reading.problems)
    routing = _tried(
        problems,
        lambda: paths.parse_routing(
            settings.allowed_prefixes, buckets=settings.minio_buckets, bucket_as_folder=settings.bucket_as_folder
        ),
    )
    credential = _tried(
        problems,
        lambda: certificate.load(
            settings.cert_path, settings.key_path, passphrase=settings.key_passphrase, now=datetime.now(UTC)
        ),
    )
    problems.extend(_ca_bundle_problems(variables))
    if problems or routing is None or credential is None:
        raise ConfigError(list(dict.fromkeys(problems)))
    return Configuration(settings=settings, routing=routing, credential=credential, warnings=reading.warnings)


def _ca_bundle_problems(variables: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with the file of certificates to trust, which the libraries below would only tell at the first request."""
    bundle = variables.get("REQUESTS_CA_BUNDLE", "")
    if not bundle or Path(bundle).is_dir():
        return
    try:
        ssl.create_default_context(cafile=bundle)
    except (OSError, ssl.SSLError) as error:
        yield f"REQUESTS_CA_BUNDLE {bundle} holds no certificates that can be read ({error.strerror or error})."


def configure_or_exit(variables: Mapping[str, str]) -> Configuration:
    """The configuration, or one message on stderr that lists every problem, and exit code 2."""
    try:
        return configure(variables)
    except ConfigError as error:
        _refuse_start(error)


def _tried(problems: list[str], step: Callable[[], T]) -> T | None:
    try:
        return step()
    except ConfigError as error:
        # What is missing was said already; a stand-in for it is no second problem.
        problems.extend(problem for problem in error.problems if STAND_IN not in problem)
        return None


def _refuse_start(error: ConfigError) -> NoReturn:
    lines = "".join(f"  - {problem}\n" for problem in error.problems)
    sys.stderr.write(f"sharepoint-proxy cannot start with this configuration:\n{lines}")
    raise SystemExit(2)


def hold_data_dir_or_exit(data_dir: Path) -> IO[str]:
    """The lock on DATA_DIR, which ends with this process and its children: one service per journal. Otherwise exit code 2."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / "lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _refuse_start(
            ConfigError([f"Another sharepoint-proxy is using DATA_DIR {data_dir}: stop it, or name another folder."])
        )
    except OSError as error:
        advice = f"DATA_DIR {data_dir} cannot be written by uid {os.getuid()} ({error.strerror}): it must be a folder that this user may write."
        _refuse_start(ConfigError([advice]))
    return lock


def prepare_journal_or_exit(settings: Settings) -> None:
    """Make sure that there is a sound journal: a damaged one is set aside, one that cannot be written ends in exit code 2."""
    try:
        made, damaged = database.open_or_replace(_journal_path(settings), schema=tables.SCHEMA, now=datetime.now(UTC))
        if damaged is not None:
            reason = (
                f"The journal was damaged. It is kept as {damaged}, and a new one begins. What it had still to do is lost:"
                " compare the library with MinIO (rclone check), and announce what differs by POST /s3event."
            )
            _journal_in(made, settings).schedule_reconcile(reason)
            _log.error("journal_damaged", extra={"reason": reason})
        made.close()
    except JournalError as error:
        _refuse_start(
            ConfigError([f"{error} Is DATA_DIR {settings.data_dir} on a disk with room that may be written?"])
        )


def _journal_path(settings: Settings) -> Path:
    return settings.data_dir / "journal.db"


def _journal_in(made: Database, settings: Settings) -> Journal:
    return Journal(
        made,
        place_of=paths.comparison_key,
        delete_grace_seconds=settings.delete_grace_seconds,
        clock=_steady_clock(),
    )


def _steady_clock() -> Callable[[], float]:
    """Seconds since the epoch as they were at the start, then counted evenly: a clock that is set must not stop the mirror."""
    ahead = time.time() - time.monotonic()
    return lambda: ahead + time.monotonic()


class Service:
    """One mirror: its journal, its threads and its WSGI application. Build it in the process that serves, after any fork."""

    def __init__(self, configuration: Configuration) -> None:
        settings = configuration.settings
        self._configuration = configuration
        self._settings = settings
        self._database = Database(_journal_path(settings), schema=tables.SCHEMA)
        self._journal = _journal_in(self._database, settings)
        self._room = WaitingRoom(seats=WAITING_SEATS)
        self._throttle = Throttle(most=settings.upload_workers)
        self._alarms = Alarms()
        self._stopping = threading.Event()
        self._not_ready = ["The document library was not found yet."]
        self._graph = self._make_graph()
        self._mirror: Mirror | None = None
        self._workers = Workers(
            journal=self._journal,
            converge=self._converge,
            publish=self._room.publish,
            throttle=self._throttle,
            places=settings.upload_workers,
            large_places=settings.large_uploads,
            max_attempts=settings.max_attempts,
            alarms=self._alarms,
        )
        self._connector = threading.Thread(target=self._connect, name="connector", daemon=True)
        self.app = self._make_app()

    def start(self) -> None:
        """Find the library in the background, then work; events are recorded from now on."""
        for warning in self._configuration.warnings:
            _log.warning("configuration", extra={"reason": warning})
        self._journal.recover()
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
        self._workers.stop()
        self._database.close()

    def _make_graph(self) -> Graph:
        settings = self._settings
        tokens = Tokens(
            client_id=settings.client_id,
            authority=settings.authority,
            known_authority=settings.known_authority,
            scope=settings.graph_scope,
            credential=self._configuration.credential,
        )
        return Graph(
            base_url=settings.graph_base_url,
            tokens=tokens,
            throttle=self._throttle,
            connections=settings.upload_workers + 2,
        )

    def _make_app(self) -> WSGIApplication:
        settings = self._settings
        secrets = (settings.webhook_secret, settings.webhook_secret_previous)
        return web.create_app(
            web.Intake(
                secrets=tuple(secret for secret in secrets if secret),
                routing=self._configuration.routing,
                journal=self._journal,
                room=self._room,
                wake=self._workers.wake,
                not_ready=self._what_is_wrong,
                sync_wait_seconds=settings.sync_wait_seconds,
                sync_max_lag_seconds=settings.sync_max_lag_seconds,
            )
        )

    def _what_is_wrong(self) -> list[str]:
        try:
            self._journal.check_writable()
        except JournalError as error:
            return [str(error), *self._not_ready, *self._alarms.sentences()]
        return [*self._not_ready, *self._alarms.sentences()]

    def _watch_certificate(self) -> None:
        """Warn each day, from a month before its end on."""
        while True:
            left = self._configuration.credential.not_after - datetime.now(UTC)
            if left < _CERTIFICATE_ENDS_SOON:
                advice = "Make a new one, add it to the app registration in Entra ID, replace the files and restart."
                reason = f"The certificate {self._settings.cert_path} ends in {max(0, left.days)} days. {advice}"
                _log.warning("certificate", extra={"reason": reason})
            if self._stopping.wait(_DAY_SECONDS):
                return

    def _connect(self) -> None:
        """Find the library, however long that takes, then let the workers begin."""
        attempt = 0
        while not self._stopping.is_set():
            try:
                return self._begin_with(self._find_drive())
            except ProxyError as error:
                attempt += 1
                self._not_ready = [str(error)]
                delay = min(backoff.delay(attempt), 60.0)
                _log.error("not_ready", extra={"reason": str(error), "attempt": attempt, "seconds": round(delay, 1)})
            self._stopping.wait(delay)
        return None

    def _find_drive(self) -> Drive:
        site = self._settings.site_path
        return library.find_drive(
            self._graph,
            site_host=site.host,
            site_relative_path=site.relative_path,
            library=self._settings.document_library,
        )

    def _begin_with(self, drive: Drive) -> None:
        shelf = Library(self._graph, drive)
        self._mirror = Mirror(
            routing=self._configuration.routing,
            source=self._make_source(),
            journal=self._journal,
            library=shelf,
            application_id=self._settings.client_id,
            sessions=Sessions(
                self._graph,
                shelf,
                fragment_bytes=self._settings.chunk_bytes,
                is_stopping=self._stopping.is_set,
            ),
        )
        self._not_ready = []
        counts = self._journal.counts()
        certificate_sha256 = self._configuration.credential.thumbprint_sha256
        facts = {
            "drive_id": drive.id,
            "library": drive.name,
            "path": drive.url_path,
            "certificate_sha256": certificate_sha256,
        }
        _log.info("startup", extra={**facts, "waiting": counts.waiting, "parked": counts.parked})
        self._workers.start()

    def _make_source(self) -> Source:
        endpoint = self._settings.minio_endpoint
        return Source(
            endpoint=endpoint.address,
            secure=endpoint.secure,
            access_key=self._settings.minio_access_key,
            secret_key=self._settings.minio_secret_key,
            region=self._settings.minio_region,
            connections=self._settings.upload_workers + 2,
        )

    def _converge(self, job: Job) -> Outcome:
        if self._mirror is None:
            raise AssertionError("the workers start after the library is found")
        return self._mirror.converge(job)
