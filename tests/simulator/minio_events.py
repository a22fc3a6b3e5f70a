"""Builds the body of a webhook request exactly as MinIO serialises it.

Field order, left-out fields and escaping follow ``internal/event/event.go`` and ``cmd/event-notification.go`` of
minio/minio, and are compared with recorded requests in the contract tests.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from urllib.parse import quote_plus

NULL_VERSION = "null"

_NS_PER_SECOND = 1_000_000_000
_NS_PER_MICROSECOND = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Go's encoding/json writes these as \uXXXX so that its output can stand inside HTML.
_GO_ESCAPED = re.compile("[<>&\u2028\u2029]")


class EventName(StrEnum):
    """The events that the stand-in raises, as MinIO names them."""

    PUT = "s3:ObjectCreated:Put"
    POST = "s3:ObjectCreated:Post"
    COPY = "s3:ObjectCreated:Copy"
    COMPLETE_MULTIPART_UPLOAD = "s3:ObjectCreated:CompleteMultipartUpload"
    PUT_TAGGING = "s3:ObjectCreated:PutTagging"
    DELETE_TAGGING = "s3:ObjectCreated:DeleteTagging"
    PUT_RETENTION = "s3:ObjectCreated:PutRetention"
    PUT_LEGAL_HOLD = "s3:ObjectCreated:PutLegalHold"
    DELETE = "s3:ObjectRemoved:Delete"
    DELETE_MARKER_CREATED = "s3:ObjectRemoved:DeleteMarkerCreated"
    NO_OP = "s3:ObjectRemoved:NoOP"
    GET = "s3:ObjectAccessed:Get"
    HEAD = "s3:ObjectAccessed:Head"

    @property
    def is_removal(self) -> bool:
        """Whether the object is gone, so that MinIO leaves out its size, eTag, content type and metadata."""
        return self.startswith("s3:ObjectRemoved:")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectState:
    """What an event says of an object; ``modified_ns`` is None where MinIO fills in the time of the event."""

    key: str
    size: int = 0
    etag: str = ""
    content_type: str = ""
    user_metadata: tuple[tuple[str, str], ...] = ()
    version_id: str = ""
    modified_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Which request of which client to which server raised an event."""

    principal: str
    source_ip: str
    user_agent: str
    request_id: str
    host_id: str
    deployment_id: str
    endpoint: str
    range: str = ""
    content_length: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One notification, ready to be sent: ``key`` is ``bucket/key`` undecorated, ``body`` the exact bytes."""

    name: EventName
    key: str
    body: bytes
    raised_ns: int


def build_event(*, name: EventName, bucket: str, state: ObjectState, origin: Origin, now_ns: int) -> Event:
    """The event that MinIO raises at ``now_ns`` (nanoseconds since 1970) for one change of one object."""
    record = {
        "eventVersion": "2.0",
        "eventSource": "minio:s3",
        "awsRegion": "",
        "eventTime": _event_time(now_ns),
        "eventName": name.value,
        "userIdentity": {"principalId": origin.principal},
        "requestParameters": _request_parameters(origin),
        "responseElements": _response_elements(origin),
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "Config",
            "bucket": {
                "name": bucket,
                "ownerIdentity": {"principalId": origin.principal},
                "arn": f"arn:aws:s3:::{bucket}",
            },
            "object": _object(name, state, now_ns),
        },
        "source": {"host": origin.source_ip, "port": "", "userAgent": origin.user_agent},
    }
    key = f"{bucket}/{state.key}"
    body = go_json({"EventName": name.value, "Key": key, "Records": [record]})
    return Event(name=name, key=key, body=body, raised_ns=now_ns)


def go_json(value: Any) -> bytes:
    """The JSON that Go's encoding/json writes: compact, UTF-8, and escaped for HTML."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _GO_ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode()


def query_escape(key: str) -> str:
    """The key as Go's url.QueryEscape writes it: a space is ``+`` and a slash ``%2F``."""
    return quote_plus(key, safe="")


def nanoseconds(moment: datetime) -> int:
    """Nanoseconds since 1970, free of the rounding that a float timestamp brings; naive values count as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    delta = aware - _EPOCH
    seconds = delta.days * 86_400 + delta.seconds
    return seconds * _NS_PER_SECOND + delta.microseconds * _NS_PER_MICROSECOND


def user_metadata(headers: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The metadata as MinIO keeps it: ``x-amz-meta-*`` in Go's canonical spelling, all other names in lower case."""
    renamed = {
        (_canonical(name) if name.lower().startswith("x-amz-meta-") else name.lower()): value for name, value in headers
    }
    return tuple(sorted(renamed.items()))


def _canonical(name: str) -> str:
    return "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))


def _event_time(now_ns: int) -> str:
    seconds, rest = divmod(now_ns, _NS_PER_SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03d}Z"


def _request_parameters(origin: Origin) -> dict[str, str]:
    # Go writes the keys of a map in sorted order.
    optional = {"range": origin.range} if origin.range else {}
    return {"principalId": origin.principal, **optional, "region": "", "sourceIPAddress": origin.source_ip}


def _response_elements(origin: Origin) -> dict[str, str]:
    # MinIO knows the length of its answer only in the events that it raises after the answer.
    optional = {"content-length": origin.content_length} if origin.content_length else {}
    return {
        **optional,
        "x-amz-id-2": origin.host_id,
        "x-amz-request-id": origin.request_id,
        "x-minio-deployment-id": origin.deployment_id,
        "x-minio-origin-endpoint": origin.endpoint,
    }


def _object(name: EventName, state: ObjectState, now_ns: int) -> dict[str, Any]:
    fields: dict[str, Any] = {"key": query_escape(state.key)}
    if not name.is_removal:
        # Go's omitempty leaves out the size of an empty object.
        fields |= {"size": state.size} if state.size else {}
        fields |= {"eTag": state.etag, "contentType": state.content_type, "userMetadata": dict(state.user_metadata)}
    if state.version_id:
        fields["versionId"] = state.version_id
    return fields | {"sequencer": f"{now_ns if state.modified_ns is None else state.modified_ns:X}"}
