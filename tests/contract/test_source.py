"""What MinIO holds under a key, asked over HTTP: absence is only believed when it is certain, bytes only when all came."""

import gzip
import io
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import md5
from typing import Any
from urllib.parse import urlsplit

import pytest
from contract.page_server import answering
from contract.service_graph import content_of

from sharepoint_proxy.errors import OutageError, PermanentError, ProxyError, SourceChangedError, TransientError
from sharepoint_proxy.records import StoredObject
from sharepoint_proxy.source import PIECE_BYTES, Source
from simulator.minio_faults import ReadFault
from simulator.minio_standin import MinioStandin, StandinOptions

BUCKET = "lycee"
KEY = "administration/note.bin"
CONTENT = content_of(1_000_000)
MIB = 1024 * 1024


@pytest.fixture
def standin() -> Iterator[MinioStandin]:
    """A stand-in with a bucket without versioning and one with."""
    with MinioStandin(options=StandinOptions(buckets=(BUCKET,), versioned_buckets=("versioned",))) as running:
        yield running


class EagerSource(Source):
    """One that always reads the first bytes along."""

    def stat(self, bucket: str, key: str, *, read_ahead: bool = True) -> StoredObject | None:
        return super().stat(bucket, key, read_ahead=read_ahead)


@pytest.fixture(params=[Source, EagerSource], ids=["looked at", "read along"])
def kind(request: pytest.FixtureRequest) -> type[Source]:
    """How objects are looked at: what comes of it is the same."""
    found: type[Source] = request.param
    return found


@pytest.fixture
def source(standin: MinioStandin, kind: type[Source]) -> Source:
    """The reader, with few connections."""
    return source_of(standin.endpoint, kind=kind, access_key=standin.reader_key, secret_key=standin.reader_secret)


def source_of(
    endpoint: str, *, kind: type[Source] = Source, access_key: str = "reader", secret_key: str = "the-secret-key"
) -> Source:
    """A reader of the server at ENDPOINT."""
    return kind(
        endpoint=urlsplit(endpoint).netloc,
        secure=False,
        access_key=access_key,
        secret_key=secret_key,
        region="us-east-1",
        connections=4,
    )


def put(
    standin: MinioStandin, content: bytes = CONTENT, *, key: str = KEY, bucket: str = BUCKET, **options: Any
) -> None:
    """Store CONTENT."""
    standin.client().put_object(bucket, key, io.BytesIO(content), len(content), **options)


def remove(standin: MinioStandin, *, bucket: str = BUCKET, version: str | None = None) -> None:
    """Remove the object, or one version of it."""
    standin.client().remove_object(bucket, KEY, version_id=version)


def stat(source: Source, *, key: str = KEY, bucket: str = BUCKET) -> StoredObject:
    """The object, which must be there."""
    stored = source.stat(bucket, key)
    assert stored is not None
    return stored


def read(source: Source, stored: StoredObject, *, offset: int = 0) -> bytes:
    """The bytes of exactly this version."""
    with source.open(stored, offset=offset) as pieces:
        return b"".join(pieces)


def failure(call: Callable[[], object]) -> ProxyError:
    """What CALL raises."""
    with pytest.raises(ProxyError) as caught:
        call()
    return caught.value


def test_it_works(standin: MinioStandin, source: Source) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    put(standin)
    stored = stat(source)

    assert (stored.bucket, stored.key, stored.size) == (BUCKET, KEY, len(CONTENT))
    assert stored.etag == md5(CONTENT, usedforsecurity=False).hexdigest()
    assert before <= stored.modified <= datetime.now(UTC)
    assert read(source, stored) == CONTENT


@pytest.mark.parametrize(
    "key",
    [
        "a b+c%20d.txt",
        "\xe9t\xe9/100%.txt",
        "E\u0301.txt",
        "\U0001f600.txt",
        'a:b*c?d"e<f>g|h#i~.txt',
        "dossier/",
        "a&b=c;d",
    ],
)
def test_it_asks_for_the_key_as_it_is(standin: MinioStandin, source: Source, key: str) -> None:
    put(standin, b"x", key=key)
    assert read(source, stat(source, key=key)) == b"x"


def test_it_reads_an_empty_object(standin: MinioStandin, source: Source) -> None:
    put(standin, b"")
    assert read(source, stat(source)) == b""


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
def test_the_bytes_of_an_object_of_any_size_are_its_own(standin: MinioStandin, source: Source, size: int) -> None:
    content = content_of(size)
    put(standin, content)
    stored = stat(source)
    for offset in {0, size // 2, max(size - 1, 0)}:
        assert read(source, stored, offset=offset) == content[offset:]


@pytest.mark.parametrize("size", [1, PIECE_BYTES])
@pytest.mark.parametrize("kind", [EagerSource])
def test_a_small_object_that_was_read_along_is_not_asked_for_again(
    standin: MinioStandin, source: Source, size: int
) -> None:
    content = content_of(size)
    put(standin, content)
    stored = stat(source)
    standin.stop()
    assert read(source, stored) == content


def test_it_hands_a_large_object_on_in_pieces(standin: MinioStandin, source: Source) -> None:
    put(standin, content_of(6 * MIB), part_size=5 * MIB)
    stored = stat(source)
    assert stored.etag.endswith("-2")
    with source.open(stored) as pieces:
        assert max(map(len, pieces)) <= PIECE_BYTES


@pytest.mark.parametrize("offset", [1, PIECE_BYTES, 999_999])
def test_it_reads_from_an_offset_on(standin: MinioStandin, source: Source, offset: int) -> None:
    put(standin)
    assert read(source, stat(source), offset=offset) == CONTENT[offset:]


def test_it_gives_the_stored_bytes_of_an_object_with_an_encoding(standin: MinioStandin, source: Source) -> None:
    packed = gzip.compress(CONTENT)
    put(standin, packed, metadata={"Content-Encoding": "gzip"})
    stored = stat(source)
    assert stored.size == len(packed)
    assert read(source, stored) == packed
    assert read(source, stored, offset=10) == packed[10:]


def test_a_key_that_was_never_there_is_absent(source: Source) -> None:
    assert source.stat(BUCKET, KEY) is None


def test_a_key_that_was_removed_is_absent(standin: MinioStandin, source: Source) -> None:
    put(standin)
    remove(standin)
    assert source.stat(BUCKET, KEY) is None


def test_a_key_under_a_delete_marker_is_absent_until_the_marker_is_removed(
    standin: MinioStandin, source: Source
) -> None:
    put(standin, bucket="versioned")
    remove(standin, bucket="versioned")
    assert source.stat("versioned", KEY) is None

    listed = standin.client().list_objects("versioned", prefix=KEY, include_version=True)
    marker = next(each.version_id for each in listed if each.is_delete_marker)
    remove(standin, bucket="versioned", version=marker)
    assert read(source, stat(source, bucket="versioned")) == CONTENT


def test_it_sees_the_newest_version(standin: MinioStandin, source: Source) -> None:
    put(standin, b"one", bucket="versioned")
    put(standin, b"three", bucket="versioned")
    assert read(source, stat(source, bucket="versioned")) == b"three"


def test_a_bucket_that_is_gone_says_nothing_of_its_keys(standin: MinioStandin, source: Source) -> None:
    """Or a mistake with one bucket would empty the library."""
    standin.client().remove_bucket(BUCKET)
    error = failure(lambda: source.stat(BUCKET, KEY))
    assert type(error) is OutageError
    assert BUCKET in str(error)
    assert type(failure(lambda: source.holds_below(BUCKET, "administration/"))) is TransientError


def test_a_bucket_that_was_gone_for_a_moment_says_nothing_of_its_keys() -> None:
    """It was made again while a key was looked at: the key is not taken for removed."""
    body = b"<Error><Code>NoSuchBucket</Code><BucketName>lycee</BucketName></Error>"
    with answering(404, "application/xml", body, head=200) as endpoint:
        error = failure(lambda: source_of(endpoint, kind=EagerSource).stat(BUCKET, KEY))
    assert type(error) is TransientError


@pytest.mark.parametrize("status", [301, 400, 403, 404, 405, 500, 502, 503])
def test_a_server_that_is_no_minio_says_nothing_of_a_key(status: int, kind: type[Source]) -> None:
    """A proxy in front of MinIO has 404 pages of its own."""
    with answering(status, "text/html", b"<html></html>") as endpoint:
        source = source_of(endpoint, kind=kind)
        error = failure(lambda: source.stat(BUCKET, KEY))
        assert isinstance(error, TransientError)
        # Its own pages while MinIO is away: an outage, in which no key's tries are counted.
        assert status not in {403, 404, 500, 502, 503} or type(error) is OutageError
        assert isinstance(failure(lambda: source.holds_below(BUCKET, "a/")), TransientError)


@pytest.mark.parametrize(
    ("status", "content_type", "body"),
    [
        (200, "text/html", b"<html><p>Sign in</html>"),
        (502, "text/html", "<html>\xe9chec</html>".encode("latin-1")),
        (503, "application/xml", b"<html><p>Away</html>"),
        (503, "application/xml", b""),
        (404, "application/xml", b"<Error><Code>NoSuchKey</Code>"),
    ],
    ids=["200 HTML", "502 in latin-1", "503 broken XML", "503 empty", "404 cut"],
)
def test_a_page_that_cannot_be_read_is_tried_again(
    status: int, content_type: str, body: bytes, kind: type[Source]
) -> None:
    stored = StoredObject(bucket=BUCKET, key=KEY, size=1_000, etag="e", modified=datetime.now(UTC))
    with answering(status, content_type, body) as endpoint:
        source = source_of(endpoint, kind=kind)
        assert isinstance(failure(lambda: source.holds_below(BUCKET, "a/")), TransientError)
        assert isinstance(failure(lambda: read(source, stored)), TransientError)


@pytest.mark.parametrize("content_type", ["text/html", "text/html; charset=utf-8"])
@pytest.mark.parametrize("headers", [{}, {"ETag": '"65f1-1c8"'}], ids=["without eTag", "with eTag"])
def test_a_page_of_another_server_is_no_object(content_type: str, headers: dict[str, str], kind: type[Source]) -> None:
    """Such as MinIO's console, or the sign-in of a proxy: it would be uploaded in place of every file."""
    modified = "Sat, 31 Jan 2026 11:04:33 GMT"
    with answering(200, content_type, b"Sign in", {"Last-Modified": modified, **headers}) as endpoint:
        error = failure(lambda: source_of(endpoint, kind=kind).stat(BUCKET, KEY))
    assert type(error) is TransientError


def test_minio_being_away_says_nothing_of_a_key(standin: MinioStandin, source: Source) -> None:
    put(standin)
    standin.stop()
    assert type(failure(lambda: source.stat(BUCKET, KEY))) is OutageError
    standin.start()
    assert stat(source).size == len(CONTENT)


@pytest.mark.parametrize(
    "fault", [fault for fault in ReadFault if fault is not ReadFault.SURPLUS], ids=lambda fault: fault.name
)
def test_a_failing_read_is_tried_again(standin: MinioStandin, source: Source, fault: ReadFault) -> None:
    """A stream that breaks must never look like the end of the object."""
    put(standin)
    stored = stat(source)
    standin.fail_reads(fault, count=2)
    assert isinstance(failure(lambda: read(source, stored)), TransientError)
    standin.heal()
    assert read(source, stored) == CONTENT


def test_a_failing_look_is_tried_again(standin: MinioStandin, source: Source) -> None:
    """One more look at the bucket tells whether it is this object or all of MinIO."""
    put(standin)
    standin.fail_reads(ReadFault.UNAVAILABLE)
    error = failure(lambda: source.stat(BUCKET, KEY))
    assert isinstance(error, TransientError)
    assert not isinstance(error, OutageError)


def test_one_object_that_may_not_be_read_is_parked(standin: MinioStandin, source: Source) -> None:
    """The bucket is open to the key; what bars this object is its own."""
    put(standin)
    standin.fail_reads(ReadFault.FORBIDDEN)
    assert type(failure(lambda: source.stat(BUCKET, KEY))) is PermanentError


def test_a_stream_that_ends_early_is_no_object(standin: MinioStandin, source: Source) -> None:
    put(standin)
    longer = replace(stat(source), size=len(CONTENT) + 10)
    error = failure(lambda: read(source, longer))
    assert type(error) is TransientError
    assert "10 bytes early" in str(error)


@pytest.mark.parametrize("offset", [0, 500_000])
def test_it_does_not_mix_two_versions(standin: MinioStandin, source: Source, offset: int) -> None:
    put(standin)
    stored = stat(source)
    put(standin, content_of(len(CONTENT), seed=1))
    assert type(failure(lambda: read(source, stored, offset=offset))) is SourceChangedError


def test_an_object_that_is_gone_has_changed(standin: MinioStandin, source: Source) -> None:
    put(standin)
    stored = stat(source)
    remove(standin)
    assert type(failure(lambda: read(source, stored))) is SourceChangedError


def test_a_bucket_that_goes_while_an_object_is_read_is_not_taken_for_a_change(
    standin: MinioStandin, source: Source
) -> None:
    put(standin)
    stored = stat(source)
    remove(standin)
    standin.client().remove_bucket(BUCKET)
    assert type(failure(lambda: read(source, stored))) is TransientError


def test_wrong_credentials_are_named(standin: MinioStandin) -> None:
    put(standin)
    source = source_of(standin.endpoint, access_key="nobody")
    for call in (lambda: source.stat(BUCKET, KEY), lambda: source.holds_below(BUCKET, "a/")):
        error = failure(call)
        assert type(error) is OutageError
        assert "access key" in str(error)
        assert "the-secret-key" not in "\n".join(traceback.format_exception(error))


@pytest.mark.parametrize("key", ["..", "a/../b", "a/./b", "./a"])
def test_a_key_that_the_sdk_refuses_is_parked(source: Source, key: str) -> None:
    error = failure(lambda: source.stat(BUCKET, key))
    assert type(error) is PermanentError
    assert f"{BUCKET}/{key}" in str(error)


def test_it_tells_whether_a_folder_is_empty(standin: MinioStandin, source: Source) -> None:
    put(standin, b"x", key="a/b/c.txt")
    assert source.holds_below(BUCKET, "a/")
    assert source.holds_below(BUCKET, "a/b/")
    assert not source.holds_below(BUCKET, "a/b/c.txt/")
    assert not source.holds_below(BUCKET, "b/")


def test_a_half_read_object_does_not_spoil_the_next_one(standin: MinioStandin, source: Source) -> None:
    """Its connection must not go back to the pool."""
    put(standin)
    stored = stat(source)
    for _ in range(6):
        with source.open(stored) as pieces:
            next(pieces)
    assert read(source, stored) == CONTENT


def test_more_threads_read_than_there_are_connections(standin: MinioStandin, source: Source) -> None:
    put(standin)
    stored = stat(source)
    with ThreadPoolExecutor(12) as threads:
        assert set(threads.map(lambda _: read(source, stored), range(24))) == {CONTENT}
