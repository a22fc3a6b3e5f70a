"""The keys that the users of a soak write to, and where each of them belongs in the library.

Written down here and not asked of the service: this is what its work is judged by.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from unicodedata import normalize

PLAIN_BUCKET = "lycee"
VERSIONED_BUCKET = "versions"
BUCKETS = (PLAIN_BUCKET, VERSIONED_BUCKET)

FOLDERS = MappingProxyType(
    {"administration/": "administration/", "bts-sio/": "bts-sio/", "archives/2024/": "Archives/2024/"}
)
"""The prefixes that are mirrored, with their folders below the folder of their bucket."""

ANNOUNCED_ONLY = "private/"
OUTSIDE = (f"{ANNOUNCED_ONLY}diary.txt", f"{ANNOUNCED_ONLY}a/b.bin", "administration2/x.bin", "archives/2023/old.bin")
"""Keys that the service has no business with; MinIO tells of the first two all the same."""

_REPORTS = tuple(f"report {number:02}.bin" for number in range(16))
_NAMES = MappingProxyType(
    {
        **{name: name for name in _REPORTS},
        "year 1/group a/marks.bin": "year 1/group a/marks.bin",
        "year 1/group b/marks.bin": "year 1/group b/marks.bin",
        "minutes.docx": "minutes.docx",
        "été à la mer.txt": "été à la mer.txt",
        "50% + 3 & #1 = ok;.txt": "50% + 3 & #1 = ok;.txt",
        "日本語/🎒.bin": "日本語/🎒.bin",
        'what? "this" <now>.txt': "what？ ＂this＂ ＜now＞.txt",
        "a:b|c*d.bin": "a：b｜c＊d.bin",
        "back\\slash.txt": "back＼slash.txt",
        " leads.txt": "␠leads.txt",
        "trails ": "trails␠",
        "stops.": "stops．",
        "~tilde.txt": "～tilde.txt",
        "CON": "‛43ON",
        "x_vti_y.txt": "x‛5Fvti_y.txt",
    }
)
# Groups of which SharePoint has room for one: case twins, the two Unicode forms, a file against a folder.
_TWINS = (
    ("Twin.txt", "twin.TXT", "TWIN.txt"),
    ("caf\u00e9.bin", "cafe\u0301.bin"),
    ("place", "place/inside.txt", "PLACE/deeper/far.bin"),
)
SHELVES = ("shelf/", "moved shelf/")
"""Folders that are renamed to each other."""

EMPTY_SHELF = "empty shelf"
"""A folder with a marker, and never with anything in it."""

_ON_A_SHELF = ("leaf.bin", "sub/book.bin")
_MARKERS = (*SHELVES, *(f"{shelf}sub/" for shelf in SHELVES), f"{EMPTY_SHELF}/", "")


def _files() -> Iterator[tuple[str, str]]:
    yield from _NAMES.items()
    yield from ((name, normalize("NFC", name)) for group in _TWINS for name in group)
    yield from ((shelf + name, shelf + name) for shelf in SHELVES for name in _ON_A_SHELF)


FILES = tuple(prefix + name for prefix in FOLDERS for name, _ in _files())
"""Keys of files."""

TWINS = tuple(tuple(prefix + name for name in group) for prefix in FOLDERS for group in _TWINS)
"""Groups of keys that want one place."""

MARKERS = tuple(prefix + name for prefix in FOLDERS for name in _MARKERS)
"""Keys of folder markers, those of the routed folders themselves included."""

_PATHS = {
    prefix + name: folder + stored
    for prefix, folder in FOLDERS.items()
    for name, stored in (*_files(), *((name, name) for name in _MARKERS))
}


def path_of(bucket: str, key: str) -> str | None:
    """The place in the library of KEY, a folder's without its slash; None for a key that is not mirrored."""
    path = _PATHS.get(key)
    return None if path is None else f"{bucket}/{path}".removesuffix("/")


def is_marker(key: str) -> bool:
    """True for the key of a folder."""
    return key.endswith("/")


def place_of(path: str) -> str:
    """Equal for two paths that SharePoint takes for one."""
    return normalize("NFC", path).casefold()


def foreign_files() -> Mapping[str, bytes]:
    """What somebody keeps in SharePoint in the mirror's own folders, by path; no key leads to any of it."""
    names = ("of a teacher.docx", "shelf/of a teacher.txt", "empty shelf of a teacher/notes.txt")
    paths = [f"{bucket}/{folder}{name}" for bucket in BUCKETS for folder in FOLDERS.values() for name in names]
    return {path: f"Somebody's own: {path}".encode() for path in paths}
