"""A short soak, which is scripts/soak for some seconds; and its judge sees what it is there to see."""

import io
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from soak.comparison import Comparison, Row
from soak.course import Soak
from soak.summary import summary
from soak.tally import Tally

from simulator.calls import Call, CallKind
from simulator.graph_server import GraphSimulator
from simulator.minio_standin import MinioStandin, StandinOptions
from simulator.service_process import ROOT

SECONDS = 12.0
SEED = 4
KEY = "administration/report 01.bin"
PATH = "lycee/administration/report 01.bin"
TWIN = "administration/twin.TXT"
OTHER_TWIN = "administration/Twin.txt"


@pytest.mark.timeout(300)
def test_nothing_is_lost_whatever_is_killed_and_fails(tmp_path: Path) -> None:
    said: list[str] = []
    report = Soak(tmp_path, seconds=SECONDS, seed=SEED, say=said.append).run()
    story = "\n".join([*said, *summary(report)])

    assert report.differences == [], story
    assert report.kills.total() >= 3, story
    assert report.faults.total() >= 10, story
    assert report.files >= 20, story


@dataclass(frozen=True, slots=True)
class Ends:
    """MinIO and the library, with nobody between them."""

    minio: MinioStandin
    graph: GraphSimulator

    def save(self, key: str, content: bytes) -> None:
        self.minio.client().put_object("lycee", key, io.BytesIO(content), len(content))

    def differences(self, *rows: Row) -> list[str]:
        """What the judge says while the journal holds ROWS."""
        comparison = Comparison(self.minio.client(), self.graph, rows=list(rows), foreign={})
        return [difference.sentence for difference in comparison.differences()]


@pytest.fixture
def ends(graph: GraphSimulator) -> Iterator[Ends]:
    options = StandinOptions(buckets=("lycee",), versioned_buckets=("versions",))
    with MinioStandin(options=options) as minio:
        yield Ends(minio, graph)


def row(key: str, state: str = "parked") -> Row:
    return Row(bucket="lycee", key=key, state=state, reason="So it is.", due_at=0.0, blocked_by=None)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"hello", []),
        (b"help!", [f'"{PATH}" holds 5 other bytes than the 5 in MinIO.']),
        (None, [f'"{PATH}" is not in the library.']),
    ],
)
def test_it_compares_every_byte(ends: Ends, content: bytes | None, said: Sequence[str]) -> None:
    ends.save(KEY, b"hello")
    if content is not None:
        ends.graph.put_foreign(PATH, content)

    assert ends.differences() == said


def test_it_tells_a_file_too_many_and_a_folder_too_few(ends: Ends) -> None:
    ends.graph.put_foreign(PATH, b"hello")
    ends.save("bts-sio/shelf/", b"")

    assert ends.differences() == [
        'The folder "lycee/bts-sio/shelf" is not in the library.',
        f'"{PATH}" is in the library, and should not be.',
    ]


def test_it_tells_a_touched_file_of_somebody(ends: Ends) -> None:
    foreign = {"notes.txt": ends.graph.put_foreign("notes.txt", b"mine")}
    ends.graph.edit_foreign("notes.txt", b"no longer")
    comparison = Comparison(ends.minio.client(), ends.graph, rows=[], foreign=foreign)

    assert len(list(comparison.differences())) == 1


def test_it_believes_no_reason_that_is_not_true(ends: Ends) -> None:
    for key in (TWIN, KEY):
        ends.save(key, b"hello")

    assert ends.differences(row(TWIN), row(KEY, "waiting")) == [
        f"lycee/{TWIN} is parked without need: So it is.",
        f"lycee/{KEY} still waits: So it is.",
    ]

    ends.save(OTHER_TWIN, b"hello")
    ends.graph.put_foreign(f"lycee/{OTHER_TWIN}", b"hello")
    ends.graph.put_foreign(PATH, b"hello")

    assert ends.differences(row(TWIN)) == []


def test_it_counts_an_upload_of_what_was_there_already(graph: GraphSimulator) -> None:
    tally = Tally(graph.item)
    call = Call(CallKind.PUT_CONTENT, "PUT", "/", 200, bytes_received=5, resource_units=2, at=0.0, item_path="a.txt")
    for content in (b"hello", b"hello", b"other"):
        graph.put_foreign("a.txt", content)
        tally.note(call)
    tally.note(call)

    assert (tally.uploads, tally.repeated) == (3, ["a.txt"])
    assert (tally.bytes_received, tally.bytes_needed) == (20, 10)


def test_its_script_refuses_a_time_that_is_none() -> None:
    command = [str(ROOT / "scripts" / "soak"), "--minutes", "soon"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 2
    assert "it must be a number above 0" in ended.stderr
    assert "Traceback" not in ended.stderr
