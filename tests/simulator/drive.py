"""A document library in memory: items by id and by path, versions, recycle bin and the feed of changes.

Methods raise `GraphError` as SharePoint would answer. The caller holds the tenant's lock.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from simulator.contents import Content
from simulator.graph_errors import GraphError, bad_request, denied, invalid, name_exists, not_found
from simulator.items import Author, Item, Times, Version, new_drive_id
from simulator.names import check_new_name, check_path_length, comparison_key


class Conflict(Enum):
    """`@microsoft.graph.conflictBehavior`."""

    FAIL = "fail"
    REPLACE = "replace"
    RENAME = "rename"


@dataclass(frozen=True, slots=True)
class Recycled:
    """An item in the recycle bin and the path at which it was deleted."""

    path: str
    item: Item


@dataclass(frozen=True, slots=True)
class Written:
    """The outcome of a write: the item, and whether it is new (201) or was there before (200)."""

    item: Item
    is_new: bool


class Library:
    """One document library of one site."""

    def __init__(self, *, site_path: str, name: str, url_name: str, clock: Callable[[], float]) -> None:
        self.id = new_drive_id()
        self.site_path = site_path
        self.name = name
        self.url_name = url_name
        self.recycled: list[Recycled] = []
        self._clock = clock
        self._feed: list[str] = []
        self._latest: dict[str, int] = {}
        self._deleted: dict[str, Item] = {}
        system = Author(person="System Account")
        self.root = self._make(name="root", parent=None, content=None, author=system, times=Times())
        self._items = {self.root.id: self.root}
        self._changed(self.root)

    # Reading

    def by_id(self, item_id: str) -> Item:
        """The live item with ITEM_ID, whose case matters; raise a 404."""
        if item := self.live(item_id):
            return item
        raise not_found()

    def live(self, item_id: str) -> Item | None:
        """The live item with ITEM_ID, if there is one."""
        return self._items.get(item_id)

    def find(self, names: Sequence[str], below: Item | None = None) -> Item | None:
        """The item at the path NAMES below the root or the item BELOW, in any case."""
        item: Item | None = below or self.root
        for name in names:
            item = item.child(name) if item else None
        return item

    def bin_item(self, item_id: str) -> Recycled | None:
        """What the recycle bin holds under ITEM_ID."""
        return next((recycled for recycled in self.recycled if recycled.item.id == item_id), None)

    # Writing

    def ensure_folders(self, names: Sequence[str], author: Author, below: Item | None = None) -> Item:
        """The folder at the path NAMES, made where it is missing; raise a 409 where a file is in the way."""
        folder = below or self.root
        for name in names:
            folder = folder.child(name) or self._add(folder, name, None, author, Times()).item
            if not folder.is_folder:
                raise name_exists()
        return folder

    def make_folder(self, parent: Item, name: str, conflict: Conflict, author: Author) -> Written:
        """Create a folder; "replace" finds the existing one (OneDrive/onedrive-api-docs#1144), a file is never replaced."""
        existing = parent.child(name)
        if existing is None:
            return self._add(parent, name, None, author, Times())
        if conflict is Conflict.RENAME:
            return self._add(parent, _free_name(parent, name), None, author, Times())
        if conflict is Conflict.REPLACE and existing.is_folder:
            return Written(existing, is_new=False)
        raise name_exists()

    def write_file(
        self,
        parent: Item,
        name: str,
        content: Content,
        *,
        conflict: Conflict,
        author: Author,
        times: Times | None = None,
    ) -> Written:
        """Store CONTENT as PARENT/NAME; the dates become those of TIMES, or now."""
        existing = parent.child(name)
        times = times or Times()
        if existing is None:
            return self._add(parent, name, content, author, times)
        if conflict is Conflict.RENAME:
            return self._add(parent, _free_name(parent, name), content, author, times)
        if conflict is Conflict.FAIL or existing.is_folder:
            raise name_exists()
        return Written(self.write_content(existing, content, author=author, times=times), is_new=False)

    def write_content(self, item: Item, content: Content, *, author: Author, times: Times) -> Item:
        """Give the file ITEM a new version that holds CONTENT."""
        if item.is_folder:
            raise name_exists()
        self._new_version(item)
        item.content = content
        item.content_tag += 1
        item.times = Times(created=times.created or item.times.created, modified=times.modified)
        return self._touch(item, author)

    def rewrite(self, item: Item, content: Content) -> None:
        """Change the bytes of ITEM the way SharePoint's property promotion does: new tags, no new version."""
        item.content = content
        item.content_tag += 1
        item.tag += 1
        self._changed(item)

    def set_times(self, item: Item, times: Times, author: Author) -> Item:
        """Set the dates of ITEM; on SharePoint that costs a version (rclone/rclone#1716)."""
        self._new_version(item)
        merged = Times(created=times.created or item.times.created, modified=times.modified or item.times.modified)
        self._touch(item, author)
        item.times = merged
        return item

    def set_fields(self, item: Item, fields: dict[str, object], author: Author) -> Item:
        """Set library columns of ITEM; costs a version too."""
        self._new_version(item)
        item.fields.update(fields)
        return self._touch(item, author)

    def rename(self, item: Item, name: str, conflict: Conflict, author: Author) -> Item:
        """Give ITEM another name in its folder."""
        return self.move(item, item.parent or self.root, name, conflict, author)

    def move(self, item: Item, parent: Item, name: str, conflict: Conflict, author: Author) -> Item:
        """Put ITEM into PARENT as NAME; it keeps its id and versions."""
        if item.parent is None or not parent.is_folder or item in _ancestors(parent):
            raise invalid("The item cannot be moved there.")
        name = self._cleared_name(item, parent, name, conflict)
        self._check_subtree(item, parent, name)
        del item.parent.children[comparison_key(item.name)]
        item.parent, item.name = parent, name
        parent.children[comparison_key(name)] = item
        item.times = replace(item.times, modified=None)
        return self._touch(item, author)

    def delete(self, item: Item, *, to_bin: bool = True, hold: bool = False) -> None:
        """Remove ITEM with everything below it; with HOLD a folder that is not empty is kept (abraunegg/onedrive#338)."""
        if item.parent is None:
            raise GraphError(403, "accessDenied", "The root folder cannot be deleted.")
        if hold and item.children:
            raise denied(
                "Request was cancelled by event received. If attempting to delete a non-empty folder, empty it."
            )
        if to_bin:
            self.recycled.append(Recycled(item.path, item))
        del item.parent.children[comparison_key(item.name)]
        for gone in item.walk():
            del self._items[gone.id]
            self._deleted[gone.id] = gone
            self._changed(gone)

    # The feed of changes

    @property
    def feed_end(self) -> int:
        """The position after the newest change."""
        return len(self._feed)

    def changes(self, start: int, limit: int) -> tuple[list[Item], int]:
        """Up to LIMIT changed items from position START on, and the position after the last of them."""
        items: list[Item] = []
        position = start
        while position < len(self._feed) and len(items) < limit:
            item_id = self._feed[position]
            if self._latest[item_id] == position:
                items.append(self._items.get(item_id) or self._deleted[item_id])
            position += 1
        return items, position

    def is_live(self, item: Item) -> bool:
        """True unless ITEM was deleted."""
        return item.id in self._items

    def _changed(self, item: Item) -> None:
        self._latest[item.id] = len(self._feed)
        self._feed.append(item.id)

    # Parts

    def _make(self, *, name: str, parent: Item | None, content: Content | None, author: Author, times: Times) -> Item:
        now = float(int(self._clock()))
        return Item(
            name=name,
            parent=parent,
            content=content,
            author=author,
            editor=author,
            created=now,
            modified=now,
            times=times,
        )

    def _add(self, parent: Item, name: str, content: Content | None, author: Author, times: Times) -> Written:
        if not parent.is_folder:
            raise name_exists()
        check_new_name(name, is_folder=content is None, at_root=parent is self.root)
        self._check_length(parent, name)
        item = self._make(name=name, parent=parent, content=content, author=author, times=times)
        parent.children[comparison_key(name)] = item
        self._items[item.id] = item
        self._changed(item)
        return Written(item, is_new=True)

    def _check_length(self, parent: Item, name: str) -> None:
        path = f"{parent.path}/{name}" if parent.parent else name
        check_path_length(self.site_path, self.url_name, path)

    def _check_subtree(self, item: Item, parent: Item, name: str) -> None:
        check_new_name(name, is_folder=item.is_folder, at_root=parent is self.root)
        own_length = len(item.path)
        for below in item.walk():
            self._check_length(parent, name + below.path[own_length:])

    def _cleared_name(self, item: Item, parent: Item, name: str, conflict: Conflict) -> str:
        existing = parent.child(name)
        if existing is None or existing is item:
            return name
        if conflict is Conflict.RENAME:
            return _free_name(parent, name)
        if conflict is Conflict.FAIL or existing.is_folder or item.is_folder:
            raise name_exists()
        self.delete(existing, to_bin=False)
        return name

    def _new_version(self, item: Item) -> None:
        if item.content is not None:
            item.versions.append(Version(len(item.versions) + 1, item.content.size, item.modified))

    def _touch(self, item: Item, author: Author) -> Item:
        item.tag += 1
        item.editor = author
        item.modified = float(int(self._clock()))
        self._changed(item)
        return item


def conflict_behaviour(value: object, *, default: Conflict) -> Conflict:
    """The behaviour that VALUE names, DEFAULT for None; raise a 400 for any other word, such as "overwrite"."""
    if value is None:
        return default
    try:
        return Conflict(value)
    except ValueError:
        raise bad_request(f"'{value}' is not a valid value for @microsoft.graph.conflictBehavior.") from None


def _ancestors(item: Item) -> list[Item]:
    chain = [item]
    while chain[-1].parent is not None:
        chain.append(chain[-1].parent)
    return chain


def _free_name(parent: Item, name: str) -> str:
    stem, dot, extension = name.rpartition(".")
    stem, suffix = (stem, dot + extension) if stem else (name, "")
    number = 1
    while parent.child(f"{stem} {number}{suffix}"):
        number += 1
    return f"{stem} {number}{suffix}"
