"""Files and folders of a library as the simulator holds them, and the snapshot of one that tests read."""

import base64
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from simulator.contents import Content
from simulator.names import comparison_key


@dataclass(frozen=True, slots=True)
class Author:
    """Who made or changed an item: an application by its client id, or a person by name."""

    application_id: str | None = None
    person: str | None = None


@dataclass(frozen=True, slots=True)
class Times:
    """`fileSystemInfo`: the dates that a client may set, in Unix seconds; None leaves the date as it is."""

    created: float | None = None
    modified: float | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """An earlier state of a file."""

    number: int
    size: int
    modified: float


@dataclass(slots=True, eq=False, kw_only=True)
class Item:
    """A live file (with `content`) or folder; `tag` grows with each change, `content_tag` with each change of bytes."""

    name: str
    parent: "Item | None"
    content: Content | None
    author: Author
    editor: Author
    created: float
    modified: float
    times: Times
    id: str = field(default_factory=lambda: f"01{_base32(20)}")
    guid: str = field(default_factory=lambda: str(uuid.uuid4()).upper())
    tag: int = 1
    content_tag: int = 1
    children: "dict[str, Item]" = field(default_factory=dict)
    versions: list[Version] = field(default_factory=list)
    fields: dict[str, object] = field(default_factory=dict)

    @property
    def is_folder(self) -> bool:
        """True for a folder, the root included."""
        return self.content is None

    @property
    def size(self) -> int:
        """The bytes of a file, or of all files below a folder."""
        if self.content is not None:
            return self.content.size
        return sum(child.size for child in self.children.values())

    @property
    def etag(self) -> str:
        """The tag of the item with its metadata, quotes included."""
        return f'"{{{self.guid}}},{self.tag}"'

    @property
    def ctag(self) -> str:
        """The tag of the content alone, quotes included."""
        return f'"c:{{{self.guid}}},{self.content_tag}"'

    @property
    def path(self) -> str:
        """The path below the library's root, without a leading slash; empty for the root."""
        names = [self.name]
        folder = self.parent
        while folder is not None:
            names.append(folder.name)
            folder = folder.parent
        return "/".join(reversed(names[:-1]))

    def child(self, name: str) -> "Item | None":
        """The child called NAME in any case."""
        return self.children.get(comparison_key(name))

    def walk(self) -> "Iterator[Item]":
        """The item and everything below it, parents first."""
        yield self
        for child in self.children.values():
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class StoredItem:
    """What a test sees of an item; `size` and `quickxor` are None for a folder, `versions` counts the present one too."""

    id: str
    path: str
    name: str
    is_folder: bool
    size: int | None
    quickxor: str | None
    versions: int
    recycled: bool
    etag: str
    ctag: str
    created: float
    modified: float
    author: Author
    editor: Author
    fields: Mapping[str, object]


def snapshot(item: Item, *, path: str, recycled: bool = False) -> StoredItem:
    """ITEM as it is now; `created` and `modified` are those of `fileSystemInfo`, in Unix seconds."""
    content = item.content
    return StoredItem(
        id=item.id,
        path=path,
        name=item.name,
        is_folder=item.is_folder,
        size=content.size if content else None,
        quickxor=content.quickxor if content else None,
        versions=len(item.versions) + 1,
        recycled=recycled,
        etag=item.etag,
        ctag=item.ctag,
        created=item.times.created or item.created,
        modified=item.times.modified or item.modified,
        author=item.author,
        editor=item.editor,
        fields=dict(item.fields),
    )


def new_drive_id() -> str:
    """A drive id in SharePoint's form."""
    return "b!" + base64.urlsafe_b64encode(os.urandom(48)).decode()


def _base32(length: int) -> str:
    return base64.b32encode(os.urandom(length)).decode()
