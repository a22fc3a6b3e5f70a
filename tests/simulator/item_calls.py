"""A call that addresses an item, and what all such calls have in common: looking it up, conditions, JSON bodies."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from simulator.addresses import Address
from simulator.clock import from_text
from simulator.drive import Library
from simulator.exchange import Answer, Exchange
from simulator.graph_errors import GraphError, bad_request, invalid, name_exists, not_found, tag_mismatch
from simulator.item_json import item_json
from simulator.items import Author, Item, Times
from simulator.tenant import Tenant

_JSON_ONLY = "Entity only allows writes with a JSON Content-Type header."
_UNREADABLE = (
    "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format."
)


@dataclass(frozen=True, slots=True)
class ItemCall:
    """A call of AUTHOR on ADDRESS in LIBRARY; `body` is empty for a call whose body is content."""

    tenant: Tenant
    library: Library
    address: Address
    exchange: Exchange
    author: Author
    body: bytes = b""

    def anchor(self) -> Item:
        """The item from which the address's path starts."""
        if self.address.item_id is None:
            return self.library.root
        return self.library.by_id(self.address.item_id)

    def find(self) -> Item | None:
        """The addressed item, if it exists; raise a 404 if even the anchor does not."""
        return self.library.find(self.address.names, below=self.anchor())

    def item(self) -> Item:
        """The addressed item; raise a 404."""
        if item := self.find():
            return item
        raise not_found()

    def parent(self, *, make: bool) -> Item:
        """The folder of the addressed path; MAKE it where it is missing, or raise a 404."""
        folders = self.address.names[:-1]
        parent = self.library.find(folders, below=self.anchor())
        if parent is None and make:
            return self.library.ensure_folders(folders, self.author, below=self.anchor())
        if parent is None:
            raise not_found()
        if not parent.is_folder:
            raise name_exists()
        return parent

    def check_conditions(self, item: Item | None) -> None:
        """Raise a 412 if the request's If-Match or If-None-Match does not hold for ITEM (None: there is none)."""
        tags = {item.etag, item.ctag, "*"} if item else set[str]()
        if_match, if_none_match = self.exchange.header("If-Match"), self.exchange.header("If-None-Match")
        if if_match is not None and if_match not in tags:
            raise tag_mismatch()
        if if_none_match is not None and if_none_match in tags:
            raise tag_mismatch()

    def json(self) -> dict[str, object]:
        """The body's JSON object; raise a 400 for another content type or for what is no object."""
        content_type = (self.exchange.header("Content-Type") or "").partition(";")[0].strip().lower()
        if content_type != "application/json":
            raise bad_request(_JSON_ONLY)
        try:
            document = json.loads(self.body)
        except ValueError:
            raise bad_request(_UNREADABLE) from None
        if not isinstance(document, dict):
            raise bad_request(_UNREADABLE)
        return document

    def answer(self, item: Item, status: int = 200) -> Answer:
        """ITEM as the answer's JSON."""
        return Answer(status=status, json=self.selected(self.item_json(item)))

    def item_json(self, item: Item) -> dict[str, object]:
        """ITEM as JSON, with its context."""
        context = f"{self.tenant.origin}/v1.0/$metadata#drives('{self.library.id}')/root/$entity"
        return {"@odata.context": context, **item_json(self.tenant, self.library, item)}

    def selected(self, document: dict[str, object]) -> dict[str, object]:
        """DOCUMENT cut to what `$select` asks for."""
        select = self.exchange.query.get("$select")
        if select is None:
            return document
        wanted = {name.strip() for name in select.split(",")} | {"@odata.context", "@odata.etag"}
        return {name: value for name, value in document.items() if name in wanted}

    def number(self, option: str, default: int) -> int:
        """The query option OPTION as a positive number; raise a 400 for anything else."""
        text = self.exchange.query.get(option)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit() or int(text) == 0:
            raise bad_request(f"Invalid value '{text}' for the query option {option}.")
        return int(text)


def no_entity_write() -> GraphError:
    """400 for bytes sent to an item itself: the colon before `/content` is missing (OneDrive/onedrive-api-docs#1241)."""
    return bad_request(_JSON_ONLY)


def text_of(document: Mapping[str, object], name: str) -> str | None:
    """The text member NAME of DOCUMENT, None if absent; raise a 400 if it is no text."""
    value = document.get(name)
    if value is None or isinstance(value, str):
        return value
    raise invalid(f"The value of '{name}' is not a string.")


def object_of(document: Mapping[str, object], name: str) -> dict[str, object]:
    """The object member NAME of DOCUMENT, empty if absent; raise a 400 if it is no object."""
    value = document.get(name)
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise invalid(f"The value of '{name}' is not an object.")


def times_of(document: Mapping[str, object]) -> Times:
    """The dates in the `fileSystemInfo` of DOCUMENT; raise a 400 for a date that cannot be read."""
    info = object_of(document, "fileSystemInfo")
    return Times(_time_of(info, "createdDateTime"), _time_of(info, "lastModifiedDateTime"))


def _time_of(info: Mapping[str, object], name: str) -> float | None:
    text = text_of(info, name)
    if text is None:
        return None
    try:
        return from_text(text)
    except ValueError:
        raise invalid(f"The value of '{name}' is not a date and time.") from None
