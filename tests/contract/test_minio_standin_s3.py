"""The stand-in answers S3 requests as MinIO does, where a client of it would notice a difference."""

import gzip
import hashlib
import io
import random
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import requests
import urllib3
from minio import Minio, S3Error
from minio.commonconfig import REPLACE, CopySource
from minio.error import ServerError
from minio.notificationconfig import NotificationConfig, PrefixFilterRule, QueueConfig, SuffixFilterRule

from simulator.minio_faults import ReadFault
from simulator.minio_rules import WEBHOOK_ARN
from simulator.minio_standin import MinioStandin, StandinOptions
from simulator.minio_store import synthetic_bytes

md5 = partial(hashlib.md5, usedforsecurity=False)

MIB = 1024 * 1024
GIB = 1024 * MIB


@pytest.fixture
def standin() -> Iterator[MinioStandin]:
    """A stand-in with a bucket without versioning and one with."""
    with MinioStandin(options=StandinOptions(buckets=("lycee",), versioned_buckets=("versioned",))) as running:
        yield running


@pytest.fixture
def client(standin: MinioStandin) -> Minio:
    """The root user, who does not try again."""
    return client_of(standin, standin.root_user)


def client_of(standin: MinioStandin, access_key: str) -> Minio:
    pool = urllib3.PoolManager(retries=False)
    host = standin.endpoint.removeprefix("http://")
    return Minio(host, access_key=access_key, secret_key="any", secure=False, region="us-east-1", http_client=pool)


def put(client: Minio, key: str, content: bytes = b"hello", *, bucket: str = "lycee", **options: Any) -> str:
    return str(client.put_object(bucket, key, io.BytesIO(content), len(content), **options).version_id)


def read(client: Minio, key: str, *, bucket: str = "lycee", **options: Any) -> bytes:
    response = client.get_object(bucket, key, **options)
    try:
        return response.read(decode_content=False)
    finally:
        response.close()
        response.release_conn()


def raw_put(standin: MinioStandin, key: str) -> requests.Response:
    """A PUT of a key that no client would send; only the access key is looked at."""
    headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={standin.root_user}/20261121/us-east-1/s3/aws4_request"}
    session = requests.Session()
    request = session.prepare_request(requests.Request("PUT", standin.endpoint, headers=headers, data=b"x"))
    request.url = f"{standin.endpoint}/lycee/{key}"
    return session.send(request, timeout=10)


def test_it_gives_back_what_was_stored(client: Minio) -> None:
    put(client, "a.txt", content_type="text/plain", metadata={"auteur": "Ana"})
    stat = client.stat_object("lycee", "a.txt")

    assert read(client, "a.txt") == b"hello"
    assert (stat.size, stat.etag, stat.content_type) == (5, md5(b"hello").hexdigest(), "text/plain")
    assert stat.metadata is not None
    assert stat.metadata["X-Amz-Meta-Auteur"] == "Ana"
    assert stat.version_id is None


@pytest.mark.parametrize("key", ["a//b.txt", "/a.txt", "a/./b.txt", "a/%2e%2e/b.txt", "a\\..\\b.txt", "k" * 1025])
def test_it_refuses_keys_that_minio_refuses(standin: MinioStandin, key: str) -> None:
    answer = raw_put(standin, key)

    assert answer.status_code == 400
    assert any(
        code in answer.text for code in ("XMinioInvalidObjectName", "XMinioInvalidResourceName", "KeyTooLongError")
    )


def test_it_reads_ranges(client: Minio) -> None:
    content = random.Random(1).randbytes(12 * MIB)
    put(client, "big.bin", content, part_size=5 * MIB)

    assert client.stat_object("lycee", "big.bin").etag == multipart_etag(content, 5 * MIB)
    assert read(client, "big.bin", offset=7 * MIB, length=3 * MIB) == content[7 * MIB : 10 * MIB]
    assert read(client, "big.bin", offset=12 * MIB - 5) == content[-5:]
    with pytest.raises(S3Error) as failure:
        read(client, "big.bin", offset=12 * MIB)
    assert failure.value.code == "InvalidRange"


def multipart_etag(content: bytes, part_bytes: int) -> str:
    parts = [md5(content[at : at + part_bytes]).digest() for at in range(0, len(content), part_bytes)]
    return f"{md5(b''.join(parts)).hexdigest()}-{len(parts)}"


def test_it_keeps_the_old_content_readable_for_a_download_under_way(client: Minio) -> None:
    old, new = random.Random(1).randbytes(8 * MIB), b"new"
    put(client, "a.bin", old, part_size=5 * MIB)
    response = client.get_object("lycee", "a.bin")
    first = response.read(MIB)
    put(client, "a.bin", new)
    rest = response.read()
    response.release_conn()

    assert first + rest == old
    assert read(client, "a.bin") == new


def test_it_gives_the_copy_of_a_multipart_object_a_plain_md5(client: Minio) -> None:
    content = random.Random(2).randbytes(11 * MIB)
    put(client, "big.bin", content, part_size=5 * MIB)
    client.copy_object("lycee", "copy.bin", CopySource("lycee", "big.bin"))

    assert client.stat_object("lycee", "copy.bin").etag == md5(content).hexdigest()
    assert read(client, "copy.bin") == content


def test_it_stores_encoded_content_as_it_is(client: Minio) -> None:
    packed = gzip.compress(b"hello", mtime=0)
    put(client, "a.txt", packed, metadata={"Content-Encoding": "gzip"})

    assert read(client, "a.txt") == packed
    assert client.stat_object("lycee", "a.txt").size == len(packed)


def test_it_checks_conditions(client: Minio) -> None:
    put(client, "a.txt")
    etag = client.stat_object("lycee", "a.txt").etag
    other: dict[str, Any] = {"If-Match": '"00000000000000000000000000000000"'}

    assert read(client, "a.txt", request_headers={"If-Match": f'"{etag}"'}) == b"hello"
    with pytest.raises(S3Error) as get_failure:
        read(client, "a.txt", request_headers=other)
    assert get_failure.value.code == "PreconditionFailed"
    with pytest.raises(ServerError) as head_failure:
        client.stat_object("lycee", "a.txt", extra_headers=other)
    assert head_failure.value.status_code == 412


def test_it_refuses_a_conditional_put_silently(standin: MinioStandin, client: Minio) -> None:
    put(client, "a.txt")
    with pytest.raises(S3Error) as failure:
        client._execute("PUT", "lycee", "a.txt", body=b"x", headers={"If-None-Match": "*"})

    assert failure.value.code == "PreconditionFailed"
    assert read(client, "a.txt") == b"hello"
    assert standin.deliveries() == []


def test_it_says_what_is_missing(client: Minio) -> None:
    for bucket, key, version_id, code in [
        ("lycee", "never.txt", None, "NoSuchKey"),
        ("absent", "a.txt", None, "NoSuchBucket"),
        ("versioned", "a.txt", "00000000-0000-0000-0000-000000000000", "NoSuchVersion"),
    ]:
        with pytest.raises(S3Error) as failure:
            read(client, key, bucket=bucket, version_id=version_id)
        assert failure.value.code == code


def test_it_hides_an_object_behind_its_delete_marker(client: Minio) -> None:
    version = put(client, "a.txt", bucket="versioned")
    client.remove_object("versioned", "a.txt")
    marker = next(each for each in client.list_objects("versioned", include_version=True) if each.is_delete_marker)

    with pytest.raises(S3Error) as get_failure:
        read(client, "a.txt", bucket="versioned")
    with pytest.raises(S3Error) as head_failure:
        client.stat_object("versioned", "a.txt")
    with pytest.raises(S3Error) as marker_failure:
        read(client, "a.txt", bucket="versioned", version_id=marker.version_id)
    assert (get_failure.value.code, head_failure.value.code) == ("NoSuchKey", "NoSuchKey")
    assert marker_failure.value.code == "MethodNotAllowed"
    assert read(client, "a.txt", bucket="versioned", version_id=version) == b"hello"
    assert list(client.list_objects("versioned")) == []


def test_it_brings_back_the_older_version_when_the_newest_is_removed(client: Minio) -> None:
    put(client, "a.txt", b"one", bucket="versioned")
    newest = put(client, "a.txt", b"two", bucket="versioned")
    client.remove_object("versioned", "a.txt", version_id=newest)

    assert read(client, "a.txt", bucket="versioned") == b"one"


def test_it_keeps_folder_markers_unversioned(client: Minio) -> None:
    put(client, "folder/", b"", bucket="versioned")
    put(client, "folder/", b"", bucket="versioned")
    listed = list(client.list_objects("versioned", include_version=True))
    client.remove_object("versioned", "folder/")

    assert len(listed) == 1
    assert list(client.list_objects("versioned", include_version=True)) == []


def test_its_reader_may_read_and_list_but_nothing_else(standin: MinioStandin, client: Minio) -> None:
    put(client, "a.txt")
    reader = client_of(standin, standin.reader_key)

    assert read(reader, "a.txt") == b"hello"
    assert [each.object_name for each in reader.list_objects("lycee", recursive=True)] == ["a.txt"]
    assert reader.bucket_exists("lycee")
    for act in (
        lambda: put(reader, "b.txt"),
        lambda: reader.remove_object("lycee", "a.txt"),
        lambda: reader.copy_object("lycee", "b.txt", CopySource("lycee", "a.txt"), metadata_directive=REPLACE),
        lambda: reader.delete_object_tags("lycee", "a.txt"),
        lambda: reader.make_bucket("other"),
    ):
        with pytest.raises(S3Error) as failure:
            act()
        assert failure.value.code == "AccessDenied"


def test_it_refuses_users_it_does_not_know(standin: MinioStandin) -> None:
    with pytest.raises(S3Error) as failure:
        client_of(standin, "nobody").list_buckets()

    assert failure.value.code == "InvalidAccessKeyId"
    assert requests.get(f"{standin.endpoint}/lycee/a.txt", timeout=10).status_code == 403


def test_two_stand_ins_know_nothing_of_each_other(client: Minio) -> None:
    put(client, "a.txt")
    with MinioStandin(options=StandinOptions(buckets=("lycee",))) as other:
        assert list(other.client().list_objects("lycee")) == []


def test_it_lists_many_objects_in_pages(standin: MinioStandin, client: Minio) -> None:
    keys = [f"folder/{number:04}.txt" for number in range(1_100)]
    for key in (*keys, "other.txt"):
        standin.put_synthetic("versioned", key, size=1, seed=1)
    listed = client.list_objects("versioned", prefix="folder/", recursive=True)
    versions = client.list_objects("versioned", recursive=True, include_version=True)

    assert [each.object_name for each in listed] == keys
    assert [each.object_name for each in versions] == [*keys, "other.txt"]
    assert [each.object_name for each in client.list_objects("versioned")] == ["other.txt", "folder/"]


def test_it_answers_health_checks_without_credentials(standin: MinioStandin) -> None:
    assert requests.get(f"{standin.endpoint}/minio/health/cluster", timeout=10).status_code == 200


def test_it_takes_notification_rules_by_s3(standin: MinioStandin, client: Minio) -> None:
    rule = QueueConfig(
        queue=WEBHOOK_ARN,
        events=["s3:ObjectCreated:*"],
        prefix_filter_rule=PrefixFilterRule("administration/"),
        suffix_filter_rule=SuffixFilterRule(".pdf"),
    )
    client.set_bucket_notification("lycee", NotificationConfig(queue_config_list=[rule]))
    standin.notify(url="http://127.0.0.1:9", token="t")
    for key in ("administration/a.pdf", "administration/a.txt", "a.pdf"):
        put(client, key)
    client.remove_object("lycee", "administration/a.pdf")
    standin.drain()
    [returned] = client.get_bucket_notification("lycee").queue_config_list

    assert [each.key for each in standin.deliveries()] == ["lycee/administration/a.pdf"]
    assert (returned.queue, returned.events) == (WEBHOOK_ARN, ["s3:ObjectCreated:*"])


def test_it_refuses_a_notification_target_that_it_does_not_have(client: Minio) -> None:
    rule = QueueConfig(queue="arn:minio:sqs::OTHER:webhook", events=["s3:ObjectCreated:*"])
    with pytest.raises(S3Error) as failure:
        client.set_bucket_notification("lycee", NotificationConfig(queue_config_list=[rule]))

    assert failure.value.code == "InvalidArgument"


@pytest.mark.parametrize(
    ("prefix", "suffix", "raised"),
    [
        ("", "", True),
        ("administration/", "", True),
        ("bts-sio/", "", False),
        ("*/note", ".txt", True),
        ("", ".pdf", False),
    ],
)
def test_it_matches_rules_as_patterns(
    standin: MinioStandin, client: Minio, *, prefix: str, suffix: str, raised: bool
) -> None:
    standin.notify(url="http://127.0.0.1:9", token="t")
    standin.add_rule("lycee", prefix=prefix, suffix=suffix)
    put(client, "administration/note.txt")
    standin.drain()

    assert bool(standin.deliveries()) is raised


def test_it_serves_a_synthetic_object_of_any_size(standin: MinioStandin, client: Minio) -> None:
    standin.notify(url="http://127.0.0.1:9", token="t")
    standin.add_rule("lycee")
    standin.put_synthetic("lycee", "huge.bin", size=2 * GIB, seed=7)
    stat = client.stat_object("lycee", "huge.bin")
    [listed] = client.list_objects("lycee")
    start = 2 * GIB - 3 * MIB - 17
    standin.drain()

    assert (stat.size, listed.size, listed.etag) == (2 * GIB, 2 * GIB, stat.etag)
    assert str(stat.etag).endswith("-128")
    assert read(client, "huge.bin", offset=start, length=MIB) == synthetic_bytes(7, start, MIB)
    assert [each.event_name for each in standin.deliveries()] == ["s3:ObjectCreated:CompleteMultipartUpload"]


def test_its_synthetic_content_is_the_same_however_it_is_cut() -> None:
    whole = synthetic_bytes(3, 0, 3 * MIB)
    draw = random.Random(0)
    for _ in range(200):
        start = draw.randrange(3 * MIB)
        length = draw.randrange(3 * MIB - start)
        assert synthetic_bytes(3, start, length) == whole[start : start + length]
    assert synthetic_bytes(4, 0, MIB) != whole[:MIB]


def test_it_renames_a_synthetic_object(standin: MinioStandin, client: Minio) -> None:
    standin.put_synthetic("lycee", "huge.bin", size=GIB, seed=7)
    standin.rename("lycee", "huge.bin", "moved/huge.bin")
    stat = client.stat_object("lycee", "moved/huge.bin")

    assert stat.size == GIB
    assert "-" not in str(stat.etag)
    assert read(client, "moved/huge.bin", offset=5 * MIB, length=9) == synthetic_bytes(7, 5 * MIB, 9)


def test_it_renames_a_folder(standin: MinioStandin, client: Minio) -> None:
    for number in range(8):
        put(client, f"old/{number}.txt", str(number).encode())
    standin.rename("lycee", "old/", "new/")

    assert [str(each.object_name) for each in client.list_objects("lycee", recursive=True)] == [
        f"new/{number}.txt" for number in range(8)
    ]
    assert read(client, "new/3.txt") == b"3"


def test_it_fails_reads_on_demand(standin: MinioStandin, client: Minio) -> None:
    content = random.Random(3).randbytes(MIB)
    put(client, "a.bin", content)
    put(client, "b.bin", content)

    standin.fail_reads(ReadFault.UNAVAILABLE, key="a.bin")
    assert read(client, "b.bin") == content
    with pytest.raises(S3Error) as unavailable:
        read(client, "a.bin")
    standin.fail_reads(ReadFault.FORBIDDEN)
    with pytest.raises(S3Error) as forbidden:
        read(client, "b.bin")
    standin.fail_reads(ReadFault.RESET, count=2)
    for _ in range(2):
        with pytest.raises(urllib3.exceptions.ProtocolError):
            read(client, "a.bin")
    standin.fail_reads(ReadFault.RESET)
    with pytest.raises(urllib3.exceptions.ProtocolError):
        client.stat_object("lycee", "a.bin")
    assert (unavailable.value.code, forbidden.value.code) == ("SlowDownRead", "AccessDenied")
    assert read(client, "a.bin") == content


def test_it_breaks_off_downloads_when_it_stops(standin: MinioStandin, client: Minio) -> None:
    standin.put_synthetic("lycee", "huge.bin", size=GIB, seed=7)
    response = client.get_object("lycee", "huge.bin")
    response.read(MIB)
    standin.stop()

    with pytest.raises(urllib3.exceptions.ProtocolError):
        response.read()
    with pytest.raises(urllib3.exceptions.HTTPError):
        client.stat_object("lycee", "huge.bin")


def test_it_forgets_faults_when_it_is_healed(standin: MinioStandin, client: Minio) -> None:
    put(client, "a.txt")
    standin.fail_reads(ReadFault.UNAVAILABLE, count=100)
    standin.heal()

    assert read(client, "a.txt") == b"hello"
