"""Whatever happens to a restore, an object comes back whole or not at all, and what the service knows better stays."""

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from e2e.restoring import (
    MIB,
    NOTE,
    Restores,
    begun_uploads,
    downloads,
    lose,
    mirror,
    restores_on,
    writes,
)
from e2e.trouble import empty, held, rows, start_again

from sharepoint_proxy import paths
from sharepoint_proxy.errors import AccessError, ConfigError, OutageError
from sharepoint_proxy.fates import Fate
from sharepoint_proxy.records import LedgerEntry
from sharepoint_proxy.reservations import Reservations
from simulator.calls import CallKind
from simulator.faults import Action, AnswerWith, CorruptBytes, CutConnection, Fault, Match, TruncateAnswer
from simulator.minio_standin import StandinOptions
from simulator.service_process import ROOT
from simulator.stage import BUCKET, Stage

_RUN_ALONE = """
import os
from sharepoint_proxy.restore_parts import make_restorer
asked = {"to": None, "dry_run": False, "overwrite": False, "on_bytes": lambda count: print(count, flush=True)}
list(make_restorer(os.environ).run(bucket="lycee", prefix="", **asked))
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


def test_an_event_that_comes_before_the_etag_is_known_makes_the_service_adopt(restores: Restores) -> None:
    """The reservation alone is enough; and what the service settled is not written over."""
    stage = restores.stage
    stage.graph.put_foreign(NOTE, b"hello")
    reservations = Reservations(restores.database, place_of=paths.comparison_key)
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
    make_stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A delete marker whose event waits with MinIO: the restore writes a new version over it, and the event finds that."""
    minio = StandinOptions(buckets=(), versioned_buckets=("versioned",), queue_dir=tmp_path / "events")
    stage = make_stage(minio=minio)
    stage.begin()
    mirror(stage, {NOTE: b"hello"}, bucket="versioned")
    stage.service.stop()
    stage.delete(NOTE, bucket="versioned")

    with restores_on(stage, monkeypatch) as restores:
        assert restores.fates(bucket="versioned") == {NOTE: Fate.RESTORED}
    start_again(stage)
    stage.settle()

    assert held(stage, bucket="versioned") == {NOTE: b"hello"}
    assert stage.graph.content(NOTE) == b"hello"
    assert writes(stage) == []


def test_a_change_that_waits_in_the_journal_is_left_to_the_service(restores: Restores) -> None:
    """The file is about to be deleted: bringing it back is for whoever still wants it afterwards."""
    stage = restores.stage
    mirror(stage, {NOTE: b"hello", "administration/other.txt": b"other"})
    stage.graph.add_fault(Fault(Match(CallKind.DELETE), AnswerWith(423), times=None))
    stage.delete(NOTE)
    stage.service.wait_for_line(lambda line: line["event"] == "postponed" and line["key"] == NOTE)
    lose(stage.minio)

    results = {restored.key: restored for restored in restores.run()}
    assert results[NOTE].fate is Fate.SKIPPED
    assert "waits in the journal (s3:ObjectRemoved:Delete)" in results[NOTE].reason or "at work" in results[NOTE].reason
    assert results["administration/other.txt"].fate is Fate.RESTORED
    assert restores.fates(dry_run=True)[NOTE] is Fate.SKIPPED


def test_it_says_at_once_that_a_bucket_is_missing(restores: Restores) -> None:
    mirror(restores.stage, {NOTE: b"hello"})
    with pytest.raises(OutageError, match="The bucket nowhere does not exist"):
        restores.fates(to=("nowhere", ""))


def test_it_says_which_rights_are_missing(restores: Restores) -> None:
    """Of a small object and of one in parts; nothing is left behind in the journal."""
    stage = restores.stage
    mirror(stage, {NOTE: b"hello", "bts-sio/big.bin": os.urandom(11 * MIB)})
    lose(stage.minio)

    for prefix in ("administration", "bts-sio"):
        with pytest.raises(AccessError) as refused:
            restores.fates(prefix, RESTORE_ACCESS_KEY="", RESTORE_SECRET_KEY="")
        for words in ("s3:PutObject", "s3:AbortMultipartUpload", "arn:aws:s3:::lycee/*", "RESTORE_ACCESS_KEY"):
            assert words in str(refused.value)
    assert rows(stage, "uploads") == []
    assert held(stage) == {}


def test_half_a_user_is_a_wrong_setting(restores: Restores) -> None:
    with pytest.raises(ConfigError, match="RESTORE_SECRET_KEY is not set") as refused:
        restores.restorer(RESTORE_SECRET_KEY="")
    assert "MINIO_" not in str(refused.value)


@pytest.mark.parametrize("size", [5, 11 * MIB])
def test_wrong_bytes_are_never_stored(restores: Restores, size: int) -> None:
    stage = restores.stage
    mirror(stage, {NOTE: os.urandom(size)})
    lose(stage.minio)
    stage.graph.add_fault(Fault(Match(CallKind.DOWNLOAD_BYTES), CorruptBytes(), times=None))

    (restored,) = restores.run()
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
def test_a_broken_download_goes_on_where_it_broke(restores: Restores, action: Action, next_status: int) -> None:
    """No byte is fetched twice."""
    stage = restores.stage
    content = os.urandom(30 * MIB)
    mirror(stage, {"bts-sio/film.mp4": content})
    lose(stage.minio)
    stage.graph.add_fault(Fault(Match(CallKind.DOWNLOAD_BYTES), action))

    assert restores.fates() == {"bts-sio/film.mp4": Fate.RESTORED}
    stage.settle()
    assert held(stage) == {"bts-sio/film.mp4": content}
    assert downloads(stage)[1:] == [next_status]
    assert restores.fetched_bytes == len(content)
    assert writes(stage) == []


def test_a_pause_that_graph_asks_for_is_kept(restores: Restores) -> None:
    stage = restores.stage
    mirror(stage, {NOTE: b"hello"})
    lose(stage.minio)
    stage.graph.add_fault(Fault(Match(CallKind.DOWNLOAD), AnswerWith(429, headers={"Retry-After": "1"})))
    stage.graph.add_fault(Fault(Match(CallKind.CHILDREN), AnswerWith(503)))

    assert restores.fates() == {NOTE: Fate.RESTORED}


@pytest.mark.parametrize(("kind", "status"), [(CallKind.DOWNLOAD, 404), (CallKind.DOWNLOAD_BYTES, 401)])
def test_a_file_that_cannot_be_fetched_fails_alone(restores: Restores, kind: CallKind, status: int) -> None:
    """Because it is gone meanwhile, or barred."""
    stage = restores.stage
    mirror(stage, {NOTE: b"hello", "administration/other.txt": b"other"})
    lose(stage.minio)
    stage.graph.add_fault(Fault(Match(kind, path="note.txt"), AnswerWith(status), times=None))

    assert restores.fates() == {NOTE: Fate.FAILED, "administration/other.txt": Fate.RESTORED}
    stage.settle()
    assert rows(stage, "uploads") == []


def test_an_interrupted_run_goes_on(restores: Restores) -> None:
    """What is closed in its middle leaves nothing half-written; the next run fetches the rest."""
    stage = restores.stage
    small = {f"administration/{number}.txt": str(number).encode() for number in range(3)}
    large = {"bts-sio/film.mp4": os.urandom(24 * MIB)}
    mirror(stage, small | large)
    lose(stage.minio)
    # So that the film is in its middle when the small files are done.
    stage.graph.bandwidth = 8 * MIB
    with closing(restores.run()) as running:
        first = [next(running) for _ in range(3)]
    stage.graph.bandwidth = None

    assert {restored.key for restored in first} == set(small)
    assert held(stage) == small
    assert begun_uploads(stage) == 0
    assert rows(stage, "uploads") == []

    expected = dict.fromkeys(small, Fate.ALREADY_THERE) | dict.fromkeys(large, Fate.RESTORED)
    assert restores.fates() == expected
    stage.settle()
    assert held(stage) == small | large
    assert writes(stage) == []


def test_a_killed_run_goes_on(restores: Restores) -> None:
    """The reservation of a run that died stands in nobody's way."""
    stage = restores.stage
    content = os.urandom(24 * MIB)
    mirror(stage, {"bts-sio/film.mp4": content})
    lose(stage.minio)
    stage.graph.bandwidth = 8 * MIB
    environment = {**restores.variables(), "PYTHONPATH": str(ROOT / "sharepoint-proxy"), "PATH": os.environ["PATH"]}
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

    assert restores.fates() == {"bts-sio/film.mp4": Fate.RESTORED}
    stage.settle()
    assert held(stage) == {"bts-sio/film.mp4": content}
    assert writes(stage) == []
    assert rows(stage, "uploads") == []


def test_what_cannot_be_stored_is_told_with_its_reason(restores: Restores) -> None:
    """A name that no key has; and nothing that is told holds the secret of a download's address."""
    stage = restores.stage
    stage.graph.put_foreign("administration/n\u201b41ame.txt", b"x")
    stage.graph.put_foreign("administration/ok.txt", b"ok")
    stage.graph.add_fault(Fault(Match(CallKind.DOWNLOAD_BYTES), AnswerWith(404), times=None))

    results = list(restores.run())
    assert {restored.fate for restored in results} <= {Fate.SKIPPED, Fate.FAILED}
    assert all(restored.reason and "tempauth" not in restored.reason for restored in results)
    assert held(stage) == {}
