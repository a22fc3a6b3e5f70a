"""How long a reconcile takes and how much memory it needs: a first run that adopts all of a library, and one that finds all as it should be."""

import argparse
import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

import requests
from bench.bucket import Batch, pieces
from bench.processes import Helper, plain_environment

from measure.report import machine, say, table
from simulator.calls import CallKind
from simulator.drive import Conflict
from simulator.graph_server import GraphSimulator
from simulator.items import Author
from simulator.service_process import ROOT, peak_bytes

_MIB = 1024 * 1024
_FOLDER_FILES = 500
_PAGE_ITEMS = 200
_LOOK_SECONDS = 0.02
_SOMEBODY = Author(person="Ada Lovelace")
_HEADINGS = (
    "objects",
    "run",
    "seconds",
    "objects/s",
    "Graph calls",
    "of them pages",
    "objects/200",
    "peak RSS MiB",
    "scratch MiB",
)


def main(arguments: Sequence[str]) -> None:
    """Measure as ARGUMENTS say, and print."""
    chosen = _parser().parse_args(arguments)
    say(machine())
    counts = [1_000, 10_000] if chosen.quick else sorted(chosen.objects)
    table(_HEADINGS, (row for count in counts for row in _measure(count, size=chosen.size)))
    say(f"objects of {chosen.size} bytes, {_FOLDER_FILES} a folder; peak RSS: VmHWM of the command's process")
    say(machine())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="measure reconcile", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--objects", type=int, nargs="+", default=[10_000, 100_000], help="how many (default: 10000 and 100000)"
    )
    parser.add_argument("--size", type=int, default=1_000, help="of each object, in bytes (default: 1000)")
    parser.add_argument("--quick", action="store_true", help="1000 and 10000 objects")
    return parser


@dataclass(frozen=True, slots=True)
class _Ended:
    """A command's end: wall time, the largest resident memory of its process, the largest size of its scratch file, its answer."""

    seconds: float
    peak_bytes: int
    scratch_bytes: int
    found: dict[str, int]


def _measure(count: int, *, size: int) -> Iterator[tuple[object, ...]]:
    """Two runs on COUNT objects that the library holds already; a row of the table each."""
    batches = [
        Batch(
            prefix=f"administration/acte-{start:06}/",
            count=min(_FOLDER_FILES, count - start),
            size=size,
            seed=start,
            modified=_a_month_ago(),
        )
        for start in range(0, count, _FOLDER_FILES)
    ]
    with (
        TemporaryDirectory(prefix="measure-") as folder,
        GraphSimulator() as graph,
        Helper("bench.s3_server", last="MINIO_ENDPOINT") as minio,
    ):
        endpoint = minio.settings["MINIO_ENDPOINT"]
        for batch in batches:
            _put(endpoint, batch)
            _fill(graph, batch)
        for run, verdict in (("adopts", "adopted"), ("again", "same")):
            graph.clear_calls()
            ended = _reconcile(graph, endpoint, Path(folder))
            if ended.found != {verdict: count}:
                raise RuntimeError(f"the run found {ended.found}")
            pages = sum(call.kind is CallKind.DELTA for call in graph.calls())
            yield (
                f"{count:,}",
                run,
                f"{ended.seconds:.1f}",
                f"{count / ended.seconds:,.0f}",
                len(graph.calls()),
                pages,
                count // _PAGE_ITEMS,
                f"{ended.peak_bytes / _MIB:.1f}",
                f"{ended.scratch_bytes / _MIB:.1f}",
            )


def _a_month_ago() -> int:
    return int(time.time()) - 30 * 24 * 3600


def _put(endpoint: str, batch: Batch) -> None:
    requests.post(f"{endpoint}/_bench/put", data=json.dumps([batch.as_json()]), timeout=60).raise_for_status()


def _fill(graph: GraphSimulator, batch: Batch) -> None:
    """Put the files of BATCH into the library, as another application did before."""
    with graph.tenant.lock:
        library = graph.tenant.library_named("Documents", None)
        parent = library.ensure_folders(batch.prefix.strip("/").split("/"), _SOMEBODY)
        for each in batch.objects():
            content = graph.tenant.store.of(b"".join(pieces(each.seed, 0, each.size)))
            name = each.key.rpartition("/")[2]
            library.write_file(parent, name, content, conflict=Conflict.FAIL, author=_SOMEBODY)


def _reconcile(graph: GraphSimulator, endpoint: str, folder: Path) -> _Ended:
    variables = {
        **graph.environment(),
        "MINIO_ENDPOINT": endpoint,
        "MINIO_ACCESS_KEY": "sharepoint-proxy",
        "MINIO_SECRET_KEY": "sharepoint-proxy-secret",
        "ALLOWED_PREFIXES": "administration/",
        "WEBHOOK_SECRET": "a-webhook-secret-for-measurements",
        "DATA_DIR": str(folder),
        "NO_INSTALL": "1",
    }
    began = time.perf_counter()
    command = subprocess.Popen(
        [ROOT / "scripts" / "cli", "reconcile", "--json"],
        env=plain_environment(variables),
        stdout=subprocess.PIPE,
        text=True,
    )
    with _Watch(command.pid, folder / "inventory.db") as watch:
        answer, _ = command.communicate()
    if command.returncode:
        raise RuntimeError(f"the command ended with {command.returncode}")
    return _Ended(time.perf_counter() - began, watch.peak_bytes, watch.scratch_bytes, json.loads(answer)["found"])


class _Watch:
    """Looks again and again at the memory of a process and the size of a file, while its `with` block runs."""

    def __init__(self, pid: int, path: Path) -> None:
        self.peak_bytes = 0
        self.scratch_bytes = 0
        self._pid = pid
        self._path = path
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            with contextlib.suppress(OSError):
                self.peak_bytes = max(self.peak_bytes, peak_bytes(self._pid))
                self.scratch_bytes = max(self.scratch_bytes, _size(self._path))


def _size(path: Path) -> int:
    """The bytes of a database with its write-ahead log."""
    return sum(each.stat().st_size for each in path.parent.glob(f"{path.name}*"))
