"""The demo sees what it is there to see; that all agrees when the service is well is shown by scripts/demo itself."""

import io
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

import pytest
from demo.play import Play
from demo.school import School
from demo.screen import Screen
from demo.story import STORY, Chapter, Evidence, calls_are, the_pause_was_kept
from demo.verify import disagreements

from simulator.calls import Call, CallKind
from simulator.minio_sender import Delivery
from simulator.service_process import ROOT
from simulator.stage import Stage


@dataclass(frozen=True, slots=True)
class Performance:
    """What a play of one chapter came to."""

    problems: Sequence[str]
    shown: str


def perform(stage: Stage, act: Callable[[School], None]) -> Performance:
    """Play the first chapter of the story with ACT in its place."""
    first = STORY[0]
    chapter = Chapter(title=first.title, text=first.text, act=act, promise=first.promise, check=first.check)
    out = io.StringIO()
    play = Play(stage, Screen(out), [chapter])
    play.run()
    return Performance(play.problems, out.getvalue())


def call(status: int, *, at: float) -> Call:
    return Call(
        CallKind.PUT_CONTENT, "PUT", "/", status, bytes_received=1, resource_units=2, at=at, item_path="bts-sio/a.txt"
    )


def delivery(*, status: int = 204, seconds: float = 0.01) -> Delivery:
    return Delivery(
        event_name="s3:ObjectCreated:Put",
        key="lycee/bts-sio/a.txt",
        status=status,
        answer_body=b"",
        seconds=seconds,
        attempt=1,
        at=0.0,
    )


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"a.txt": b"hello"}, []),
        ({}, ['"a.txt" is not in the library.']),
        ({"a.txt": b"hello", "b.txt": b""}, ['"b.txt" is in the library, and should not be.']),
        (
            {"a.txt": b"help"},
            ['"a.txt" holds other bytes than MinIO: 4 bytes instead of 5, and the first 3 are the same.'],
        ),
    ],
)
def test_it_says_what_disagrees(found: dict[str, bytes], said: list[str]) -> None:
    assert disagreements({"a.txt": b"hello"}, found) == said


def test_it_tells_a_call_too_many_and_an_answer_too_early() -> None:
    check = calls_are((CallKind.PUT_CONTENT, HTTPStatus.CREATED))

    assert not list(check(Evidence([delivery()], [call(201, at=0)])))
    assert len(list(check(Evidence([delivery()], [call(429, at=0), call(201, at=3)])))) == 1
    assert len(list(check(Evidence([delivery(status=202)], [call(201, at=0)])))) == 1


def test_it_tells_a_call_that_left_during_the_pause() -> None:
    kept = [call(201, at=0), call(429, at=0.1), call(201, at=3.2)]
    broken = [call(201, at=0), call(429, at=0.1), call(201, at=2.0)]

    assert not list(the_pause_was_kept(Evidence([delivery()] * 20, kept)))
    assert len(list(the_pause_was_kept(Evidence([delivery()] * 20, broken)))) == 1
    assert len(list(the_pause_was_kept(Evidence([delivery(seconds=3)] * 20, kept)))) == 1


def test_it_shows_answer_call_and_tree(stage: Stage) -> None:
    performance = perform(stage, lambda school: school.save("administration/note.txt", b"hello"))

    assert performance.problems == []
    for words in ("ObjectCreated:Put", "204 in", "PUT content", "201", "note.txt", "5 bytes", "Everything agrees."):
        assert words in performance.shown
    assert "\033" not in performance.shown


def test_it_notices_a_file_that_it_did_not_expect(stage: Stage) -> None:
    def act(school: School) -> None:
        school.save("administration/note.txt", b"hello")
        school.graph.put_foreign("administration/strange.txt", b"?")

    performance = perform(stage, act)

    assert performance.problems == ['"administration/strange.txt" is in the library, and should not be.']
    assert "1 disagreement: see above." in performance.shown
    assert "Everything agrees." not in performance.shown


def test_its_script_explains_itself() -> None:
    ended = subprocess.run(
        [ROOT / "scripts" / "demo", "--help"], capture_output=True, text=True, timeout=60, check=True
    )

    assert "--keep" in ended.stdout
