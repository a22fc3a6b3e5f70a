"""What a restore writes into MinIO over HTTP: all of an object or nothing of it, and what is wrong in one sentence."""

import io
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from contract.service_graph import content_of

from sharepoint_proxy.bucket_writer import PART_BYTES, BucketWriter
from sharepoint_proxy.errors import AccessError, OutageError, PermanentError, ProxyError, StoppingError
from sharepoint_proxy.source import connection_pool
from simulator.minio_standin import MinioStandin, StandinOptions

BUCKET = "lycee"
KEY = "administration/note.bin"
TYPE = "text/plain"


@pytest.fixture
def minio() -> Iterator[MinioStandin]:
    with MinioStandin(options=StandinOptions(versioned_buckets=("versioned",))) as running:
        yield running


def writer(minio: MinioStandin, *, access_key: str = "", secret_key: str = "") -> BucketWriter:
    """A writer with the rights of the root user, or of another."""
    return BucketWriter(
        endpoint=urlsplit(minio.endpoint).netloc,
        secure=False,
        access_key=access_key or minio.root_user,
        secret_key=secret_key or minio.root_password,
        region="us-east-1",
        http_client=connection_pool(4),
    )


def put(minio: MinioStandin, content: bytes, *, key: str = KEY, bucket: str = BUCKET) -> str:
    """Write CONTENT; the eTag."""
    return writer(minio).put(
        bucket, key, io.BytesIO(content), size=len(content), content_type=TYPE, metadata={"mtime": "1700000000.5"}
    )


class Breaking(io.BytesIO):
    """A stream that raises ERROR where it is to give what lies at or beyond BREAK_AT."""

    def __init__(self, content: bytes, *, break_at: int, error: ProxyError) -> None:
        super().__init__(content)
        self._break_at = break_at
        self._error = error

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes, unless they reach the place where it breaks."""
        if self.tell() + (size or 0) >= self._break_at:
            raise self._error
        return super().read(size)


def multiparts(minio: MinioStandin) -> int:
    """How many uploads were begun and neither completed nor aborted."""
    return len(minio._store.bucket(BUCKET).multiparts)


@pytest.mark.parametrize("size", [0, 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES])
def test_it_writes_objects_of_any_size(minio: MinioStandin, size: int) -> None:
    """In parts of 10 MiB, and the eTag is the one that MinIO tells afterwards."""
    content = content_of(size)
    etag = put(minio, content)
    stored = minio.client().stat_object(BUCKET, KEY)

    assert minio.client().get_object(BUCKET, KEY).data == content
    assert stored.etag == etag
    assert etag.partition("-")[2] == ("" if size <= PART_BYTES else str(-(-size // PART_BYTES)))
    assert stored.content_type == TYPE
    assert (stored.metadata or {})["x-amz-meta-mtime"] == "1700000000.5"


@pytest.mark.parametrize("key", ["a b/c+d&e=f.txt", "\u00e9t\u00e9/\u65e5\u672c.txt", "a/%41.txt", "folder/"])
def test_it_writes_keys_to_the_letter(minio: MinioStandin, key: str) -> None:
    put(minio, b"x", key=key)
    assert [found.object_name for found in minio.client().list_objects(BUCKET, recursive=True)] == [key]


def test_it_writes_over_a_delete_marker(minio: MinioStandin) -> None:
    put(minio, b"one", bucket="versioned")
    minio.client().remove_object("versioned", KEY)
    put(minio, b"two", bucket="versioned")
    assert minio.client().get_object("versioned", KEY).data == b"two"


@pytest.mark.parametrize("size", [5, 2 * PART_BYTES + 5])
def test_nothing_is_stored_when_the_stream_raises(minio: MinioStandin, size: int) -> None:
    """What it raises is what comes out, also after parts were sent."""
    error = StoppingError("Time to stop.")
    stream = Breaking(content_of(size), break_at=size, error=error)
    with pytest.raises(StoppingError) as caught:
        writer(minio).put(BUCKET, KEY, stream, size=size, content_type=TYPE, metadata={})
    assert caught.value is error
    assert list(minio.client().list_objects(BUCKET, recursive=True)) == []
    assert multiparts(minio) == 0


@pytest.mark.parametrize("size", [5, PART_BYTES + 5])
def test_it_says_which_rights_are_missing(minio: MinioStandin, size: int) -> None:
    denied = writer(minio, access_key=minio.reader_key, secret_key=minio.reader_secret)
    with pytest.raises(AccessError, match=r"s3:PutObject, .* on arn:aws:s3:::lycee/\*") as caught:
        denied.put(BUCKET, KEY, io.BytesIO(bytes(size)), size=size, content_type=TYPE, metadata={})
    assert caught.value.status == 403


@pytest.mark.parametrize(
    ("bucket", "key", "sentence"),
    [
        ("nowhere", KEY, "The bucket nowhere does not exist in MinIO: make it first."),
        (BUCKET, "a/../b", "MinIO's SDK refuses to write lycee/a/../b"),
        (BUCKET, "a//b", "MinIO answered XMinioInvalidObjectName to the writing of lycee/a//b"),
    ],
)
def test_what_can_never_be_written_is_told_so(minio: MinioStandin, bucket: str, key: str, sentence: str) -> None:
    with pytest.raises(PermanentError, match=sentence.replace("..", r"\.\.")):
        put(minio, b"x", bucket=bucket, key=key)


def test_a_server_that_is_away_is_an_outage(minio: MinioStandin) -> None:
    away = writer(minio)
    minio.stop()
    with pytest.raises(OutageError, match="MinIO cannot be reached"):
        away.put(BUCKET, KEY, io.BytesIO(b"x"), size=1, content_type=TYPE, metadata={})
    minio.start()
