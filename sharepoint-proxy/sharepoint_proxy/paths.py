"""Where a key goes: which folder of the library, and under which name SharePoint accepts.

Names are mapped as rclone maps them for OneDrive (its `--onedrive-encoding`, rclone.org/overview/#encoding), so that a
library filled by rclone and one filled by the mirror look the same: a character that SharePoint refuses becomes its
full-width or "symbol for" stand-in, and a stand-in that was in the key already is preceded by the quote U+201B.
Where rclone sends a name that SharePoint reserves (`CON`, `.lock`, `_vti_`), or one that rclone itself cannot read back,
one character is written in rclone's other notation, U+201B and two hexadecimal digits for each byte of its UTF-8. Rclone
turns that back as well, so it lists the original key in every case.

What SharePoint refuses: support.microsoft.com, "Restrictions and limitations in OneDrive and SharePoint"; for white
space other than the plain space OneDrive/onedrive-api-docs#1488.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from unicodedata import normalize

from sharepoint_proxy import globs
from sharepoint_proxy.errors import ConfigError, NameRefusedError

MAX_PATH_CHARACTERS = 400
"""The longest server-relative path, counted by `path_length`; site and library are part of it, and the caller adds them."""
MAX_SEGMENT_CHARACTERS = 255
"""The longest name of a file or folder, counted by `path_length`."""

_QUOTE = "\u201b"
_SPACE, _TILDE, _PERIOD = "\u2420", "\uff5e", "\uff0e"
_STAND_INS = {
    **{chr(code): chr(0x2400 + code) for code in range(0x20)},
    "\x7f": "\u2421",
    **{character: chr(0xFEE0 + ord(character)) for character in '"*/:<>?\\|'},
}
_ORIGINALS = {stand_in: character for character, stand_in in _STAND_INS.items()}
_ANYWHERE = str.maketrans(_STAND_INS | {quoted: _QUOTE + quoted for quoted in (_QUOTE, *_ORIGINALS)})
_LEADING = {" ": _SPACE, "~": _TILDE, _SPACE: _QUOTE + _SPACE, _TILDE: _QUOTE + _TILDE}
_TRAILING = {" ": _SPACE, ".": _PERIOD, _SPACE: _QUOTE + _SPACE, _PERIOD: _QUOTE + _PERIOD}
_WHOLE = {
    ".": _PERIOD,
    "..": _PERIOD * 2,
    _PERIOD: _QUOTE + _PERIOD,
    _PERIOD * 2: (_QUOTE + _PERIOD) * 2,
    _PERIOD + ".": _PERIOD + _QUOTE + "2E",  # rclone gives it the name of "..", and reads that back
}

_WHITE_SPACE = "\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_RESERVED_NAMES = r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|\Z)|(?:\.lock|desktop\.ini)\Z"
_WITHOUT_CASE = re.ASCII | re.IGNORECASE
_STAND_IN = f"[{''.join(_ORIGINALS)}]"
_REFUSED = re.compile(rf'[\0-\x1f\x7f"*/:<>?\\|\ud800-\udfff]|\A[ ~{_WHITE_SPACE}]|[ .{_WHITE_SPACE}]\Z')
# Each match is the one character that is to be escaped
_RESERVED = re.compile(rf"\A[{_WHITE_SPACE}]|[{_WHITE_SPACE}]\Z|_(?=vti_)|\A(?={_RESERVED_NAMES}).", _WITHOUT_CASE)
_RESERVED_AT_ROOT = re.compile(rf"{_RESERVED.pattern}|\A(?=forms\Z).", _WITHOUT_CASE)
_NEEDS_WORK = re.compile(
    rf"{_REFUSED.pattern}|{_RESERVED_AT_ROOT.pattern}|{_QUOTE}|{_STAND_IN}|\A[{_SPACE}{_TILDE}]|[{_SPACE}{_PERIOD}]\Z",
    _WITHOUT_CASE,
)

_ENCODED = re.compile(
    rf"(?P<bytes>(?:{_QUOTE}[0-9A-Fa-f]{{2}})+)|{_QUOTE}(?P<quoted>{_QUOTE}|{_STAND_IN})|{_STAND_IN}"
    rf"|\A{_QUOTE}?[{_SPACE}{_TILDE}]|{_QUOTE}?[{_SPACE}{_PERIOD}]\Z"
)
_DECODED = _ORIGINALS | {stored: edge for edge, stored in (_LEADING | _TRAILING).items()}
_DECODED_WHOLE = {_WHOLE[name]: name for name in ("..", _PERIOD * 2)}


def encode_segment(name: str, *, at_root: bool = False) -> str:
    """The name in SharePoint of the key segment NAME; `decode_segment` makes NAME's NFC of it again.

    AT_ROOT says that it is the first of its library path, where SharePoint keeps `forms` for itself.
    """
    name = normalize("NFC", name)
    if not _NEEDS_WORK.search(name):
        return name
    reserved = _RESERVED_AT_ROOT if at_root else _RESERVED
    return reserved.sub(lambda match: _escape(match[0]), _with_stand_ins(name))


def decode_segment(stored: str) -> str:
    """The key segment whose name in SharePoint is STORED; a notation that `encode_segment` never writes stays as it is."""
    return _DECODED_WHOLE.get(stored) or _ENCODED.sub(_decoded, stored)


def _with_stand_ins(name: str) -> str:
    if name in _WHOLE:
        return _WHOLE[name]
    head = _LEADING.get(name[:1], "")
    body = name[1:] if head else name
    tail = _TRAILING.get(body[-1:], "")
    if tail:
        body, last = body[:-1], body[-1]
        # rclone takes any quote before the last stand-in for that stand-in's own
        tail = _escape(last) if body.endswith(_QUOTE) and len(tail) == 1 else tail
    return head + body.translate(_ANYWHERE) + tail


def _escape(character: str) -> str:
    return "".join(f"{_QUOTE}{byte:02X}" for byte in character.encode())


def _decoded(match: re.Match[str]) -> str:
    if not match["bytes"]:
        return match["quoted"] or _DECODED[match[0]]
    try:
        return bytes.fromhex(match[0].replace(_QUOTE, "")).decode()
    except UnicodeDecodeError:
        return match[0]


def comparison_key(path: str) -> str:
    """Two library paths are the same place for SharePoint when this is equal for both.

    SharePoint matches names without case, by a rule it does not publish. Upper case and then full case folding unite
    most, which errs on the safe side: two keys wrongly held to be one place are refused, and never overwrite each other.
    """
    if path.isascii():
        return path.lower()
    return normalize("NFC", normalize("NFD", path).upper().casefold())


def path_length(path: str) -> int:
    """The characters of PATH as SharePoint counts them: assumed to be UTF-16 code units, as elsewhere in Windows."""
    return len(path.encode("utf-16-le", "surrogatepass")) // 2


def split_library(name: str) -> tuple[str, str]:
    """The alias of the library that NAME is in, and the rest of it; NAME is a path or the id of an item.

    In other libraries than the main one, whose alias is "", both begin with the alias and a colon, which no name in SharePoint
    holds: "compta:/2026/x.pdf", "compta:" for the library's root, "compta:01ABC" for an item.
    """
    alias, mark, rest = name.partition(":")
    return (alias, rest.removeprefix("/")) if mark else ("", name)


@dataclass(frozen=True, slots=True)
class Route:
    """The keys of BUCKET that begin with PREFIX ("" = all) go to FOLDER ("" = the root of the main library).

    INCLUDE (none = everything) and EXCLUDE are globs over the key below the prefix. A route that KEEPS_FILES leaves them in
    SharePoint when their objects go.
    """

    bucket: str
    prefix: str
    folder: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    keeps_files: bool = False

    def takes(self, key: str) -> bool:
        """True if the globs let KEY, which begins with the prefix, pass; the prefix itself needs no glob that names it."""
        rest = key[len(self.prefix) :]
        is_included = not rest or not self.include or globs.matches(self.include, rest)
        return is_included and not globs.matches(self.exclude, rest)

    @property
    def is_at_root(self) -> bool:
        """True if the folder is the root of its library."""
        return not split_library(self.folder)[1]


@dataclass(frozen=True, slots=True)
class Target:
    """A place in the library: PATH is relative to it, without a slash at either end, and never empty."""

    path: str
    is_folder: bool


@dataclass(frozen=True, slots=True)
class Routing:
    """The map between keys and places in the library; the route with the longest matching prefix or folder counts.

    A key that this route's globs leave out is routed by no other.
    """

    routes: tuple[Route, ...]

    def is_routed(self, bucket: str, key: str) -> bool:
        """True if the mirror is in charge of KEY, be its name acceptable or not."""
        return self._route(bucket, key) is not None

    def may_remove(self, bucket: str, key: str) -> bool:
        """True if what KEY left may be taken out of the library when the object is gone."""
        route = self._route(bucket, key)
        return route is not None and not route.keeps_files

    def target(self, bucket: str, key: str) -> Target | None:
        """The place of KEY, or None if there is nothing to do: it is not routed, or stands for the library's root.

        A key that ends in a slash is a folder; one that equals its route's prefix is the route's folder. A prefix is
        compared with the key as it stands, because S3 knows no Unicode normalization.
        Raises NameRefusedError for a routed key that has no acceptable name.
        """
        route = self._route(bucket, key)
        if route is None:
            return None
        rest = key[len(route.prefix) :]
        if not rest:
            return None if route.is_at_root else Target(route.folder, is_folder=True)
        front = _segments(route.folder)
        names = rest.removesuffix("/").split("/")
        stored = [_stored(name, key=key, at_root=route.is_at_root and at == 0) for at, name in enumerate(names)]
        return Target("/".join(front + stored), is_folder=rest.endswith("/"))

    def key(self, path: str) -> tuple[str, str] | None:
        """The bucket and key of the file at PATH of the library, or None if no key has that place.

        The inverse of `target`, whatever the case and normalization of PATH. Where two buckets share a folder, the
        bucket of the first route is taken.
        """
        return self._name(path, end="")

    def is_front(self, bucket: str, key: str) -> bool:
        """True if KEY is the prefix of a route itself: its folder stays."""
        return any(route.bucket == bucket and route.prefix == key for route in self.routes)

    def folder_above(self, path: str) -> tuple[str, str] | None:
        """The bucket and key of the folder above PATH; None for the folder of a route, which stays, and what is above that."""
        return self._name(path.rpartition("/")[0], end="/")

    def scopes(self, bucket: str | None, prefix: str) -> list[tuple[str, str]]:
        """The fewest (bucket, prefix) that together hold every routed key starting with PREFIX, in all buckets when BUCKET is None."""
        wanted = {
            (route.bucket, max(route.prefix, prefix, key=len))
            for route in self.routes
            if bucket in {None, route.bucket} and (route.prefix.startswith(prefix) or prefix.startswith(route.prefix))
        }
        return sorted(scope for scope in wanted if not any(_covers(other, scope) for other in wanted - {scope}))

    def unfiltered(self) -> "Routing":
        """The same routes without their globs."""
        return Routing(tuple(replace(route, include=(), exclude=()) for route in self.routes))

    def without(self, libraries: Collection[str]) -> "Routing":
        """The same routes, of which those into LIBRARIES (by their aliases) take no key."""
        closed = {route for route in self.routes if split_library(route.folder)[0] in libraries}
        return Routing(tuple(replace(route, exclude=("**",)) if route in closed else route for route in self.routes))

    def _route(self, bucket: str, key: str) -> Route | None:
        matching = (route for route in self.routes if route.bucket == bucket and key.startswith(route.prefix))
        route = max(matching, key=lambda route: len(route.prefix), default=None)
        return route if route is not None and route.takes(key) else None

    def _name(self, path: str, *, end: str) -> tuple[str, str] | None:
        """The bucket and key of what is at PATH, the key with END after it."""
        for route in sorted(self.routes, key=lambda route: len(_segments(route.folder)), reverse=True):
            names = [decode_segment(stored) for stored in _below(route.folder, path)]
            key = route.prefix + "/".join(names) + end
            if names and self._leads_to(path, bucket=route.bucket, key=key):
                return route.bucket, key
        return None

    def _leads_to(self, path: str, *, bucket: str, key: str) -> bool:
        try:
            target = self.target(bucket, key)
        except NameRefusedError:
            return False
        return target is not None and comparison_key(target.path) == comparison_key(path)


def _covers(one: tuple[str, str], other: tuple[str, str]) -> bool:
    return one[0] == other[0] and other[1].startswith(one[1])


def _segments(path: str) -> list[str]:
    return path.split("/") if path else []


def _below(folder: str, path: str) -> list[str]:
    """The segments of PATH below FOLDER, none if it is elsewhere."""
    segments, depth = path.split("/"), len(_segments(folder))
    is_inside = comparison_key("/".join(segments[:depth])) == comparison_key(folder)
    return segments[depth:] if is_inside else []


def _stored(name: str, *, key: str, at_root: bool) -> str:
    if not name:
        raise NameRefusedError(f"{key!r} has a slash with no name before it: rename the object")
    if unusable := re.search("[\0\ud800-\udfff]", name):
        raise NameRefusedError(f"{name!r} holds {unusable[0]!r}, which is no character of a name: rename the object")
    stored = encode_segment(name, at_root=at_root)
    if path_length(stored) > MAX_SEGMENT_CHARACTERS:
        raise NameRefusedError(
            f"{name!r} takes over {MAX_SEGMENT_CHARACTERS} characters in SharePoint: rename the object"
        )
    return stored


def parse_routing(allowed_prefixes: str, *, buckets: Sequence[str], bucket_as_folder: bool) -> Routing:
    """The routing of ALLOWED_PREFIXES, a comma list of `prefix[=folder]` that holds for each of BUCKETS.

    A prefix is a folder of keys: `reports` is read as `reports/` and never matches `reports2/x`; `*` stands for all keys.
    With `=folder` that folder takes the prefix's place (`=/` is the library's root), exactly as it is typed; without it
    a key keeps its path. BUCKET_AS_FOLDER puts the bucket's name in front of either.
    Raises ConfigError with one sentence for each problem.
    """
    entries = [Entry.parse(text.strip()) for text in allowed_prefixes.split(",") if text.strip()]
    problems = [
        f"{entry.text[:80]!r} {problem}"
        for entry in entries
        for problem in (*entry.prefix_problems(), *entry.folder_problems(at_root=not bucket_as_folder))
    ]
    times = Counter(entry.prefix for entry in entries)
    problems += [f"{prefix or '*'!r} is given more than once; keep one" for prefix in times if times[prefix] > 1]
    if not entries:
        problems = ["the list is empty; name the prefixes to mirror ('administration/,bts-sio/') or * for all keys"]
    if problems:
        raise ConfigError([f"ALLOWED_PREFIXES: {problem}." for problem in problems])
    fronts = [(bucket, [encode_segment(bucket, at_root=True)] if bucket_as_folder else []) for bucket in buckets]
    routes = [
        Route(bucket, entry.prefix, "/".join(front + entry.folders(at_root=not front)))
        for bucket, front in fronts
        for entry in entries
    ]
    return Routing(tuple(routes))


_PREFIX_RULES = (
    (r"\A/\Z", "has no prefix; write * for all keys"),
    (r"\A/.", "begins with a slash, and no key does; leave it out"),
    (r".//", "has two slashes in a row, and SharePoint has no folder without a name; write one"),
    (r"(\A|/)\.\.?(/|\Z)", "goes through '.' or '..', which no key holds; write the prefix without it"),
    (r"\\", "holds a backslash; separate folders by '/'"),
    (r"[\0-\x1f\x7f]", "holds a control character; type the prefix again"),
    (r"[\ud800-\udfff]", "is not UTF-8; save the setting as UTF-8"),
    (r".{1025}", "has a prefix of more than 1024 characters, the most a key can have; shorten it"),
    (r".\*|\*.", "has * beside something else; a prefix covers all keys below it already, and * alone covers all keys"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A prefix ("" = all keys) and its folder as it was typed, or None where none was; TEXT is both as they were written."""

    text: str
    prefix: str
    folder: str | None

    @classmethod
    def parse(cls, text: str) -> "Entry":
        """The entry that `prefix[=folder]` stands for."""
        prefix, equals, folder = (part.strip() for part in text.partition("="))
        return cls.of(prefix, folder if equals else None, text=text)

    @classmethod
    def of(cls, prefix: str, folder: str | None, *, text: str) -> "Entry":
        """The entry of PREFIX, where * stands for all keys."""
        return cls(
            text=text,
            prefix="" if prefix == "*" else f"{prefix.removesuffix('/')}/",
            folder=None if folder is None else normalize("NFC", folder).removesuffix("/"),
        )

    def folders(self, *, at_root: bool) -> list[str]:
        """The names of the folders, AT_ROOT of a library or not."""
        if self.folder is not None:
            return _segments(self.folder)
        names = _segments(self.prefix.removesuffix("/"))
        return [encode_segment(name, at_root=at_root and at == 0) for at, name in enumerate(names)]

    def prefix_problems(self) -> Iterator[str]:
        """What is wrong with the prefix."""
        yield from (problem for pattern, problem in _PREFIX_RULES if re.search(pattern, self.prefix, re.DOTALL))

    def folder_problems(self, *, at_root: bool) -> Iterator[str]:
        """What is wrong with the folder."""
        for at, name in enumerate(self.folders(at_root=at_root)):
            if path_length(name) > MAX_SEGMENT_CHARACTERS:
                yield f"names a folder of more than {MAX_SEGMENT_CHARACTERS} characters; choose a shorter name"
            if self.folder is not None:
                yield from _typed_name_problems(name, at_root=at_root and at == 0)


def _typed_name_problems(name: str, *, at_root: bool) -> Iterator[str]:
    if not name:
        yield "names a folder with a slash too many; leave it out"
    elif refused := _REFUSED.search(name):
        yield f"names a folder {name!r}, and SharePoint refuses {refused[0]!r} there; choose another name"
    elif (_RESERVED_AT_ROOT if at_root else _RESERVED).search(name):
        yield f"names a folder {name!r}, which SharePoint keeps for itself; choose another name"
