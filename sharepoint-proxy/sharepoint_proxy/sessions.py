"""The upload session: sends one large object in fragments, and goes on where it broke.

The protocol, with its surprises (Microsoft's "driveItem: createUploadSession" page unless another source is named):
fragments go strictly in order, each a multiple of 320 KiB but the last, without a bearer token. The session itself says what it
holds (`nextExpectedRanges`), which may be inside a fragment that broke (OneDrive/onedrive-api-docs#75). A finished session
answers 404, and so does one whose last answer was lost (OneDrive/onedrive-api-docs#757): then the file itself tells.
"""

import contextlib
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from http import HTTPStatus
from typing import Protocol

from sharepoint_proxy.content import ObjectReader, Stretch
from sharepoint_proxy.errors import (
    PermanentError,
    SessionsLostError,
    SourceChangedError,
    StoppingError,
    ThrottledError,
    TransientError,
)
from sharepoint_proxy.records import Answer, DriveItem

_BREAKS_WITHOUT_PROGRESS = 3
_GONE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.GONE})
_DONE = frozenset({HTTPStatus.OK, HTTPStatus.CREATED})


class UploadUrls(Protocol):
    """Makes requests to upload URLs."""

    def call_upload_url(
        self,
        method: str,
        url: str,
        *,
        body: Stretch | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = ...,
    ) -> Answer:
        """The answer if its status is in ACCEPT; raises otherwise."""


class Targets(Protocol):
    """The library, as far as a session needs it."""

    def create_session(self, path: str, modified: datetime) -> str: ...
    def find(self, path: str) -> DriveItem | None: ...


class Fragments(Protocol):
    """How long the fragments of one upload are, in bytes."""

    @property
    def length(self) -> int: ...
    def timed(self, length: int) -> AbstractContextManager[None]: ...


class _SessionLostError(Exception):
    """The session is finished, cancelled, expired, or was never there: its URL is of no more use."""


class Sessions:
    """Uploads objects in fragments, each as long as FRAGMENTS, made for each upload, say; between two fragments it asks IS_STOPPING."""

    def __init__(
        self,
        urls: UploadUrls,
        targets: Targets,
        *,
        fragments: Callable[[], Fragments],
        is_stopping: Callable[[], bool],
    ) -> None:
        self._urls = urls
        self._targets = targets
        self._fragments = fragments
        self._is_stopping = is_stopping

    def send(
        self,
        path: str,
        reader: ObjectReader,
        *,
        modified: datetime,
        session_url: str | None,
        keep: Callable[[str | None], None],
    ) -> DriveItem:
        """Upload the object to PATH and return the drive item that it became.

        SESSION_URL is a session that an earlier try left, to go on with. KEEP stores the URL of a new one before its first
        fragment. Raises TransientError when it breaks for longer than a moment (the session stays, to go on later), and
        StoppingError at the next fragment when the service stops.
        """
        # A session that turns out to be lost is replaced once; after that the journal's longer waits take over.
        for kept in (session_url, None):
            url = kept or self._targets.create_session(path, modified)
            if url != kept:
                keep(url)
            try:
                return self._transfer(url, reader, position=self._position(url) if kept else 0)
            except _SessionLostError:
                # Its name may stay taken until it is cancelled, and the URL is the only means to that: it is kept until then.
                self.cancel(url)
                keep(None)
            item = self._targets.find(path)
            if item is not None and reader.is_content_of(item):
                return item
        raise SessionsLostError("The upload session was lost, and so was the one that replaced it.")

    def cancel(self, url: str) -> None:
        """End a session that nobody goes on with: while it lives SharePoint refuses another one for its target.

        Raises TransientError when it may live on; a refusal that says no more than that it cannot be done is let be.
        """
        with contextlib.suppress(PermanentError):
            self._urls.call_upload_url("DELETE", url, accept={HTTPStatus.NO_CONTENT, *_GONE})

    def _transfer(self, url: str, reader: ObjectReader, *, position: int) -> DriveItem:
        breaks, furthest = 0, position
        fragments = self._fragments()
        trouble = TransientError("The upload session takes fragments, but does not get on.")
        while True:
            if self._is_stopping():
                raise StoppingError("The service is stopping; the upload goes on after the next start.")
            try:
                answer = self._send_fragment(url, reader, position, fragments)
                if answer.status in _DONE:
                    return DriveItem.read(answer.body)
                held = _next_expected(answer)
            except (SourceChangedError, StoppingError):
                raise
            except ThrottledError:
                continue
            except TransientError as error:
                trouble = error
                held = self._position(url)
            if held > furthest:
                breaks, furthest = 0, held
            elif held <= position:
                breaks += 1
            # A session that gives up again and again what it took would never end.
            if breaks >= _BREAKS_WITHOUT_PROGRESS:
                raise trouble
            position = held

    def _send_fragment(self, url: str, reader: ObjectReader, position: int, fragments: Fragments) -> Answer:
        length = min(fragments.length, reader.size - position)
        with fragments.timed(length):
            answer = self._urls.call_upload_url(
                "PUT",
                url,
                body=Stretch(reader, position, length),
                headers={"Content-Range": f"bytes {position}-{position + length - 1}/{reader.size}"},
                accept={*_DONE, HTTPStatus.ACCEPTED, *_GONE},
            )
        if answer.status in _GONE:
            raise _SessionLostError
        return answer

    def _position(self, url: str) -> int:
        """The first byte that the session still lacks."""
        answer = self._urls.call_upload_url("GET", url, accept={HTTPStatus.OK, *_GONE})
        if answer.status in _GONE:
            raise _SessionLostError
        return _next_expected(answer)


def _next_expected(answer: Answer) -> int:
    """The start of the first range that is missing: "26-" or "26-99"; with nothing missing the session is of no more use."""
    ranges = answer.body.get("nextExpectedRanges")
    if ranges == []:
        raise _SessionLostError
    start = str(ranges[0]).partition("-")[0] if isinstance(ranges, list) else ""
    if not start.isdigit():
        raise TransientError("The upload session's answer names no range that can be read.")
    return int(start)
