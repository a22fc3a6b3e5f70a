"""A change in MinIO becomes a change in SharePoint, with as few calls at Graph as do it."""

import os
from collections.abc import Callable

import pytest

from simulator.stage import Stage

MIB = 1024 * 1024
NOTE = "administration/note.txt"


@pytest.fixture
def stage(common: Stage) -> Stage:
    """One for all tests here, empty when each of them begins."""
    return common


@pytest.fixture
def quiet(make_stage: Callable[..., Stage]) -> Stage:
    """A stage on which nothing was answered yet: what comes right after an answer is not waited for."""
    stage = make_stage()
    stage.begin()
    return stage


def test_it_works(stage: Stage) -> None:
    """A small file costs one call, made parents included; so does its overwrite; the same bytes cost none."""
    stage.put(NOTE, b"hello")
    stage.settle()
    assert stage.kinds() == ["PUT_CONTENT"]

    stage.put(NOTE, b"hello world")
    stage.settle()
    assert stage.kinds() == ["PUT_CONTENT"]

    stage.put(NOTE, b"hello world")
    stage.settle()
    assert stage.kinds() == []
    assert stage.graph.content(NOTE) == b"hello world"


def test_it_answers_204_once_the_file_is_there(quiet: Stage) -> None:
    quiet.put(NOTE, b"hello")
    quiet.settle()

    assert [delivery.status for delivery in quiet.minio.deliveries()] == [204]


def test_it_mirrors_empty_files_and_stored_encodings(stage: Stage) -> None:
    """The stored bytes arrive, also where Content-Encoding would let a reader unpack them."""
    gzipped = bytes.fromhex("1f8b0800000000000003cb48cdc9c907008c5ad2b105000000")
    stage.put("administration/empty.txt", b"")
    stage.put("administration/packed.txt", gzipped, metadata={"Content-Encoding": "gzip"})
    stage.settle()

    assert stage.graph.content("administration/empty.txt") == b""
    assert stage.graph.content("administration/packed.txt") == gzipped


def test_it_sends_large_files_by_one_session(stage: Stage) -> None:
    """12 MiB are one session and two fragments, then nothing more."""
    content = os.urandom(12 * MIB)
    stage.put("archives/2024/first.txt", b"makes the folder")
    stage.settle()
    stage.calls()
    stage.put("archives/2024/big.bin", content)
    stage.settle()

    assert stage.kinds() == ["SESSION_CREATE", "FRAGMENT", "FRAGMENT"]
    assert stage.graph.content("Archives/2024/big.bin") == content


def test_it_makes_missing_folders_for_a_session(stage: Stage) -> None:
    content = os.urandom(5 * MIB)
    stage.put("bts-sio/a/b/big.bin", content)
    stage.settle()

    assert stage.graph.content("bts-sio/a/b/big.bin") == content


def test_it_deletes_with_one_call(stage: Stage) -> None:
    """A removal is one call, to the recycle bin, whether or not the file is still there."""
    stage.put(NOTE, b"hello")
    stage.put("administration/gone.txt", b"hello")
    stage.settle()
    stage.graph.delete_foreign("administration/gone.txt")
    stage.calls()

    stage.delete(NOTE)
    stage.delete("administration/gone.txt")
    stage.settle()

    assert sorted((call.kind.name, call.status) for call in stage.calls()) == [("DELETE", 204), ("DELETE", 404)]
    assert NOTE not in stage.graph.tree()
    assert "note.txt" in "".join(stage.graph.recycle_bin())


def test_it_leaves_files_alone_that_it_did_not_write(stage: Stage) -> None:
    stage.graph.put_foreign("administration/theirs.txt", b"theirs")
    stage.delete("administration/theirs.txt")
    stage.settle()

    assert stage.kinds() == []
    assert stage.graph.content("administration/theirs.txt") == b"theirs"


def test_it_makes_and_unmakes_folders(stage: Stage) -> None:
    """A marker makes a folder, which goes with it once nothing is in it any more."""
    stage.put("administration/dossier/", b"")
    stage.put("administration/dossier/a.txt", b"a")
    stage.settle()
    assert "administration/dossier" in stage.graph.tree()

    stage.delete("administration/dossier/")
    stage.settle()
    assert "administration/dossier/a.txt" in stage.graph.tree()

    stage.delete("administration/dossier/a.txt")
    stage.settle()
    assert "administration/dossier" not in stage.graph.tree()


def test_it_keeps_a_folder_that_others_use(stage: Stage) -> None:
    stage.put("administration/dossier/", b"")
    stage.settle()
    stage.graph.put_foreign("administration/dossier/theirs.txt", b"theirs")
    stage.delete("administration/dossier/")
    stage.settle()

    assert stage.graph.content("administration/dossier/theirs.txt") == b"theirs"


def test_it_ignores_what_is_outside_the_prefixes(stage: Stage) -> None:
    answer = stage.service.post({"EventName": "s3:ObjectCreated:Put", "Key": "lycee/secret/x.txt"})

    assert answer.status_code == 204
    assert stage.service.journal() == []
    assert stage.kinds() == []


def test_it_takes_the_minimal_form(quiet: Stage) -> None:
    """An administrator posts EventName and Key; the key is not encoded."""
    quiet.minio.pause()
    quiet.put("administration/été + 1%.txt", b"hello")
    answer = quiet.service.post({"EventName": "s3:ObjectCreated:Put", "Key": "lycee/administration/été + 1%.txt"})

    assert answer.status_code == 204
    assert quiet.graph.content("administration/été + 1%.txt") == b"hello"
    quiet.minio.resume()


def test_it_merges_quick_overwrites(stage: Stage) -> None:
    """Five overwrites that wait together are one upload."""
    stage.minio.pause()
    for number in range(5):
        stage.put(NOTE, f"version {number}".encode())
    stage.graph.latency = 0.2
    stage.minio.resume()
    stage.settle()

    assert stage.kinds().count("PUT_CONTENT") <= 2
    assert stage.graph.content(NOTE) == b"version 4"
