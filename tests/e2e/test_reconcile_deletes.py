"""What a reconcile deletes: only when it is told to, only a small share, and only what the mirror wrote unless it is told that too."""

import shutil
from collections.abc import Iterator

import pytest
from e2e.comparing import (
    FOLDER,
    delete_unannounced,
    fill_library,
    mirror,
    put_unannounced,
    reconcile,
    running,
    tables,
    writes,
)
from e2e.console import Console
from e2e.trouble import calm

from simulator.options import OfficeRewriting
from simulator.stage import Stage


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for the tests here that have a folder of their own."""
    with running(tmp_path_factory.mktemp("deletes")) as stage:
        yield stage


@pytest.fixture
def common(shared: Stage) -> Iterator[Stage]:
    """The stage, without what an earlier test left."""
    yield shared
    calm(shared)


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> str:
    """A folder of the test's own."""
    return f"{FOLDER}/{request.node.name}"


def compare(stage: Stage, folder: str, *options: str, code: int = 0) -> dict[str, int]:
    """Reconcile what is in FOLDER."""
    return reconcile(stage, "--prefix", f"lycee/{folder}/", *options, code=code)


def files_below(stage: Stage, folder: str) -> set[str]:
    """The names of the files below FOLDER."""
    return {
        path.removeprefix(f"{folder}/")
        for path, size in stage.graph.tree().items()
        if path.startswith(f"{folder}/") and size is not None
    }


def mirror_and_lose(stage: Stage, folder: str, *, kept: int, lost: int) -> None:
    """Mirror KEPT files and LOST ones, whose objects then go without an event."""
    mirror(stage, {f"{folder}/{number}.txt": b"content" for number in range(kept + lost)})
    delete_unannounced(stage, *(f"{folder}/{number}.txt" for number in range(kept, kept + lost)))


def test_a_file_without_an_object_stays_until_its_deletion_is_asked_for(common: Stage, folder: str) -> None:
    mirror_and_lose(common, folder, kept=9, lost=1)
    assert compare(common, folder) == {"same": 9, "stale": 1}
    assert compare(common, folder, "--dry-run", "--delete", code=1) == {"same": 9, "stale": 1}
    assert len(files_below(common, folder)) == 10
    assert writes(common) == {}

    assert compare(common, folder, "--delete") == {"same": 9, "stale": 1}
    assert writes(common) == {f"DELETE {folder}/9.txt": 1}
    assert len(files_below(common, folder)) == 9
    assert compare(common, folder) == {"same": 9}


def test_more_than_a_tenth_is_not_deleted(common: Stage, folder: str) -> None:
    """Not even a part of it, unless that is asked for."""
    mirror_and_lose(common, folder, kept=8, lost=2)
    said = Console(common).run("reconcile", "--delete", "--prefix", f"lycee/{folder}/")
    common.settle()

    assert said.code == 1
    assert "2 of 10 files would be deleted, more than 10 %: nothing was." in said.out
    assert writes(common) == {}
    assert len(files_below(common, folder)) == 10

    assert compare(common, folder, "--delete", "--force") == {"same": 8, "stale": 2}
    assert len(files_below(common, folder)) == 8


def test_the_share_is_a_setting(common: Stage, folder: str) -> None:
    mirror_and_lose(common, folder, kept=8, lost=2)
    generous = Console(common, settings={"MAX_DELETE_PERCENT": "20"})
    assert generous.run("reconcile", "--delete", "--prefix", f"lycee/{folder}/").code == 0
    common.settle()
    assert len(files_below(common, folder)) == 8


def test_files_of_others_go_only_when_that_is_asked_for(common: Stage, folder: str) -> None:
    """Also those that lie in a folder of theirs; the folder itself stays. What is not routed is never touched."""
    mirror(common, {f"{folder}/{number}.txt": b"content" for number in range(30)})
    common.graph.put_foreign(f"{folder}/person.txt", b"theirs")
    common.graph.put_foreign(f"{folder}/their folder/person.txt", b"theirs")
    common.graph.make_folder_foreign(f"{folder}/their empty folder")
    fill_library(common, {f"{folder}/application.txt": b"theirs", "not routed/file.txt": b"theirs"})
    delete_unannounced(common, f"{folder}/0.txt")

    for options in ([], ["--delete"], ["--delete", "--force"]):
        assert compare(common, folder, *options)["foreign"] == 3
    assert {"person.txt", "their folder/person.txt", "application.txt"} <= files_below(common, folder)
    assert "0.txt" not in files_below(common, folder)

    assert compare(common, folder, "--delete", "--foreign") == {"same": 29, "foreign": 3}
    assert files_below(common, folder) == {f"{number}.txt" for number in range(1, 30)}
    assert {f"{folder}/their folder", f"{folder}/their empty folder", "not routed/file.txt"} <= set(common.graph.tree())
    assert compare(common, folder) == {"same": 29}


def test_files_of_others_count_for_the_share(common: Stage, folder: str) -> None:
    mirror(common, {f"{folder}/{number}.txt": b"content" for number in range(8)})
    for number in range(2):
        common.graph.put_foreign(f"{folder}/theirs-{number}.txt", b"theirs")

    assert compare(common, folder, "--delete", "--foreign", code=1) == {"same": 8, "foreign": 2}
    assert len(files_below(common, folder)) == 10


def test_a_folder_goes_with_its_marker_when_it_is_empty(common: Stage, folder: str) -> None:
    """One that the mirror made. Where something is in it, it stays, and is no leftover."""
    markers = {f"{folder}/{name}/": b"" for name in ("empty", "theirs inside", "ours inside")}
    mirror(common, {**markers, f"{folder}/ours inside/a.txt": b"a"} | {f"{folder}/{n}.txt": b"b" for n in range(20)})
    common.graph.put_foreign(f"{folder}/theirs inside/b.txt", b"theirs")
    delete_unannounced(common, *markers)

    assert compare(common, folder, "--delete") == {"same": 21, "stale": 1, "foreign": 1}
    assert f"{folder}/empty" not in common.graph.tree()
    assert {f"{folder}/theirs inside/b.txt", f"{folder}/ours inside/a.txt"} <= set(common.graph.tree())
    assert compare(common, folder) == {"same": 21, "foreign": 1}


def test_what_is_nowhere_any_more_is_forgotten(common: Stage, folder: str) -> None:
    """Neither MinIO nor the library has it: the ledger need not know it. SharePoint is not even asked."""
    mirror_and_lose(common, folder, kept=1, lost=1)
    common.graph.delete_foreign(f"{folder}/1.txt")

    assert compare(common, folder) == {"same": 1, "gone": 1}
    assert writes(common) == {}
    assert compare(common, folder) == {"same": 1}
    assert [row for row in tables(common)["ledger"] if f"{folder}/1.txt" in row] == []


def test_a_file_that_was_taken_elsewhere_goes_with_its_object(common: Stage, folder: str) -> None:
    """It is the file that was written for the object, under whatever name; what took its place stays."""
    mirror_and_lose(common, folder, kept=20, lost=1)
    common.graph.rename_foreign(f"{folder}/20.txt", "not routed/20.txt")
    common.graph.put_foreign(f"{folder}/20.txt", b"theirs")

    assert compare(common, folder, "--delete") == {"same": 20, "stale": 1, "foreign": 1}
    assert "not routed/20.txt" not in common.graph.tree()
    assert common.graph.content(f"{folder}/20.txt") == b"theirs"
    assert compare(common, folder) == {"same": 20, "foreign": 1}


def test_an_object_that_comes_back_meanwhile_keeps_its_file(common: Stage, folder: str) -> None:
    """Whatever was marked for deletion, the service looks at MinIO once more."""
    mirror_and_lose(common, folder, kept=20, lost=1)
    common.graph.latency = 0.3
    with Console(common).start("reconcile", "--delete", "--prefix", f"lycee/{folder}/") as command:
        common.graph.wait_for(lambda: any(call.kind.name == "DELTA" for call in common.graph.calls()))
        common.put(f"{folder}/20.txt", b"new content")
        assert command.wait().code == 0
    common.settle()
    assert common.graph.content(f"{folder}/20.txt") == b"new content"


def lose_journal(stage: Stage) -> None:
    """Empty the folder of the service's data, as after the loss of a disk."""
    stage.service.stop()
    for path in stage.service.data_dir.iterdir():
        path.unlink() if path.is_file() else shutil.rmtree(path)
    stage.service.start()
    stage.graph.clear_calls()


def test_after_the_loss_of_the_journal_all_is_adopted(stage: Stage) -> None:
    """With no upload, but for young Office documents that SharePoint changed. Deletions work again, of events and of reconciles."""
    stage.graph.change(office_rewriting=OfficeRewriting.IN_THE_ANSWER)
    objects = {f"{FOLDER}/{number}.txt": b"content" for number in range(20)}
    large = {f"{FOLDER}/large.docx": bytes(5_000_000)}
    mirror(stage, objects | large | {f"{FOLDER}/folder/": b""})
    delete_unannounced(stage, f"{FOLDER}/0.txt")
    stage.graph.put_foreign(f"{FOLDER}/theirs.txt", b"theirs")
    lose_journal(stage)

    assert reconcile(stage) == {"adopted": 21, "stale": 1, "foreign": 1}
    assert writes(stage) == {}
    stage.delete(f"{FOLDER}/1.txt")
    stage.delete(f"{FOLDER}/large.docx")
    stage.delete(f"{FOLDER}/folder/")
    stage.settle()
    assert writes(stage) == {
        f"DELETE {FOLDER}/1.txt": 1,
        f"DELETE {FOLDER}/large.docx": 1,
        f"DELETE {FOLDER}/folder": 1,
    }
    assert reconcile(stage, "--delete") == {"same": 18, "stale": 1, "foreign": 1}
    assert writes(stage) == {f"DELETE {FOLDER}/0.txt": 1}
    assert reconcile(stage) == {"same": 18, "foreign": 1}


def test_an_emptied_bucket_empties_nothing(stage: Stage) -> None:
    """As when another disk is mounted in MinIO: it takes --force."""
    objects = {f"{FOLDER}/{number}.txt": b"content" for number in range(5)}
    mirror(stage, objects)
    delete_unannounced(stage, *objects)

    assert reconcile(stage, "--delete", code=1) == {"stale": 5}
    assert writes(stage) == {}
    assert set(objects) <= set(stage.graph.tree())
    put_unannounced(stage, objects)
    assert reconcile(stage) == {"same": 5}
    assert writes(stage) == {}
