"""Property promotion: SharePoint writes library properties into Office documents, whose size and hash then change."""

from hashlib import sha256

from simulator.contents import Content
from simulator.drive import Library
from simulator.items import Item
from simulator.tenant import Tenant

_EXTENSIONS = (".docx", ".xlsx", ".pptx")
_PROMOTED = b"<customXml>properties promoted by the library</customXml>"


def is_office_document(name: str) -> bool:
    """True for the formats that SharePoint opens and rewrites."""
    return name.lower().endswith(_EXTENSIONS)


def rewrite(tenant: Tenant, library: Library, item: Item) -> None:
    """Make the document ITEM grow, with another hash and new tags, if it is one."""
    content = item.content
    if content is None or not is_office_document(item.name):
        return
    library.rewrite(item, _promoted(tenant, content))


def _promoted(tenant: Tenant, content: Content) -> Content:
    writer = tenant.store.writer()
    try:
        for piece in content.pieces():
            writer.write(piece)
    except LookupError:
        # Without the bytes any other hash will do.
        writer.write(sha256(content.quickxor.encode()).digest())
    writer.write(_PROMOTED)
    promoted = writer.finish()
    return Content(content.size + len(_PROMOTED), promoted.quickxor, promoted.data, promoted.path)
