"""Graph's routes: sites, drives and items under `/v1.0`, and under `/_api/v2.0` as SharePoint itself serves them."""

import re
from collections.abc import Callable
from functools import partial
from urllib.parse import unquote

from simulator import item_operations as items
from simulator import upload_operations as uploads
from simulator.addresses import Address, parse_address
from simulator.calls import CallKind
from simulator.contents import ContentWriter
from simulator.drive import Library
from simulator.exchange import Answer, CutError, Exchange
from simulator.graph_errors import GraphError, bad_request, invalid, unknown_segment
from simulator.item_calls import ItemCall, no_entity_write
from simulator.item_json import column_json, drive_json, site_json
from simulator.items import Author
from simulator.pipeline import Plan, bearer_token
from simulator.tenant import Site, Tenant

Operation = Callable[[ItemCall], Answer]

_PREFIXES = ("/v1.0/", "/_api/v2.0/")
_SITE_BY_PATH = re.compile(r"sites/(?P<host>[^/:]+):(?P<path>/[^:]*)(?P<colon>:?)(?P<rest>.*)", re.DOTALL)
_SITE_BY_ID = re.compile(r"sites/(?P<id>[^/:]+)(?P<rest>/.*)?", re.DOTALL)
_DRIVE = re.compile(r"drives/(?P<id>[^/:]+)(?:/(?P<rest>.*))?", re.DOTALL)

_OPERATIONS: dict[tuple[str, str], tuple[CallKind, Operation]] = {
    ("GET", ""): (CallKind.ITEM_GET, items.get_item),
    ("PATCH", ""): (CallKind.PATCH, items.update_item),
    ("DELETE", ""): (CallKind.DELETE, items.delete_item),
    ("GET", "children"): (CallKind.CHILDREN, items.list_children),
    ("POST", "children"): (CallKind.FOLDER_CREATE, items.create_folder),
    ("GET", "content"): (CallKind.DOWNLOAD, items.redirect_to_content),
    ("POST", "createUploadSession"): (CallKind.SESSION_CREATE, uploads.create_session),
    ("POST", "permanentDelete"): (CallKind.DELETE, items.delete_permanently),
    ("GET", "delta"): (CallKind.DELTA, items.list_changes),
    ("GET", "versions"): (CallKind.VERSIONS, items.list_versions),
    ("GET", "listItem/fields"): (CallKind.FIELDS, items.get_fields),
    ("PATCH", "listItem/fields"): (CallKind.FIELDS, items.update_fields),
}


class GraphApi:
    """Plans the calls of the first listener that belong to Graph."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    def plan(self, exchange: Exchange) -> Plan:
        """What EXCHANGE asks for; a mistake becomes a plan that refuses it, after its token was checked."""
        try:
            return self._plan(exchange, _below_prefix(exchange.raw_path))
        except GraphError as error:
            return self._refusal(error)

    def _plan(self, exchange: Exchange, route: str) -> Plan:
        if match := _DRIVE.fullmatch(route):
            drive_id = unquote(match["id"])
            return self._plan_drive(exchange, lambda: self._tenant.library_by_id(drive_id), match["rest"])
        if match := _SITE_BY_PATH.fullmatch(route):
            host, path, rest = match["host"], unquote(match["path"]).strip("/"), match["rest"]
            _check_site_tail(colon=match["colon"], rest=rest)
            return self._plan_site(exchange, lambda: self._tenant.site_by_path(host, path), rest)
        if match := _SITE_BY_ID.fullmatch(route):
            site_id = unquote(match["id"])
            return self._plan_site(exchange, lambda: self._tenant.site_by_id(site_id), match["rest"] or "")
        if route.startswith("me/"):
            raise invalid("The default drive is not supported for app-only tokens.")
        raise unknown_segment(route.partition("/")[0])

    def _plan_site(self, exchange: Exchange, site: Callable[[], Site], rest: str) -> Plan:
        if rest.startswith("/drive/"):
            return self._plan_drive(exchange, lambda: site().libraries[0], rest.removeprefix("/drive/"))
        if rest.startswith("/drives:"):
            raise unknown_segment("drives:")
        if exchange.method != "GET":
            raise _method_not_allowed(exchange.method)
        match rest:
            case "":
                return self._reading(CallKind.SITE, lambda: Answer(status=200, json=site_json(site())))
            case "/drive":
                return self._reading(CallKind.DRIVE, lambda: _drive(site(), site().libraries[0]))
            case "/drives":
                return self._reading(CallKind.DRIVES, lambda: self._drives(exchange, site()))
        raise unknown_segment(rest.strip("/").partition("/")[0])

    def _plan_drive(self, exchange: Exchange, library: Callable[[], Library], rest: str | None) -> Plan:
        if rest == "list/columns" and exchange.method == "GET":
            return self._reading(CallKind.COLUMNS, lambda: self._columns(library()))
        if rest:
            return self._plan_item(exchange, library, parse_address(rest))
        if exchange.method != "GET":
            raise _method_not_allowed(exchange.method)
        return self._reading(CallKind.DRIVE, lambda: _drive(self._tenant.site_of(library()), library()))

    def _plan_item(self, exchange: Exchange, library: Callable[[], Library], address: Address) -> Plan:
        path = _path_for_log(library, address)
        if exchange.method == "PUT" and address.suffix == "content":
            return Plan(CallKind.PUT_CONTENT, partial(self._put_content, library, address), path)
        if exchange.method == "PUT" and not address.suffix:
            return self._refusal(no_entity_write(), path)
        if (exchange.method, address.suffix) not in _OPERATIONS:
            raise _method_not_allowed(exchange.method)
        kind, operation = _OPERATIONS[exchange.method, address.suffix]
        has_token = "token" in exchange.query
        return Plan(kind, partial(self._operate, operation, library, address), path, with_delta_token=has_token)

    async def _operate(
        self, operation: Operation, library: Callable[[], Library], address: Address, exchange: Exchange
    ) -> Answer:
        author = self._authenticated(exchange)
        body = await exchange.read()
        await exchange.lag()
        with self._tenant.lock:
            return operation(ItemCall(self._tenant, library(), address, exchange, author, body))

    async def _put_content(self, library: Callable[[], Library], address: Address, exchange: Exchange) -> Answer:
        author = self._authenticated(exchange)
        with self._tenant.lock:
            call = ItemCall(self._tenant, library(), address, exchange, author)
            uploads.check_put(call, exchange.content_length)
        writer = self._tenant.store.writer()
        try:
            await self._receive(exchange, call, writer)
            await exchange.lag()
            with self._tenant.lock:
                return uploads.put_content(call, writer)
        except (CutError, GraphError):
            writer.discard()
            raise

    async def _receive(self, exchange: Exchange, call: ItemCall, writer: ContentWriter) -> None:
        try:
            async for piece in exchange.pieces():
                writer.write(piece)
        except CutError:
            if exchange.content_length is None:
                # Without a length the service takes the break for the end (microsoft-graph-docs-contrib#6015).
                with self._tenant.lock:
                    uploads.put_content(call, writer)
            raise

    def _reading(self, kind: CallKind, read: Callable[[], Answer]) -> Plan:
        return Plan(kind, partial(self._read, read))

    async def _read(self, read: Callable[[], Answer], exchange: Exchange) -> Answer:
        self._authenticated(exchange)
        await exchange.drain()
        await exchange.lag()
        with self._tenant.lock:
            return read()

    def _refusal(self, error: GraphError, item_path: str = "") -> Plan:
        return Plan(CallKind.OTHER, partial(self._refuse, error), item_path)

    async def _refuse(self, error: GraphError, exchange: Exchange) -> Answer:
        self._authenticated(exchange)
        raise error

    def _authenticated(self, exchange: Exchange) -> Author:
        token = bearer_token(exchange)
        if token is None:
            raise _bad_token("Access token is empty.")
        with self._tenant.lock:
            grant = self._tenant.entra.find(token)
        if grant is None:
            raise _bad_token("IDX14100: JWT is not well formed.")
        if grant.expires_at <= self._tenant.clock():
            raise _bad_token("Lifetime validation failed, the token is expired.")
        if not self._tenant.options.app_roles:
            raise GraphError(403, "AccessDenied", "Either scp or roles claim need to be present in the token.")
        return Author(application_id=grant.application.client_id)

    def _columns(self, _library: Library) -> Answer:
        columns = self._tenant.options.columns
        return Answer(status=200, json={"value": [column_json(name, kind) for name, kind in columns.items()]})

    def _drives(self, exchange: Exchange, site: Site) -> Answer:
        size = self._tenant.options.drives_page
        start = int(exchange.query.get("$skiptoken", "0"))
        page = [drive_json(site, library) for library in site.libraries[start : start + size]]
        answer: dict[str, object] = {"value": page}
        if start + size < len(site.libraries):
            url = self._tenant.origin + exchange.raw_path
            answer["@odata.nextLink"] = f"{url}?$skiptoken={start + size}"
        return Answer(status=200, json=answer)


def _below_prefix(raw_path: str) -> str:
    if "#" in raw_path:
        raise invalid("API not found")
    for prefix in _PREFIXES:
        if raw_path.startswith(prefix):
            return raw_path.removeprefix(prefix)
    raise bad_request("Invalid version.")


def _check_site_tail(*, colon: str, rest: str) -> None:
    # By-path addressing of a site does not go on into a drive (microsoftgraph/msgraph-sdk-dotnet#994).
    if colon and rest.startswith("/drive/"):
        raise bad_request("Url specified is invalid.")


def _method_not_allowed(method: str) -> GraphError:
    return GraphError(405, "BadRequest", f"The method {method} is not allowed here.")


def _bad_token(message: str) -> GraphError:
    return GraphError(401, "InvalidAuthenticationToken", message)


def _drive(site: Site, library: Library) -> Answer:
    return Answer(status=200, json=drive_json(site, library))


def _path_for_log(library: Callable[[], Library], address: Address) -> str:
    anchor = ""
    if address.item_id is not None:
        try:
            anchor = library().by_id(address.item_id).path
        except GraphError:
            anchor = ""
    return "/".join(part for part in (anchor, *address.names) if part)
