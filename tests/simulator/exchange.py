"""One request and its answer on the wire: reading at a limited speed, breaking off on purpose, one write an answer."""

import asyncio
import json
import socket
import struct
import uuid
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from email.utils import formatdate
from enum import Enum
from urllib.parse import parse_qsl, unquote

from aiohttp import web
from aiohttp.web_protocol import RequestPayloadError

from simulator.clock import to_text
from simulator.faults import Action, CorruptBytes, CutConnection, CutPoint, TruncateAnswer
from simulator.graph_errors import GraphError, invalid
from simulator.tenant import Tenant

_SMALLEST_PIECE, _LARGEST_PIECE = 16 * 1024, 128 * 1024
_PIECES_PER_SECOND = 250
"""Of each stream; on fast lines more would cost the simulator more time than the bytes themselves."""

_CATCH_UP_SECONDS = 0.05
_LARGEST_JSON = 4 * 1024 * 1024
_JSON_TYPE = "application/json; odata.metadata=minimal; odata.streaming=true; charset=utf-8"


class CutError(Exception):
    """The connection ends here, by the client's doing or by a fault's."""


class Layer(Enum):
    """Which system answers; the two spell the error envelope and their own headers differently."""

    GRAPH = "innerError"
    SHAREPOINT = "innererror"


@dataclass(slots=True, kw_only=True)
class Answer:
    """What goes back: JSON, or an error, or bytes, or a stream of `stream_size` bytes."""

    status: int
    json: object = None
    error: GraphError | None = None
    body: bytes = b""
    content_type: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    stream: Iterable[bytes] | None = None
    stream_size: int = 0


class Exchange:
    """A request on its way to an answer; `received` counts the bytes of its body, `headers` go into the answer, `note` into the log."""

    def __init__(self, request: web.BaseRequest, tenant: Tenant, layer: Layer) -> None:
        self.raw_path, _, raw_query = request.raw_path.partition("?")
        self.path = unquote(self.raw_path, errors="replace")
        self.query = dict(parse_qsl(raw_query, keep_blank_values=True))
        self.method = request.method
        self.received = 0
        self.headers: dict[str, str] = {}
        self.action: Action | None = None
        self.note = ""
        self.request_id = str(uuid.uuid4())
        self._request = request
        self._tenant = tenant
        self._layer = layer
        self._has_lagged = False

    @property
    def content_length(self) -> int | None:
        """The announced length of the body in bytes."""
        return self._request.content_length

    def header(self, name: str) -> str | None:
        """The request header NAME in any case."""
        return self._request.headers.get(name)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it arrives, at the tenant's bandwidth; raise CutError if it breaks off."""
        if self._cut_point is CutPoint.BEFORE_BODY:
            raise CutError
        half = (self.content_length or 0) // 2 if self._cut_point is CutPoint.HALF_BODY else None
        due = 0.0
        while half is None or self.received < half:
            piece = await self._next_piece(None if half is None else half - self.received)
            if not piece:
                return
            is_spoiled = self.received == 0 and isinstance(self.action, CorruptBytes)
            self.received += len(piece)
            yield _spoiled(piece) if is_spoiled else piece
            due = await self._pace(len(piece), due)
        raise CutError

    async def read(self) -> bytes:
        """The whole body of a request that carries JSON or a form; raise a 400 above 4 MiB."""
        parts = [piece async for piece in self.pieces()]
        if self.received > _LARGEST_JSON:
            raise invalid("The request body is too large.")
        return b"".join(parts)

    async def drain(self) -> None:
        """Read what is left of the body of a refused request, as a real front end does."""
        async for _ in self.pieces():
            pass

    async def lag(self) -> None:
        """Wait for the tenant's latency, once."""
        if not self._has_lagged and self._tenant.latency > 0:
            self._has_lagged = True
            await asyncio.sleep(self._tenant.latency)

    def cut(self) -> web.StreamResponse:
        """Reset the connection; the response returned is never seen."""
        transport = self._request.transport
        if transport is not None:
            # Without lingering the kernel sends RST, as a failing front end or firewall does.
            connection: socket.socket = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        return web.Response(status=500)

    async def send(self, answer: Answer) -> web.StreamResponse:
        """Send ANSWER, or half of it if a fault says so."""
        headers = self._answer_headers(answer)
        if answer.stream is None and not isinstance(self.action, TruncateAnswer):
            return web.Response(status=answer.status, body=self._body(answer), headers=headers)
        body = self._body(answer)
        size = answer.stream_size if answer.stream is not None else len(body)
        return await self._stream(answer.status, headers, [body] if answer.stream is None else answer.stream, size)

    @property
    def _cut_point(self) -> CutPoint | None:
        return self.action.at if isinstance(self.action, CutConnection) else None

    async def _next_piece(self, at_most: int | None) -> bytes:
        content = self._request.content
        try:
            if at_most is None and not self._tenant.bandwidth:
                return await content.readany()
            most = min(_LARGEST_PIECE, max(_SMALLEST_PIECE, int((self._tenant.bandwidth or 0) / _PIECES_PER_SECOND)))
            return await content.read(min(most, at_most or most))
        except (OSError, RequestPayloadError) as error:
            raise CutError from error

    async def _pace(self, size: int, due: float) -> float:
        bandwidth = self._tenant.bandwidth
        if not bandwidth:
            return 0.0
        now = asyncio.get_running_loop().time()
        # Late wake-ups are made up for, pauses of the sender are not.
        start = max(due, now - _CATCH_UP_SECONDS) if due else now
        due = start + size / bandwidth
        await asyncio.sleep(max(0.0, due - now))
        return due

    def _answer_headers(self, answer: Answer) -> dict[str, str]:
        date = formatdate(self._tenant.clock(), usegmt=True)
        headers = {"Date": date, **self._own_headers(), **self.headers, **answer.headers}
        if answer.error is not None:
            headers.update(answer.error.headers)
        if answer.json is not None or answer.error is not None:
            headers["Content-Type"] = _JSON_TYPE
        elif answer.content_type:
            headers["Content-Type"] = answer.content_type
        return headers

    def _own_headers(self) -> dict[str, str]:
        if self._layer is Layer.SHAREPOINT:
            return {"SPRequestGuid": self.request_id, "X-SharePointHealthScore": "0"}
        client_request_id = self.header("client-request-id") or self.request_id
        diagnostic = '{"ServerInfo":{"DataCenter":"Simulator","Slice":"E","Ring":"0","ScaleUnit":"000"}}'
        return {
            "request-id": self.request_id,
            "client-request-id": client_request_id,
            "x-ms-ags-diagnostic": diagnostic,
        }

    def _body(self, answer: Answer) -> bytes:
        if answer.error is not None:
            return _dump(self._envelope(answer.error))
        return answer.body if answer.json is None else _dump(answer.json)

    def _envelope(self, error: GraphError) -> dict[str, object]:
        inner: dict[str, object] = {"code": error.inner} if error.inner else {}
        inner["date"] = to_text(self._tenant.clock()).removesuffix("Z")
        inner["request-id"] = self.request_id
        inner["client-request-id"] = self.header("client-request-id") or self.request_id
        return {"error": {"code": error.code, "message": error.message, self._layer.value: inner}}

    async def _stream(
        self, status: int, headers: dict[str, str], pieces: Iterable[bytes], size: int
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = size
        await response.prepare(self._request)
        left = size // 2 if isinstance(self.action, TruncateAnswer) else size
        due = 0.0
        for piece in pieces:
            is_spoiled = left == size and isinstance(self.action, CorruptBytes)
            await response.write(_spoiled(piece) if is_spoiled else piece[:left])
            left -= len(piece[:left])
            due = await self._pace(len(piece), due)
        if isinstance(self.action, TruncateAnswer) and self._request.transport is not None:
            self._request.transport.close()
        return response


def _spoiled(piece: bytes) -> bytes:
    return bytes([piece[0] ^ 0xFF]) + piece[1:]


def _dump(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
