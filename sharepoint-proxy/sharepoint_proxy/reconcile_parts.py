"""Joins the parts of a reconcile, for the command and for the service, which runs one by itself now and then."""

import fcntl
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event

from sharepoint_proxy import inventory, paths
from sharepoint_proxy.comparison import Difference, Order, Summary, Verdict
from sharepoint_proxy.database import Database
from sharepoint_proxy.errors import PermanentError, ProxyError, StoppingError
from sharepoint_proxy.gathering import Gathering
from sharepoint_proxy.halt import Halt
from sharepoint_proxy.inventory import Inventory
from sharepoint_proxy.journal import Journal
from sharepoint_proxy.judging import Judge
from sharepoint_proxy.ledger import Ledger
from sharepoint_proxy.leftovers import Leftovers
from sharepoint_proxy.libraries import Libraries
from sharepoint_proxy.notes import Notes
from sharepoint_proxy.paths import Routing
from sharepoint_proxy.reconcile import Progress, Reconciler
from sharepoint_proxy.records import Reconciled
from sharepoint_proxy.settings import Settings
from sharepoint_proxy.source import Source

SCHEDULED = "reconcile"
"""The note of a reconcile that must be made, and why."""

LAST = "reconciled"
"""The note of how the last one ended."""

_HOUR_SECONDS = 3600.0
_SETTLING_SECONDS = 5.0
"""After a start events come first."""

_AFTER_FAILURE_SECONDS = 600.0

_log = logging.getLogger(__name__)


class Reconciling:
    """Makes reconciles, one at a time for each DATA_DIR, whichever process asks.

    SLEEP waits, and returns True to give up.
    """

    def __init__(
        self,
        settings: Settings,
        routing: Routing,
        database: Database,
        journal: Journal,
        source: Source,
        libraries: Libraries,
        *,
        sleep: Callable[[float], bool],
    ) -> None:
        self._settings = settings
        self._routing = routing
        self._database = database
        self._journal = journal
        self._source = source
        self._libraries = libraries
        self._sleep = sleep
        self._notes = Notes(database)

    def run(self, order: Order, progress: Progress) -> Summary:
        """One whole reconcile, remembered. PermanentError while another one runs; TransientError when MinIO or Graph stay away.

        One that is broken off (StoppingError) is as if it had not begun; what it marked stays marked.
        """
        is_whole = order.bucket is None and not order.prefix and not order.dry_run
        began_at = time.time()
        with _only_one(self._settings.data_dir), self._inventory() as found:
            try:
                summary = self._reconciler(found, progress).run(order, progress)
            except ProxyError as error:
                if is_whole and not isinstance(error, StoppingError):
                    seconds = round(time.time() - began_at, 1)
                    self._notes.write(LAST, Reconciled(at=began_at, seconds=seconds, error=str(error)).text())
                raise
        if is_whole:
            self._notes.write(LAST, _remembered(summary).text())
            self._notes.remove(SCHEDULED)
        return summary

    @contextmanager
    def _inventory(self) -> Iterator[Inventory]:
        """The scratch file, which is of no use to anybody afterwards."""
        path = self._settings.data_dir / "inventory.db"
        _remove(path)
        try:
            with closing(Database(path, schema=inventory.SCHEMA)) as scratch:
                yield Inventory(scratch, place_of=paths.comparison_key)
        finally:
            _remove(path)

    def _reconciler(self, found: Inventory, progress: Progress) -> Reconciler:
        """What compares all but libraries that are closed just now, whose keys wait anyway."""
        halt = Halt(self._sleep)
        libraries, closed = halt.patiently(self._libraries.open_ones, delayed=progress.delayed)
        for sentence in closed.values():
            _log.warning("left_out", extra={"reason": sentence})
            progress.delayed(f"{sentence} The library is left out.")
        routing = self._routing.without(closed)
        ledger = Ledger(self._database, place_of=paths.comparison_key)
        client_id = self._settings.client_id
        return Reconciler(
            routing=routing,
            gathering=Gathering(
                is_routed=routing.is_routed, source=self._source, library=libraries, inventory=found, halt=halt
            ),
            inventory=found,
            source=self._source,
            library=libraries,
            judge=Judge(self._source, application_id=client_id, go_on=halt.go_on),
            ledger=ledger,
            journal=self._journal,
            leftovers=Leftovers(
                routing=routing, ledger=ledger, journal=self._journal, inventory=found, application_id=client_id
            ),
            halt=halt,
        )


class Schedule:
    """Runs a reconcile each HOURS (0: never), and soon where one is noted as needed, until STOPPING is set."""

    def __init__(self, reconciling: Reconciling, notes: Notes, *, hours: float, stopping: Event) -> None:
        self._reconciling = reconciling
        self._notes = notes
        self._hours = hours
        self._stopping = stopping

    def run(self) -> None:
        """The life of its thread."""
        wait = _SETTLING_SECONDS
        while not self._stopping.wait(wait):
            wait = min(self._step(), _HOUR_SECONDS)

    def _step(self) -> float:
        """Reconcile if it is time; how many seconds to wait now."""
        try:
            due = self._seconds_until_due()
            if due > 0:
                return due
            summary = self._reconciling.run(Order(), Unwatched())
        except ProxyError as error:
            if self._stopping.is_set():
                # The journal may be closed already.
                return 0.0
            _log.error("reconcile_failed", extra={"reason": str(error)})
            return _AFTER_FAILURE_SECONDS
        except Exception:  # noqa: BLE001 - a defect of ours must not be the end of all reconciles
            _log.exception("defect")
            return _AFTER_FAILURE_SECONDS
        found = {verdict.value: count for verdict, count in summary.found.items()}
        _log.info("reconciled", extra={"objects": summary.objects, "seconds": round(summary.seconds, 1), **found})
        return _SETTLING_SECONDS

    def _seconds_until_due(self) -> float:
        if self._notes.read(SCHEDULED) is not None:
            return 0.0
        if not self._hours:
            return math.inf
        last = Reconciled.parse(self._notes.read(LAST))
        if last is None or last.error:
            return 0.0
        return max(0.0, last.at + self._hours * _HOUR_SECONDS - time.time())


class Unwatched:
    """A progress that nobody looks at."""

    def begin(self, title: str, total: int | None) -> None: ...
    def advance(self, count: int) -> None: ...
    def tell(self, difference: Difference) -> None: ...
    def delayed(self, reason: str) -> None: ...


def _remembered(summary: Summary) -> Reconciled:
    return Reconciled(
        at=summary.began_at,
        seconds=round(summary.seconds, 1),
        objects=summary.objects,
        marked=summary.marked,
        adopted=summary.found.get(Verdict.ADOPTED, 0),
        stale=summary.found.get(Verdict.STALE, 0),
    )


@contextmanager
def _only_one(data_dir: Path) -> Iterator[None]:
    with (data_dir / "reconcile.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PermanentError("A reconcile is running already: wait for its end (see `status`).") from None
        yield


def _remove(path: Path) -> None:
    for beside in ("", "-wal", "-shm"):
        path.with_name(path.name + beside).unlink(missing_ok=True)
