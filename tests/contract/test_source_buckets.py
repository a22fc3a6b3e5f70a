"""What MinIO says of a bucket itself: whether it is there, what is in it, its versions, its event rules."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from sharepoint_proxy.errors import OutageError, TransientError
from sharepoint_proxy.source import EventRule, Source
from simulator.minio_rules import WEBHOOK_ARN
from simulator.minio_standin import MinioStandin, StandinOptions

BUCKET = "lycee"


@pytest.fixture
def standin() -> Iterator[MinioStandin]:
    """A stand-in with a bucket without versioning and one with."""
    with MinioStandin(options=StandinOptions(buckets=(BUCKET,), versioned_buckets=("versioned",))) as running:
        yield running


@pytest.fixture
def source(standin: MinioStandin) -> Source:
    """The user who may only read."""
    return source_of(standin, access_key=standin.reader_key)


def source_of(standin: MinioStandin, *, access_key: str) -> Source:
    """A reader under this name."""
    return Source(
        endpoint=urlsplit(standin.endpoint).netloc,
        secure=False,
        access_key=access_key,
        secret_key=standin.reader_secret,
        region="us-east-1",
        connections=2,
    )


def test_it_tells_a_bucket_that_is_there_from_one_that_is_not(source: Source) -> None:
    assert source.bucket_exists(BUCKET)
    assert not source.bucket_exists("absent")


def test_it_counts_what_one_answer_lists(standin: MinioStandin, source: Source) -> None:
    for number in range(3):
        standin.put_synthetic(BUCKET, f"administration/{number}.bin", size=1, seed=number)
    standin.put_synthetic(BUCKET, "elsewhere.bin", size=1, seed=9)

    assert source.count_first_page(BUCKET, "administration/") == 3
    assert source.count_first_page(BUCKET, "") == 4
    assert source.count_first_page(BUCKET, "nothing/") == 0


def test_it_stops_counting_after_the_first_answer(standin: MinioStandin, source: Source) -> None:
    for number in range(1001):
        standin.put_synthetic(BUCKET, f"many/{number}.bin", size=1, seed=number)

    assert source.count_first_page(BUCKET, "many/") == 1000


def test_it_tells_whether_versions_are_kept(source: Source) -> None:
    assert source.versioning(BUCKET) == "Off"
    assert source.versioning("versioned") == "Enabled"


def test_it_reads_the_event_rules(standin: MinioStandin, source: Source) -> None:
    standin.add_rule(BUCKET, prefix="administration/")
    standin.add_rule(BUCKET, suffix=".pdf", events=frozenset({"put"}))
    first, second = source.event_rules(BUCKET)

    assert first == EventRule(
        arn=WEBHOOK_ARN,
        events=frozenset({"s3:ObjectCreated:*", "s3:ObjectRemoved:*"}),
        prefix="administration/",
        suffix="",
    )
    assert (second.prefix, second.suffix) == ("", ".pdf")


def test_a_bucket_without_rules_has_none(source: Source) -> None:
    assert source.event_rules(BUCKET) == ()


def test_a_stranger_is_refused_with_minios_own_word(standin: MinioStandin) -> None:
    stranger = source_of(standin, access_key="nobody")
    with pytest.raises(OutageError, match="InvalidAccessKeyId"):
        stranger.count_first_page(BUCKET, "")


def test_a_bucket_that_is_missing_is_said_with_minios_own_word(source: Source) -> None:
    with pytest.raises(TransientError, match="NoSuchBucket"):
        source.event_rules("absent")
    with pytest.raises(TransientError, match="NoSuchBucket"):
        source.versioning("absent")
