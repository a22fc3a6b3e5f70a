"""Answers S3 requests as a MinIO server: who may do what, which event each act raises, and what fails on demand."""

import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import IO
from urllib.parse import unquote
from wsgiref.types import StartResponse, WSGIEnvironment
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from simulator.minio_events import Event, EventName, ObjectState
from simulator.minio_faults import Faults, refuse, spoiled
from simulator.minio_notifier import Caller, Notifier
from simulator.minio_reads import find_readable, read_answer
from simulator.minio_requests import (
    READING,
    REGION,
    Action,
    Answer,
    ErrorCode,
    S3Error,
    S3Request,
    check_key,
    error_answer,
    xml_answer,
)
from simulator.minio_store import ObjectStore, Removal, StoredKey, announced_version, object_state

_SPOOL_BYTES = 1024 * 1024
_HEALTH_PATH = "/minio/health/"

# The acts that moto carries out, and the event that MinIO raises for each.
_RAISED = {
    Action.PUT_OBJECT: EventName.PUT,
    Action.EXTRACT: EventName.PUT,
    Action.COPY_OBJECT: EventName.COPY,
    Action.COMPLETE_UPLOAD: EventName.COMPLETE_MULTIPART_UPLOAD,
    Action.POST_FORM: EventName.POST,
    Action.PUT_TAGGING: EventName.PUT_TAGGING,
    Action.DELETE_TAGGING: EventName.DELETE_TAGGING,
    Action.PUT_RETENTION: EventName.PUT_RETENTION,
    Action.PUT_LEGAL_HOLD: EventName.PUT_LEGAL_HOLD,
}
_WRITING = frozenset({Action.PUT_OBJECT, Action.COPY_OBJECT, Action.COMPLETE_UPLOAD, Action.POST_FORM})
# MinIO raises these before it writes its answer, whose length the events then lack.
_RAISED_BEFORE_ANSWER = frozenset({EventName.PUT, EventName.POST, EventName.NO_OP})


class S3Application:
    """The WSGI application of one stand-in; ``users`` maps each access key to whether it may write."""

    def __init__(self, *, store: ObjectStore, notifier: Notifier, faults: Faults, users: Mapping[str, bool]) -> None:
        self._store = store
        self._notifier = notifier
        self._faults = faults
        self._users = users
        self._handlers: dict[Action, Callable[[S3Request], Answer]] = {
            Action.GET_OBJECT: self._read,
            Action.HEAD_OBJECT: self._read,
            Action.DELETE_OBJECT: self._delete,
            Action.DELETE_OBJECTS: self._delete_many,
            Action.GET_NOTIFICATION: self._get_rules,
            Action.PUT_NOTIFICATION: self._put_rules,
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if self._faults.latency_seconds:
            time.sleep(self._faults.latency_seconds)
        environ["minio.request_id"] = request_id = f"{self._notifier.unique_ns():X}"
        common = {"Server": "MinIO", "x-amz-request-id": request_id, "x-amz-id-2": self._notifier.host_id}
        with _spooled(environ) as body:
            environ["wsgi.input"] = body
            answer = self._answer(S3Request(environ), common)
        headers = {**answer.headers, **common}
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", list(headers.items()))
        return answer.body

    def _answer(self, request: S3Request, common: Mapping[str, str]) -> Answer:
        try:
            return self._dispatch(request)
        except S3Error as problem:
            return error_answer(problem, request, common)

    def _dispatch(self, request: S3Request) -> Answer:
        if request.path.startswith(_HEALTH_PATH):
            return Answer(200, {"Content-Length": "0"})
        self._check_access(request)
        if request.key:
            check_key(request.key)
        return self._handlers.get(request.action, self._forward)(request)

    def _check_access(self, request: S3Request) -> None:
        if not request.access_key:
            raise S3Error(ErrorCode.ACCESS_DENIED)
        may_write = self._users.get(request.access_key)
        if may_write is None:
            raise S3Error(ErrorCode.INVALID_ACCESS_KEY)
        if request.region not in {"", REGION}:
            raise S3Error(ErrorCode.BAD_REGION)
        if not may_write:
            self._faults.refuse_if_skewed(request)
        if not may_write and request.action not in READING:
            raise S3Error(ErrorCode.ACCESS_DENIED)

    def _read(self, request: S3Request) -> Answer:
        fault = self._faults.take(request)
        refuse(fault)
        with self._store.lock:
            stored = find_readable(self._store, request)
            # The content stays readable from here on, whatever becomes of the object.
            answer = read_answer(stored, request)
        if answer.status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
            return answer
        name = EventName.HEAD if request.method == "HEAD" else EventName.GET
        self._notifier.save(self._events_of(request, answer, name, object_state(stored)))
        return spoiled(answer, fault, request)

    def _forward(self, request: S3Request) -> Answer:
        """Let moto do it, then set right what MinIO does otherwise, and raise the event."""
        with self._store.lock:
            request.environ["wsgi.input"].seek(0)
            source = self._prepare(request)
            answer = self._store.handle(request.environ, bucket=request.bucket)
            name = _RAISED.get(request.action)
            if name is None or answer.status >= HTTPStatus.BAD_REQUEST:
                return answer
            events = [
                event
                for stored in self._changed(request, answer, source)
                for event in self._events_of(request, answer, name, object_state(stored))
            ]
        self._notifier.save(events)
        return answer

    def _prepare(self, request: S3Request) -> StoredKey | None:
        """The source of a copy, which is gone afterwards if an object is copied onto itself."""
        if request.action is Action.COMPLETE_UPLOAD:
            self._store.lighten_upload(request.bucket, request.args["uploadId"])
        if request.action is not Action.COPY_OBJECT:
            return None
        path, _, version_id = request.headers["x-amz-copy-source"].partition("?versionId=")
        bucket, _, key = unquote(path).lstrip("/").partition("/")
        found = self._store.find(bucket, key, version_id)
        return found if isinstance(found, StoredKey) else None

    def _changed(self, request: S3Request, answer: Answer, source: StoredKey | None) -> list[StoredKey]:
        if request.action is Action.EXTRACT:
            return self._store.extract_newest(request.bucket, request.key)
        if request.action not in _WRITING:
            return [find_readable(self._store, request)]
        written = self._store.adopt_newest(request.bucket, request.key or request.form["key"])
        said_etag = written.etag
        if source:
            self._store.complete_copy(source, written)
        _restate(answer, written, said_etag=said_etag)
        return [written]

    def _delete(self, request: S3Request) -> Answer:
        if request.headers.get("x-minio-force-delete") == "true":
            with self._store.lock:
                self._store.remove_prefix(request.bucket, request.key)
            return Answer(204)
        with self._store.lock:
            removal = self._store.remove(request.bucket, request.key, request.version_id)
            answer = Answer(204, _removal_headers(removal))
            state = ObjectState(key=request.key, version_id=removal.version_id)
            events = self._events_of(request, answer, removal.name, state)
        self._notifier.save(events)
        return answer

    def _delete_many(self, request: S3Request) -> Answer:
        entries, quiet = _parse_delete(request.get_data())
        with self._store.lock:
            self._store.bucket(request.bucket)
            results = [(key, self._remove_entry(request.bucket, key, version_id)) for key, version_id in entries]
            answer = xml_answer(_delete_result(results, quiet=quiet))
            states = [
                (result.name, ObjectState(key=key, version_id=result.version_id))
                for key, result in results
                if isinstance(result, Removal)
            ]
            events = [event for name, state in states for event in self._events_of(request, answer, name, state)]
        self._notifier.save(events)
        return answer

    def _remove_entry(self, bucket: str, key: str, version_id: str) -> Removal | S3Error:
        try:
            check_key(key)
            return self._store.remove(bucket, key, version_id, in_bulk=True)
        except S3Error as problem:
            return problem

    def _get_rules(self, request: S3Request) -> Answer:
        self._store.bucket(request.bucket)
        return xml_answer(self._notifier.rules.document(request.bucket))

    def _put_rules(self, request: S3Request) -> Answer:
        self._store.bucket(request.bucket)
        self._notifier.rules.replace(request.bucket, request.get_data())
        return Answer(200, {"Content-Length": "0"})

    def _events_of(self, request: S3Request, answer: Answer, name: EventName, state: ObjectState) -> list[Event]:
        length = "" if name in _RAISED_BEFORE_ANSWER else answer.headers.get("Content-Length", "0")
        return self._notifier.events(
            name, bucket=request.bucket, state=state, caller=_caller(request), content_length=length
        )


def _caller(request: S3Request) -> Caller:
    return Caller(
        # MinIO does not look into an upload form for it.
        principal="" if request.is_form else request.access_key,
        source_ip=request.remote_addr or "",
        user_agent=request.headers.get("User-Agent", ""),
        request_id=request.environ["minio.request_id"],
        range=request.headers.get("Range", ""),
    )


def _spooled(environ: WSGIEnvironment) -> IO[bytes]:
    """The request's body, read to its end so that a slow client holds no lock later."""
    declared = environ.get("CONTENT_LENGTH")
    remaining = int(declared) if declared else (sys.maxsize if environ.get("wsgi.input_terminated") else 0)
    spool = tempfile.SpooledTemporaryFile(_SPOOL_BYTES)  # noqa: SIM115 - the caller closes it
    while remaining > 0 and (piece := environ["wsgi.input"].read(min(_SPOOL_BYTES, remaining))):
        spool.write(piece)
        remaining -= len(piece)
    environ["CONTENT_LENGTH"] = str(spool.tell())
    # The body is no longer chunked.
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    spool.seek(0)
    return spool


def _restate(answer: Answer, written: StoredKey, *, said_etag: str) -> None:
    """Correct in moto's answer what was set right since: the version's id, and the eTag of a made-up copy."""
    answer.body = [b"".join(answer.body).replace(said_etag.encode(), written.etag.encode())]
    answer.headers = {name: value for name, value in answer.headers.items() if name.lower() != "x-amz-version-id"}
    if announced_version(written):
        answer.headers["x-amz-version-id"] = announced_version(written)


def _removal_headers(removal: Removal) -> dict[str, str]:
    if removal.name is EventName.NO_OP or not removal.version_id:
        return {}
    marker = {"x-amz-delete-marker": "true"} if removal.concerns_marker else {}
    return {"x-amz-version-id": removal.version_id, **marker}


def _parse_delete(document: bytes) -> tuple[list[tuple[str, str]], bool]:
    try:
        root = ET.fromstring(document)  # noqa: S314 - from our own tests
    except ET.ParseError as error:
        raise S3Error(ErrorCode.MALFORMED_XML) from error
    entries = [
        (entry.findtext("{*}Key") or "", entry.findtext("{*}VersionId") or "") for entry in root.iterfind("{*}Object")
    ]
    return entries, root.findtext("{*}Quiet") == "true"


def _delete_result(results: Iterable[tuple[str, Removal | S3Error]], *, quiet: bool) -> str:
    inner = "".join(_delete_entry(key, result, quiet=quiet) for key, result in results)
    return f'<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{inner}</DeleteResult>'


def _delete_entry(key: str, result: Removal | S3Error, *, quiet: bool) -> str:
    name = f"<Key>{escape(key)}</Key>"
    if isinstance(result, S3Error):
        return f"<Error>{name}<Code>{result.error.code}</Code><Message>{escape(result.error.message)}</Message></Error>"
    if quiet:
        return ""
    version = f"<VersionId>{result.version_id}</VersionId>" if result.version_id and not result.made_marker else ""
    marker = ""
    if result.concerns_marker:
        marker = f"<DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>{result.version_id}</DeleteMarkerVersionId>"
    return f"<Deleted>{name}{marker}{version}</Deleted>"
