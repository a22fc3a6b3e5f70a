"""Answers GET and HEAD of an object: conditions, ranges and MinIO's errors, streamed from the store."""

from moto.s3.models import FakeDeleteMarker
from werkzeug.http import http_date, parse_date, parse_range_header

from simulator.minio_requests import Answer, ErrorCode, S3Error, S3Request
from simulator.minio_store import ObjectStore, StoredKey, announced_version, metadata_of


def find_readable(store: ObjectStore, request: S3Request) -> StoredKey:
    """The version that a GET or HEAD asks for; raises S3Error when there is none, or when it is a delete marker."""
    found = store.find(request.bucket, request.key, request.version_id)
    if found is None:
        raise S3Error(ErrorCode.NO_SUCH_VERSION if request.version_id else ErrorCode.NO_SUCH_KEY)
    if isinstance(found, FakeDeleteMarker):
        headers = {"x-amz-delete-marker": "true", "x-amz-version-id": found.version_id}
        raise S3Error(ErrorCode.METHOD_NOT_ALLOWED if request.version_id else ErrorCode.NO_SUCH_KEY, headers)
    return found


def read_answer(stored: StoredKey, request: S3Request) -> Answer:
    """The object, or the range of it that is asked for; raises S3Error when a condition does not hold."""
    headers = _headers(stored)
    if _is_unchanged(stored, request):
        return Answer(304, {name: headers[name] for name in ("ETag", "Last-Modified")})
    _check_preconditions(stored, request)
    span = _span(stored.size, request)
    start, stop = span or (0, stored.size)
    if span:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{stored.size}"
    headers["Content-Length"] = str(stop - start)
    body = () if request.method == "HEAD" else stored.read(start, stop - start)
    return Answer(206 if span else 200, headers, body)


def _headers(stored: StoredKey) -> dict[str, str]:
    version_id = announced_version(stored)
    return {
        "Accept-Ranges": "bytes",
        "ETag": stored.etag,
        "Last-Modified": http_date(stored.last_modified),
        **({"x-amz-version-id": version_id} if version_id else {}),
        **dict(metadata_of(stored)),
    }


def _is_unchanged(stored: StoredKey, request: S3Request) -> bool:
    if "If-None-Match" in request.headers:
        return _same_etag(stored.etag, request.headers["If-None-Match"])
    since = parse_date(request.headers.get("If-Modified-Since"))
    return since is not None and _seconds(stored) <= since.timestamp()


def _check_preconditions(stored: StoredKey, request: S3Request) -> None:
    if "If-Match" in request.headers:
        holds = _same_etag(stored.etag, request.headers["If-Match"])
    else:
        since = parse_date(request.headers.get("If-Unmodified-Since"))
        holds = since is None or _seconds(stored) <= since.timestamp()
    if not holds:
        raise S3Error(ErrorCode.PRECONDITION_FAILED)


def _same_etag(etag: str, wanted: str) -> bool:
    return wanted.strip() == "*" or wanted.strip().strip('"') == etag.strip('"')


def _seconds(stored: StoredKey) -> int:
    parsed = parse_date(http_date(stored.last_modified))
    return int(parsed.timestamp()) if parsed else 0


def _span(size: int, request: S3Request) -> tuple[int, int] | None:
    """Begin and end of the bytes asked for; None asks for all, as does a Range that nobody understands."""
    wanted = parse_range_header(request.headers.get("Range"))
    if wanted is None or len(wanted.ranges) != 1:
        return None
    span = wanted.range_for_length(size)
    if span is None:
        raise S3Error(ErrorCode.INVALID_RANGE)
    return span
