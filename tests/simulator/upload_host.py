"""The host that upload sessions and downloads live on: it knows secrets in URLs, and refuses tokens.

Refusing `Authorization` on PUT and DELETE follows what the service does since 2024 (virtualzone/onedrive-uploader#39); on
downloads, whose URLs need none ("driveItem: get content" on learn.microsoft.com), it is stricter than what is known.
"""

import re

from simulator.calls import CallKind
from simulator.drive import Conflict
from simulator.exchange import Answer, CutError, Exchange
from simulator.faults import LoseSession, RewindSession
from simulator.graph_errors import GraphError, invalid, not_found
from simulator.item_json import Json, session_json
from simulator.items import Item
from simulator.options import GridRule
from simulator.pipeline import Plan, Run
from simulator.tenant import Tenant
from simulator.upload_operations import stored
from simulator.upload_sessions import Fragment, Range, UploadSession, parse_range

_SESSION_PATH = re.compile(r"/.+/_api/v2\.0/drives/[^/]+/items/[^/]+/uploadSession")
_DOWNLOAD_PATH = re.compile(r"/.+/_layouts/15/download\.aspx")
_BYTE_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class UploadHost:
    """Plans the calls of the second listener."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._session_calls: dict[str, tuple[CallKind, Run]] = {
            "PUT": (CallKind.FRAGMENT, self._put_fragment),
            "GET": (CallKind.SESSION_STATUS, self._get_status),
            "DELETE": (CallKind.SESSION_CANCEL, self._cancel),
            "POST": (CallKind.SESSION_COMMIT, self._commit_deferred),
        }

    def plan(self, exchange: Exchange) -> Plan:
        """What EXCHANGE asks for."""
        if _DOWNLOAD_PATH.fullmatch(exchange.path) and exchange.method == "GET":
            return Plan(CallKind.DOWNLOAD_BYTES, self._download, item_path=self._downloaded_path(exchange))
        if _SESSION_PATH.fullmatch(exchange.path) and exchange.method in self._session_calls:
            kind, run = self._session_calls[exchange.method]
            session = self._tenant.sessions.peek(_guid(exchange))
            return Plan(kind, run, item_path=session.target.path if session else "")
        return Plan(CallKind.OTHER, self._refuse)

    async def _put_fragment(self, exchange: Exchange) -> Answer:
        _refuse_token(exchange)
        with self._tenant.lock:
            session = self._open(exchange)
            part = self._checked(session, exchange)
            fragment = Fragment(session, part)
        await self._receive(exchange, fragment)
        await exchange.lag()
        with self._tenant.lock:
            return self._after_fragment(session, fragment, exchange)

    async def _get_status(self, exchange: Exchange) -> Answer:
        await exchange.drain()
        await exchange.lag()
        with self._tenant.lock:
            session = self._open(exchange)
            # What still arrives on an older request must not move the place that is announced here.
            session.turn += 1
            if isinstance(exchange.action, RewindSession):
                session.rewind(exchange.action.fragments)
            return Answer(status=200, json=_announcement(session))

    async def _cancel(self, exchange: Exchange) -> Answer:
        _refuse_token(exchange)
        await exchange.drain()
        await exchange.lag()
        with self._tenant.lock:
            session = self._tenant.sessions.peek(_guid(exchange))
            if session is None or not session.is_lost:
                session = self._open(exchange)
            self._tenant.sessions.cancel(session)
            return Answer(status=204)

    async def _commit_deferred(self, exchange: Exchange) -> Answer:
        _refuse_token(exchange)
        await exchange.drain()
        await exchange.lag()
        with self._tenant.lock:
            session = self._open(exchange)
            if not session.is_full:
                raise invalid("The upload session still expects bytes.")
            return self._commit(session)

    async def _download(self, exchange: Exchange) -> Answer:
        _refuse_token(exchange)
        await exchange.drain()
        await exchange.lag()
        with self._tenant.lock:
            drive_id, item_id = self._tenant.links.check(exchange.query)
            item = self._tenant.library_by_id(drive_id).by_id(item_id)
        return _file_answer(item, exchange.header("Range"))

    def _downloaded_path(self, exchange: Exchange) -> str:
        try:
            library = self._tenant.library_by_id(exchange.query.get("driveId", ""))
            return library.by_id(exchange.query.get("UniqueId", "")).path
        except GraphError:
            return ""

    async def _refuse(self, exchange: Exchange) -> Answer:
        raise not_found(f"There is nothing at {exchange.path}.")

    def _open(self, exchange: Exchange) -> UploadSession:
        sessions = self._tenant.sessions
        session = sessions.peek(_guid(exchange))
        if session is not None and not session.is_lost and isinstance(exchange.action, LoseSession):
            sessions.lose(session, name_stays_taken=exchange.action.name_stays_taken)
        secret = exchange.query.get("tempauth", "")
        return sessions.open(_guid(exchange), secret, life_seconds=self._tenant.options.session_life_seconds)

    def _checked(self, session: UploadSession, exchange: Exchange) -> Range:
        part = parse_range(exchange.header("Content-Range"))
        refuse_off_grid = self._tenant.options.grid_rule is GridRule.AT_ONCE
        session.check(part, exchange.content_length, refuse_off_grid=refuse_off_grid)
        return part

    async def _receive(self, exchange: Exchange, fragment: Fragment) -> None:
        try:
            async for piece in exchange.pieces():
                with self._tenant.lock:
                    if not fragment.write(piece):
                        return
        except CutError:
            # What arrived is kept: the status may then point inside a fragment (OneDrive/onedrive-api-docs#71).
            if not self._tenant.options.keep_partial_fragments:
                fragment.undo()
            raise

    def _after_fragment(self, session: UploadSession, fragment: Fragment, exchange: Exchange) -> Answer:
        if not fragment.is_current:
            raise CutError
        fragment.accept()
        self._tenant.sessions.prolong(session, self._tenant.options.session_idle_seconds)
        if isinstance(exchange.action, RewindSession):
            return _rewound(session, exchange.action)
        if not session.is_full or session.defer_commit:
            return Answer(status=202, json=_announcement(session))
        return self._commit(session)

    def _commit(self, session: UploadSession) -> Answer:
        target = session.target
        if session.left_grid and self._tenant.options.grid_rule is GridRule.AFTER_LAST_FRAGMENT:
            self._tenant.sessions.cancel(session)
            raise invalid("The uploaded fragments cannot be put together.")
        if not target.library.is_live(target.parent):
            raise not_found()
        parent = target.library.ensure_folders(target.folders, target.author, below=target.parent)
        self._check_replaceable(session, parent)
        content = self._tenant.sessions.finish(session)
        written = target.library.write_file(
            parent, target.name, content, conflict=target.conflict, author=target.author, times=target.times
        )
        return stored(self._tenant, target.library, written)

    def _check_replaceable(self, session: UploadSession, parent: Item) -> None:
        existing = parent.child(session.target.name)
        if existing is not None and (existing.is_folder or session.target.conflict is Conflict.FAIL):
            raise GraphError(409, "nameAlreadyExists", "An item with this name appeared during the upload.")


def _announcement(session: UploadSession) -> Json:
    session.announced = session.received
    return session_json(session)


def _rewound(session: UploadSession, ordered: RewindSession) -> Answer:
    if ordered.told:
        session.rewind(ordered.fragments)
        return Answer(status=202, json=_announcement(session))
    answer = Answer(status=202, json=_announcement(session))
    session.rewind(ordered.fragments)
    return answer


def _guid(exchange: Exchange) -> str:
    return exchange.query.get("guid", "").strip("'")


def _refuse_token(exchange: Exchange) -> None:
    if exchange.header("Authorization") is not None:
        raise GraphError(401, "unauthenticated", "Unauthenticated")


def _file_answer(item: Item, byte_range: str | None) -> Answer:
    content = item.content
    if content is None:
        raise not_found()
    if not content.is_kept:
        raise GraphError(500, "generalException", "The simulator was told to keep no content.")
    match = _BYTE_RANGE.fullmatch(byte_range or "")
    start = int(match[1]) if match else 0
    end = min(int(match[2]) + 1, content.size) if match and match[2] else content.size
    if match and start >= content.size:
        raise GraphError(416, "invalidRange", "The range is beyond the end of the file.")
    headers = {"ETag": item.etag}
    if match:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{content.size}"
    return Answer(
        status=206 if match else 200,
        content_type="application/octet-stream",
        headers=headers,
        stream=content.pieces(start, end),
        stream_size=end - start,
    )
