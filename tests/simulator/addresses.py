"""The grammar of Graph's URLs below a drive: items by id or by path, and what is asked of them.

`drives/{id}/root:/a/b:/content` addresses by path: the colon after the path is needed before a further segment, each
name is percent-encoded on its own. Sources: "Address resources in a drive" (OneDrive/onedrive-api-docs); the answers to
mistakes are those of OneDrive/onedrive-api-docs#1241 and microsoftgraph/msgraph-sdk-dotnet#2565.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from simulator.graph_errors import bad_request, invalid, unknown_segment
from simulator.names import check_characters

SUFFIXES = frozenset(
    {
        "",
        "children",
        "content",
        "createUploadSession",
        "delta",
        "listItem/fields",
        "permanentDelete",
        "versions",
    }
)

_ANCHOR = re.compile(r"(?P<anchor>root|items/(?P<id>[^/:]+))(?P<colon>:?)(?P<tail>.*)", re.DOTALL)
_ENCODED_SLASH = re.compile(r"%(?:2f|5c)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Address:
    """An item: the path NAMES below the item ITEM_ID (None: the root), and the SUFFIX that says what is asked."""

    item_id: str | None
    names: tuple[str, ...]
    suffix: str


def parse_address(raw: str) -> Address:
    """The address in RAW, what follows `drives/{id}/` in the URL as it was sent; raise a 400 for a grammar mistake."""
    match = _ANCHOR.fullmatch(raw)
    if match is None:
        raise _stray(raw)
    item_id = None if match["id"] in (None, "root") else unquote(match["id"] or "")
    if match["colon"]:
        names, suffix = _path_and_suffix(match["anchor"], match["tail"])
        return Address(item_id, names, suffix)
    return Address(item_id, (), _known_suffix(match["tail"]))


def split_names(raw_path: str) -> tuple[str, ...]:
    """The decoded names of RAW_PATH, each percent-encoded on its own; raise a 400 for what can be no path."""
    if _ENCODED_SLASH.search(raw_path):
        raise invalid("Name specified in the path doesn't match the name of any item.")
    names = tuple(_decoded(segment) for segment in raw_path.split("/"))
    for name in names:
        check_characters(name)
    return names


def _path_and_suffix(anchor: str, tail: str) -> tuple[tuple[str, ...], str]:
    if not tail:
        return (), ""
    if not tail.startswith("/"):
        raise unknown_segment(f"{anchor}:{tail}".partition("/")[0])
    path, _, rest = tail[1:].partition(":")
    names = split_names(path) if path else ()
    return names, _known_suffix(rest)


def _known_suffix(tail: str) -> str:
    suffix = tail.removeprefix("/")
    if suffix not in SUFFIXES or tail != (suffix and f"/{suffix}"):
        raise unknown_segment(tail)
    return suffix


def _decoded(segment: str) -> str:
    try:
        return unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise bad_request("The URL is not encoded in UTF-8.") from None


def _stray(raw: str) -> Exception:
    if raw == "items":
        return invalid("The 'filter' query option must be provided.")
    return unknown_segment(raw.partition("/")[0])
