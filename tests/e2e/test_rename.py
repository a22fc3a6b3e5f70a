"""A rename in MinIO is a move in SharePoint: one call, the item with its id and versions kept, and not a byte sent again."""

import os
import threading
from pathlib import Path

import pytest
from e2e.trouble import nudge
from minio.commonconfig import CopySource

from simulator.minio_standin import StandinOptions
from simulator.options import OfficeRewriting
from simulator.stage import BUCKET, Stage

MIB = 1024 * 1024
NOTE = "administration/note.txt"


@pytest.fixture
def stage(common: Stage) -> Stage:
    """One for all tests here, empty when each of them begins."""
    return common


def uploaded_bytes(stage: Stage) -> int:
    """What Graph has received since the calls were read last."""
    return sum(call.bytes_received for call in stage.graph.calls() if call.kind.name in {"PUT_CONTENT", "FRAGMENT"})


def test_it_works(stage: Stage) -> None:
    """The item keeps its id; nothing is uploaded and nothing deleted."""
    stage.put(NOTE, b"hello")
    stage.put("administration/other.txt", b"it is the folder's anchor")
    stage.settle()
    before, recycled = stage.graph.item(NOTE), stage.graph.recycle_bin()
    stage.calls()

    stage.minio.rename(BUCKET, NOTE, "administration/renamed.txt")
    stage.settle()

    after = stage.graph.item("administration/renamed.txt")
    assert before is not None
    assert after is not None
    assert after.id == before.id
    assert stage.graph.item(NOTE) is None
    assert stage.graph.recycle_bin() == recycled
    kinds = stage.kinds()
    assert (kinds.count("PATCH"), kinds.count("PUT_CONTENT"), kinds.count("DELETE")) == (1, 0, 0)


def test_it_moves_across_prefixes_and_routes(stage: Stage) -> None:
    stage.put(NOTE, b"hello")
    stage.settle()
    before = stage.graph.item(NOTE)
    stage.calls()

    stage.minio.rename(BUCKET, NOTE, "archives/2024/a/b/note: 1.txt")
    stage.settle()

    after = stage.graph.item("Archives/2024/a/b/note\uff1a 1.txt")
    assert before is not None
    assert after is not None
    assert after.id == before.id
    assert stage.graph.content("Archives/2024/a/b/note\uff1a 1.txt") == b"hello"
    assert uploaded_bytes(stage) == 0


def test_it_moves_a_multipart_object_whose_copy_has_another_etag(stage: Stage) -> None:
    content = os.urandom(11 * MIB)
    stage.put("bts-sio/big.bin", content)
    stage.settle()
    before = stage.graph.item("bts-sio/big.bin")
    stage.calls()

    stage.minio.rename(BUCKET, "bts-sio/big.bin", "bts-sio/sub/large.bin")
    stage.settle()

    after = stage.graph.item("bts-sio/sub/large.bin")
    assert before is not None
    assert after is not None
    assert after.id == before.id
    assert uploaded_bytes(stage) == 0
    # What was moved counts as known: the same again makes no call.
    stage.calls()
    stage.minio.rename(BUCKET, "bts-sio/sub/large.bin", "bts-sio/sub/LARGE.bin")
    stage.settle()
    assert uploaded_bytes(stage) == 0
    assert stage.graph.content("bts-sio/sub/LARGE.bin") == content


def test_a_folder_with_many_files_is_one_call_a_file(stage: Stage) -> None:
    """Also its empty remains go, as the mirror made it."""
    count = 60
    stage.minio.pause()
    for number in range(count):
        stage.put(f"bts-sio/ancien/dossier/{number}.txt", f"content {number}".encode())
    stage.minio.resume()
    stage.settle()
    stage.calls()
    stage.minio.pause()
    for number in range(count):
        stage.minio.rename(BUCKET, f"bts-sio/ancien/dossier/{number}.txt", f"bts-sio/nouveau/{number}.txt")
    stage.minio.resume()
    stage.settle()

    tree = stage.graph.tree()
    assert [path for path, size in tree.items() if size is None] == ["bts-sio", "bts-sio/nouveau"]
    assert sum(size is not None for size in tree.values()) == count
    kinds = stage.kinds()
    assert kinds.count("PATCH") == count
    assert len(kinds) <= count + 10
    assert not {"PUT_CONTENT", "SESSION_CREATE"} & set(kinds)


def test_the_folder_above_goes_although_the_one_below_is_gone_already(stage: Stage) -> None:
    """As it is when the last files leave at the same time: whoever comes late finds nothing, and was in the other one's way."""
    key = "bts-sio/ancien/dossier/1.txt"
    stage.put(key, b"content")
    stage.settle()
    stage.graph.delete_foreign("bts-sio/ancien/dossier")
    stage.delete(key)
    stage.settle()
    assert "bts-sio/ancien" in stage.graph.tree()

    nudge(stage, "bts-sio/ancien/dossier/")
    stage.settle()
    assert list(stage.graph.tree()) == ["bts-sio"]


def test_a_copy_that_stays_a_copy_is_uploaded_after_the_grace(stage: Stage) -> None:
    stage.put(NOTE, b"hello")
    stage.settle()
    before = stage.graph.item(NOTE)
    stage.minio.client().copy_object(BUCKET, "administration/copy.txt", CopySource(BUCKET, NOTE))
    stage.settle()

    copy = stage.graph.item("administration/copy.txt")
    assert before is not None
    assert copy is not None
    assert copy.id != before.id
    assert stage.graph.item(NOTE) == before


def test_a_rename_of_a_rename_ends_at_the_last_name(stage: Stage) -> None:
    stage.put(NOTE, b"hello")
    stage.settle()
    before = stage.graph.item(NOTE)
    stage.calls()
    stage.minio.pause()
    stage.minio.rename(BUCKET, NOTE, "administration/b.txt")
    stage.minio.rename(BUCKET, "administration/b.txt", "administration/c.txt")
    stage.minio.resume()
    stage.settle()

    after = stage.graph.item("administration/c.txt")
    assert before is not None
    assert after is not None
    assert after.id == before.id
    assert uploaded_bytes(stage) == 0


def test_a_name_that_a_user_took_is_written_over_as_a_new_version(stage: Stage) -> None:
    """The move cannot be had: the object is uploaded, and the old item goes to the recycle bin."""
    stage.put(NOTE, b"hello")
    stage.settle()
    stage.graph.put_foreign("administration/theirs.txt", b"a user's file")
    stage.minio.rename(BUCKET, NOTE, "administration/theirs.txt")
    stage.settle()

    assert stage.graph.content("administration/theirs.txt") == b"hello"
    assert stage.graph.item(NOTE) is None


def test_a_file_that_a_user_edited_is_moved_and_written_again(stage: Stage) -> None:
    stage.put(NOTE, b"hello")
    stage.settle()
    before = stage.graph.item(NOTE)
    stage.graph.edit_foreign(NOTE, b"edited by a user")
    stage.minio.rename(BUCKET, NOTE, "administration/renamed.txt")
    stage.settle()

    after = stage.graph.item("administration/renamed.txt")
    assert before is not None
    assert after is not None
    assert after.id == before.id
    assert stage.graph.content("administration/renamed.txt") == b"hello"


def test_an_item_that_a_user_deleted_is_uploaded(stage: Stage) -> None:
    stage.put(NOTE, b"hello")
    stage.settle()
    stage.graph.delete_foreign(NOTE)
    stage.minio.rename(BUCKET, NOTE, "administration/renamed.txt")
    stage.settle()

    assert stage.graph.content("administration/renamed.txt") == b"hello"


@pytest.mark.parametrize("rewriting", [OfficeRewriting.IN_THE_ANSWER, OfficeRewriting.AFTER_THE_ANSWER])
def test_an_office_document_is_moved_without_a_byte(stage: Stage, rewriting: OfficeRewriting) -> None:
    """SharePoint made it longer than what was sent, which is no edit."""
    stage.graph.change(office_rewriting=rewriting)
    stage.put("administration/lettre.docx", b"PK a letter" * 100)
    stage.settle()
    before = stage.graph.item("administration/lettre.docx")
    stage.calls()
    stage.minio.rename(BUCKET, "administration/lettre.docx", "administration/courrier.docx")
    stage.settle()

    after = stage.graph.item("administration/courrier.docx")
    assert before is not None
    assert after is not None
    assert after.id == before.id
    assert uploaded_bytes(stage) == 0


def test_it_moves_without_a_queue_directory_too(tmp_path: Path) -> None:
    """Events then come in parallel and in any order."""
    with Stage(tmp_path, settings={"DELETE_GRACE_SECONDS": "2"}, minio=StandinOptions()) as stage:
        stage.service.start()
        names = [f"bts-sio/{number}.txt" for number in range(10)]
        for name in names:
            stage.put(name, name.encode())
        stage.settle()
        stage.calls()
        threads = [
            threading.Thread(target=stage.minio.rename, args=(BUCKET, name, f"archives/2024/{name}")) for name in names
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stage.settle()

        assert uploaded_bytes(stage) == 0
        assert stage.graph.recycle_bin() == []
        assert all(stage.graph.content(f"Archives/2024/{name}") == name.encode() for name in names)


def test_what_is_renamed_to_a_taken_place_does_not_stay_under_its_old_name(stage: Stage) -> None:
    """The new key is parked, as another one's file holds its place; the old name goes all the same."""
    stage.put("administration/Twin.txt", b"the first")
    stage.put(NOTE, b"hello")
    stage.settle()
    stage.minio.rename(BUCKET, NOTE, "administration/TWIN.txt")
    stage.settle()

    assert stage.graph.item(NOTE) is None
    assert stage.graph.content("administration/Twin.txt") == b"the first"
    # Once the place is free the renamed object is there.
    stage.delete("administration/Twin.txt")
    stage.settle()
    assert stage.graph.content("administration/TWIN.txt") == b"hello"
