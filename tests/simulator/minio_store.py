"""Keeps the buckets of one stand-in: moto's S3 underneath, with MinIO's rules where the two differ."""

import itertools
import mimetypes
import os
import random
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, lru_cache
from io import BytesIO
from typing import IO, Any, cast
from wsgiref.types import WSGIApplication, WSGIEnvironment

from moto.moto_server.werkzeug_app import create_backend_app
from moto.s3.models import FakeBucket, FakeDeleteMarker, FakeKey, S3Backend, s3_backends
from werkzeug.test import run_wsgi_app

from simulator.minio_events import NULL_VERSION, EventName, ObjectState, nanoseconds, user_metadata
from simulator.minio_requests import REGION, Answer, ErrorCode, S3Error

PIECE_BYTES = 256 * 1024
SYNTHETIC_PART_BYTES = 16 * 1024 * 1024

_STAMP_BYTES = 8
_BLOCK_BYTES = 64 * 1024
_METADATA = frozenset({"content-type", "cache-control", "content-language", "content-encoding", "content-disposition"})
_accounts = itertools.count(100_000_000_000)


def synthetic_bytes(seed: int, start: int, length: int) -> bytes:
    """The bytes ``start`` to ``start + length`` of the endless content that a seed stands for.

    Every block of 64 KiB begins with its own number, so that no two stretches are alike.
    """
    first, skipped = divmod(start, _BLOCK_BYTES)
    last = -(-(start + length) // _BLOCK_BYTES)
    tail = _noise(seed)
    blocks = b"".join(number.to_bytes(_STAMP_BYTES, "big") + tail for number in range(first, last))
    return blocks[skipped : skipped + length]


@lru_cache(maxsize=8)
def _noise(seed: int) -> bytes:
    return random.Random(seed).randbytes(_BLOCK_BYTES - _STAMP_BYTES)


class StoredKey(FakeKey):
    """A version of an object, read in pieces; with a seed its content is made up while it is read."""

    seed: int | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> "StoredKey":
        # moto copies every version with its content for each page of a listing of versions.
        return self

    def read(self, start: int, length: int) -> Iterator[bytes]:
        """The content from ``start`` on; it stays readable when the object is replaced meanwhile."""
        if self.seed is not None:
            return _synthetic_pieces(self.seed, start, length)
        with self.lock:
            buffer: Any = self._value_buffer
            buffer.flush()
            # moto itself reads the whole content for each range.
            if buffer._rolled:
                return _file_pieces(os.fdopen(os.dup(buffer.fileno()), "rb", buffering=0), start, length)
            buffer.seek(start)
            return iter([buffer.read(length)])


@dataclass(frozen=True, slots=True)
class _Named:
    """All that moto's delete marker wants of the object it hides, which may never have been there."""

    name: str


Version = StoredKey | FakeDeleteMarker


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What a DELETE did: the event for it, and the version it made or removed."""

    name: EventName
    version_id: str = ""
    made_marker: bool = False
    removed_marker: bool = False

    @property
    def concerns_marker(self) -> bool:
        """Whether the version is a delete marker."""
        return self.made_marker or self.removed_marker


class ObjectStore:
    """The buckets and objects of one stand-in.

    moto keeps its buckets in a global of its module, so each store has an AWS account of its own there.
    ``lock`` is held while objects change, since moto's own steps are not atomic.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._account = f"{next(_accounts)}"

    def handle(self, environ: WSGIEnvironment, *, bucket: str) -> Answer:
        """Let moto answer a request."""
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = self._account
        # Bucket names are unique in all of AWS, but not in two MinIO servers.
        s3_backends.bucket_accounts.pop(bucket, None)
        body, status, headers = run_wsgi_app(_moto(), environ, buffered=True)
        return Answer(int(status.split()[0]), dict(headers), list(body))

    def create_bucket(self, name: str, *, versioned: bool) -> None:
        """Make a bucket unless it exists."""
        if name in self._backend.buckets:
            return
        s3_backends.bucket_accounts.pop(name, None)
        bucket = self._backend.create_bucket(name, REGION)
        bucket.versioning_status = "Enabled" if versioned else None

    def bucket(self, name: str) -> FakeBucket:
        """The bucket; raises S3Error NoSuchBucket."""
        bucket = self._backend.buckets.get(name)
        if bucket is None:
            raise S3Error(ErrorCode.NO_SUCH_BUCKET)
        return bucket

    def versions(self, bucket: str, key: str) -> list[Version]:
        """All versions and delete markers of a key, oldest first."""
        return list(self.bucket(bucket).keys.getlist(key, []))

    def find(self, bucket: str, key: str, version_id: str = "") -> Version | None:
        """A version, or without an id the newest."""
        matching = [each for each in self.versions(bucket, key) if version_id in {"", each.version_id}]
        return matching[-1] if matching else None

    def lighten_upload(self, bucket: str, upload_id: str) -> None:
        """Keep moto from holding the whole object three times over while it completes an upload.

        By default it computes a checksum of a second copy of the content; one of the parts' checksums needs no copy.
        """
        upload = self.bucket(bucket).multiparts.get(upload_id)
        if upload is not None:
            upload.metadata.update({"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "COMPOSITE"})

    def adopt_newest(self, bucket: str, key: str) -> StoredKey:
        """Take over the version that moto has just written and give it MinIO's traits."""
        versions = self.versions(bucket, key)
        newest: Any = versions[-1]
        newest.__class__ = StoredKey
        if newest.multipart:
            newest.multipart.dispose()
            newest.multipart = None
        if _is_folder(key):
            # MinIO keeps folder markers unversioned, also in a versioned bucket.
            newest._version_id, newest._is_versioned = None, False
            self.bucket(bucket).keys.setlist(key, [newest])
        elif len(versions) > 1:
            _let_time_pass(versions[-2], newest)
        return cast("StoredKey", newest)

    def put_synthetic(self, bucket: str, key: str, *, size: int, seed: int) -> StoredKey:
        """Add an object of made-up content which takes no memory, as if it had come by multipart upload."""
        parts = max(1, -(-size // SYNTHETIC_PART_BYTES))
        self.bucket(bucket)
        self._backend.put_object(bucket, key, b"", etag=f"{_made_up_md5(seed, size)}-{parts}")
        stored = self.adopt_newest(bucket, key)
        stored.seed, stored.contentsize = seed, size
        return stored

    def extract_newest(self, bucket: str, key: str) -> list[StoredKey]:
        """Replace the tar that moto has just stored by its members."""
        archive = self.bucket(bucket).keys.getlist(key).pop()
        if not self.versions(bucket, key):
            del self.bucket(bucket).keys[key]
        content = BytesIO(archive.value)
        archive.dispose()
        with tarfile.open(fileobj=content) as members:
            files = [(each.name, members.extractfile(each)) for each in members if each.isfile()]
            return [self._put(bucket, name, file.read()) for name, file in files if file]

    def _put(self, bucket: str, key: str, content: bytes) -> StoredKey:
        written = self._backend.put_object(bucket, key, content)
        written.set_metadata({"Content-Type": mimetypes.guess_type(key)[0] or "application/octet-stream"})
        return self.adopt_newest(bucket, key)

    @staticmethod
    def complete_copy(source: StoredKey, target: StoredKey) -> None:
        """Give the copy of a synthetic object, whose content moto does not have, the same made-up content.

        Its eTag looks like the plain MD5 that MinIO gives to copies, but is made up too.
        """
        if source.seed is not None:
            target.seed, target.contentsize = source.seed, source.size
            target._etag = _made_up_md5(source.seed, source.size)

    def remove_prefix(self, bucket: str, prefix: str) -> None:
        """Remove every version of every key under a prefix, as MinIO's force delete does."""
        keys = self.bucket(bucket).keys
        folder = prefix.rstrip("/") + "/"
        for key in [each for each in keys if each == prefix or each.startswith(folder)]:
            keys.setlist(key, [])
            del keys[key]

    def remove(self, bucket: str, key: str, version_id: str = "", *, in_bulk: bool = False) -> Removal:
        """Delete as MinIO does; a bulk delete announces missing keys and markers otherwise than a single one."""
        holder, versions = self.bucket(bucket), self.versions(bucket, key)
        if not holder.is_versioned or _is_folder(key):
            return self._remove_unversioned(holder, key, in_bulk=in_bulk)
        if version_id:
            return self._remove_version(holder, key, version_id, in_bulk=in_bulk)
        if not versions and not in_bulk:
            return Removal(name=EventName.NO_OP)
        marker = FakeDeleteMarker(cast("FakeKey", _Named(key)))
        if versions:
            _let_time_pass(versions[-1], marker)
        holder.keys.setlist(key, [*versions, marker])
        return Removal(name=EventName.DELETE_MARKER_CREATED, version_id=marker.version_id, made_marker=True)

    def dispose(self) -> None:
        """Close the files of all objects."""
        for bucket in self._backend.buckets.values():
            for key in list(bucket.keys):
                bucket.keys.setlist(key, [])
            for upload in bucket.multiparts.values():
                upload.dispose()
        self._backend.buckets.clear()

    @property
    def _backend(self) -> S3Backend:
        return s3_backends[self._account]["aws"]

    @staticmethod
    def _remove_unversioned(bucket: FakeBucket, key: str, *, in_bulk: bool) -> Removal:
        version_id = NULL_VERSION if _is_folder(key) else ""
        if key in bucket.keys:
            bucket.keys.setlist(key, [])
            del bucket.keys[key]
        elif not in_bulk:
            return Removal(name=EventName.NO_OP)
        return Removal(name=EventName.DELETE, version_id=version_id)

    @staticmethod
    def _remove_version(bucket: FakeBucket, key: str, version_id: str, *, in_bulk: bool) -> Removal:
        versions = bucket.keys.getlist(key, [])
        found = next((each for each in versions if each.version_id == version_id), None)
        if found is None:
            return Removal(name=EventName.DELETE if in_bulk else EventName.NO_OP, version_id=version_id)
        if isinstance(found, FakeKey) and found.is_locked(governance_bypass=False):
            raise S3Error(ErrorCode.OBJECT_LOCKED)
        bucket.keys.setlist(key, [each for each in versions if each is not found])
        if not bucket.keys.getlist(key):
            del bucket.keys[key]
        is_marker = isinstance(found, FakeDeleteMarker)
        # Undeleting is announced like deleting: the object that MinIO looks at is the marker.
        name = EventName.DELETE_MARKER_CREATED if is_marker and not in_bulk else EventName.DELETE
        return Removal(name=name, version_id=version_id, removed_marker=is_marker)


def object_state(stored: FakeKey) -> ObjectState:
    """What an event tells of a stored version."""
    metadata = dict(metadata_of(stored))
    return ObjectState(
        key=stored.name,
        size=stored.size,
        etag=stored.etag.strip('"'),
        content_type=metadata["content-type"],
        user_metadata=tuple(sorted(metadata.items())),
        version_id=announced_version(stored),
        modified_ns=nanoseconds(stored.last_modified),
    )


def announced_version(stored: FakeKey) -> str:
    """The version id as MinIO shows it: none in a bucket without versioning, ``null`` for folder markers."""
    if _is_folder(stored.name):
        return NULL_VERSION
    return stored.version_id if stored._is_versioned else ""


def metadata_of(stored: FakeKey) -> tuple[tuple[str, str], ...]:
    """The metadata that MinIO keeps with an object."""
    kept = [
        (name, value)
        for name, value in stored.metadata.items()
        if name.lower() in _METADATA or name.lower().startswith("x-amz-meta-")
    ]
    if stored.storage_class and stored.storage_class != "STANDARD":
        kept.append(("x-amz-storage-class", stored.storage_class))
    lock = {"mode": stored.lock_mode, "retain-until-date": stored.lock_until, "legal-hold": stored.lock_legal_status}
    kept += [(f"x-amz-object-lock-{name}", value) for name, value in lock.items() if value]
    return user_metadata(kept)


@cache
def _moto() -> WSGIApplication:
    return create_backend_app("s3")


def _is_folder(key: str) -> bool:
    return key.endswith("/")


def _let_time_pass(before: Version, after: Version) -> None:
    # moto sorts the versions of a key by milliseconds.
    after.last_modified = max(after.last_modified, before.last_modified + timedelta(milliseconds=1))


def _made_up_md5(seed: int, size: int) -> str:
    return random.Random(f"{seed} {size}").randbytes(16).hex()


def _synthetic_pieces(seed: int, start: int, length: int) -> Iterator[bytes]:
    for offset in range(0, length, PIECE_BYTES):
        yield synthetic_bytes(seed, start + offset, min(PIECE_BYTES, length - offset))


def _file_pieces(file: IO[bytes], start: int, length: int) -> Iterator[bytes]:
    with file:
        for offset in range(0, length, PIECE_BYTES):
            yield os.pread(file.fileno(), min(PIECE_BYTES, length - offset), start + offset)
