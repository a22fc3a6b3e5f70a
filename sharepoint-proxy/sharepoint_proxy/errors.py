"""Every error of the package, and what each asks of whoever catches it.

    ProxyError
    ├── ConfigError            the start is refused; lists every problem at once          exit code 2
    ├── BadEventError          a request body in which no event can be found              answer 400
    ├── JournalError           the journal cannot be written or read                      answer 503
    │   └── JournalDamagedError  its file is no journal any more: set aside at the next start
    ├── PermanentError         trying again cannot help: the key is parked with this text
    │   ├── NameRefusedError   the key has no acceptable name in SharePoint
    │   └── OccupiedError      another key's file or folder holds the place (`by`)
    └── TransientError         trying again may help (`retry_after`, in seconds, when the other side named a time)
        ├── OutageError        what every key needs is away (`subject`): all wait, no attempt is counted
        ├── GatewayError       Graph's front end is in trouble: tried ever more slowly, never given up
        ├── AccessError        403, or 404 where a file is no question: this file, or the whole library?
        ├── SessionsLostError  upload sessions for this file get lost one after another
        ├── ThrottledError     Graph asked for a pause; does not count as an attempt
        ├── LockedError        the file is open in Office or checked out: tried for hours
        ├── StoppingError      the service is stopping; does not count as an attempt
        ├── RenameUnderWayError the source of a copy may be about to go: looked at again after the grace period
        └── SourceChangedError the object changed while it was read: look again at once

The texts reach logs, answers and pages: they never hold a token, a secret or an upload URL.
"""

from collections.abc import Sequence
from enum import StrEnum
from http import HTTPStatus


class ProxyError(Exception):
    """The root of the package's errors."""


class ConfigError(ProxyError):
    """The settings cannot be used; `problems` holds one sentence a problem."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class BadEventError(ProxyError):
    """A body that no event sender could have meant; the text tells a person what is wrong with it."""


class JournalError(ProxyError):
    """The journal's file cannot be written or read just now."""


class JournalDamagedError(JournalError):
    """The journal's file is not what SQLite wrote."""


class PermanentError(ProxyError):
    """Trying again cannot help until somebody changes something; `status` is the answer that said so, if one did."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class NameRefusedError(PermanentError):
    """The key cannot be given a name that SharePoint accepts."""


class OccupiedError(PermanentError):
    """The place in SharePoint belongs to the key `by` ("bucket/key"); never overwritten."""

    def __init__(self, message: str, *, by: str | None = None) -> None:
        super().__init__(message)
        self.by = by


class TransientError(ProxyError):
    """Trying again may help, after `retry_after` seconds if the other side named a time."""

    counts_as_attempt = True
    gives_up = True
    answers_sender = False

    def __init__(self, message: str, *, retry_after: float | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.status = status


class Subject(StrEnum):
    """What an outage is about."""

    GRAPH = "graph"
    TOKEN = "token"  # noqa: S105 - a name, not a secret
    LIBRARY = "library"
    QUOTA = "quota"
    MINIO = "minio"


class OutageError(TransientError):
    """Something that every key needs is away or refused; the events are kept until it is back.

    Of several libraries it may be one: then only its keys wait, and `library` is its alias.
    """

    counts_as_attempt = False

    def __init__(
        self,
        message: str,
        *,
        subject: Subject,
        library: str = "",
        retry_after: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after, status=status)
        self.subject = subject
        self.library = library


class GatewayError(TransientError):
    """Graph answered 502, 503 or 504: what is behind its front end was not reached."""

    gives_up = False


class AccessError(TransientError):
    """Graph answered 403, or 404 to a write: this file is barred, or the library is closed or gone."""


class SessionsLostError(TransientError):
    """An upload session was lost, and so was the one that replaced it."""


class ThrottledError(TransientError):
    """Graph answered 429, or 503 with a Retry-After."""

    counts_as_attempt = False


class LockedError(TransientError):
    """SharePoint answered 423: somebody holds the file open."""


class StoppingError(TransientError):
    """The service is stopping; the work goes on after the next start."""

    counts_as_attempt = False


class RenameUnderWayError(TransientError):
    """The object is the copy of one that is still there, and may be its renaming.

    Whoever renames may wait for the answer to the copy before it removes the original: it must not wait for us.
    """

    counts_as_attempt = False
    answers_sender = True


class SourceChangedError(TransientError):
    """The object was replaced or removed while it was read."""

    counts_as_attempt = False


def is_silence(error: TransientError) -> bool:
    """True for no answer at all, or one that a front end gives for everything: that need not be about the key."""
    if isinstance(error, GatewayError):
        return True
    return type(error) is TransientError and (error.status is None or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR)


def is_refusal(error: TransientError | PermanentError) -> bool:
    """True if the other side answered that it did not do it, as against a failure that leaves that open."""
    status = error.status or 0
    never_left = isinstance(error, ThrottledError | StoppingError)
    return never_left or HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
