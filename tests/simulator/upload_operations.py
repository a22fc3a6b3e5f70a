"""The two ways to bring bytes into a library: one PUT, or a session that is opened here and fed on another host."""

from urllib.parse import quote

from simulator.contents import ContentWriter
from simulator.drive import Conflict, Library, Written, conflict_behaviour
from simulator.exchange import Answer
from simulator.graph_errors import GraphError, bad_request, invalid, name_exists, not_found
from simulator.item_calls import ItemCall, object_of, text_of, times_of
from simulator.item_json import item_json, session_json
from simulator.items import Item, Times
from simulator.names import check_new_name, check_path_length
from simulator.office import rewrite
from simulator.options import OfficeRewriting
from simulator.tenant import Tenant
from simulator.upload_sessions import Target, UploadSession

_BEHAVIOUR = "@microsoft.graph.conflictBehavior"
_SESSION_MEMBERS = frozenset({"item", "deferCommit", "@odata.type"})
_ITEM_MEMBERS = frozenset(
    {"@odata.type", _BEHAVIOUR, "name", "fileSystemInfo", "description", "fileSize", "driveItemSource", "mediaSource"}
)


def check_put(call: ItemCall, size: int | None) -> None:
    """Raise what a PUT of SIZE bytes deserves before its body is read."""
    options = call.tenant.options
    if size is not None and size > options.put_cap:
        text = "The request message is too big. The server does not allow messages larger than"
        raise bad_request(f"{text} {options.put_cap} bytes.")
    if size is not None and size > options.put_limit:
        raise GraphError(413, "invalidRequest", "The content is too large for a simple upload; use an upload session.")


def put_content(call: ItemCall, writer: ContentWriter) -> Answer:
    """PUT content by path (201 or 200), or onto an item by its id (200)."""
    existing = call.find()
    check_put(call, writer.size)
    _check_put_conditions(call, existing)
    conflict = conflict_behaviour(call.exchange.query.get(_BEHAVIOUR), default=Conflict.REPLACE)
    if not call.address.names:
        written = Written(
            call.library.write_content(call.item(), writer.finish(), author=call.author, times=Times()), False
        )
        return stored(call.tenant, call.library, written)
    parent = call.parent(make=call.tenant.options.put_makes_parents)
    name = call.address.names[-1]
    written = call.library.write_file(parent, name, writer.finish(), conflict=conflict, author=call.author)
    return stored(call.tenant, call.library, written)


def stored(tenant: Tenant, library: Library, written: Written) -> Answer:
    """The answer to a finished upload; Office documents are rewritten before or after it, if that scenario is on."""
    rewriting = tenant.options.office_rewriting
    if rewriting is OfficeRewriting.IN_THE_ANSWER:
        rewrite(tenant, library, written.item)
    document = item_json(tenant, library, written.item)
    if rewriting is OfficeRewriting.AFTER_THE_ANSWER:
        rewrite(tenant, library, written.item)
    return Answer(status=201 if written.is_new else 200, json=document)


def create_session(call: ItemCall) -> Answer:
    """POST createUploadSession.

    Without a conflict behaviour the service replaces, though its documents say "fail" (microsoft-graph-docs#19010): noted.
    """
    body = call.json() if call.body else {}
    details = object_of(body, "item")
    _check_members(body, details)
    conflict = conflict_behaviour(details.get(_BEHAVIOUR), default=Conflict.REPLACE)
    if _BEHAVIOUR not in details:
        call.exchange.note = "no conflictBehavior"
    existing = call.find()
    call.check_conditions(existing)
    target = _target(call, existing, conflict, times_of(details))
    if text_of(details, "name") not in (None, target.name):
        raise invalid("The name in the body does not match the name in the URL.")
    options = call.tenant.options
    session = call.tenant.sessions.create(
        target,
        idle_seconds=options.session_idle_seconds,
        only_one=options.one_session_per_target,
        defer_commit=body.get("deferCommit") is True,
    )
    context = f"{call.tenant.origin}/v1.0/$metadata#microsoft.graph.uploadSession"
    url = _upload_url(call.tenant, session)
    return Answer(status=200, json={"@odata.context": context, "uploadUrl": url, **session_json(session)})


def _check_put_conditions(call: ItemCall, existing: Item | None) -> None:
    try:
        call.check_conditions(existing)
    except GraphError as error:
        # On content the same refusal has another code (OneDrive/onedrive-api-docs#607).
        raise GraphError(412, "notAllowed", error.message) from None


def _check_members(body: dict[str, object], details: dict[str, object]) -> None:
    strange = (body.keys() - _SESSION_MEMBERS) | (details.keys() - _ITEM_MEMBERS)
    if strange:
        raise invalid(f"Unknown member of the upload session: {', '.join(sorted(strange))}.")


def _target(call: ItemCall, existing: Item | None, conflict: Conflict, times: Times) -> Target:
    if not call.address.names:
        return _target_of_item(call, call.item(), conflict, times)
    if existing is not None and (existing.is_folder or conflict is Conflict.FAIL):
        raise name_exists()
    folders, name = call.address.names[:-1], call.address.names[-1]
    anchor = call.anchor()
    parent = call.library.find(folders, below=anchor)
    if parent is None and not call.tenant.options.session_makes_parents:
        raise not_found()
    if parent is not None:
        anchor, folders = parent, ()
    if not anchor.is_folder:
        raise name_exists()
    target = Target(call.library, anchor, folders, name, conflict, call.author, times)
    _check_target(call.library, target)
    return target


def _target_of_item(call: ItemCall, item: Item, conflict: Conflict, times: Times) -> Target:
    if item.is_folder or item.parent is None:
        raise invalid("File name not provided in url.")
    return Target(call.library, item.parent, (), item.name, conflict, call.author, times)


def _check_target(library: Library, target: Target) -> None:
    at_root = target.parent is library.root and not target.folders
    check_new_name(target.name, is_folder=False, at_root=at_root)
    check_path_length(library.site_path, library.url_name, target.path)


def _upload_url(tenant: Tenant, session: UploadSession) -> str:
    server_path = quote(tenant.site_of(session.target.library).options.server_path)
    drive = quote(session.target.library.id, safe="!")
    path = f"/{server_path}/_api/v2.0/drives/{drive}/items/{session.item_id}/uploadSession"
    query = f"guid='{session.guid}'&overwrite=True&rename=False&dc=0&tempauth={session.secret}"
    return f"{tenant.upload_origin}{path}?{query}"
