"""The disk that holds the journal: full, read-only, or with a damaged journal on it."""

import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from e2e.trouble import start_again

from simulator.service_process import ROOT, SECRET, free_port
from simulator.stage import Stage

MIB = 1024 * 1024
PAGE_BYTES = 4096
SMALL_DISK_BYTES = 4 * MIB
Disk = Callable[[int], Path]


@pytest.fixture
def make_disk(tmp_path: Path) -> Iterator[Disk]:
    """Makes a disk of so many bytes, in memory; skips the test where that is not allowed."""
    mounted: list[Path] = []

    def make(size: int) -> Path:
        folder = tmp_path / f"disk-{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Leave no byte on DISK; the file that takes them all."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * PAGE_BYTES):
                pass
        except OSError:
            pass
    return filler


def refused_start(stage: Stage, data_dir: Path) -> str:
    """What scripts/serve says on stderr before it ends with exit code 2."""
    settings = {**stage.environment(), "WEBHOOK_SECRET": SECRET, "PORT": str(free_port()), "DATA_DIR": str(data_dir)}
    environment = {"PATH": os.environ["PATH"], "NO_INSTALL": "1", **settings}
    ended = subprocess.run(
        [ROOT / "scripts" / "serve"], env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    return ended.stderr


def sentence_about(data_dir: Path, said: str) -> str:
    """The one problem that is told; the line above it only announces it."""
    _, problem = said.splitlines()
    assert str(data_dir) in problem
    return problem


def test_it_says_that_the_folder_cannot_be_made(make_stage: Callable[..., Stage]) -> None:
    """Not even root may make one there."""
    data_dir = Path("/proc/sharepoint-proxy")
    assert "cannot be written" in sentence_about(data_dir, refused_start(make_stage(), data_dir))


def test_it_says_that_the_disk_is_read_only(make_disk: Disk, make_stage: Callable[..., Stage]) -> None:
    disk = make_disk(SMALL_DISK_BYTES)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)

    assert "Read-only file system" in sentence_about(disk, refused_start(make_stage(), disk))


def test_it_says_that_the_disk_is_full(make_disk: Disk, make_stage: Callable[..., Stage]) -> None:
    disk = make_disk(SMALL_DISK_BYTES)
    fill(disk)

    assert "full" in sentence_about(disk, refused_start(make_stage(), disk))


def test_a_full_disk_keeps_the_sender_trying_until_there_is_room(
    make_disk: Disk, make_stage: Callable[..., Stage]
) -> None:
    """503 and the reason in /ready, while /health answers; afterwards everything arrives without help."""
    disk = make_disk(SMALL_DISK_BYTES)
    stage = make_stage(settings={"DATA_DIR": str(disk)})
    stage.service.data_dir = disk
    stage.begin()
    stage.put("administration/before.txt", b"before")
    stage.settle()
    filler = fill(disk)
    names = [f"administration/{number}.txt" for number in range(50)]
    for name in names:
        stage.put(name, name.encode())
    stage.minio.wait_for(lambda delivery: delivery.status == 503)

    refused = stage.service.post({"EventName": "s3:ObjectCreated:Put", "Key": "lycee/administration/before.txt"})
    ready = stage.service.get("/ready")
    assert (refused.status_code, int(refused.headers["Retry-After"]) > 0) == (503, True)
    assert "full" in refused.json()["error"]
    assert (ready.status_code, "full" in " ".join(ready.json()["reasons"])) == (503, True)
    assert stage.service.get("/health").status_code == 200

    filler.unlink()
    stage.settle(60)
    assert stage.service.get("/ready").status_code == 200
    assert all(stage.graph.content(name) == name.encode() for name in names)
    assert stage.kinds().count("PUT_CONTENT") == len(names) + 1
    assert "Traceback" not in stage.service.output()


def test_what_was_uploaded_while_the_disk_filled_up_is_not_uploaded_again(
    make_disk: Disk, make_stage: Callable[..., Stage]
) -> None:
    """The outcomes are written down when there is room."""
    disk = make_disk(SMALL_DISK_BYTES)
    stage = make_stage(settings={"DATA_DIR": str(disk), "SYNC_WAIT_SECONDS": "0"})
    stage.service.data_dir = disk
    stage.begin()
    stage.graph.latency = 4.0
    names = [f"administration/{number}.txt" for number in range(10)]
    for name in names:
        stage.put(name, name.encode())
    stage.graph.wait_for(lambda: len(stage.service.unsettled()) == len(names) or stage.graph.calls())
    filler = fill(disk)
    stage.service.wait_for_line(lambda line: line["event"] == "journal_failed")
    stage.graph.latency = 0.0
    filler.unlink()
    stage.settle(60)

    assert all(stage.graph.content(name) == name.encode() for name in names)
    assert stage.kinds() == ["PUT_CONTENT"] * len(names)


@contextmanager
def patched(path: Path) -> Iterator[bytearray]:
    """The bytes of a file, written back at the end."""
    content = bytearray(path.read_bytes())
    yield content
    path.write_bytes(content)


def spoil_header(path: Path) -> None:
    """Not even the first bytes are SQLite's."""
    with patched(path) as content:
        content[:PAGE_BYTES] = os.urandom(PAGE_BYTES)


def spoil_schema(path: Path) -> None:
    """The header is sound, but no table can be found."""
    with patched(path) as content:
        content[100:PAGE_BYTES] = os.urandom(PAGE_BYTES - 100)


def spoil_rows(path: Path) -> None:
    """The tables are there, but not what they hold."""
    with patched(path) as content:
        content[PAGE_BYTES:] = os.urandom(len(content) - PAGE_BYTES)


def cut_in_half(path: Path) -> None:
    """The end is missing."""
    os.truncate(path, path.stat().st_size // 2 // PAGE_BYTES * PAGE_BYTES)


def reconcile_note(stage: Stage) -> str:
    """Why the library has to be compared with MinIO, as the journal keeps it."""
    with closing(sqlite3.connect(f"file:{stage.service.data_dir / 'journal.db'}?mode=ro", uri=True)) as connection:
        (row,) = connection.execute("SELECT text FROM notes WHERE name = 'reconcile'").fetchall()
    return str(row[0])


def damaged(stage: Stage, spoil: Callable[[Path], None]) -> Path:
    """The journal that was set aside, once the service, which was ended, runs again without it."""
    data_dir = stage.service.data_dir
    before = set(data_dir.glob("journal.damaged-*.db"))
    spoil(data_dir / "journal.db")
    start_again(stage)
    (aside,) = set(data_dir.glob("journal.damaged-*.db")) - before
    return aside


def told_damages(stage: Stage) -> list[str]:
    """What the log says of damaged journals."""
    return [line["reason"] for line in stage.service.log() if line["event"] == "journal_damaged"]


@pytest.fixture
def ended(request: pytest.FixtureRequest, shared: Stage, make_stage: Callable[..., Stage]) -> Stage:
    """A stage whose service was stopped, or killed, with twenty files mirrored; `request.param` says which."""
    stage = shared
    if request.param == "kill":
        # What it leaves in the write-ahead log mends the file; a new journal's beginning is not in it.
        stage = make_stage()
        stage.begin()
    for number in range(20):
        stage.put(f"administration/{number}.txt", b"before")
    stage.settle()
    getattr(stage.service, request.param)()
    return stage


@pytest.mark.parametrize("ended", ["stop", "kill"], indirect=True)
@pytest.mark.parametrize("spoil", [spoil_header, spoil_schema, spoil_rows, cut_in_half])
def test_a_damaged_journal_is_set_aside(ended: Stage, spoil: Callable[[Path], None]) -> None:
    """The service says so, begins a new one, goes on mirroring, and keeps in mind that both sides must be compared."""
    aside = damaged(ended, spoil)

    assert str(aside) in told_damages(ended)[-1]
    assert str(aside) in reconcile_note(ended)
    ended.put("administration/after.txt", spoil.__name__.encode())
    ended.put("administration/0.txt", b"later")
    ended.settle()
    assert ended.graph.content("administration/after.txt") == spoil.__name__.encode()
    assert ended.graph.content("administration/0.txt") == b"later"
    assert ended.graph.content("administration/1.txt") == b"before"


def test_a_journal_is_set_aside_once(shared: Stage) -> None:
    """The next start finds the new one sound, and what has to be compared is not forgotten."""
    shared.service.kill()
    aside = damaged(shared, spoil_rows)
    kept = set(shared.service.data_dir.glob("journal.damaged-*.db"))
    shared.service.kill()
    start_again(shared)

    assert told_damages(shared) == []
    assert set(shared.service.data_dir.glob("journal.damaged-*.db")) == kept
    assert str(aside) in reconcile_note(shared)
