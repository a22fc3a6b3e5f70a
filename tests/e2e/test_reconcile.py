"""A reconcile takes over what is right already, and has the service mend what is not."""

import os
from collections.abc import Iterator

import pytest
from e2e.comparing import (
    FOLDER,
    content_of,
    fill_library,
    mirror,
    put_unannounced,
    reconcile,
    running,
    uploads,
    writes,
)
from e2e.console import Console
from e2e.trouble import MIB, calm, nudge, versions_of

from simulator.minio_store import StoredKey
from simulator.options import OfficeRewriting
from simulator.stage import Stage


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for all tests here, each of which has a folder of its own."""
    with running(tmp_path_factory.mktemp("reconcile")) as stage:
        yield stage


@pytest.fixture
def stage(shared: Stage) -> Iterator[Stage]:
    """The stage, without what an earlier test left."""
    yield shared
    shared.graph.change(office_rewriting=OfficeRewriting.OFF)
    calm(shared)


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> str:
    """A folder of the test's own."""
    return f"{FOLDER}/{request.node.name}"


def compare(stage: Stage, folder: str, *options: str, code: int = 0) -> dict[str, int]:
    """Reconcile what is in FOLDER."""
    return reconcile(stage, "--prefix", f"lycee/{folder}/", *options, code=code)


def test_a_library_filled_by_others_is_adopted(stage: Stage, folder: str) -> None:
    """No upload. Afterwards their files are ours: an overwrite is one PUT, a deletion removes, an event that changes nothing does nothing."""
    objects = {f"{folder}/{number:02}/{number}.txt": os.urandom(number) for number in range(40)}
    large = {f"{folder}/large.bin": os.urandom(5 * MIB)}
    put_unannounced(stage, objects | large)
    fill_library(stage, objects | large)

    assert compare(stage, folder) == {"adopted": 41}
    assert writes(stage) == {}
    assert compare(stage, folder) == {"same": 41}

    nudge(stage, *objects)
    stage.put(f"{folder}/01/1.txt", b"new")
    stage.delete(f"{folder}/02/2.txt")
    stage.settle()
    assert writes(stage) == {f"PUT_CONTENT {folder}/01/1.txt": 1, f"DELETE {folder}/02/2.txt": 1}
    assert versions_of(stage, f"{folder}/01/1.txt") == 2
    assert compare(stage, folder) == {"same": 40}


# As `rclone copy` puts them into OneDrive.
RCLONE_NAMES = {
    'a:b*c?d"e<f>g|h#i.txt': "a：b＊c？d＂e＜f＞g｜h#i.txt",
    "back\\slash.txt": "back＼slash.txt",
    " leading": "␠leading",
    "trailing ": "trailing␠",
    "ends with dot.": "ends with dot．",
    "~$owner.docx": "～$owner.docx",
    "tab\there.txt": "tab␉here.txt",
    "already：full-width.txt": "already‛：full-width.txt",
    "Été décomposé.txt": "Été décomposé.txt",
    "50 %.txt": "50 %.txt",
}


def test_names_as_rclone_writes_them_are_known(stage: Stage, folder: str) -> None:
    put_unannounced(stage, {f"{folder}/{key}": key.encode() for key in RCLONE_NAMES})
    fill_library(stage, {f"{folder}/{name}": key.encode() for key, name in RCLONE_NAMES.items()})

    assert compare(stage, folder) == {"adopted": len(RCLONE_NAMES)}
    nudge(stage, *(f"{folder}/{key}" for key in RCLONE_NAMES if key.isprintable()))
    stage.settle()
    assert compare(stage, folder) == {"same": len(RCLONE_NAMES)}
    assert writes(stage) == {}


def test_a_name_in_another_case_is_the_same_file(stage: Stage, folder: str) -> None:
    """It keeps the name that it has; neither a second reconcile nor an event sends it again."""
    put_unannounced(stage, {f"{folder}/Rapport É.txt": b"the same"})
    fill_library(stage, {f"{FOLDER}/{folder.removeprefix(FOLDER + '/').upper()}/RAPPORT é.TXT": b"the same"})

    assert compare(stage, folder) == {"adopted": 1}
    assert compare(stage, folder) == {"same": 1}
    nudge(stage, f"{folder}/Rapport É.txt")
    stage.settle()
    assert writes(stage) == {}


def test_objects_that_no_event_announced_are_written(stage: Stage, folder: str) -> None:
    """Those without a file, those whose file holds something else, and folders; the service does it, once each."""
    mirror(stage, {f"{folder}/changed.txt": b"before"})
    fill_library(stage, {f"{folder}/theirs.txt": b"not the object"})
    objects = {f"{folder}/new.txt": b"new", f"{folder}/theirs.txt": b"ours", f"{folder}/changed.txt": b"after"}
    large = {f"{folder}/large.bin": os.urandom(5 * MIB)}
    put_unannounced(stage, objects | large | {f"{folder}/empty/": b""})

    assert compare(stage, folder) == {"new": 3, "changed": 2}
    assert content_of(stage, [*objects, *large]) == objects | large
    assert uploads(stage) == dict.fromkeys([*objects, *large], 1)
    assert stage.graph.tree()[f"{folder}/empty"] is None
    assert versions_of(stage, f"{folder}/theirs.txt") == 2
    assert compare(stage, folder) == {"same": 5}


def test_what_people_took_away_comes_back(stage: Stage, folder: str) -> None:
    """Deleted, renamed, moved away, with its folder or alone; theirs stay where they are."""
    objects = {f"{folder}/{name}.txt": name.encode() for name in ("deleted", "renamed", "moved", "in/folder", "kept")}
    mirror(stage, objects)
    stage.graph.delete_foreign(f"{folder}/deleted.txt")
    stage.graph.rename_foreign(f"{folder}/renamed.txt", f"{folder}/by another name.txt")
    stage.graph.rename_foreign(f"{folder}/moved.txt", f"their own/{folder}/moved.txt")
    stage.graph.delete_foreign(f"{folder}/in")

    assert compare(stage, folder) == {"same": 1, "missing": 4, "foreign": 1}
    assert content_of(stage, list(objects)) == objects
    assert stage.graph.content(f"{folder}/by another name.txt") == b"renamed"
    assert stage.graph.content(f"their own/{folder}/moved.txt") == b"moved"
    assert set(uploads(stage).values()) == {1}
    assert compare(stage, folder) == {"same": 5, "foreign": 1}


def test_a_folder_that_people_deleted_comes_back_with_its_files(stage: Stage, folder: str) -> None:
    """Neither is in the other's way meanwhile."""
    objects = {f"{folder}/in/": b"", f"{folder}/in/a.txt": b"a", f"{folder}/in/b/": b"", f"{folder}/in/b/c.txt": b"c"}
    mirror(stage, objects)
    stage.graph.delete_foreign(f"{folder}/in")

    assert compare(stage, folder) == {"missing": 4}
    assert {path for path in stage.graph.tree() if path.startswith(f"{folder}/in")} == {
        key.rstrip("/") for key in objects
    }
    keys = set(objects)
    assert [line for line in stage.service.log() if line["event"] == "parked" and line["key"] in keys] == []
    assert compare(stage, folder) == {"same": 4}


def test_folders_that_are_there_are_adopted(stage: Stage, folder: str) -> None:
    """Without a call for each. One that somebody else made is never removed with its marker."""
    put_unannounced(stage, {f"{folder}/theirs/": b""})
    stage.graph.make_folder_foreign(f"{folder}/theirs")

    assert compare(stage, folder) == {"adopted": 1}
    assert compare(stage, folder) == {"same": 1}
    stage.delete(f"{folder}/theirs/")
    stage.settle()
    assert writes(stage) == {}
    assert stage.graph.item(f"{folder}/theirs") is not None


def test_an_edit_becomes_an_earlier_version(stage: Stage, folder: str) -> None:
    mirror(stage, {f"{folder}/edited.txt": b"ours", f"{folder}/same length.txt": b"ours"})
    stage.graph.edit_foreign(f"{folder}/edited.txt", b"theirs, longer")
    stage.graph.edit_foreign(f"{folder}/same length.txt", b"them")

    assert compare(stage, folder) == {"edited": 2}
    assert stage.graph.content(f"{folder}/edited.txt") == b"ours"
    assert stage.graph.content(f"{folder}/same length.txt") == b"ours"
    assert versions_of(stage, f"{folder}/edited.txt") == 3
    assert compare(stage, folder) == {"same": 2}


def test_an_edit_of_an_office_document_is_found_by_its_author(stage: Stage, folder: str) -> None:
    """Its bytes tell nothing, as SharePoint changes them too."""
    stage.graph.change(office_rewriting=OfficeRewriting.IN_THE_ANSWER)
    key = f"{folder}/report.docx"
    mirror(stage, {key: b"ours"})
    stage.graph.edit_foreign(key, b"theirs")

    assert compare(stage, folder) == {"edited": 1}
    assert uploads(stage) == {key: 1}
    assert stage.graph.content(key).startswith(b"ours")
    assert compare(stage, folder) == {"same": 1}


def test_the_same_bytes_put_there_by_somebody_are_adopted(stage: Stage, folder: str) -> None:
    """The item is another one; its deletion goes to that one."""
    key = f"{folder}/again.txt"
    mirror(stage, {key: b"ours"})
    stage.graph.delete_foreign(key)
    stage.graph.put_foreign(key, b"ours")

    assert compare(stage, folder) == {"adopted": 1}
    assert writes(stage) == {}
    stage.delete(key)
    stage.settle()
    assert stage.graph.item(key) is None


@pytest.mark.parametrize("when", [OfficeRewriting.IN_THE_ANSWER, OfficeRewriting.AFTER_THE_ANSWER])
def test_a_document_that_sharepoint_changed_is_right(stage: Stage, folder: str, when: OfficeRewriting) -> None:
    """Nothing is sent again, ever."""
    stage.graph.change(office_rewriting=when)
    keys = [f"{folder}/{name}" for name in ("a.docx", "B.XLSX", "c.pptx")]
    mirror(stage, {key: os.urandom(2000) for key in keys})
    versions = [versions_of(stage, key) for key in keys]

    for options in ([], ["--verify"], []):
        assert compare(stage, folder, *options) == {"same": 3}
    nudge(stage, *keys)
    stage.settle()
    assert writes(stage) == {}
    assert [versions_of(stage, key) for key in keys] == versions


@pytest.mark.parametrize("name", ["a.pdf", "photo.JPG", "page.html"])
def test_a_file_that_sharepoint_made_longer_is_right(stage: Stage, folder: str, name: str) -> None:
    key = f"{folder}/{name}"
    mirror(stage, {key: b"content"})
    grow(stage, key)

    assert compare(stage, folder) == {"same": 1}
    assert writes(stage) == {}


def grow(stage: Stage, path: str) -> None:
    """Let SharePoint write something into the file at PATH by itself."""
    tenant = stage.graph.tenant
    with tenant.lock:
        library = tenant.library_named("Documents", None)
        item = library.find(path.split("/"))
        assert item is not None
        library.rewrite(item, tenant.store.of(stage.graph.content(path) + b" and properties"))


def test_all_objects_are_read_for_a_verification(stage: Stage, folder: str) -> None:
    """One whose bytes are not those that were sent, under the same eTag, is written again."""
    keys = [f"{folder}/{number}.bin" for number in range(3)]
    for number, key in enumerate(keys):
        stage.minio.put_synthetic("lycee", key, size=1000, seed=number)
    stage.settle()
    stage.graph.clear_calls()
    stored = stage.minio._store.find("lycee", keys[1], "")
    assert isinstance(stored, StoredKey)
    stored.seed = 99

    assert compare(stage, folder) == {"same": 3}
    assert compare(stage, folder, "--verify") == {"same": 2, "edited": 1}
    assert uploads(stage) == {keys[1]: 1}
    assert compare(stage, folder, "--verify") == {"same": 3}


@pytest.mark.parametrize("options", [["--foreign"], ["--force"]])
def test_an_option_that_means_nothing_alone_is_refused(stage: Stage, folder: str, options: list[str]) -> None:
    put_unannounced(stage, {f"{folder}/new.txt": b"new"})
    before = stage.graph.tree()
    said = Console(stage).run("reconcile", *options)

    assert said.code == 2
    assert "--delete" in said.err
    assert stage.graph.tree() == before
