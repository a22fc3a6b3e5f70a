"""Files of the library come back into MinIO under their own keys, and the mirror does not take them for news."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from e2e.restoring import (
    MIB,
    NOTE,
    Restores,
    downloads,
    listed_by_rclone,
    lose,
    mirror,
    restores_on,
    writes,
)
from e2e.trouble import empty, held, rows

from sharepoint_proxy.errors import PermanentError
from sharepoint_proxy.fates import Fate
from simulator.minio_standin import StandinOptions
from simulator.options import OfficeRewriting
from simulator.stage import BUCKET, Stage

SPARE = "spare"
ROUTES = """
[[route]]
bucket = "lycee"
prefix = "administration"
exclude = ["*.tmp"]

[[route]]
bucket = "lycee"
prefix = "archives"
library = "Archives"
folder = "/"
"""


@pytest.fixture(scope="module")
def shared_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """An ordinary stage, which each test leaves empty."""
    with Stage(tmp_path_factory.mktemp("stage")) as running:
        running.begin()
        yield running


@pytest.fixture
def restores(shared_stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Restores]:
    """Restores on an ordinary stage."""
    with restores_on(shared_stage, monkeypatch) as opened:
        yield opened
    empty(shared_stage)


@pytest.fixture
def make_restores(
    make_stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Restores]]:
    """Makes a stage of the test's own, whose service is ready, for restores on it."""
    with ExitStack() as opened:

        def make(**options: Any) -> Restores:
            stage = make_stage(**options)
            stage.begin()
            return opened.enter_context(restores_on(stage, monkeypatch))

        yield make


def test_it_brings_back_what_was_lost_and_the_mirror_has_nothing_to_do(restores: Restores) -> None:
    """Whatever the names are: the events of the restored objects cost not one call at Graph that writes."""
    stage = restores.stage
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

    assert restores.fates() == dict.fromkeys(objects, Fate.RESTORED)
    stage.settle()

    assert held(stage) == objects
    assert writes(stage) == []
    assert stage.graph.tree() == before
    assert rows(stage, "uploads") == []
    assert restores.fetched_bytes == sum(map(len, objects.values()))


def test_the_library_follows_a_restored_object_as_any_other(restores: Restores) -> None:
    """What is in the ledger is true: the same bytes cost nothing, others are an upload, a removal removes."""
    stage = restores.stage
    mirror(stage, {NOTE: b"hello"})
    lose(stage.minio)
    restores.fates()
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


def test_it_restores_what_the_mirror_never_wrote(restores: Restores) -> None:
    """A file that somebody put into the library by hand becomes an object, and is not sent back."""
    stage = restores.stage
    stage.graph.put_foreign("administration/a\uff1ab.txt", b"theirs")

    assert restores.fates() == {"administration/a:b.txt": Fate.RESTORED}
    stage.settle()

    assert held(stage) == {"administration/a:b.txt": b"theirs"}
    assert writes(stage) == []


def test_it_keeps_other_content_unless_told_to_overwrite(restores: Restores) -> None:
    """Both ways nothing is sent to SharePoint: what was kept is not news, what was restored is known."""
    stage = restores.stage
    mirror(stage, {NOTE: b"hello", "administration/same.txt": b"same"})
    stage.graph.edit_foreign(NOTE, b"edited in SharePoint")

    assert restores.fates() == {NOTE: Fate.KEPT, "administration/same.txt": Fate.ALREADY_THERE}
    assert held(stage)[NOTE] == b"hello"
    assert downloads(stage) == []

    assert restores.fates(overwrite=True) == {NOTE: Fate.RESTORED, "administration/same.txt": Fate.ALREADY_THERE}
    stage.settle()
    assert held(stage)[NOTE] == b"edited in SharePoint"
    assert stage.graph.content(NOTE) == b"edited in SharePoint"
    assert writes(stage) == []


def test_it_restores_to_another_bucket(make_restores: Callable[..., Restores]) -> None:
    """Below --to the objects keep their paths below the prefix; a second run knows them by their hash."""
    restores = make_restores(minio=StandinOptions(buckets=(BUCKET, SPARE)), settings={"MINIO_BUCKETS": BUCKET})
    stage = restores.stage
    mirror(stage, {"administration/a/one.txt": b"one", "administration/two.txt": b"two", "bts-sio/no.txt": b"no"})

    expected = {"2026/a/one.txt": b"one", "2026/two.txt": b"two"}
    assert restores.fates("administration/", to=(SPARE, "2026/")) == dict.fromkeys(expected, Fate.RESTORED)
    assert held(stage, bucket=SPARE) == expected
    fetched = downloads(stage)
    assert restores.fates("administration", to=(SPARE, "2026")) == dict.fromkeys(expected, Fate.ALREADY_THERE)
    assert downloads(stage) == fetched


def test_a_dry_run_writes_nothing(restores: Restores) -> None:
    stage = restores.stage
    mirror(stage, {NOTE: b"hello", "administration/kept.txt": b"here"})
    lose(stage.minio, NOTE)

    fates = restores.fates(dry_run=True, RESTORE_ACCESS_KEY="", RESTORE_SECRET_KEY="")
    assert fates == {NOTE: Fate.WOULD_RESTORE, "administration/kept.txt": Fate.ALREADY_THERE}
    assert held(stage) == {"administration/kept.txt": b"here"}
    assert downloads(stage) == []
    assert rows(stage, "uploads") == []


def test_it_restores_one_folder_or_one_object(restores: Restores) -> None:
    """A prefix is a folder of keys, as everywhere: it never matches half a name."""
    stage = restores.stage
    mirror(stage, {f"administration/{name}": b"x" for name in ("a.txt", "a/b.txt", "ab/c.txt")})
    lose(stage.minio)

    assert set(restores.fates("administration/a", dry_run=True)) == {"administration/a/b.txt"}
    assert set(restores.fates("administration/a.txt", dry_run=True)) == {"administration/a.txt"}
    assert len(restores.fates("administration/", dry_run=True)) == 3


def test_it_says_that_a_prefix_is_not_mirrored(restores: Restores) -> None:
    with pytest.raises(PermanentError, match="lycee/secret is under no prefix that is mirrored"):
        restores.fates("secret/")
    with pytest.raises(PermanentError, match="holds nothing at administration/typo"):
        restores.fates("administration/typo/")


def test_it_keeps_the_date_and_guesses_the_type(restores: Restores) -> None:
    """The date is kept as rclone keeps it, so that rclone shows it."""
    stage = restores.stage
    stage.graph.put_foreign("administration/a.pdf", b"pdf")
    stage.graph.put_foreign("administration/b.unknown-type", b"b")
    item = stage.graph.tenant.library_named("Documents").find(["administration", "a.pdf"])
    assert item is not None
    item.times = type(item.times)(None, datetime(2021, 3, 4, 5, 6, 7, tzinfo=UTC).timestamp())
    restores.fates()

    client = stage.minio.client()
    assert client.stat_object(BUCKET, "administration/a.pdf").content_type == "application/pdf"
    assert listed_by_rclone(stage.minio)["administration/a.pdf"] == "2021-03-04T05:06:07.000000000Z"
    assert client.stat_object(BUCKET, "administration/b.unknown-type").content_type == "application/octet-stream"


def test_it_brings_back_the_metadata_that_filled_columns(make_restores: Callable[..., Restores]) -> None:
    """Without them the restored object would empty its file's columns."""
    restores = make_restores(settings={"METADATA_COLUMNS": "auteur=Auteur,pages=Pages,final=Final"})
    stage = restores.stage
    client = stage.minio.client()
    for key, author in ((NOTE, "Ana"), ("administration/other.txt", "=?utf-8?b?Wm/DqQ==?=")):
        stage.put(key, b"hello", metadata={"auteur": author, "pages": "12", "final": "oui"})
    stage.settle()
    before = client.stat_object(BUCKET, NOTE).metadata or {}
    lose(stage.minio)
    stage.calls()

    assert set(restores.fates().values()) == {Fate.RESTORED}
    stage.settle()
    assert writes(stage) == []
    after = client.stat_object(BUCKET, NOTE).metadata or {}
    assert (before["x-amz-meta-auteur"], after["x-amz-meta-auteur"], after["x-amz-meta-pages"]) == ("Ana", "Ana", "12")


def test_it_restores_markers_that_the_ledger_knows(restores: Restores) -> None:
    """A folder is an object only where it was one."""
    stage = restores.stage
    mirror(stage, {"administration/marked/": b"", "administration/plain/a.txt": b"a"})
    lose(stage.minio)

    assert restores.fates() == {"administration/marked/": Fate.RESTORED, "administration/plain/a.txt": Fate.RESTORED}
    stage.settle()
    assert set(held(stage)) == {"administration/marked/", "administration/plain/a.txt"}
    assert writes(stage) == []
    assert restores.fates()["administration/marked/"] is Fate.ALREADY_THERE


def test_office_files_come_back_as_sharepoint_made_them(restores: Restores) -> None:
    """SharePoint writes into them; what comes back is what it holds, and is sent nowhere."""
    stage = restores.stage
    stage.graph.change(office_rewriting=OfficeRewriting.IN_THE_ANSWER)
    key = "administration/report.docx"
    mirror(stage, {key: os.urandom(1000)})
    # What MinIO holds is what was mirrored, so there is nothing to bring back.
    assert restores.fates(overwrite=True) == {key: Fate.ALREADY_THERE}
    lose(stage.minio)

    assert restores.fates() == {key: Fate.RESTORED}
    stage.settle()
    assert held(stage) == {key: stage.graph.content(key)}
    assert writes(stage) == []


def test_it_reads_folders_of_many_pages(restores: Restores) -> None:
    stage = restores.stage
    objects = {f"administration/{number:03}/{name}.txt": b"x" for number in range(7) for name in ("a", "b", "c")}
    mirror(stage, objects)
    lose(stage.minio)
    stage.graph.change(children_page=2)

    assert restores.fates() == dict.fromkeys(objects, Fate.RESTORED)
    stage.settle()
    assert writes(stage) == []


def test_two_buckets_that_share_a_folder_each_get_their_own(make_restores: Callable[..., Restores]) -> None:
    """Whose a file is, the ledger knows."""
    restores = make_restores(minio=StandinOptions(buckets=(BUCKET, SPARE)))
    stage = restores.stage
    mirror(stage, {"administration/one.txt": b"one"})
    mirror(stage, {"administration/two.txt": b"two"}, bucket=SPARE)
    for bucket in (BUCKET, SPARE):
        lose(stage.minio, bucket=bucket)

    assert restores.fates(bucket=SPARE) == {"administration/two.txt": Fate.RESTORED}
    assert held(stage, bucket=SPARE) == {"administration/two.txt": b"two"}
    assert held(stage) == {}


def test_it_reads_every_library_that_a_route_leads_to(make_restores: Callable[..., Restores], tmp_path: Path) -> None:
    """Each key comes back from the library that it went to; what a glob leaves out has no key."""
    file = tmp_path / "routes.toml"
    file.write_text(ROUTES, encoding="utf-8")
    settings = {"ROUTES_FILE": str(file), "ALLOWED_PREFIXES": "", "MINIO_BUCKETS": ""}
    restores = make_restores(settings=settings)
    stage = restores.stage
    objects = {NOTE: b"in the main library", "archives/2024/old.txt": b"in the other one"}
    mirror(stage, objects)
    assert stage.graph.content("2024/old.txt", "Archives") == b"in the other one"
    stage.graph.put_foreign("administration/draft.tmp", b"left out")
    lose(stage.minio)

    assert restores.fates() == {**dict.fromkeys(objects, Fate.RESTORED), "": Fate.SKIPPED}
    stage.settle()
    assert held(stage) == objects
    assert writes(stage) == []
    lose(stage.minio)
    assert restores.fates("archives/2024") == {"archives/2024/old.txt": Fate.RESTORED}


def test_it_knows_how_much_there_is(restores: Restores) -> None:
    mirror(restores.stage, {NOTE: b"hello", "bts-sio/a/b.txt": b"1234567"})
    restorer = restores.restorer()

    assert restorer.expected_bytes(bucket=BUCKET, prefix="") == 12
    assert restorer.expected_bytes(bucket=BUCKET, prefix="bts-sio") == 7
    assert restorer.expected_bytes(bucket=BUCKET, prefix=NOTE) == 5
