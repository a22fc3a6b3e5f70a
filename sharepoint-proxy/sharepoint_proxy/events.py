"""Reads the body of a webhook request: what changed, under which key.

MinIO and its forks send `{"EventName", "Key", "Records": [...]}`; AWS, Ceph RGW and others only `Records`; an administrator
may post the minimal `{"EventName": "s3:ObjectCreated:Put", "Key": "bucket/key"}`. MinIO with a queue directory repeats any
refused request for ever and holds everything behind it, so what has the shape of an event is never refused: what cannot be
used of it becomes a `Rejection`, to be recorded and acknowledged.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from urllib.parse import unquote_plus

from sharepoint_proxy.errors import BadEventError

SESSION_ABOVE_BYTES = 4 * 1024 * 1024
"""Objects larger than this travel by upload session; the event's size is a hint which kind of place the work needs."""

_MAX_KEY_BYTES = 1024
_MAX_DIGITS = 19
_PERHAPS_ENCODED = re.compile(r"(?:[A-Za-z0-9._~!*'()/+-]|%[0-9A-Fa-f]{2})*")


class Kind(StrEnum):
    """What an event says of its key; either way MinIO is asked what it holds now."""

    CREATED = "created"
    REMOVED = "removed"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectEvent:
    """Something happened to this key. `at` is the sender's time; `size`, in bytes, only a hint."""

    bucket: str
    key: str
    name: str
    kind: Kind
    at: datetime | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A record that has the shape of an event but cannot be used, and why."""

    reason: str


def parse(body: bytes) -> tuple[ObjectEvent | Rejection, ...]:
    """All events of BODY, in order; BadEventError when no event sender could have meant it.

    An `s3:TestEvent`, which AWS-like senders post when a rule is made, holds no events and is no error.
    """
    document = _load(body)
    records = document.get("Records")
    if isinstance(records, list) and records:
        return tuple(event for record in records for event in _from_record(record))
    if "EventName" in document and "Key" in document:
        return (_from_minimal(document["EventName"], document["Key"]),)
    if document.get("Event") == "s3:TestEvent":
        return ()
    raise BadEventError(
        'The body holds no event: send what MinIO sends, or {"EventName": "s3:ObjectCreated:Put", "Key": "bucket/key"}.'
    )


def _load(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body, parse_int=_integer)
    except (ValueError, RecursionError):
        raise BadEventError("The body is not JSON.") from None
    if not isinstance(document, dict):
        raise BadEventError("The body is JSON, but not an object with an event in it.")
    return document


def _integer(digits: str) -> int:
    """The number, or -1 for one too long to mean anything: Python refuses to read very long ones at all."""
    return int(digits) if len(digits) <= _MAX_DIGITS else -1


def _from_minimal(name: object, bucket_and_key: object) -> ObjectEvent | Rejection:
    """The event of the minimal form, whose Key is "bucket/key" as it is, not encoded."""
    if not isinstance(name, str) or not isinstance(bucket_and_key, str):
        return Rejection(reason="EventName and Key must be texts.")
    bucket, _, key = bucket_and_key.partition("/")
    return _event(name, bucket, key)


def _from_record(record: object) -> Iterator[ObjectEvent | Rejection]:
    """The events of one record: one, or two where it cannot be known whether the sender encoded the key.

    Looking at a key that does not exist costs nothing and changes nothing, so both readings are looked at.
    """
    match record:
        case {
            "eventName": str(name),
            "s3": {"bucket": {"name": str(bucket)}, "object": {"key": str(key), **details}},
            **rest,
        }:
            for decoded in _decoded(key, source=rest.get("eventSource"), name=name):
                yield _event(name, bucket, decoded, at=rest.get("eventTime"), size=details.get("size"))
        case _:
            yield Rejection(reason="The record lacks eventName, s3.bucket.name or s3.object.key.")


def _decoded(key: str, *, source: object, name: str) -> list[str]:
    """The key as stored. MinIO and its forks write it as Go's url.QueryEscape does, Ceph RGW as it is."""
    decoded = unquote_plus(key, errors="surrogateescape")
    if name.startswith("s3:"):
        return [decoded]
    if source == "ceph:s3" or not _PERHAPS_ENCODED.fullmatch(key):
        return [key]
    return list(dict.fromkeys((decoded, key)))


def _event(name: str, bucket: str, key: str, *, at: object = None, size: object = None) -> ObjectEvent | Rejection:
    if problem := _problem(bucket, key):
        return Rejection(reason=problem)
    return ObjectEvent(
        bucket=bucket,
        key=key,
        name=name,
        kind=_kind(name),
        at=_time(at),
        size=size if isinstance(size, int) and not isinstance(size, bool) else None,
    )


def _problem(bucket: str, key: str) -> str | None:
    """Why no object can have this name, if so; MinIO itself refuses such keys."""
    if not bucket or not key:
        return "Bucket or key is empty; a Key is written bucket/key."
    try:
        length = len(key.encode())
        bucket.encode()
    except UnicodeEncodeError:
        return "The key is not valid UTF-8."
    if "\0" in key or "\0" in bucket:
        return "The key holds a NUL character."
    if length > _MAX_KEY_BYTES:
        return f"The key has {length} bytes; S3 allows {_MAX_KEY_BYTES}."
    return None


def _kind(name: str) -> Kind:
    """The kind of an event by its name, with or without MinIO's `s3:` in front."""
    subject = name.removeprefix("s3:").partition(":")[0]
    if subject == "ObjectCreated":
        return Kind.CREATED
    if subject in {"ObjectRemoved", "LifecycleExpiration", "LifecycleDelMarkerExpiration"}:
        return Kind.REMOVED
    return Kind.OTHER


def _time(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
