"""MinIO, read only: what it holds under a key now, and the stored bytes. The only importer of the minio SDK and of urllib3."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import islice
from xml.etree.ElementTree import ParseError

import certifi
import urllib3
from minio import Minio
from minio.datatypes import Object
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from minio.time import from_http_header

from sharepoint_proxy.errors import OutageError, PermanentError, SourceChangedError, Subject, TransientError
from sharepoint_proxy.records import StoredObject

PIECE_BYTES = 160 * 1024
"""How much of an object is in memory at a time, per transfer: half the unit of which fragments consist, and whole periods of their hash."""

_CONNECT_SECONDS = 5.0
_READ_SECONDS = 60.0
_BUCKET_RETRY_SECONDS = 60.0
_PAGE_OBJECTS = 1000
_ABSENT_CODES = frozenset({"NoSuchKey", "NoSuchVersion", "MethodNotAllowed"})
_NO_BUCKET = "NoSuchBucket"
_GONE_CODES = frozenset({_NO_BUCKET, *_ABSENT_CODES})
_NO_SUCH_RANGE = "InvalidRange"
_CHANGED_CODES = frozenset({"PreconditionFailed", _NO_SUCH_RANGE, *_ABSENT_CODES})
_BROKEN_OFF = (urllib3.exceptions.ProtocolError, urllib3.exceptions.ReadTimeoutError)
"""There was a connection; what became of it may be one object's own trouble."""

_DENIED = "AccessDenied"
_META = "x-amz-meta-"
_DENIED_CODES = frozenset({_DENIED, "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRule:
    """A rule of a bucket: `events` of keys that begin with `prefix` and end with `suffix` go to the target `arn`."""

    arn: str
    events: frozenset[str]
    prefix: str
    suffix: str


class Source:
    """The objects of one MinIO server, for any number of threads.

    Every method raises TransientError when MinIO cannot be reached or does not answer as it should, and PermanentError for a
    key that the SDK refuses to ask for ("." and ".." segments).
    """

    def __init__(
        self, *, endpoint: str, secure: bool, access_key: str, secret_key: str, region: str, connections: int
    ) -> None:
        self._client = Minio(
            endpoint,
            access_key=access_key,
            secret_key=secret_key,
            secure=secure,
            region=region,
            http_client=connection_pool(connections),
        )

    def stat(self, bucket: str, key: str, *, read_ahead: bool = False) -> StoredObject | None:
        """The object under KEY now, or None: none there, or its newest version is a delete marker.

        With READ_AHEAD its first bytes come along, so that a small object costs one request and no second one to read it.
        A bucket that is gone is no answer: OutageError, so that nothing is taken for deleted.
        """
        with self._asking(bucket, key):
            try:
                if read_ahead and not key.endswith("/"):
                    return self._begun(bucket, key)
                return _stored(self._client.stat_object(bucket, key), bucket, key)
            except S3Error as error:
                if error.code not in _GONE_CODES and error.code != _DENIED:
                    raise
                code = error.code
            # A HEAD has no body to say whether it is about this key or about all of them.
            self._refuse_missing_bucket(bucket)
            if code == _NO_BUCKET:
                raise TransientError(f"MinIO had no bucket {bucket} a moment ago: that says nothing of {key}.")
            if code == _DENIED:
                raise PermanentError(
                    f"MinIO refuses to let {bucket}/{key} be read: check the policy of the access key."
                )
            return None

    def holds_below(self, bucket: str, prefix: str) -> bool:
        """True if any object's key starts with PREFIX."""
        with self._asking(bucket, prefix):
            return any(True for _ in self._client.list_objects(bucket, prefix=prefix, recursive=True))

    def listed(self, bucket: str, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        """All objects whose key starts with PREFIX, in the order of their keys, from the one that follows AFTER.

        A bucket that is gone is no empty one: PermanentError.
        """
        with _translated(bucket, prefix):
            found = self._client.list_objects(bucket, prefix=prefix, recursive=True, start_after=after or None)
            try:
                yield from (_stored(each, bucket, str(each.object_name)) for each in found)
            except S3Error as error:
                if error.code != _NO_BUCKET:
                    raise
                advice = "make it, or correct MINIO_BUCKETS or ROUTES_FILE"
                raise PermanentError(f"The bucket {bucket} does not exist in MinIO: {advice}.") from error

    def bucket_exists(self, bucket: str) -> bool:
        """True if the bucket is there, which needs the right to list it."""
        with _translated(bucket, ""):
            return self._client.bucket_exists(bucket)

    def count_first_page(self, bucket: str, prefix: str) -> int:
        """How many objects there are whose key starts with PREFIX, as far as one answer tells: 1000 stands for more."""
        with _translated(bucket, prefix):
            found = self._client.list_objects(bucket, prefix=prefix, recursive=True)
            return sum(1 for _ in islice(found, _PAGE_OBJECTS))

    def versioning(self, bucket: str) -> str:
        """Whether the bucket keeps versions: Off, Enabled or Suspended."""
        with _translated(bucket, ""):
            return self._client.get_bucket_versioning(bucket).status or "Off"

    def event_rules(self, bucket: str) -> tuple[EventRule, ...]:
        """The bucket's rules for MinIO's targets; MinIO leaves out those whose target it does not have (any more)."""
        with _translated(bucket, ""):
            configured = self._client.get_bucket_notification(bucket).queue_config_list
        return tuple(
            EventRule(
                arn=str(rule.queue),
                events=frozenset(rule.events),
                prefix=rule.prefix_filter_rule.value if rule.prefix_filter_rule else "",
                suffix=rule.suffix_filter_rule.value if rule.suffix_filter_rule else "",
            )
            for rule in configured
        )

    @contextlib.contextmanager
    def open(self, stored: StoredObject, *, offset: int = 0) -> Iterator[Iterator[bytes]]:
        """The stored bytes of exactly this version of the object from OFFSET (bytes) on, in pieces.

        SourceChangedError if another version is there by now. A stream of another length than the object's raises TransientError
        from the pieces, before its last one: an upload must never be finished on it.
        """
        held = stored.first_bytes[offset:]
        position = offset + len(held)
        if held and position == stored.size:
            yield iter((held,))
            return
        with self._asking(stored.bucket, stored.key):
            response = self._client.get_object(
                stored.bucket, stored.key, offset=position, request_headers={"If-Match": f'"{stored.etag}"'}
            )
        try:
            yield _pieces(response, stored, position, held)
        finally:
            # close() before release_conn(): a half-read connection must not go back to the pool.
            response.close()
            response.release_conn()

    def _begun(self, bucket: str, key: str) -> StoredObject:
        """The object with its first bytes."""
        try:
            response = self._client.get_object(bucket, key, length=PIECE_BYTES)
        except S3Error as error:
            if error.code != _NO_SUCH_RANGE:
                raise
            # An empty object has no first byte.
            return _stored(self._client.stat_object(bucket, key), bucket, key)
        try:
            first_bytes = response.read(PIECE_BYTES, decode_content=False)
            stored = _stored(_opened(response, bucket, key), bucket, key)
            _refuse_surplus(stored, len(first_bytes))
            _refuse_shortage(stored, min(stored.size, PIECE_BYTES) - len(first_bytes))
            return replace(stored, first_bytes=first_bytes)
        finally:
            if response.length_remaining != 0:
                response.close()
            response.release_conn()

    @contextlib.contextmanager
    def _asking(self, bucket: str, key: str) -> Iterator[None]:
        """Where MinIO answers 5xx or breaks off, one more look decides whether it is about this object or about all of them."""
        try:
            with _translated(bucket, key):
                yield
        except _TroubleError:
            self._check(bucket)
            raise

    def _refuse_missing_bucket(self, bucket: str) -> None:
        if not self._client.bucket_exists(bucket):
            sentence = f"The bucket {bucket} does not exist in MinIO: nothing of it is taken for deleted."
            raise OutageError(sentence, subject=Subject.MINIO, retry_after=_BUCKET_RETRY_SECONDS)

    def _check(self, bucket: str) -> None:
        """OutageError when MinIO answers for nothing."""
        try:
            with _translated(bucket, ""):
                self._refuse_missing_bucket(bucket)
        except OutageError:
            raise
        except TransientError as error:
            raise OutageError(f"MinIO is in trouble. {error}", subject=Subject.MINIO) from error


def public_authorities() -> str:
    """The file of the authorities that are trusted where the environment names no others."""
    return certifi.where()


class _TroubleError(TransientError):
    """MinIO answered 5xx or what nobody can read, or did not answer to the end."""


def connection_pool(connections: int) -> urllib3.PoolManager:
    """Short time-outs and few retries: the journal owns the long ones, and a silent host must not hold a thread for minutes."""
    return urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
        retries=urllib3.Retry(total=1, backoff_factor=0.2, status=0, raise_on_status=False),
        maxsize=connections,
        cert_reqs="CERT_REQUIRED",
        ca_certs=os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE") or certifi.where(),
    )


def _pieces(response: urllib3.BaseHTTPResponse, stored: StoredObject, offset: int, held: bytes) -> Iterator[bytes]:
    """HELD, which was read before, and the bytes from OFFSET on."""
    left = stored.size - offset
    with _translated(stored.bucket, stored.key):
        # decode_content=False: an object stored with Content-Encoding keeps its stored bytes.
        for piece in response.stream(PIECE_BYTES, decode_content=False):
            left -= len(piece)
            _refuse_surplus(stored, stored.size - left)
            # Whoever has all bytes asks for no more: the last piece waits until nothing came after it.
            if held:
                yield held
            held = piece
    _refuse_shortage(stored, left)
    if held:
        yield held


def _refuse_surplus(stored: StoredObject, arrived: int) -> None:
    if arrived > stored.size:
        raise TransientError(
            f"MinIO sends more of {stored.bucket}/{stored.key} than the {stored.size} bytes that it says it has."
        )


def _refuse_shortage(stored: StoredObject, missing: int) -> None:
    if missing > 0:
        raise TransientError(f"MinIO's stream of {stored.bucket}/{stored.key} ended {missing} bytes early.")


def _opened(response: urllib3.BaseHTTPResponse, bucket: str, key: str) -> Object:
    """What the answer to a request for an object's first bytes says of the whole of it, as the SDK has it from a HEAD."""
    headers = response.headers
    size = headers.get("content-range", "").rpartition("/")[2] or headers.get("content-length", "0")
    modified = headers.get("last-modified")
    return Object(
        bucket,
        key,
        last_modified=from_http_header(modified) if modified is not None else None,
        etag=headers.get("etag", "").replace('"', ""),
        size=int(size),
        content_type=headers.get("content-type"),
        metadata=headers,
    )


def _stored(found: Object, bucket: str, key: str) -> StoredObject:
    headers = {name.lower() for name in found.metadata or {}}
    content_type = (found.content_type or "").partition(";")[0]
    if content_type == "text/html" and not any(name.startswith("x-amz-") for name in headers):
        raise TransientError(f"What answered for {bucket}/{key} is no S3 server: is MINIO_ENDPOINT right?")
    if found.size is None or not found.etag or found.last_modified is None:
        raise TransientError(f"MinIO's answer for {bucket}/{key} lacks size, eTag or date.")
    metadata = {name.lower(): str(value) for name, value in (found.metadata or {}).items()}
    users = {name.removeprefix(_META): value for name, value in metadata.items() if name.startswith(_META)}
    return StoredObject(
        bucket=bucket, key=key, size=found.size, etag=found.etag, modified=found.last_modified, metadata=users
    )


@contextlib.contextmanager
def _translated(bucket: str, key: str) -> Iterator[None]:
    """The SDK's exceptions as ours; none of them leaves this module."""
    name = f"{bucket}/{key}"
    try:
        yield
    except S3Error as error:
        raise _from_s3_error(error, name) from error
    except ServerError as error:
        raise _from_status(error.status_code, name) from error
    except (InvalidResponseError, MinioException, ParseError, UnicodeDecodeError) as error:
        # Such as the page that a proxy in front of MinIO answers while this is away.
        raise _TroubleError(f"MinIO's answer for {name} cannot be read.") from error
    except urllib3.exceptions.MaxRetryError as error:
        kind = type(error.reason or error).__name__
        if isinstance(error.reason, _BROKEN_OFF):
            raise _TroubleError(f"MinIO broke off for {name} ({kind}).") from error
        raise OutageError(f"MinIO cannot be reached ({kind}).", subject=Subject.MINIO) from error
    except urllib3.exceptions.HTTPError as error:
        raise TransientError(f"MinIO broke off for {name} ({type(error).__name__}).") from error
    except ValueError as error:
        if {".", ".."} & set(key.split("/")):
            raise PermanentError(f"MinIO's SDK refuses the key {name}: {error}.") from error
        raise TransientError(f"MinIO's answer for {name} cannot be read.") from error


def _from_s3_error(error: S3Error, name: str) -> Exception:
    if error.code in _CHANGED_CODES:
        return SourceChangedError(f"The object {name} changed while it was read.")
    if error.code in _DENIED_CODES:
        # A HEAD has no body to tell one of these from the other.
        advice = "check the access key, its policy, and that this machine's clock agrees with MinIO's"
        sentence = f"MinIO refuses to let {name} be read ({error.code}): {advice}."
        return OutageError(sentence, subject=Subject.MINIO)
    if error.response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _TroubleError(f"MinIO answered {error.code} for {name}.")
    return TransientError(f"MinIO answered {error.code} for {name}.")


def _from_status(status: int, name: str) -> Exception:
    """A HEAD has no body, so only its status tells."""
    if status == HTTPStatus.BAD_REQUEST:
        return PermanentError(f"MinIO refuses the key {name}: it can hold no such object.")
    if status == HTTPStatus.PRECONDITION_FAILED:
        return SourceChangedError(f"The object {name} changed while it was read.")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _TroubleError(f"MinIO answered {status} for {name}.")
    return TransientError(f"MinIO answered {status} for {name}.")
