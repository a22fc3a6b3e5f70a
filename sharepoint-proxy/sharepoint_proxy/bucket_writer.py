"""Writes objects into MinIO, which nobody but a restore does, as a user of its own. Beside `source` the only importer of the minio SDK."""

import contextlib
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import BinaryIO, Protocol, cast
from xml.etree.ElementTree import ParseError

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error

from sharepoint_proxy.errors import AccessError, OutageError, PermanentError, Subject, TransientError

PART_BYTES = 10 * 1024 * 1024
"""What is sent at a time, larger objects in parts; a write has up to four times as much in memory, the SDK's copies included."""

_MOST_PARTS = 10_000
_DENIED_CODES = frozenset({"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"})


class Stream(Protocol):
    """The content of an object: `read` gives SIZE bytes, fewer only at the end. What it raises ends the write and passes through."""

    def read(self, size: int) -> bytes: ...


class BucketWriter:
    """Writes into one MinIO server; for any number of threads."""

    def __init__(
        self,
        *,
        endpoint: str,
        secure: bool,
        access_key: str,
        secret_key: str,
        region: str,
        http_client: urllib3.PoolManager,
    ) -> None:
        self._client = Minio(
            endpoint,
            access_key=access_key,
            secret_key=secret_key,
            secure=secure,
            region=region,
            http_client=http_client,
        )

    def put(
        self, bucket: str, key: str, stream: Stream, *, size: int, content_type: str, metadata: Mapping[str, str]
    ) -> str:
        """Store the SIZE bytes of STREAM with this user METADATA, and return the object's eTag.

        What is sent was read before, and nothing is stored unless STREAM was read to its end: the SDK aborts a multipart upload
        that it cannot complete. AccessError when the user may not write here, OutageError when MinIO cannot be reached,
        TransientError when it does not answer as it should, PermanentError for a bucket or key that cannot be.
        """
        with _translated(bucket, key):
            written = self._client.put_object(
                bucket,
                key,
                cast("BinaryIO", stream),
                size,
                content_type=content_type,
                metadata=dict(metadata),
                # Up to 100 GB; larger objects need larger parts.
                part_size=max(PART_BYTES, -(-size // _MOST_PARTS)),
                # One part after the other: those that wait for their turn would lie in memory.
                num_parallel_uploads=1,
            )
        return str(written.etag)


@contextlib.contextmanager
def _translated(bucket: str, key: str) -> Iterator[None]:
    """The SDK's exceptions as ours; none of them leaves this module."""
    name = f"{bucket}/{key}"
    try:
        yield
    except S3Error as error:
        raise _from_s3_error(error, bucket, name) from error
    except (MinioException, ParseError, UnicodeDecodeError) as error:
        raise TransientError(f"MinIO's answer to the writing of {name} cannot be read.") from error
    except urllib3.exceptions.HTTPError as error:
        raise _from_http_error(error, name) from error
    except ValueError as error:
        raise PermanentError(f"MinIO's SDK refuses to write {name}: {error}.") from error


def _from_s3_error(error: S3Error, bucket: str, name: str) -> Exception:
    status = error.response.status
    if error.code in _DENIED_CODES:
        return AccessError(
            f"MinIO refuses to let {name} be written ({error.code}). A restore needs s3:PutObject, s3:AbortMultipartUpload and"
            f" s3:ListMultipartUploadParts on arn:aws:s3:::{bucket}/*, which a user who only reads does not have: name one who"
            " has them in RESTORE_ACCESS_KEY and RESTORE_SECRET_KEY for this command alone.",
            status=status,
        )
    if error.code == "NoSuchBucket":
        return PermanentError(f"The bucket {bucket} does not exist in MinIO: make it first.", status=status)
    kind = PermanentError if status == HTTPStatus.BAD_REQUEST else TransientError
    return kind(f"MinIO answered {error.code} to the writing of {name}.", status=status)


def _from_http_error(error: urllib3.exceptions.HTTPError, name: str) -> TransientError:
    """An outage where there was no connection; what broke off later may be this one object's trouble."""
    cause = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason else error
    if isinstance(cause, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError):
        return OutageError(f"MinIO cannot be reached ({type(cause).__name__}).", subject=Subject.MINIO)
    return TransientError(f"MinIO broke off the writing of {name} ({type(cause).__name__}).")
