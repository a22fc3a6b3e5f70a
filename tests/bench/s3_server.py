"""`python -m bench.s3_server`: a lean S3 server for reading made-up objects, so that MinIO's side costs the same for everybody.

It answers what the service and rclone ask for: HEAD and GET of objects (Range, If-Match), HEAD of the bucket, its location, and its
listing by pages of 1,000 (ListObjectsV2). No signature is checked. Objects are put, copied and removed below `/_bench/`. It prints
its address as a shell line and serves until SIGTERM.
"""

import asyncio
import json
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from email.utils import formatdate
from time import gmtime, strftime
from urllib.parse import parse_qsl, quote, unquote
from xml.sax.saxutils import escape

from aiohttp import web

from bench.bucket import BUCKET, PIECE_BYTES, Batch, Page, Shelf, Synthetic, pieces

_BACKLOG = 512
_PAGE = 1000
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_LARGEST_ORDER_BYTES = 1024 * 1024


class S3Server:
    """Answers requests about the objects of SHELF."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer REQUEST."""
        raw_path, _, raw_query = request.raw_path.partition("?")
        query = dict(parse_qsl(raw_query, keep_blank_values=True))
        if raw_path.startswith("/_bench/"):
            return self._obey(raw_path, query, await request.content.read(_LARGEST_ORDER_BYTES))
        bucket, _, key = unquote(raw_path).lstrip("/").partition("/")
        if bucket != BUCKET:
            return _error(404, "NoSuchBucket", request.method)
        if key:
            return await self._object(request, key)
        return self._bucket(request.method, query)

    def _obey(self, path: str, query: dict[str, str], body: bytes) -> web.Response:
        match path.removeprefix("/_bench/"):
            case "put":
                batches = [Batch.from_json(document) for document in json.loads(body)]
                self._shelf.put(*(each for batch in batches for each in batch.objects()))
            case "write":
                self._shelf.put(Synthetic(**json.loads(body)))
            case "copy" if (source := self._shelf.get(query["source"])) is not None:
                self._shelf.put(replace(source, key=query["target"], modified=int(query["modified"])))
            case "remove":
                self._shelf.remove(query["key"])
            case _:
                return web.Response(status=404)
        return web.Response(status=204)

    def _bucket(self, method: str, query: dict[str, str]) -> web.Response:
        if method == "HEAD":
            return web.Response(status=200, headers=_our_headers())
        if "location" in query:
            return _xml(f'<LocationConstraint xmlns="{_NAMESPACE}"></LocationConstraint>')
        if query.get("list-type") != "2":
            return _error(501, "NotImplemented", method)
        after = query.get("continuation-token") or query.get("start-after", "")
        page = self._shelf.page(
            prefix=query.get("prefix", ""),
            delimiter=query.get("delimiter", ""),
            after=after,
            size=min(_PAGE, int(query.get("max-keys", _PAGE))),
        )
        return _xml("".join(_listing(page, query)))

    async def _object(self, request: web.BaseRequest, key: str) -> web.StreamResponse:
        found = self._shelf.get(key)
        if found is None:
            return _error(404, "NoSuchKey", request.method)
        if request.headers.get("If-Match", found.etag).strip('"') != found.etag:
            return _error(412, "PreconditionFailed", request.method)
        headers = _object_headers(found)
        if request.method == "HEAD":
            return web.Response(status=200, headers={**headers, "Content-Length": str(found.size)})
        part = _RANGE.fullmatch(request.headers.get("Range", ""))
        start = int(part[1]) if part else 0
        end = min(int(part[2]) + 1, found.size) if part and part[2] else found.size
        if part and start >= found.size:
            return _error(416, "InvalidRange", request.method)
        if part:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{found.size}"
        return await _content(request, found, start, end, headers, status=206 if part else 200)


async def _content(
    request: web.BaseRequest, found: Synthetic, start: int, end: int, headers: dict[str, str], *, status: int
) -> web.StreamResponse:
    if end - start <= PIECE_BYTES:
        return web.Response(status=status, headers=headers, body=b"".join(pieces(found.seed, start, end - start)))
    response = web.StreamResponse(status=status, headers={**headers, "Content-Length": str(end - start)})
    await response.prepare(request)
    # Some works end by killing the service in the middle of an object.
    with suppress(ConnectionError):
        for piece in pieces(found.seed, start, end - start):
            await response.write(piece)
    return response


def _our_headers() -> dict[str, str]:
    return {"Server": "MinIO", "x-amz-request-id": "186F3D9C0A2B5E11", "Date": formatdate(usegmt=True)}


def _object_headers(found: Synthetic) -> dict[str, str]:
    return {
        **_our_headers(),
        "ETag": f'"{found.etag}"',
        "Last-Modified": formatdate(found.modified, usegmt=True),
        "Content-Type": "application/octet-stream",
        "Accept-Ranges": "bytes",
    }


def _listing(page: Page, query: dict[str, str]) -> Iterator[str]:
    is_encoded = query.get("encoding-type") == "url"
    yield f'<ListBucketResult xmlns="{_NAMESPACE}"><Name>{BUCKET}</Name><MaxKeys>{_PAGE}</MaxKeys>'
    yield f"<KeyCount>{len(page.objects) + len(page.prefixes)}</KeyCount>"
    yield f"<Prefix>{_name(query.get('prefix', ''), is_encoded=is_encoded)}</Prefix>"
    yield f"<IsTruncated>{'false' if page.last is None else 'true'}</IsTruncated>"
    if is_encoded:
        yield "<EncodingType>url</EncodingType>"
    if page.last is not None:
        yield f"<NextContinuationToken>{escape(page.last)}</NextContinuationToken>"
    for each in page.objects:
        modified = strftime("%Y-%m-%dT%H:%M:%S.000Z", gmtime(each.modified))
        yield f"<Contents><Key>{_name(each.key, is_encoded=is_encoded)}</Key><LastModified>{modified}</LastModified>"
        yield f"<ETag>&quot;{each.etag}&quot;</ETag><Size>{each.size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
    for prefix in page.prefixes:
        yield f"<CommonPrefixes><Prefix>{_name(prefix, is_encoded=is_encoded)}</Prefix></CommonPrefixes>"
    yield "</ListBucketResult>"


def _name(name: str, *, is_encoded: bool) -> str:
    return quote(name) if is_encoded else escape(name)


def _xml(document: str, *, status: int = 200) -> web.Response:
    text = f'<?xml version="1.0" encoding="UTF-8"?>{document}'
    return web.Response(status=status, headers=_our_headers(), text=text, content_type="application/xml")


def _error(status: int, code: str, method: str) -> web.Response:
    if method == "HEAD":
        return web.Response(status=status, headers=_our_headers())
    return _xml(f"<Error><Code>{code}</Code><Message>{code}</Message></Error>", status=status)


async def serve(listener: socket.socket) -> None:
    """Serve an empty bucket on LISTENER for ever."""
    server = web.Server(S3Server(Shelf()).handle, access_log=None, keepalive_timeout=75)
    listening = await asyncio.get_running_loop().create_server(server, sock=listener, backlog=_BACKLOG)
    await listening.serve_forever()


def main() -> None:
    """Listen on a free port of loopback, say which, and serve."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
    sys.stdout.write(f"export MINIO_ENDPOINT=http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    asyncio.run(serve(listener))


if __name__ == "__main__":
    main()
