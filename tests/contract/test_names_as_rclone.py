"""The mirror's names are those of rclone's OneDrive backend, checked against the rclone program itself.

Rclone's encoding is a setting of every backend, so its local one shows what the OneDrive one would do: copying a folder
read with `encoding=Raw` to one written with OneDrive's encoding maps the names, and listing a folder with that encoding
maps them back. `data/rclone-onedrive-names.json` keeps what rclone showed, so that the names are checked without the
program too; to add a name, write it there with an empty counterpart and take what the failing test shows.
"""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unicodedata import is_normalized

import pytest

from sharepoint_proxy.paths import decode_segment, encode_segment
from simulator.graph_errors import GraphError
from simulator.names import check_new_name

TABLE: dict[str, Any] = json.loads((Path(__file__).parent.parent / "data" / "rclone-onedrive-names.json").read_bytes())
ONEDRIVE: str = TABLE["encoding"]
AS_RCLONE: list[list[str]] = TABLE["as rclone names it"]
WHERE_RCLONE_FAILS: list[list[str]] = TABLE["where rclone's own name fails"]

RCLONE = shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which("rclone")
needs_rclone = pytest.mark.skipif(RCLONE is None, reason="no rclone program; requirements-dev.txt brings one")

FRAGMENTS = [*" .~aC4_#%\t\n\x7f*:\\", "con", "LPT1", ".lock", "desktop.ini", "_vti_", "forms", "~$", "\u201b43"]
FRAGMENTS += [*"\u2420\uff0e\uff5e\u201b\u201b\uff0a\u2409\u2421", *"\xa0\u3000\u200a\xe9\U0001f600"]


def stored_by_rclone(names: Sequence[str], folder: Path, *, read_as: str = "Raw") -> list[str]:
    """The names that rclone gives to files called NAMES when it copies them to OneDrive's encoding."""
    origin, library = folder / "origin", folder / "library"
    lay_files(names, origin)
    rclone("copy", "--no-unicode-normalization", local(origin, read_as), local(library, ONEDRIVE))
    return [next((library / str(number)).iterdir()).name for number in range(len(names))]


def listed_by_rclone(names: Sequence[str], folder: Path, *, read_as: str) -> list[str]:
    """The names under which rclone lists files called NAMES, in the form it shows, where no line break is left."""
    lay_files(names, folder)
    listing = rclone("lsf", "--recursive", "--files-only", local(folder, read_as))
    numbered = dict(line.split("/", 1) for line in listing.removesuffix("\n").split("\n"))
    return [numbered[str(number)] for number in range(len(names))]


def lay_files(names: Sequence[str], folder: Path) -> None:
    """Put each of NAMES into a folder of its own, so that two which rclone takes for one don't meet."""
    for number, name in enumerate(names):
        (folder / str(number)).mkdir(parents=True)
        (folder / str(number) / name).touch()


def local(folder: Path, encoding: str) -> str:
    return f":local,encoding='{encoding}':{folder}"


def rclone(*arguments: str) -> str:
    command = [str(RCLONE), "--config", "", *arguments]
    return subprocess.run(command, check=True, capture_output=True, timeout=90).stdout.decode()


def is_accepted(name: str) -> bool:
    try:
        check_new_name(name, is_folder=True, at_root=False)
    except GraphError:
        return False
    return True


def many_names() -> list[str]:
    draw = random.Random(20)
    names = {"".join(draw.choices(FRAGMENTS, k=draw.randint(1, 5))) for _ in range(1500)}
    return sorted(name for name in names - {".", ".."} if is_normalized("NFC", name))


@pytest.mark.parametrize(("original", "stored"), AS_RCLONE + WHERE_RCLONE_FAILS)
def test_it_gives_the_names_of_the_table(original: str, stored: str) -> None:
    assert encode_segment(original) == stored
    assert decode_segment(stored) == original


@needs_rclone
def test_the_table_is_of_the_encoding_that_rclone_takes_for_onedrive() -> None:
    assert f"(default {ONEDRIVE})" in rclone("help", "flags", "onedrive-encoding")


@needs_rclone
def test_the_table_says_what_rclone_does(tmp_path: Path) -> None:
    originals = [original for original, _ in AS_RCLONE]
    stored = stored_by_rclone(originals, tmp_path)
    assert [list(pair) for pair in zip(originals, stored, strict=True)] == AS_RCLONE


@needs_rclone
def test_it_names_what_no_file_can_be_called_as_rclone_does(tmp_path: Path) -> None:
    originals = [".", "..", "a\0b", "a/b"]
    shown = ["\uff0e", "\uff0e\uff0e", "a\u2400b", "a\uff0fb"]
    stored = stored_by_rclone(shown, tmp_path, read_as="Slash,Dot")
    assert stored == [encode_segment(original) for original in originals]


@needs_rclone
def test_rclone_lists_every_name_of_the_mirror_as_the_original(tmp_path: Path) -> None:
    names = [original for original, _ in AS_RCLONE + WHERE_RCLONE_FAILS] + many_names()
    stored = [encode_segment(name) for name in names]
    shown = listed_by_rclone(stored, tmp_path / "library", read_as=ONEDRIVE)
    assert shown == listed_by_rclone(names, tmp_path / "originals", read_as="Raw")


@needs_rclone
def test_it_differs_from_rclone_exactly_where_rclones_name_is_refused_or_listed_wrongly(tmp_path: Path) -> None:
    originals = many_names()
    theirs = stored_by_rclone(originals, tmp_path)
    shown = listed_by_rclone(theirs, tmp_path / "theirs", read_as=ONEDRIVE)
    expected = listed_by_rclone(originals, tmp_path / "originals", read_as="Raw")
    works = {
        original: is_accepted(name) and seen == wanted
        for original, name, seen, wanted in zip(originals, theirs, shown, expected, strict=True)
    }
    same = {original: encode_segment(original) == name for original, name in zip(originals, theirs, strict=True)}
    assert same == works
    assert 0 < sum(works.values()) < len(works)
