"""What can be done to items: read, list, make folders, rename, move, delete, set columns, list changes."""

import re
from datetime import datetime
from urllib.parse import unquote

from simulator.addresses import split_names
from simulator.drive import Conflict, conflict_behaviour
from simulator.exchange import Answer
from simulator.graph_errors import GraphError, bad_request, invalid, not_found
from simulator.item_calls import ItemCall, object_of, text_of, times_of
from simulator.item_json import deleted_json, delta_json, download_url, item_json, versions_json
from simulator.items import Item, Times
from simulator.options import CHOICES, ColumnType

_BEHAVIOUR = "@microsoft.graph.conflictBehavior"
_LARGEST_PAGE = 1000
_REFERENCE_PATH = re.compile(r"/?drives?(?:/[^/:]+)?/root:?(?P<path>.*)", re.DOTALL)


def get_item(call: ItemCall) -> Answer:
    """GET an item."""
    return call.answer(call.item())


def list_children(call: ItemCall) -> Answer:
    """GET the children of a folder, sorted by name, in pages."""
    folder = call.item()
    size = min(call.number("$top", call.tenant.options.children_page), _LARGEST_PAGE)
    start = int(call.exchange.query.get("$skiptoken", "0"))
    children = sorted(folder.children.items())
    page = [call.selected(item_json(call.tenant, call.library, child)) for _, child in children[start : start + size]]
    answer: dict[str, object] = {"value": page}
    if start + size < len(children):
        answer["@odata.nextLink"] = _link(call, f"$top={size}&$skiptoken={start + size}")
    return Answer(status=200, json=answer)


def create_folder(call: ItemCall) -> Answer:
    """POST a folder into a folder; without a conflict behaviour an existing name is a 409 on SharePoint."""
    body = call.json()
    parent = call.item()
    if not parent.is_folder:
        raise invalid("Children can be created in folders only.")
    name = text_of(body, "name")
    if name is None or "folder" not in body:
        raise invalid("A folder needs a name and the member 'folder'.")
    conflict = conflict_behaviour(body.get(_BEHAVIOUR), default=Conflict.FAIL)
    written = call.library.make_folder(parent, name, conflict, call.author)
    return call.answer(written.item, 201 if written.is_new else 200)


def update_item(call: ItemCall) -> Answer:
    """PATCH name, parent or dates.

    Not atomic, as the service is not: with an unknown parent the new name stays applied (learn.microsoft.com/answers 854206).
    """
    body = call.json()
    item = call.item()
    call.check_conditions(item)
    conflict = conflict_behaviour(body.get(_BEHAVIOUR), default=Conflict.FAIL)
    name = text_of(body, "name") or item.name
    if "name" in body or "parentReference" in body:
        _move(call, item, name, object_of(body, "parentReference"), conflict)
    times = times_of(body)
    if times != Times():
        call.library.set_times(item, times, call.author)
    return call.answer(item)


def delete_item(call: ItemCall) -> Answer:
    """DELETE an item into the recycle bin."""
    item = call.item()
    call.check_conditions(item)
    call.library.delete(item, hold=call.tenant.options.folder_hold)
    return Answer(status=204)


def delete_permanently(call: ItemCall) -> Answer:
    """POST permanentDelete: the item skips the recycle bin."""
    item = call.item()
    call.check_conditions(item)
    call.library.delete(item, to_bin=False, hold=call.tenant.options.folder_hold)
    return Answer(status=204)


def redirect_to_content(call: ItemCall) -> Answer:
    """GET content: 302 to an address that needs no token."""
    item = call.item()
    if item.is_folder:
        raise invalid("You cannot get content for a folder")
    return Answer(status=302, headers={"Location": download_url(call.tenant, call.library, item)})


def list_versions(call: ItemCall) -> Answer:
    """GET the versions of a file."""
    item = call.item()
    if item.is_folder:
        raise invalid("Folders have no versions.")
    return Answer(status=200, json={"value": versions_json(item)})


def get_fields(call: ItemCall) -> Answer:
    """GET the library columns of an item."""
    item = call.item()
    return Answer(status=200, json={"@odata.etag": item.etag, **item.fields})


def update_fields(call: ItemCall) -> Answer:
    """PATCH library columns by their internal names; a new version each time."""
    item = call.item()
    call.check_conditions(item)
    fields = call.json()
    for name, value in fields.items():
        _check_field(call, name, value)
    call.library.set_fields(item, fields, call.author)
    return get_fields(call)


def list_changes(call: ItemCall) -> Answer:
    """GET delta: everything, or what changed since a token, in pages; 410 for a token from before a reset."""
    if call.item() is not call.library.root:
        raise GraphError(400, "notSupported", "Delta is supported on the root folder only.")
    token = call.exchange.query.get("token", "0")
    if token == "latest":
        return Answer(status=200, json={"value": [], "@odata.deltaLink": _link(call, f"token={call.library.feed_end}")})
    position, is_first_pass = _position(token)
    if token != "0" and position < call.tenant.oldest_delta:
        headers = {"Location": _link(call, "")}
        raise GraphError(410, "resyncChangesApplyDifferences", "Resync required.", headers=headers)
    return _change_page(call, position, is_first_pass=is_first_pass)


def _change_page(call: ItemCall, position: int, *, is_first_pass: bool) -> Answer:
    size = min(call.number("$top", call.tenant.options.delta_page), call.tenant.options.delta_page)
    items, end = call.library.changes(position, size)
    shown = [_change(call, item) for item in items if call.library.is_live(item) or not is_first_pass]
    is_last = end == call.library.feed_end
    mark = "first-" if is_first_pass and not is_last else ""
    link = "@odata.deltaLink" if is_last else "@odata.nextLink"
    return Answer(status=200, json={"value": shown, link: _link(call, f"token={mark}{end}")})


def _change(call: ItemCall, item: Item) -> dict[str, object]:
    if call.library.is_live(item):
        return call.selected(delta_json(call.tenant, call.library, item))
    return deleted_json(call.library, item)


def _position(token: str) -> tuple[int, bool]:
    digits = token.removeprefix("first-")
    if not digits.isascii() or not digits.isdigit():
        raise invalid("The delta token is malformed.")
    return int(digits), token.startswith("first-") or token == "0"


def _move(call: ItemCall, item: Item, name: str, reference: dict[str, object], conflict: Conflict) -> None:
    try:
        parent = _parent(call, reference) if reference else item.parent
    except GraphError:
        call.library.rename(item, name, conflict, call.author)
        raise
    call.library.move(item, parent or call.library.root, name, conflict, call.author)


def _parent(call: ItemCall, reference: dict[str, object]) -> Item:
    drive_id, item_id, path = (text_of(reference, name) for name in ("driveId", "id", "path"))
    if drive_id not in (None, call.library.id):
        raise invalid("Cross-drive moves are not supported.")
    if item_id is not None:
        return call.library.by_id(item_id)
    match = _REFERENCE_PATH.fullmatch(path or "")
    if match is None:
        raise invalid("The parentReference needs an id or a path.")
    below = match["path"].strip("/")
    parent = call.library.find(split_names(below) if below else ())
    if parent is None:
        raise not_found(f"The folder {unquote(below)!r} could not be found.")
    return parent


def _check_field(call: ItemCall, name: str, value: object) -> None:
    column = call.tenant.options.columns.get(name)
    if column is None:
        raise invalid(f"Field '{name}' is not recognized")
    if value is not None and not _fits(column, value):
        raise bad_request(f"The value of the field '{name}' does not fit the column's type.")


def _fits(column: ColumnType, value: object) -> bool:
    match column:
        case ColumnType.TEXT:
            return isinstance(value, str)
        case ColumnType.NUMBER:
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case ColumnType.BOOLEAN:
            return isinstance(value, bool)
        case ColumnType.DATE_TIME:
            return isinstance(value, str) and _is_time(value)
        case ColumnType.CHOICE:
            return value in CHOICES


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _link(call: ItemCall, query: str) -> str:
    url = call.tenant.origin + call.exchange.raw_path
    return f"{url}?{query}" if query else url
