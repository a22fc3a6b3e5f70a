"""The journal's file: what `write` returned for is on the disk, and threads that write together share one commit."""

import contextlib
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest

from sharepoint_proxy.database import Cursor, Database, open_or_replace
from sharepoint_proxy.errors import JournalDamagedError, JournalError, OccupiedError

T = TypeVar("T")

SCHEMA = "CREATE TABLE IF NOT EXISTS notes (text TEXT NOT NULL)"
NOBODY = 65534
PATIENCE_SECONDS = 20.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "journal.db", schema=SCHEMA)
    yield opened
    opened.close()


def note(text: str) -> Callable[[Cursor], str]:
    def operation(cursor: Cursor) -> str:
        cursor.execute("INSERT INTO notes VALUES (?)", (text,))
        return f"{text} noted"

    return operation


def note_then(text: str, error: BaseException) -> Callable[[Cursor], str]:
    def operation(cursor: Cursor) -> str:
        note(text)(cursor)
        raise error

    return operation


def notes(database: Database) -> list[str]:
    return [row["text"] for row in database.read("SELECT text FROM notes ORDER BY text")]


def synchronous(cursor: Cursor) -> int:
    """SQLite's number for how it syncs: 1 is NORMAL, 2 is FULL."""
    return int(cursor.execute("PRAGMA synchronous").fetchone()[0])


class Queue(deque[Any]):
    """The queue of writers, which tells when somebody joined it."""

    def __init__(self) -> None:
        super().__init__()
        self.joined = threading.Semaphore(0)

    def append(self, ticket: Any) -> None:
        super().append(ticket)
        self.joined.release()


class Crowd:
    """Writers who all queue up behind one that holds the lock, and are let in together when the block ends."""

    def __init__(self, database: Database) -> None:
        self.statements: list[str] = []
        self._database = database
        self._queue = database._queue = Queue()
        self._threads = ThreadPoolExecutor(max_workers=40)
        self._let_in = threading.Event()

    def __enter__(self) -> Self:
        inside = threading.Event()

        def hold(_: Cursor) -> None:
            inside.set()
            self._let_in.wait(PATIENCE_SECONDS)

        self.write(hold)
        assert inside.wait(PATIENCE_SECONDS)
        self._database._writer.set_trace_callback(self.statements.append)
        return self

    def __exit__(self, *_: object) -> None:
        self._let_in.set()
        self._threads.shutdown()

    def write(self, operation: Callable[[Cursor], T], *, durable: bool = True) -> Future[T]:
        """Have a thread of its own write, and return when it stands in the queue."""
        written = self._threads.submit(self._database.write, operation, durable=durable)
        assert self._queue.joined.acquire(timeout=PATIENCE_SECONDS)
        return written


def test_it_returns_the_operation_s_result_and_shows_the_row_to_readers(database: Database) -> None:
    assert database.write(note("one")) == "one noted"
    assert notes(database) == ["one"]


def test_it_commits_everything_that_waits_at_once_and_gives_each_writer_its_own_result(database: Database) -> None:
    texts = [f"{number:02}" for number in range(30)]

    with Crowd(database) as crowd:
        written = [crowd.write(note(text)) for text in texts]

    assert [each.result() for each in written] == [f"{text} noted" for text in texts]
    assert notes(database) == texts
    assert crowd.statements.count("COMMIT") == 2, "one for the writer that held the lock, one for all others"


def test_an_operation_that_raises_undoes_only_its_own_work(database: Database) -> None:
    with Crowd(database) as crowd:
        before = crowd.write(note("before"))
        refused = crowd.write(note_then("refused", OccupiedError("Taken.", by="lycee/x")))
        broken = crowd.write(lambda cursor: (note("broken")(cursor), cursor.execute("SELECT nonsense")))
        after = crowd.write(note("after"))

    assert (before.result(), after.result()) == ("before noted", "after noted")
    assert isinstance(refused.exception(), OccupiedError)
    assert isinstance(broken.exception(), JournalError)
    assert notes(database) == ["after", "before"]


def test_no_write_of_many_threads_is_lost(database: Database) -> None:
    texts = [f"{number:04}" for number in range(1000)]

    with ThreadPoolExecutor(max_workers=25) as threads:
        results = list(threads.map(lambda text: database.write(note(text)), texts))

    assert results == [f"{text} noted" for text in texts]
    assert notes(database) == texts


def test_a_writer_whose_batch_was_cut_short_is_not_told_that_it_was_written(database: Database) -> None:
    with Crowd(database) as crowd:
        cut = crowd.write(note_then("cut", KeyboardInterrupt()))
        behind = crowd.write(note("behind"))

    assert isinstance(cut.exception(), KeyboardInterrupt)
    told = behind.exception() is None
    assert told == (notes(database) == ["behind"])
    assert database.write(note("later")) == "later noted"


@pytest.mark.parametrize(("durable", "expected"), [(True, 2), (False, 1)])
def test_it_syncs_a_durable_write_fully(database: Database, *, durable: bool, expected: int) -> None:
    database.write(note("something else"), durable=not durable)

    assert database.write(synchronous, durable=durable) == expected


def test_one_durable_write_makes_its_whole_batch_durable(database: Database) -> None:
    with Crowd(database) as crowd:
        written = [crowd.write(synchronous, durable=durable) for durable in (False, True, False)]

    assert [each.result() for each in written] == [2, 2, 2]


def test_what_write_returned_for_is_in_a_copy_of_the_files_taken_at_once(database: Database, tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()

    for text in ("1", "2", "3"):
        database.write(note(text))
        for file in tmp_path.glob("journal.db*"):
            shutil.copy(file, copies)
        with contextlib.closing(sqlite3.connect(copies / "journal.db")) as copy:
            found = copy.execute("SELECT text FROM notes ORDER BY text DESC LIMIT 1").fetchone()
        assert found == (text,)


WRITES = """
import sys
from pathlib import Path
from sharepoint_proxy.database import Database
database = Database(Path(sys.argv[1]), schema="CREATE TABLE notes (text TEXT)")
insert = lambda cursor: cursor.execute("INSERT INTO notes VALUES ('x')")
for durable in (True, False, True):
    print("begins", durable, flush=True)
    database.write(insert, durable=durable)
    print("returned", durable, flush=True)
"""


def can_trace() -> bool:
    strace = shutil.which("strace")
    return strace is not None and subprocess.run([strace, "-o", os.devnull, "true"], check=False).returncode == 0


@pytest.mark.skipif(not can_trace(), reason="no strace that may trace; apt-get install strace brings one")
def test_the_log_is_synced_before_a_durable_write_returns(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    strace = ["strace", "-f", "-y", "-e", "trace=fsync,fdatasync,write", "-o", str(trace)]
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"]}

    subprocess.run(
        [*strace, sys.executable, "-c", WRITES, str(tmp_path / "journal.db")], env=environment, check=True, timeout=60
    )

    calls = trace.read_text().splitlines()
    stories = [story.split("returned ")[0] for story in "\n".join(calls).split("begins ")[1:]]
    assert [("sync(" in story and "journal.db-wal>)" in story) for story in stories] == [True, False, True]


def test_only_the_owner_may_read_its_files(database: Database, tmp_path: Path) -> None:
    database.write(note("secret"))

    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}

    assert modes == {"journal.db": 0o600, "journal.db-wal": 0o600, "journal.db-shm": 0o600}


def test_what_was_written_is_there_when_the_file_is_opened_again(database: Database, tmp_path: Path) -> None:
    database.write(note("kept"), durable=False)
    database.close()

    again = Database(tmp_path / "journal.db", schema=SCHEMA)

    assert notes(again) == ["kept"]
    again.close()


def test_a_start_that_fails_leaves_the_tables_as_they_were(database: Database, tmp_path: Path) -> None:
    with pytest.raises(JournalError):
        Database(tmp_path / "journal.db", schema="CREATE TABLE half (text TEXT); CREATE nonsense")

    assert database.read("SELECT name FROM sqlite_master WHERE name = 'half'") == []


def test_a_file_that_is_no_database_is_a_journal_error(tmp_path: Path) -> None:
    garbage = tmp_path / "journal.db"
    garbage.write_bytes(b"no database at all " * 400)

    with pytest.raises(JournalDamagedError, match="not a database"):
        Database(garbage, schema=SCHEMA)


def test_a_folder_in_its_place_is_a_journal_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be opened"):
        Database(tmp_path, schema=SCHEMA)


@contextlib.contextmanager
def ordinary_user() -> Iterator[None]:
    """For the superuser no file is read-only; for its block this process is somebody else then."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_read_only_file_is_a_journal_error() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        Database(path, schema=SCHEMA).close()
        path.chmod(0o444)
        path.parent.chmod(0o555)

        with ordinary_user(), pytest.raises(JournalError, match=r"[Pp]ermission denied"):
            Database(path, schema=SCHEMA)

        path.parent.chmod(0o755)


def test_a_full_disk_is_a_journal_error_and_harms_neither_what_is_there_nor_what_comes_later(
    database: Database,
) -> None:
    database.write(note("before"))
    pages = database.write(lambda cursor: int(cursor.execute("PRAGMA page_count").fetchone()[0]))
    database.write(lambda cursor: cursor.execute(f"PRAGMA max_page_count={pages}").fetchall())

    with pytest.raises(JournalError, match="full"):
        database.write(note("x" * 100_000))

    database.write(lambda cursor: cursor.execute("PRAGMA max_page_count=1000000").fetchall())
    database.write(note("later"))
    assert notes(database) == ["before", "later"]


def test_a_closed_file_is_a_journal_error(database: Database) -> None:
    database.close()

    with pytest.raises(JournalError):
        database.write(note("late"))
    with pytest.raises(JournalError):
        database.read("SELECT 1")


NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def damage(path: Path) -> None:
    """Overwrite the middle of a database's file that has some pages."""
    whole = Database(path, schema=SCHEMA)
    for number in range(50):
        whole.write(note(f"{number}" * 1000))
    whole.close()
    content = bytearray(path.read_bytes())
    content[4096:20000] = os.urandom(20000 - 4096)
    path.write_bytes(content)


def test_a_sound_file_is_opened_and_stays(tmp_path: Path) -> None:
    first, _ = open_or_replace(tmp_path / "journal.db", schema=SCHEMA, now=NOW)
    first.write(note("kept"))
    first.close()

    again, aside = open_or_replace(tmp_path / "journal.db", schema=SCHEMA, now=NOW)

    assert (notes(again), aside) == (["kept"], None)
    again.close()


@pytest.mark.parametrize(
    "spoil",
    [damage, lambda path: path.write_bytes(b"no database at all " * 400), lambda path: path.write_bytes(b"x" * 10)],
    ids=["damaged", "garbage", "cut short"],
)
def test_a_damaged_file_is_set_aside_and_a_new_one_begins(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    path = tmp_path / "journal.db"
    spoil(path)
    spoilt = path.read_bytes()

    database, aside = open_or_replace(path, schema=SCHEMA, now=NOW)

    assert aside == tmp_path / "journal.damaged-20261121T120000Z.db"
    assert aside.read_bytes() == spoilt
    assert notes(database) == []
    database.write(note("new"))
    assert notes(database) == ["new"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    database.close()
