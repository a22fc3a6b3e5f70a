"""How many events a second the webhook puts on disk from eight senders, while Graph cannot be reached."""

import argparse
import multiprocessing
import sqlite3
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from measure.health import HealthProbe
from measure.report import machine, milliseconds, percentile, say, table
from measure.senders import Sender, graph_is_away
from simulator.graph_server import GraphSimulator
from simulator.service_process import ServiceProcess, free_port

_MIB = 1024 * 1024
_START_SECONDS = 5.0
"""Until all processes of senders are there, so that their start is no part of the load."""

_HEADINGS = (
    "rate asked",
    "events/s",
    "answers",
    "not 2xx",
    "p50",
    "p99",
    "slowest",
    "/health p99",
    "/health slowest",
    "RSS MiB",
    "rows - 2xx",
)


def main(arguments: Sequence[str]) -> None:
    """Measure as ARGUMENTS say, and print."""
    chosen = _parser().parse_args(arguments)
    say(machine())
    table(
        _HEADINGS,
        (load(rate, senders=chosen.senders, seconds=chosen.seconds).row() for rate in (chosen.rate, None)),
    )
    say(machine())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="measure intake", description=__doc__, allow_abbrev=False)
    parser.add_argument("--senders", type=int, default=8, help="processes with a connection each (default: 8)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each of the two runs (default: 60)")
    parser.add_argument(
        "--rate",
        type=float,
        default=300.0,
        help="events a second of the first run (default: 300); the second has no limit",
    )
    return parser


def _settings(graph: GraphSimulator) -> dict[str, str]:
    return {
        **graph.environment(),
        **graph_is_away(),
        "ALLOWED_PREFIXES": "bts-sio/",
        "MINIO_ENDPOINT": f"http://127.0.0.1:{free_port()}",
        "MINIO_ACCESS_KEY": "sharepoint-proxy",
        "MINIO_SECRET_KEY": "sharepoint-proxy-secret",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A run of senders: what the service answered and in how many seconds each, and what its /health did meanwhile."""

    rate: float | None
    answers: int
    taken: int
    seconds: float
    times: Sequence[float]
    health_times: Sequence[float]
    bytes_before: int
    bytes_after: int
    rows: int

    @property
    def events_per_second(self) -> float:
        """The events that were on disk when they were answered."""
        return self.taken / self.seconds

    def row(self) -> tuple[object, ...]:
        """As it stands in the table."""
        return (
            f"{self.rate:.0f}/s" if self.rate else "none",
            f"{self.events_per_second:.0f}",
            self.answers,
            self.answers - self.taken,
            *(
                milliseconds(value)
                for value in (percentile(self.times, 50), percentile(self.times, 99), max(self.times))
            ),
            milliseconds(percentile(self.health_times, 99)),
            milliseconds(max(self.health_times)),
            f"{self.bytes_before / _MIB:.0f} -> {self.bytes_after / _MIB:.0f}",
            self.rows - self.taken,
        )


def load(rate: float | None, *, senders: int, seconds: float) -> Load:
    """One run with a service of its own: RATE events a second of all SENDERS together, None as fast as answers come."""
    with TemporaryDirectory(prefix="measure-") as folder, GraphSimulator() as graph:
        service = ServiceProcess(_settings(graph), data_dir=Path(folder) / "data")
        service.start(wait=False)
        service.wait_for_line(lambda line: line["event"] == "not_ready")
        try:
            return _under_load(service, rate, senders=senders, seconds=seconds)
        finally:
            service.stop()


def _under_load(service: ServiceProcess, rate: float | None, *, senders: int, seconds: float) -> Load:
    share = rate / senders if rate else None
    begin_at = time.monotonic() + _START_SECONDS
    each = [
        Sender(number=number, port=service.port, begin_at=begin_at, seconds=seconds, rate=share)
        for number in range(senders)
    ]
    before = _resident_bytes(service.pid)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(senders, spawn) as processes, HealthProbe(f"{service.url}/health") as health:
        answers = [answer for part in processes.map(Sender.run, each) for answer in part]
        took = time.monotonic() - begin_at
    return Load(
        rate=rate,
        answers=len(answers),
        taken=sum(200 <= answer.status < 300 for answer in answers),
        seconds=took,
        times=[answer.seconds for answer in answers],
        health_times=health.seconds,
        bytes_before=before,
        bytes_after=_resident_bytes(service.pid),
        rows=_rows(service.data_dir),
    )


def _rows(data_dir: Path) -> int:
    """The keys in the journal, of which each event sent has one of its own."""
    with closing(sqlite3.connect(f"file:{data_dir / 'journal.db'}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM changes").fetchone()[0])


def _resident_bytes(master: int) -> int:
    """The resident memory of gunicorn's MASTER and its worker together."""
    workers = Path(f"/proc/{master}/task/{master}/children").read_text(encoding="ascii").split()
    pages = [int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) for pid in (master, *workers)]
    return sum(pages) * 4096
