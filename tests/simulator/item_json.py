"""Drives, items and sessions as Graph writes them in JSON."""

import mimetypes
from urllib.parse import quote

from simulator.clock import to_text
from simulator.drive import Library
from simulator.items import Author, Item
from simulator.options import CHOICES, ColumnType
from simulator.tenant import Site, Tenant
from simulator.upload_sessions import UploadSession

Json = dict[str, object]


def site_json(site: Site) -> Json:
    """A site."""
    name = site.options.server_path.rpartition("/")[2]
    return {
        "id": site.id,
        "name": name,
        "displayName": name.capitalize(),
        "webUrl": site.web_url,
        "createdDateTime": "2024-09-01T08:00:00Z",
        "siteCollection": {"hostname": site.options.host},
        "root": {},
    }


def drive_json(site: Site, library: Library) -> Json:
    """A library; `name` is the title people see, the last segment of `webUrl` the name that stays."""
    return {
        "id": library.id,
        "driveType": "documentLibrary",
        "name": library.name,
        "webUrl": f"{site.web_url}/{quote(library.url_name)}",
        "createdDateTime": "2024-09-01T08:00:00Z",
        "owner": {"group": {"displayName": site.options.server_path}},
        "quota": {"state": "normal", "total": 27_487_790_694_400, "used": library.root.size},
    }


def item_json(tenant: Tenant, library: Library, item: Item) -> Json:
    """A drive item with all that SharePoint reports of it."""
    site = tenant.site_of(library)
    library_url = f"{site.web_url}/{quote(library.url_name)}"
    document: Json = {
        "id": item.id,
        "name": item.name,
        "size": item.size,
        "eTag": item.etag,
        "createdDateTime": to_text(item.created),
        "lastModifiedDateTime": to_text(item.modified),
        "createdBy": _author_json(item.author),
        "lastModifiedBy": _author_json(item.editor),
        "fileSystemInfo": {
            "createdDateTime": to_text(item.times.created or item.created),
            "lastModifiedDateTime": to_text(item.times.modified or item.modified),
        },
        "webUrl": f"{library_url}/{quote(item.path)}" if item.parent else library_url,
        "parentReference": _parent_json(site, library, item),
    }
    if item.parent is None:
        document["root"] = {}
    document.update(_facet(tenant, library, item))
    return document


def delta_json(tenant: Tenant, library: Library, item: Item) -> Json:
    """An item in a delta page: SharePoint leaves out `cTag` and the parent's path there."""
    document = item_json(tenant, library, item)
    document.pop("cTag", None)
    parent = document["parentReference"]
    if isinstance(parent, dict):
        parent.pop("path", None)
    return document


def deleted_json(library: Library, item: Item) -> Json:
    """A deleted item in a delta page, which has no name."""
    reference: Json = {"driveId": library.id, "driveType": "documentLibrary"}
    if item.parent is not None:
        reference["id"] = item.parent.id
    return {"id": item.id, "deleted": {"state": "deleted"}, "parentReference": reference}


def versions_json(item: Item) -> list[Json]:
    """The versions of a file, the present one first."""
    present: Json = {
        "id": f"{len(item.versions) + 1}.0",
        "lastModifiedDateTime": to_text(item.modified),
        "size": item.size,
    }
    earlier: list[Json] = [
        {"id": f"{version.number}.0", "lastModifiedDateTime": to_text(version.modified), "size": version.size}
        for version in reversed(item.versions)
    ]
    return [present, *earlier]


def session_json(session: UploadSession) -> Json:
    """Where an upload session stands."""
    return {"expirationDateTime": to_text(session.expires_at), "nextExpectedRanges": session.expected_ranges()}


def download_url(tenant: Tenant, library: Library, item: Item) -> str:
    """The pre-authenticated address of ITEM's bytes."""
    server_path = quote(tenant.site_of(library).options.server_path)
    query = tenant.links.query(library.id, item.id)
    return f"{tenant.upload_origin}/{server_path}/_layouts/15/download.aspx?{query}"


def _facet(tenant: Tenant, library: Library, item: Item) -> Json:
    if item.content is None:
        return {"folder": {"childCount": len(item.children)}}
    mime_type = mimetypes.guess_type(item.name)[0] or "application/octet-stream"
    file: Json = {"mimeType": mime_type}
    # Empty files come without a hash (OneDrive/onedrive-api-docs#1704).
    if item.content.size:
        file["hashes"] = {"quickXorHash": item.content.quickxor}
    return {
        "cTag": item.ctag,
        "file": file,
        "@microsoft.graph.downloadUrl": download_url(tenant, library, item),
    }


def _author_json(author: Author) -> Json:
    if author.application_id is not None:
        return {"application": {"id": author.application_id, "displayName": "Registered application"}}
    return {"user": {"displayName": author.person, "email": "person@contoso.com"}}


def _parent_json(site: Site, library: Library, item: Item) -> Json:
    reference: Json = {"driveId": library.id, "driveType": "documentLibrary", "siteId": site.id}
    if item.parent is not None:
        below = f"/{quote(item.parent.path)}" if item.parent.parent else ""
        reference["id"] = item.parent.id
        reference["name"] = item.parent.name
        reference["path"] = f"/drives/{library.id}/root:{below}"
    return reference


_FACETS: dict[ColumnType, Json] = {
    ColumnType.TEXT: {"text": {"allowMultipleLines": False, "maxLength": 255}},
    ColumnType.NUMBER: {"number": {"decimalPlaces": "automatic"}},
    ColumnType.BOOLEAN: {"boolean": {}},
    ColumnType.DATE_TIME: {"dateTime": {"format": "dateOnly"}},
    ColumnType.CHOICE: {"choice": {"allowTextEntry": False, "choices": list(CHOICES)}},
}


def column_json(name: str, kind: ColumnType) -> Json:
    """A columnDefinition, whose facet says of what type it is."""
    return {"name": name, "displayName": name, "readOnly": False, **_FACETS[kind]}
