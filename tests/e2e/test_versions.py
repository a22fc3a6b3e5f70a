"""A versioned bucket: the library follows the version that is current, whatever happens to the others."""

from collections.abc import Callable
from pathlib import Path

import pytest
from minio.commonconfig import CopySource, Tags
from minio.versioningconfig import SUSPENDED, VersioningConfig

from simulator.minio_standin import StandinOptions
from simulator.stage import Stage

BUCKET = "versioned"
KEY = "administration/v.txt"


@pytest.fixture
def versioned(make_stage: Callable[..., Stage], tmp_path: Path) -> Stage:
    """A stage whose bucket keeps versions: two of one object, the second current and mirrored."""
    stage = make_stage(minio=StandinOptions(buckets=(), versioned_buckets=(BUCKET,), queue_dir=tmp_path / "events"))
    stage.begin()
    for content in (b"one", b"two"):
        stage.put(KEY, content, bucket=BUCKET)
    stage.settle()
    stage.calls()
    return stage


def versions(stage: Stage, *, markers: bool = False) -> list[str]:
    """The ids of the object's versions, or of its delete markers, the newest first."""
    found = stage.minio.client().list_objects(BUCKET, prefix=KEY, include_version=True)
    return [str(version.version_id) for version in found if version.is_delete_marker is markers]


def test_purging_an_old_version_changes_nothing(versioned: Stage) -> None:
    versioned.delete(KEY, bucket=BUCKET, version=versions(versioned)[1])
    versioned.settle()

    assert versioned.kinds() == []
    assert versioned.graph.content(KEY) == b"two"


def test_purging_the_current_version_brings_back_the_one_before(versioned: Stage) -> None:
    versioned.delete(KEY, bucket=BUCKET, version=versions(versioned)[0])
    versioned.settle()

    assert versioned.graph.content(KEY) == b"one"


def test_a_delete_marker_deletes_and_its_removal_brings_back(versioned: Stage) -> None:
    versioned.delete(KEY, bucket=BUCKET)
    versioned.settle()
    assert KEY not in versioned.graph.tree()

    versioned.delete(KEY, bucket=BUCKET, version=versions(versioned, markers=True)[0])
    versioned.settle()
    assert versioned.graph.content(KEY) == b"two"


def test_restoring_an_old_version_is_an_upload(versioned: Stage) -> None:
    old = CopySource(BUCKET, KEY, version_id=versions(versioned)[1])
    versioned.minio.client().copy_object(BUCKET, KEY, old)
    versioned.settle()

    assert versioned.graph.content(KEY) == b"one"


def test_suspended_versioning_still_converges(versioned: Stage) -> None:
    versioned.minio.client().set_bucket_versioning(BUCKET, VersioningConfig(SUSPENDED))
    versioned.put(KEY, b"three", bucket=BUCKET)
    versioned.settle()
    assert versioned.graph.content(KEY) == b"three"

    versioned.delete(KEY, bucket=BUCKET)
    versioned.settle()
    assert KEY not in versioned.graph.tree()


def test_tags_and_metadata_cost_no_call(versioned: Stage) -> None:
    tags = Tags.new_object_tags()
    tags["state"] = "final"
    client = versioned.minio.client()
    client.set_object_tags(BUCKET, KEY, tags)
    client.copy_object(BUCKET, KEY, CopySource(BUCKET, KEY), metadata={"author": "Ana"}, metadata_directive="REPLACE")
    versioned.settle()

    assert versioned.kinds() == []


def test_late_repeated_and_reordered_events_change_nothing(versioned: Stage) -> None:
    names = (
        "s3:ObjectRemoved:Delete",
        "s3:ObjectCreated:Put",
        "s3:ObjectRemoved:DeleteMarkerCreated",
        "s3:ObjectCreated:Copy",
    )
    for name in names:
        versioned.service.post({"EventName": name, "Key": f"{BUCKET}/{KEY}"})
    versioned.service.wait_until_idle()

    assert versioned.kinds() == []
    assert versioned.graph.content(KEY) == b"two"
