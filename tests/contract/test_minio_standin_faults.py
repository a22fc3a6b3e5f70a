"""The stand-in contradicts itself, goes by another clock and forgets a user, when it is told to."""

import io
import os
import socket
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest
import urllib3
from minio import Minio, S3Error

from simulator.minio_faults import ReadFault
from simulator.minio_standin import MinioStandin

KEY = "a.bin"
CONTENT = os.urandom(1000)


@pytest.fixture
def standin() -> Iterator[MinioStandin]:
    """A stand-in with an object of a thousand bytes."""
    with MinioStandin() as running:
        running.client().put_object("lycee", KEY, io.BytesIO(CONTENT), len(CONTENT))
        yield running


@pytest.fixture
def reader(standin: MinioStandin) -> Minio:
    """The user who may only read, and does not try again."""
    return Minio(
        urlsplit(standin.endpoint).netloc,
        access_key=standin.reader_key,
        secret_key=standin.reader_secret,
        secure=False,
        region="us-east-1",
        http_client=urllib3.PoolManager(retries=False),
    )


def read(client: Minio) -> tuple[bytes, str | None]:
    """What a GET delivers, and what it announces as its length."""
    response = client.get_object("lycee", KEY)
    with closing(response):
        return response.read(decode_content=False), response.headers.get("Content-Length")


@pytest.mark.parametrize(
    ("fault", "delivered", "announced"),
    [
        (ReadFault.SHORT, CONTENT[:500], "500"),
        (ReadFault.SHORT_UNANNOUNCED, CONTENT[:500], None),
        (ReadFault.LONG, CONTENT + bytes(1000), "2000"),
        (ReadFault.LONG_UNANNOUNCED, CONTENT + bytes(1000), None),
        (ReadFault.SURPLUS, CONTENT, "1000"),
    ],
)
def test_a_get_may_contradict_the_size_that_a_head_says(
    standin: MinioStandin, reader: Minio, fault: ReadFault, delivered: bytes, announced: str | None
) -> None:
    standin.fail_reads(fault)

    assert reader.stat_object("lycee", KEY).size == 1000
    assert read(reader) == (delivered, announced)
    assert read(reader) == (CONTENT, "1000")


def test_surplus_bytes_follow_the_answer_on_its_connection(standin: MinioStandin) -> None:
    standin.fail_reads(ReadFault.SURPLUS)
    address = urlsplit(standin.endpoint)
    credential = f"Credential={standin.root_user}/20261121/us-east-1/s3/aws4_request"
    lines = (f"GET /lycee/{KEY} HTTP/1.1", "Host: minio", f"Authorization: AWS4-HMAC-SHA256 {credential}")
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall("\r\n".join((*lines, "Connection: close", "", "")).encode())
        answer = connection.makefile("rb").read()

    assert answer.endswith(b"\r\n\r\n" + CONTENT + bytes(1000))


@pytest.mark.parametrize(("minutes", "is_taken"), [(14, True), (-14, True), (16, False), (-16, False)])
def test_it_takes_nothing_of_the_reader_that_was_signed_for_quite_another_time(
    standin: MinioStandin, reader: Minio, minutes: int, *, is_taken: bool
) -> None:
    """The root user is on its machine; and a HEAD has no body to say why it is refused."""
    standin.clock_ahead = minutes * 60

    assert standin.client().stat_object("lycee", KEY).size == 1000
    if is_taken:
        assert read(reader)[0] == CONTENT
        return
    with pytest.raises(S3Error) as got:
        reader.get_object("lycee", KEY)
    with pytest.raises(S3Error) as looked:
        reader.stat_object("lycee", KEY)
    assert (got.value.code, looked.value.code) == ("RequestTimeTooSkewed", "AccessDenied")
    standin.heal()
    assert read(reader)[0] == CONTENT


def test_it_forgets_the_reader_and_knows_it_again(standin: MinioStandin, reader: Minio) -> None:
    standin.revoke_reader()
    with pytest.raises(S3Error) as refused:
        reader.get_object("lycee", KEY)
    standin.admit_reader()

    assert refused.value.code == "InvalidAccessKeyId"
    assert read(reader)[0] == CONTENT
