"""Reads S3 requests, says what each asks for, and writes the answers and errors that MinIO gives."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cached_property
from xml.sax.saxutils import escape

from werkzeug.wrappers import Request

REGION = "us-east-1"
EXTRACT_HEADER = "x-amz-meta-snowball-auto-extract"

_SPOOL_BYTES = 1024 * 1024
_LISTING_PARAMETERS = frozenset(
    {
        "continuation-token",
        "delimiter",
        "encoding-type",
        "fetch-owner",
        "key-marker",
        "list-type",
        "location",
        "marker",
        "max-keys",
        "metadata",
        "prefix",
        "start-after",
        "version-id-marker",
        "versions",
    }
)
_KEY_MAX_BYTES = 1024


class Action(Enum):
    """What a request asks for, as far as the stand-in treats it in its own way."""

    GET_OBJECT = auto()
    HEAD_OBJECT = auto()
    PUT_OBJECT = auto()
    COPY_OBJECT = auto()
    EXTRACT = auto()
    COMPLETE_UPLOAD = auto()
    PUT_TAGGING = auto()
    DELETE_TAGGING = auto()
    PUT_RETENTION = auto()
    PUT_LEGAL_HOLD = auto()
    DELETE_OBJECT = auto()
    DELETE_OBJECTS = auto()
    POST_FORM = auto()
    GET_NOTIFICATION = auto()
    PUT_NOTIFICATION = auto()
    GET_VERSIONING = auto()
    LIST = auto()
    OTHER = auto()


READING = frozenset(
    {Action.GET_OBJECT, Action.HEAD_OBJECT, Action.LIST, Action.GET_NOTIFICATION, Action.GET_VERSIONING}
)


class ErrorCode(Enum):
    """S3 errors with the status and the words of ``cmd/api-errors.go`` of minio/minio."""

    ACCESS_DENIED = ("AccessDenied", 403, "Access Denied.")
    BAD_REGION = (
        "AuthorizationHeaderMalformed",
        400,
        "The authorization header is malformed; the region is wrong; expecting 'us-east-1'.",
    )
    BAD_ARN = (
        "InvalidArgument",
        400,
        "A specified destination ARN does not exist or is not well-formed. Verify the destination ARN.",
    )
    BAD_EVENT = ("InvalidArgument", 400, "A specified event is not supported for notifications.")
    INVALID_ACCESS_KEY = ("InvalidAccessKeyId", 403, "The Access Key Id you provided does not exist in our records.")
    INVALID_NAME = ("XMinioInvalidObjectName", 400, "Object name contains unsupported characters.")
    INVALID_RANGE = ("InvalidRange", 416, "The requested range is not satisfiable")
    INVALID_RESOURCE = ("XMinioInvalidResourceName", 400, 'Resource name contains bad components such as ".." or ".".')
    KEY_TOO_LONG = ("KeyTooLongError", 400, "Your key is too long")
    MALFORMED_XML = (
        "MalformedXML",
        400,
        "The XML you provided was not well-formed or did not validate against our published schema.",
    )
    METHOD_NOT_ALLOWED = ("MethodNotAllowed", 405, "The specified method is not allowed against this resource.")
    NO_SUCH_BUCKET = ("NoSuchBucket", 404, "The specified bucket does not exist")
    NO_SUCH_KEY = ("NoSuchKey", 404, "The specified key does not exist.")
    NO_SUCH_VERSION = ("NoSuchVersion", 404, "The specified version does not exist.")
    OBJECT_LOCKED = ("InvalidRequest", 400, "Object is WORM protected and cannot be overwritten")
    PRECONDITION_FAILED = ("PreconditionFailed", 412, "At least one of the pre-conditions you specified did not hold")
    TIME_TOO_SKEWED = (
        "RequestTimeTooSkewed",
        403,
        "The difference between the request time and the server's time is too large.",
    )
    SLOW_DOWN = ("SlowDownRead", 503, "Resource requested is unreadable, please reduce your request rate")

    def __init__(self, code: str, status: int, message: str) -> None:
        self.code = code
        self.status = status
        self.message = message


class S3Error(Exception):
    """A request that is answered with an S3 error."""

    def __init__(self, error: ErrorCode, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.headers = dict(headers or {})


@dataclass(slots=True)
class Answer:
    """An HTTP answer; the body may be generated while it is sent."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: Iterable[bytes] = ()


class S3Request(Request):
    """One request in path style: ``/bucket/key``."""

    @property
    def bucket(self) -> str:
        """The first segment of the path."""
        return self.path.lstrip("/").partition("/")[0]

    @property
    def key(self) -> str:
        """The decoded key; empty for a request to a bucket."""
        return self.path.lstrip("/").partition("/")[2]

    @property
    def version_id(self) -> str:
        """The version asked for; empty for the newest."""
        return self.args.get("versionId", "")

    @cached_property
    def access_key(self) -> str:
        """Who signed the request, in its header, its URL or its form; empty for nobody."""
        return self._credential.partition("/")[0]

    @cached_property
    def region(self) -> str:
        """The region of the signature; empty when there is none."""
        return "/".join(self._credential.split("/")[2:3])

    @property
    def is_form(self) -> bool:
        """Whether a browser posts an upload form."""
        return self.method == "POST" and self.mimetype == "multipart/form-data"

    @cached_property
    def action(self) -> Action:
        """What the request asks for."""
        return _object_action(self) if self.key else _bucket_action(self)

    @property
    def _credential(self) -> str:
        _, found, rest = self.headers.get("Authorization", "").partition("Credential=")
        if found:
            return rest.partition(",")[0]
        if "X-Amz-Credential" in self.args:
            return self.args["X-Amz-Credential"]
        return self.form.get("x-amz-credential", "") if self.is_form else ""


def _bucket_action(request: S3Request) -> Action:
    if request.method == "POST" and "delete" in request.args:
        return Action.DELETE_OBJECTS
    if request.is_form:
        return Action.POST_FORM
    if "notification" in request.args:
        return Action.PUT_NOTIFICATION if request.method == "PUT" else Action.GET_NOTIFICATION
    if request.method == "GET" and "versioning" in request.args:
        return Action.GET_VERSIONING
    if request.method in {"GET", "HEAD"} and request.args.keys() <= _LISTING_PARAMETERS:
        return Action.LIST
    return Action.OTHER


_SUBRESOURCE_ACTIONS = {
    ("PUT", "tagging"): Action.PUT_TAGGING,
    ("DELETE", "tagging"): Action.DELETE_TAGGING,
    ("PUT", "retention"): Action.PUT_RETENTION,
    ("PUT", "legal-hold"): Action.PUT_LEGAL_HOLD,
    ("POST", "uploadId"): Action.COMPLETE_UPLOAD,
}
_PLAIN_ACTIONS = {
    "GET": Action.GET_OBJECT,
    "HEAD": Action.HEAD_OBJECT,
    "PUT": Action.PUT_OBJECT,
    "DELETE": Action.DELETE_OBJECT,
}
_SUBRESOURCES = frozenset(
    {"acl", "attributes", "legal-hold", "restore", "retention", "select", "tagging", "uploadId", "uploads"}
)


def _object_action(request: S3Request) -> Action:
    for subresource in request.args.keys() & _SUBRESOURCES:
        return _SUBRESOURCE_ACTIONS.get((request.method, subresource), Action.OTHER)
    if request.method == "PUT" and "x-amz-copy-source" in request.headers:
        return Action.COPY_OBJECT
    if request.method == "PUT" and request.headers.get(EXTRACT_HEADER) == "true":
        return Action.EXTRACT
    return _PLAIN_ACTIONS.get(request.method, Action.OTHER)


def check_key(key: str) -> None:
    """Refuse the keys that MinIO refuses, see hasBadPathComponent and IsValidObjectPrefix in minio/minio."""
    if any(segment.strip() in {".", ".."} for segment in key.replace("\\", "/").split("/")):
        raise S3Error(ErrorCode.INVALID_RESOURCE)
    if "//" in key or "\0" in key or "\ufffd" in key or key.startswith("/"):
        raise S3Error(ErrorCode.INVALID_NAME)
    if len(key.encode()) > _KEY_MAX_BYTES:
        raise S3Error(ErrorCode.KEY_TOO_LONG)


def error_answer(problem: S3Error, request: S3Request, common: Mapping[str, str]) -> Answer:
    """The XML error for a refused request, without a body for HEAD."""
    headers = {**problem.headers, "Content-Type": "application/xml"}
    if request.method == "HEAD":
        return Answer(problem.error.status, headers)
    fields = {
        "Code": problem.error.code,
        "Message": problem.error.message,
        "Key": request.key,
        "BucketName": request.bucket,
        "Resource": request.path,
        "RequestId": common["x-amz-request-id"],
        "HostId": common["x-amz-id-2"],
    }
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items() if value)
    return xml_answer(f"<Error>{inner}</Error>", status=problem.error.status, headers=headers)


def xml_answer(content: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer in XML with its length."""
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n{content}'.encode()
    return Answer(
        status, {"Content-Type": "application/xml", **(headers or {}), "Content-Length": str(len(body))}, [body]
    )
