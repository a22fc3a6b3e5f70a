"""Files of the library come back into MinIO: whole or not at all, and without the mirror taking them for news."""

import io
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from e2e.trouble import calm, nudge, start_again

from sharepoint_proxy import paths, tables
from sharepoint_proxy.database import Database
from sharepoint_proxy.errors import AccessError, ConfigError, OutageError, PermanentError
from sharepoint_proxy.fates import Fate, Restored
from sharepoint_proxy.records import LedgerEntry
from sharepoint_proxy.reservations import Reservations
from sharepoint_proxy.restore import Restorer
from sharepoint_proxy.restore_parts import make_restorer
from simulator.calls import Call, CallKind
from simulator.faults import Action, AnswerWith, CorruptBytes, CutConnection, Fault, Match, TruncateAnswer
from simulator.minio_standin import MinioStandin, StandinOptions
from simulator.options import OfficeRewriting
from simulator.rclone_remote import PROGRAM
from simulator.service_process import ROOT, SECRET
from simulator.stage import BUCKET, Stage

MIB = 1024 * 1024
NOTE = "administration/note.txt"
SPARE = "spare"

READING = {
    *(CallKind.OPENID, CallKind.TOKEN, CallKind.SITE, CallKind.DRIVE),
    *(CallKind.ITEM_GET, CallKind.CHILDREN, CallKind.DOWNLOAD, CallKind.DOWNLOAD_BYTES, CallKind.COLUMNS),
}
"""The kinds of calls that change nothing in SharePoint."""

_RUN_ALONE = """
import os
from sharepoint_proxy.restore_parts import make_restorer
asked = {"to": None, "dry_run": False, "overwrite": False, "on_bytes": lambda count: print(count, flush=True)}
list(make_restorer(os.environ).run(bucket="lycee", prefix="", **asked))
"""


class Console:
    """Restores on STAGE as the command does, with the rights of MinIO's root user unless told otherwise."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._database: Database | None = None
        self.fetched_bytes = 0

    def variables(self, **others: str) -> dict[str, str]:
        """The environment of the command."""
        minio = self.stage.minio
        own = {
            "WEBHOOK_SECRET": SECRET,
            "DATA_DIR": str(self.stage.folder / "data"),
            "RESTORE_ACCESS_KEY": minio.root_user,
            "RESTORE_SECRET_KEY": minio.root_password,
        }
        return {**self.stage.environment(), **own, **others}

    @property
    def database(self) -> Database:
        """The service's journal, from another process than the service's."""
        if self._database is None:
            self._database = Database(self.stage.folder / "data" / "journal.db", schema=tables.SCHEMA)
        return self._database

    def restorer(self, **others: str) -> Restorer:
        """A restorer on the service's journal."""
        return make_restorer(self.variables(**others), database=self.database)

    def run(
        self,
        prefix: str = "",
        *,
        bucket: str = BUCKET,
        to: tuple[str, str] | None = None,
        dry_run: bool = False,
        overwrite: bool = False,
        **others: str,
    ) -> Generator[Restored, None, None]:
        """What the command yields."""
        return self.restorer(**others).run(
            bucket=bucket, prefix=prefix, to=to, dry_run=dry_run, overwrite=overwrite, on_bytes=self._count
        )

    def fates(self, prefix: str = "", **options: Any) -> dict[str, Fate]:
        """What became of each key."""
        return {restored.key: restored.fate for restored in self.run(prefix, **options)}

    def close(self) -> None:
        """Close the journal."""
        if self._database is not None:
            self._database.close()

    def _count(self, count: int) -> None:
        self.fetched_bytes += count


@pytest.fixture(scope="module")
def shared_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """An ordinary stage, which each test leaves empty."""
    with Stage(tmp_path_factory.mktemp("stage")) as running:
        running.begin()
        yield running


@pytest.fixture
def console(shared_stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Console]:
    """A console for an ordinary stage."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", shared_stage.environment()["REQUESTS_CA_BUNDLE"])
    with closing(Console(shared_stage)) as opened:
        yield opened
    empty(shared_stage)


@pytest.fixture
def make_console(make_stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Console]]:
    """Makes a stage of the test's own, whose service is ready, and a console for it."""
    with ExitStack() as opened:

        def make(**options: Any) -> Console:
            stage = make_stage(**options)
            stage.begin()
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", stage.environment()["REQUESTS_CA_BUNDLE"])
            return opened.enter_context(closing(Console(stage)))

        yield make


def empty(stage: Stage) -> None:
    """End all faults, and leave nothing in MinIO, the library and the journal."""
    stage.graph.change(children_page=200, office_rewriting=OfficeRewriting.OFF)
    calm(stage)
    for key in held(stage):
        stage.delete(key)
    stage.settle()
    # What a test lost behind MinIO's back was never announced.
    nudge(stage, *rows(stage, "ledger"))
    stage.settle()
    for path in [path for path in stage.graph.tree() if "/" not in path]:
        stage.graph.delete_foreign(path)
    stage.minio._store.bucket(BUCKET).multiparts.clear()
    stage.graph.clear_calls()
    assert [rows(stage, table) for table in ("changes", "uploads", "ledger")] == [[], [], []]


def mirror(stage: Stage, objects: dict[str, bytes], *, bucket: str = BUCKET) -> None:
    """Put OBJECTS, wait until they are in the library, and forget the calls for that."""
    for key, content in objects.items():
        stage.put(key, content, bucket=bucket)
    stage.settle()
    stage.graph.clear_calls()


def lose(minio: MinioStandin, prefix: str = "", *, bucket: str = BUCKET) -> None:
    """Take objects away behind MinIO's back, so that no event tells of it."""
    with minio._store.lock:
        for key in [key for key in minio._store.bucket(bucket).keys if key.startswith(prefix)]:
            minio._store.remove_prefix(bucket, key)


def held(stage: Stage, *, bucket: str = BUCKET) -> dict[str, bytes]:
    """All objects of the bucket."""
    client = stage.minio.client()
    keys = [str(found.object_name) for found in client.list_objects(bucket, recursive=True)]
    return {key: client.get_object(bucket, key).data for key in keys}


def begun_uploads(stage: Stage, *, bucket: str = BUCKET) -> int:
    """How many multipart uploads MinIO keeps that were neither completed nor aborted."""
    return len(stage.minio._store.bucket(bucket).multiparts)


def writes(stage: Stage) -> list[Call]:
    """The calls since the last time that may have changed the library."""
    return [call for call in stage.calls() if call.kind not in READING]


def downloads(stage: Stage) -> list[int]:
    """The statuses of the downloads since the calls were last forgotten."""
    return [call.status for call in stage.graph.calls() if call.kind is CallKind.DOWNLOAD_BYTES]


def listed_by_rclone(minio: MinioStandin) -> dict[str, str]:
    """The date that rclone shows of each object."""
    remote = {"type": "s3", "provider": "Minio", "endpoint": minio.endpoint, "region": "us-east-1"}
    user = {"access_key_id": minio.root_user, "secret_access_key": minio.root_password}
    environment = {f"RCLONE_CONFIG_M_{name.upper()}": value for name, value in (remote | user).items()}
    command = [str(PROGRAM), "lsjson", "--recursive", "--files-only", f"m:{BUCKET}"]
    done = subprocess.run(command, env={"TZ": "UTC", **environment}, capture_output=True, text=True, check=True)
    return {entry["Path"]: entry["ModTime"] for entry in json.loads(done.stdout)}


def rows(stage: Stage, table: str) -> list[str]:
    """The keys of a table of the journal."""
    path = stage.folder / "data" / "journal.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as journal:
        return [key for (key,) in journal.execute(f"SELECT key FROM {table}")]  # noqa: S608 - the tests' own names


def test_it_brings_back_what_was_lost_and_the_mirror_has_nothing_to_do(console: Console) -> None:
    """Whatever the names are: the events of the restored objects cost not one call at Graph that writes."""
    stage = console.stage
    objects = {
        NOTE: b"hello",
        "administration/a:b?.txt": b"refused characters",
        "administration/.lock": b"a reserved name",
        "administration/été/日本.txt": b"unicode",
        "administration/e\u0301.txt": b"as a Mac spells it",
        "administration/empty.txt": b"",
        "archives/2024/deep/er/est.bin": b"in a folder of another name",
        "bts-sio/film.mp4": os.urandom(30 * MIB),
    }
    mirror(stage, objects)
    before = stage.graph.tree()
    lose(stage.minio)

    assert console.fates() == dict.fromkeys(objects, Fate.RESTORED)
    stage.settle()

    assert held(stage) == objects
    assert writes(stage) == []
    assert stage.graph.tree() == before
    assert rows(stage, "uploads") == []
    assert console.fetched_bytes == sum(map(len, objects.values()))


def test_the_library_follows_a_restored_object_as_any_other(console: Console) -> None:
    """What is in the ledger is true: the same bytes cost nothing, others are an upload, a removal removes."""
    stage = console.stage
    mirror(stage, {NOTE: b"hello"})
    lose(stage.minio)
    console.fates()
    stage.settle()
    stage.calls()

    stage.put(NOTE, b"hello")
    stage.settle()
    assert stage.kinds() == []

    stage.put(NOTE, b"hello again")
    stage.settle()
    assert stage.graph.content(NOTE) == b"hello again"

    stage.delete(NOTE)
    stage.settle()
    assert NOTE not in stage.graph.tree()


def test_it_restores_what_the_mirror_never_wrote(console: Console) -> None:
    """A file that somebody put into the library by hand becomes an object, and is not sent back."""
    stage = console.stage
    stage.graph.put_foreign("administration/a\uff1ab.txt", b"theirs")

    assert console.fates() == {"administration/a:b.txt": Fate.RESTORED}
    stage.settle()

    assert held(stage) == {"administration/a:b.txt": b"theirs"}
    assert writes(stage) == []


def test_an_event_that_comes_before_the_etag_is_known_makes_the_service_adopt(console: Console) -> None:
    """The reservation alone is enough; and what the service settled is not written over."""
    stage = console.stage
    stage.graph.put_foreign(NOTE, b"hello")
    reservations = Reservations(console.database, place_of=paths.comparison_key)
    assert reservations.take(BUCKET, NOTE, NOTE) == ""

    stage.put(NOTE, b"hello")
    stage.settle()
    assert stage.kinds() == ["ITEM_GET"]

    mistaken = {"item_id": "other", "size": 5, "etag": "other", "quickxor": None}
    reservations.settle(LedgerEntry(bucket=BUCKET, key=NOTE, path=NOTE, **mistaken))  # type: ignore[arg-type] # as above
    stage.delete(NOTE)
    stage.settle()
    assert stage.kinds() == ["DELETE"]
    assert NOTE not in stage.graph.tree()


def test_a_removal_that_is_announced_after_the_restore_harms_nothing(
    make_console: Callable[..., Console], tmp_path: Path
) -> None:
    """A delete marker whose event waits with MinIO: the restore writes a new version over it, and the event finds that."""
    minio = StandinOptions(buckets=(), versioned_buckets=("versioned",), queue_dir=tmp_path / "events")
    console = make_console(minio=minio)
    stage = console.stage
    mirror(stage, {NOTE: b"hello"}, bucket="versioned")
    stage.service.stop()
    stage.delete(NOTE, bucket="versioned")

    assert console.fates(bucket="versioned") == {NOTE: Fate.RESTORED}
    start_again(stage)
    stage.settle()

    assert held(stage, bucket="versioned") == {NOTE: b"hello"}
    assert stage.graph.content(NOTE) == b"hello"
    assert writes(stage) == []


def test_a_change_that_waits_in_the_journal_is_left_to_the_service(console: Console) -> None:
    """The file is about to be deleted: bringing it back is for whoever still wants it afterwards."""
    stage = console.stage
    mirror(stage, {NOTE: b"hello", "administration/other.txt": b"other"})
    stage.graph.add_fault(Fault(Match(CallKind.DELETE), AnswerWith(423), times=None))
    stage.delete(NOTE)
    stage.service.wait_for_line(lambda line: line["event"] == "postponed" and line["key"] == NOTE)
    lose(stage.minio)

    results = {restored.key: restored for restored in console.run()}
    assert results[NOTE].fate is Fate.SKIPPED
    assert "s3:ObjectRemoved:Delete" in results[NOTE].reason
    assert results["administration/other.txt"].fate is Fate.RESTORED
    assert console.fates(dry_run=True)[NOTE] is Fate.SKIPPED


def test_it_keeps_other_content_unless_told_to_overwrite(console: Console) -> None:
    """Both ways nothing is sent to SharePoint: what was kept is not news, what was restored is known."""
    stage = console.stage
    mirror(stage, {NOTE: b"hello", "administration/same.txt": b"same"})
    stage.graph.edit_foreign(NOTE, b"edited in SharePoint")

    assert console.fates() == {NOTE: Fate.KEPT, "administration/same.txt": Fate.ALREADY_THERE}
    assert held(stage)[NOTE] == b"hello"
    assert downloads(stage) == []

    assert console.fates(overwrite=True) == {NOTE: Fate.RESTORED, "administration/same.txt": Fate.ALREADY_THERE}
    stage.settle()
    assert held(stage)[NOTE] == b"edited in SharePoint"
    assert stage.graph.content(NOTE) == b"edited in SharePoint"
    assert writes(stage) == []


def test_it_restores_to_another_bucket(make_console: Callable[..., Console]) -> None:
    """Below --to the objects keep their paths below the prefix; a second run knows them by their hash."""
    console = make_console(minio=StandinOptions(buckets=(BUCKET, SPARE)), settings={"MINIO_BUCKETS": BUCKET})
    stage = console.stage
    mirror(stage, {"administration/a/one.txt": b"one", "administration/two.txt": b"two", "bts-sio/no.txt": b"no"})

    expected = {"2026/a/one.txt": b"one", "2026/two.txt": b"two"}
    assert console.fates("administration/", to=(SPARE, "2026/")) == dict.fromkeys(expected, Fate.RESTORED)
    assert held(stage, bucket=SPARE) == expected
    fetched = downloads(stage)
    assert console.fates("administration", to=(SPARE, "2026")) == dict.fromkeys(expected, Fate.ALREADY_THERE)
    assert downloads(stage) == fetched


def test_a_dry_run_writes_nothing(console: Console) -> None:
    stage = console.stage
    mirror(stage, {NOTE: b"hello", "administration/kept.txt": b"here"})
    lose(stage.minio, NOTE)

    fates = console.fates(dry_run=True, RESTORE_ACCESS_KEY="", RESTORE_SECRET_KEY="")
    assert fates == {NOTE: Fate.WOULD_RESTORE, "administration/kept.txt": Fate.ALREADY_THERE}
    assert held(stage) == {"administration/kept.txt": b"here"}
    assert downloads(stage) == []
    assert rows(stage, "uploads") == []


def test_it_restores_one_folder_or_one_object(console: Console) -> None:
    """A prefix is a folder of keys, as everywhere: it never matches half a name."""
    stage = console.stage
    mirror(stage, {f"administration/{name}": b"x" for name in ("a.txt", "a/b.txt", "ab/c.txt")})
    lose(stage.minio)

    assert set(console.fates("administration/a", dry_run=True)) == {"administration/a/b.txt"}
    assert set(console.fates("administration/a.txt", dry_run=True)) == {"administration/a.txt"}
    assert len(console.fates("administration/", dry_run=True)) == 3


def test_it_says_that_a_prefix_is_not_mirrored(console: Console) -> None:
    with pytest.raises(PermanentError, match="lycee/secret is under no prefix that is mirrored"):
        console.fates("secret/")
    with pytest.raises(PermanentError, match="holds nothing at administration/typo"):
        console.fates("administration/typo/")


def test_it_says_at_once_that_a_bucket_is_missing(console: Console) -> None:
    mirror(console.stage, {NOTE: b"hello"})
    with pytest.raises(OutageError, match="The bucket nowhere does not exist"):
        console.fates(to=("nowhere", ""))


def test_it_says_which_rights_are_missing(console: Console) -> None:
    """Of a small object and of one in parts; nothing is left behind in the journal."""
    stage = console.stage
    mirror(stage, {NOTE: b"hello", "bts-sio/big.bin": os.urandom(11 * MIB)})
    lose(stage.minio)

    for prefix in ("administration", "bts-sio"):
        with pytest.raises(AccessError) as refused:
            console.fates(prefix, RESTORE_ACCESS_KEY="", RESTORE_SECRET_KEY="")
        for words in ("s3:PutObject", "s3:AbortMultipartUpload", "arn:aws:s3:::lycee/*", "RESTORE_ACCESS_KEY"):
            assert words in str(refused.value)
    assert rows(stage, "uploads") == []
    assert held(stage) == {}


def test_half_a_user_is_a_wrong_setting(console: Console) -> None:
    with pytest.raises(ConfigError, match="RESTORE_SECRET_KEY is not set") as refused:
        console.restorer(RESTORE_SECRET_KEY="")
    assert "MINIO_" not in str(refused.value)


@pytest.mark.parametrize("size", [5, 11 * MIB])
def test_wrong_bytes_are_never_stored(console: Console, size: int) -> None:
    stage = console.stage
    mirror(stage, {NOTE: os.urandom(size)})
    lose(stage.minio)
    stage.graph.add_fault(Fault(Match(CallKind.DOWNLOAD_BYTES), CorruptBytes(), times=None))

    (restored,) = console.run()
    assert restored.fate is Fate.FAILED
    assert "quickXorHash" in restored.reason
    assert held(stage) == {}
    assert begun_uploads(stage) == 0
    assert rows(stage, "uploads") == []


@pytest.mark.parametrize(
    ("action", "next_status"),
    [(TruncateAnswer(), 206), (CutConnection(), 200), (AnswerWith(503), 200)],
    ids=["in its middle", "before its beginning", "refused"],
)
def test_a_broken_download_goes_on_where_it_broke(console: Console, action: Action, next_status: int) -> None:
    """No byte is fetched twice."""
    stage = console.stage
    content = os.urandom(30 * MIB)
    mirror(stage, {"bts-sio/film.mp4": content})
    lose(stage.minio)
    stage.graph.add_fault(Fault(Match(CallKind.DOWNLOAD_BYTES), action))

    assert console.fates() == {"bts-sio/film.mp4": Fate.RESTORED}
    stage.settle()
    assert held(stage) == {"bts-sio/film.mp4": content}
    assert downloads(stage)[1:] == [next_status]
    assert console.fetched_bytes == len(content)
    assert writes(stage) == []


def test_a_pause_that_graph_asks_for_is_kept(console: Console) -> None:
    stage = console.stage
    mirror(stage, {NOTE: b"hello"})
    lose(stage.minio)
    stage.graph.add_fault(Fault(Match(CallKind.DOWNLOAD), AnswerWith(429, headers={"Retry-After": "1"})))
    stage.graph.add_fault(Fault(Match(CallKind.CHILDREN), AnswerWith(503)))

    assert console.fates() == {NOTE: Fate.RESTORED}


@pytest.mark.parametrize(("kind", "status"), [(CallKind.DOWNLOAD, 404), (CallKind.DOWNLOAD_BYTES, 401)])
def test_a_file_that_cannot_be_fetched_fails_alone(console: Console, kind: CallKind, status: int) -> None:
    """Because it is gone meanwhile, or barred."""
    stage = console.stage
    mirror(stage, {NOTE: b"hello", "administration/other.txt": b"other"})
    lose(stage.minio)
    stage.graph.add_fault(Fault(Match(kind, path="note.txt"), AnswerWith(status), times=None))

    assert console.fates() == {NOTE: Fate.FAILED, "administration/other.txt": Fate.RESTORED}
    stage.settle()
    assert rows(stage, "uploads") == []


def test_an_interrupted_run_goes_on(console: Console) -> None:
    """What is closed in its middle leaves nothing half-written; the next run fetches the rest."""
    stage = console.stage
    small = {f"administration/{number}.txt": str(number).encode() for number in range(3)}
    large = {"bts-sio/film.mp4": os.urandom(24 * MIB)}
    mirror(stage, small | large)
    lose(stage.minio)
    # So that the film is in its middle when the small files are done.
    stage.graph.bandwidth = 8 * MIB
    with closing(console.run()) as running:
        first = [next(running) for _ in range(3)]
    stage.graph.bandwidth = None

    assert {restored.key for restored in first} == set(small)
    assert held(stage) == small
    assert begun_uploads(stage) == 0
    assert rows(stage, "uploads") == []

    expected = dict.fromkeys(small, Fate.ALREADY_THERE) | dict.fromkeys(large, Fate.RESTORED)
    assert console.fates() == expected
    stage.settle()
    assert held(stage) == small | large
    assert writes(stage) == []


def test_a_killed_run_goes_on(console: Console) -> None:
    """The reservation of a run that died stands in nobody's way."""
    stage = console.stage
    content = os.urandom(24 * MIB)
    mirror(stage, {"bts-sio/film.mp4": content})
    lose(stage.minio)
    stage.graph.bandwidth = 8 * MIB
    environment = {**console.variables(), "PYTHONPATH": str(ROOT / "sharepoint-proxy"), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", _RUN_ALONE]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as alone:
        fetched = 0
        while fetched < 12 * MIB:
            fetched += int((alone.stdout or io.StringIO()).readline())
        alone.kill()
    stage.graph.bandwidth = None
    assert begun_uploads(stage) == 1
    assert rows(stage, "uploads") == ["bts-sio/film.mp4"]
    assert held(stage) == {}

    assert console.fates() == {"bts-sio/film.mp4": Fate.RESTORED}
    stage.settle()
    assert held(stage) == {"bts-sio/film.mp4": content}
    assert writes(stage) == []
    assert rows(stage, "uploads") == []


def test_it_keeps_the_date_and_guesses_the_type(console: Console) -> None:
    """The date is kept as rclone keeps it, so that rclone shows it."""
    stage = console.stage
    stage.graph.put_foreign("administration/a.pdf", b"pdf")
    stage.graph.put_foreign("administration/b.unknown-type", b"b")
    item = stage.graph.tenant.library_named("Documents").find(["administration", "a.pdf"])
    assert item is not None
    item.times = type(item.times)(None, datetime(2021, 3, 4, 5, 6, 7, tzinfo=UTC).timestamp())
    console.fates()

    client = stage.minio.client()
    assert client.stat_object(BUCKET, "administration/a.pdf").content_type == "application/pdf"
    assert listed_by_rclone(stage.minio)["administration/a.pdf"] == "2021-03-04T05:06:07.000000000Z"
    assert client.stat_object(BUCKET, "administration/b.unknown-type").content_type == "application/octet-stream"


def test_it_brings_back_the_metadata_that_filled_columns(make_console: Callable[..., Console]) -> None:
    """Without them the restored object would empty its file's columns."""
    console = make_console(settings={"METADATA_COLUMNS": "auteur=Auteur,pages=Pages,final=Final"})
    stage = console.stage
    client = stage.minio.client()
    for key, author in ((NOTE, "Ana"), ("administration/other.txt", "=?utf-8?b?Wm/DqQ==?=")):
        stage.put(key, b"hello", metadata={"auteur": author, "pages": "12", "final": "oui"})
    stage.settle()
    before = client.stat_object(BUCKET, NOTE).metadata or {}
    lose(stage.minio)
    stage.calls()

    assert set(console.fates().values()) == {Fate.RESTORED}
    stage.settle()
    assert writes(stage) == []
    after = client.stat_object(BUCKET, NOTE).metadata or {}
    assert (before["x-amz-meta-auteur"], after["x-amz-meta-auteur"], after["x-amz-meta-pages"]) == ("Ana", "Ana", "12")


def test_it_restores_markers_that_the_ledger_knows(console: Console) -> None:
    """A folder is an object only where it was one."""
    stage = console.stage
    mirror(stage, {"administration/marked/": b"", "administration/plain/a.txt": b"a"})
    lose(stage.minio)

    assert console.fates() == {"administration/marked/": Fate.RESTORED, "administration/plain/a.txt": Fate.RESTORED}
    stage.settle()
    assert set(held(stage)) == {"administration/marked/", "administration/plain/a.txt"}
    assert writes(stage) == []
    assert console.fates()["administration/marked/"] is Fate.ALREADY_THERE


def test_office_files_come_back_as_sharepoint_made_them(console: Console) -> None:
    """SharePoint writes into them; what comes back is what it holds, and is sent nowhere."""
    stage = console.stage
    stage.graph.change(office_rewriting=OfficeRewriting.IN_THE_ANSWER)
    key = "administration/report.docx"
    mirror(stage, {key: os.urandom(1000)})
    # What MinIO holds is what was mirrored, so there is nothing to bring back.
    assert console.fates(overwrite=True) == {key: Fate.ALREADY_THERE}
    lose(stage.minio)

    assert console.fates() == {key: Fate.RESTORED}
    stage.settle()
    assert held(stage) == {key: stage.graph.content(key)}
    assert writes(stage) == []


def test_it_reads_folders_of_many_pages(console: Console) -> None:
    stage = console.stage
    objects = {f"administration/{number:03}/{name}.txt": b"x" for number in range(7) for name in ("a", "b", "c")}
    mirror(stage, objects)
    lose(stage.minio)
    stage.graph.change(children_page=2)

    assert console.fates() == dict.fromkeys(objects, Fate.RESTORED)
    stage.settle()
    assert writes(stage) == []


def test_two_buckets_that_share_a_folder_each_get_their_own(make_console: Callable[..., Console]) -> None:
    """Whose a file is, the ledger knows."""
    console = make_console(minio=StandinOptions(buckets=(BUCKET, SPARE)))
    stage = console.stage
    mirror(stage, {"administration/one.txt": b"one"})
    mirror(stage, {"administration/two.txt": b"two"}, bucket=SPARE)
    for bucket in (BUCKET, SPARE):
        lose(stage.minio, bucket=bucket)

    assert console.fates(bucket=SPARE) == {"administration/two.txt": Fate.RESTORED}
    assert held(stage, bucket=SPARE) == {"administration/two.txt": b"two"}
    assert held(stage) == {}


def test_it_knows_how_much_there_is(console: Console) -> None:
    mirror(console.stage, {NOTE: b"hello", "bts-sio/a/b.txt": b"1234567"})
    restorer = console.restorer()

    assert restorer.expected_bytes(bucket=BUCKET, prefix="") == 12
    assert restorer.expected_bytes(bucket=BUCKET, prefix="bts-sio") == 7
    assert restorer.expected_bytes(bucket=BUCKET, prefix=NOTE) == 5


def test_what_cannot_be_stored_is_told_with_its_reason(console: Console) -> None:
    """A name that no key has; and nothing that is told holds the secret of a download's address."""
    stage = console.stage
    stage.graph.put_foreign("administration/n\u201b41ame.txt", b"x")
    stage.graph.put_foreign("administration/ok.txt", b"ok")
    stage.graph.add_fault(Fault(Match(CallKind.DOWNLOAD_BYTES), AnswerWith(404), times=None))

    results = list(console.run())
    assert {restored.fate for restored in results} <= {Fate.SKIPPED, Fate.FAILED}
    assert all(restored.reason and "tempauth" not in restored.reason for restored in results)
    assert held(stage) == {}
