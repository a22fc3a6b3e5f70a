"""A versioned bucket: the library follows the version that is current, whatever happens to the others."""

from collections.abc import Iterator

import pytest
from minio.commonconfig import ENABLED, CopySource, Tags
from minio.versioningconfig import SUSPENDED, VersioningConfig

from simulator.minio_standin import StandinOptions
from simulator.stage import Stage

BUCKET = "versioned"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage whose bucket keeps versions."""
    folder = tmp_path_factory.mktemp("versions")
    options = StandinOptions(buckets=(), versioned_buckets=(BUCKET,), queue_dir=folder / "events")
    with Stage(folder, minio=options) as stage:
        stage.begin()
        yield stage


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """An object of the test's own."""
    return f"administration/{request.node.name}.txt"


@pytest.fixture
def versioned(shared: Stage, key: str) -> Iterator[Stage]:
    """The stage with two versions of the object, the second current and mirrored."""
    for content in (b"one", b"two"):
        shared.put(key, content, bucket=BUCKET)
    shared.settle()
    shared.calls()
    yield shared
    shared.minio.client().set_bucket_versioning(BUCKET, VersioningConfig(ENABLED))


def versions(stage: Stage, key: str, *, markers: bool = False) -> list[str]:
    """The ids of the object's versions, or of its delete markers, the newest first."""
    found = stage.minio.client().list_objects(BUCKET, prefix=key, include_version=True)
    return [str(version.version_id) for version in found if version.is_delete_marker is markers]


def test_purging_an_old_version_changes_nothing(versioned: Stage, key: str) -> None:
    versioned.delete(key, bucket=BUCKET, version=versions(versioned, key)[1])
    versioned.settle()

    assert versioned.kinds() == []
    assert versioned.graph.content(key) == b"two"


def test_purging_the_current_version_brings_back_the_one_before(versioned: Stage, key: str) -> None:
    versioned.delete(key, bucket=BUCKET, version=versions(versioned, key)[0])
    versioned.settle()

    assert versioned.graph.content(key) == b"one"


def test_a_delete_marker_deletes_and_its_removal_brings_back(versioned: Stage, key: str) -> None:
    versioned.delete(key, bucket=BUCKET)
    versioned.settle()
    assert key not in versioned.graph.tree()

    versioned.delete(key, bucket=BUCKET, version=versions(versioned, key, markers=True)[0])
    versioned.settle()
    assert versioned.graph.content(key) == b"two"


def test_restoring_an_old_version_is_an_upload(versioned: Stage, key: str) -> None:
    old = CopySource(BUCKET, key, version_id=versions(versioned, key)[1])
    versioned.minio.client().copy_object(BUCKET, key, old)
    versioned.settle()

    assert versioned.graph.content(key) == b"one"


def test_suspended_versioning_still_converges(versioned: Stage, key: str) -> None:
    versioned.minio.client().set_bucket_versioning(BUCKET, VersioningConfig(SUSPENDED))
    versioned.put(key, b"three", bucket=BUCKET)
    versioned.settle()
    assert versioned.graph.content(key) == b"three"

    versioned.delete(key, bucket=BUCKET)
    versioned.settle()
    assert key not in versioned.graph.tree()


def test_tags_and_metadata_cost_no_call(versioned: Stage, key: str) -> None:
    tags = Tags.new_object_tags()
    tags["state"] = "final"
    client = versioned.minio.client()
    client.set_object_tags(BUCKET, key, tags)
    client.copy_object(BUCKET, key, CopySource(BUCKET, key), metadata={"author": "Ana"}, metadata_directive="REPLACE")
    versioned.settle()

    assert versioned.kinds() == []


def test_late_repeated_and_reordered_events_change_nothing(versioned: Stage, key: str) -> None:
    names = (
        "s3:ObjectRemoved:Delete",
        "s3:ObjectCreated:Put",
        "s3:ObjectRemoved:DeleteMarkerCreated",
        "s3:ObjectCreated:Copy",
    )
    for name in names:
        versioned.service.post({"EventName": name, "Key": f"{BUCKET}/{key}"})
    versioned.service.wait_until_idle()

    assert versioned.kinds() == []
    assert versioned.graph.content(key) == b"two"
