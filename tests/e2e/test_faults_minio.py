"""Trouble at MinIO: what cannot be read is not taken for gone, and two versions of an object are never mixed."""

import os
from collections.abc import Iterator

import pytest
from e2e.trouble import (
    FOLDER,
    MIB,
    calls_about,
    calm,
    nudge,
    open_stage,
    state_of,
    statuses,
    tries_counted,
    versions_of,
    wait_for_outage,
    wait_until_parked,
    wait_until_postponed,
    wait_until_settled,
    why_not_ready,
)

from simulator.calls import CallKind
from simulator.faults import CutConnection, CutPoint, Fault, Match
from simulator.minio_faults import ReadFault
from simulator.minio_standin import StandinOptions
from simulator.stage import Stage

DOOMED = "doomed"
"""A bucket that one test takes away."""

SIZE = 5 * MIB


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for all tests here."""
    folder = tmp_path_factory.mktemp("minio")
    options = StandinOptions(buckets=("lycee", DOOMED), queue_dir=folder / "events")
    settings = {"CHUNK_MIB": "1", "BUCKET_AS_FOLDER": "true"}
    with open_stage(folder, settings=settings, minio=options) as stage:
        stage.put(f"{FOLDER}/makes the folder.txt", b"x")
        stage.settle()
        yield stage


@pytest.fixture
def stage(shared: Stage) -> Iterator[Stage]:
    """The stage, without what an earlier test left."""
    yield shared
    calm(shared)


def path_of(key: str, bucket: str = "lycee") -> str:
    """Where KEY is in the library."""
    return f"{bucket}/{key}"


def test_all_is_kept_while_minio_is_away(stage: Stage) -> None:
    """What it held is not taken for deleted; /ready says why until it works again."""
    keys = [f"{FOLDER}/away-{number}.txt" for number in range(3)]
    for key in keys:
        stage.put(key, b"x")
    stage.settle()
    stage.minio.stop()
    nudge(stage, *keys)
    complaint = wait_for_outage(stage, keys)
    states, tries = {state_of(stage, key) for key in keys}, max(tries_counted(stage, key) for key in keys)
    stage.minio.start()
    nudge(stage, *keys)
    stage.settle()

    assert complaint.startswith("MinIO cannot be reached")
    assert (states, tries) == ({"waiting"}, 0)
    assert why_not_ready(stage) == ""
    assert [versions_of(stage, path_of(key)) for key in keys] == [1, 1, 1]
    assert stage.graph.recycle_bin() == []


def test_all_is_kept_while_minio_refuses_the_access_key(stage: Stage) -> None:
    """Revoked, or changed on one side only."""
    keys = [f"{FOLDER}/revoked-{number}.txt" for number in range(3)]
    stage.minio.revoke_reader()
    for key in keys:
        stage.put(key, b"x")
    complaint = wait_for_outage(stage, keys)
    states = {state_of(stage, key) for key in keys}
    stage.minio.admit_reader()
    nudge(stage, *keys)
    stage.settle()

    assert "access key" in complaint
    assert states == {"waiting"}
    assert why_not_ready(stage) == ""
    assert [versions_of(stage, path_of(key)) for key in keys] == [1, 1, 1]


def test_a_bucket_that_is_gone_takes_no_file_with_it(stage: Stage) -> None:
    """Or a mistake with one bucket would empty the library; the other bucket is mirrored meanwhile."""
    key, other = f"{FOLDER}/doomed.txt", f"{FOLDER}/other.txt"
    stage.put(key, b"x", bucket=DOOMED)
    stage.settle()
    stage.minio.pause()
    stage.delete(key, bucket=DOOMED)
    stage.minio.client().remove_bucket(DOOMED)
    stage.minio.resume()
    reason = wait_until_postponed(stage, key)
    stage.put(other, b"x")
    wait_until_settled(stage, other)
    there = stage.graph.content(path_of(key, DOOMED))
    stage.minio.client().make_bucket(DOOMED)
    nudge(stage, key, bucket=DOOMED)
    stage.settle()

    assert f"The bucket {DOOMED} does not exist in MinIO" in reason
    assert there == b"x"
    assert stage.graph.item(path_of(key, DOOMED)) is None


def test_one_object_that_may_not_be_read_is_parked_alone(stage: Stage) -> None:
    """By a policy that denies it to the proxy's user."""
    key, others = f"{FOLDER}/denied.txt", [f"{FOLDER}/allowed-{number}.txt" for number in range(5)]
    stage.minio.fail_reads(ReadFault.FORBIDDEN, count=1000, key=key)
    for name in (key, *others):
        stage.put(name, b"x")
    reason = wait_until_parked(stage, key)
    readiness = why_not_ready(stage)
    stage.minio.heal()
    nudge(stage, key)
    stage.settle()

    assert "refuses to let lycee/administration/denied.txt be read" in reason
    assert "check the policy of the access key" in reason
    assert readiness == ""
    assert {versions_of(stage, path_of(name)) for name in (key, *others)} == {1}


def test_one_object_that_minio_cannot_read_is_parked_alone(stage: Stage) -> None:
    """MinIO answers 503 for an object that too few of its disks hold."""
    key = f"{FOLDER}/unreadable.txt"
    stage.minio.fail_reads(ReadFault.UNAVAILABLE, count=1000, key=key)
    stage.put(key, b"x")
    reason = wait_until_parked(stage, key)
    readiness = why_not_ready(stage)
    stage.minio.heal()
    nudge(stage, key)
    stage.settle()

    assert "SlowDownRead" in reason
    assert readiness == ""
    assert stage.graph.content(path_of(key)) == b"x"


@pytest.mark.parametrize("size", [100_000, SIZE], ids=["small", "large"])
@pytest.mark.parametrize("fault", [ReadFault.RESET, ReadFault.UNAVAILABLE], ids=lambda fault: fault.name)
def test_an_object_that_cannot_be_read_for_a_while_is_sent_whole(stage: Stage, fault: ReadFault, size: int) -> None:
    key = f"{FOLDER}/broken-{fault.name}-{size}.bin"
    content = os.urandom(size)
    stage.minio.fail_reads(fault, count=1000, key=key)
    stage.put(key, content)
    wait_until_postponed(stage, key)
    stage.minio.heal()
    nudge(stage, key)
    stage.settle()

    assert stage.graph.content(path_of(key)) == content
    assert versions_of(stage, path_of(key)) == 1
    assert stage.graph.pending_sessions() == []


def test_slow_answers_are_waited_for(stage: Stage) -> None:
    key = f"{FOLDER}/slow.txt"
    stage.put(key, b"x")
    stage.minio.latency = 0.5
    nudge(stage, key)
    stage.settle()

    assert statuses(stage, path_of(key)) == [201]


def interrupt(stage: Stage, key: str) -> None:
    """Put an object at KEY and wait until some of it is in SharePoint; the next fragment breaks, so that it is opened anew."""
    stage.graph.bandwidth = 3 * MIB
    stage.put(key, os.urandom(SIZE))
    stage.graph.wait_for(lambda: calls_about(stage, path_of(key), CallKind.FRAGMENT))
    stage.minio.drain()
    stage.minio.pause()
    stage.graph.add_fault(Fault(Match(CallKind.FRAGMENT, key), CutConnection(CutPoint.HALF_BODY)))


def test_a_read_that_breaks_in_the_middle_goes_on_there(stage: Stage) -> None:
    key = f"{FOLDER}/middle.bin"
    interrupt(stage, key)
    stage.minio.fail_reads(ReadFault.RESET, key=key)
    stage.graph.bandwidth = None
    stage.service.wait_until_idle()

    with stage.minio.client().get_object("lycee", key) as answer:
        assert stage.graph.content(path_of(key)) == answer.read()
    assert statuses(stage, path_of(key), CallKind.SESSION_CREATE) == [200]
    assert versions_of(stage, path_of(key)) == 1
    stage.minio.resume()


def test_an_object_replaced_while_it_is_read_is_sent_anew(stage: Stage) -> None:
    """Not a byte of the old one is mixed in: the file has one version, the new one."""
    key = f"{FOLDER}/replaced.bin"
    content = os.urandom(SIZE)
    interrupt(stage, key)
    stage.put(key, content)
    stage.graph.bandwidth = None
    stage.service.wait_until_idle()

    assert stage.graph.content(path_of(key)) == content
    assert versions_of(stage, path_of(key)) == 1
    assert statuses(stage, path_of(key), CallKind.SESSION_CREATE, CallKind.SESSION_CANCEL) == [200, 204, 200]
    stage.minio.resume()
    stage.settle()
    assert versions_of(stage, path_of(key)) == 1


def test_an_object_removed_while_it_is_read_leaves_nothing(stage: Stage) -> None:
    key = f"{FOLDER}/removed.bin"
    interrupt(stage, key)
    stage.delete(key)
    stage.graph.bandwidth = None
    stage.service.wait_until_idle()

    assert stage.graph.item(path_of(key)) is None
    assert stage.graph.pending_sessions() == []
    assert stage.graph.recycle_bin().count(path_of(key)) == 0
    stage.minio.resume()


def test_an_object_replaced_behind_an_unread_event_is_sent_once(stage: Stage) -> None:
    """What the first look finds is the newest; the second event then costs nothing."""
    key = f"{FOLDER}/twice.txt"
    stage.minio.pause()
    stage.put(key, b"old")
    stage.put(key, b"new")
    nudge(stage, key)
    stage.service.wait_until_idle()
    stage.minio.resume()
    stage.settle()

    assert stage.graph.content(path_of(key)) == b"new"
    assert statuses(stage, path_of(key)) == [201]
