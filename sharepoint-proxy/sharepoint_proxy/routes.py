"""The routes of ROUTES_FILE: which keys go to which folder of which library, from the file's text in one pass that reports everything wrong.

The file is TOML, a table `[[route]]` for each route. The simple form of the settings, MINIO_BUCKETS with ALLOWED_PREFIXES, is the same
with all routes into one library.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from hashlib import sha256
from typing import Any, TypeVar
from unicodedata import normalize

from sharepoint_proxy.errors import ConfigError
from sharepoint_proxy.paths import Entry, Route, Routing, comparison_key
from sharepoint_proxy.settings import Destination, SitePath, parse_bucket, parse_library, parse_site

T = TypeVar("T")

_KEYS = ("bucket", "prefix", "site", "library", "folder", "include", "exclude", "delete")
_SHOWN_CHARACTERS = 80
_LONGEST_WORD = 40
_DIGEST_CHARACTERS = 6
_HEADER = re.compile(r"\s*\[\[\s*route\s*\]\]")
_NAME = re.compile(r"""\s*(?:\[+\s*)?(?:"([^"]+)"|'([^']+)'|([\w-]+))\s*[=\].]""")
_SYNTAX_LINE = re.compile(r"(.*) \(at line (\d+), column (\d+)\)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Routes:
    """Where keys go, the libraries that are needed for that, and what an administrator should look at."""

    routing: Routing
    destinations: tuple[Destination, ...]
    warnings: tuple[str, ...] = ()


def parse(text: str, *, name: str, site: SitePath | None, library: str | None) -> Routes:
    """The routes in TEXT, the content of the file NAME; ConfigError with a sentence, file, line and key for each problem.

    SITE is what a route without one of its own leads to, LIBRARY the library there. Their library is the main one if there is a
    SITE, otherwise it is the first route's.
    """
    lines = _lines(text)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        last_line = text.rstrip("\n").count("\n") + 1
        raise ConfigError([f"ROUTES_FILE {name}, {_syntax_problem(error, last_line)}."]) from None
    readers = [
        _Reader(number, values, lines[number] if number < len(lines) else {})
        for number, values in enumerate(_tables(document), 1)
    ]
    default = Destination(site=site, library=library) if site is not None else None
    wishes = [reader.wish(default) for reader in readers]
    problems = [
        *_problems_outside(document, lines[0]),
        *(problem for reader in readers for problem in reader.problems),
        *_repeated(readers, wishes),
    ]
    if problems:
        raise ConfigError([f"ROUTES_FILE {name}, {problem}." for problem in problems])
    asked = [wish for wish in wishes if wish is not None]
    return _routes(asked, default or asked[0].destination, name=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """A route as it was written."""

    bucket: str
    entry: Entry
    destination: Destination
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    deletes: bool

    def route(self, alias: str) -> Route:
        """The route into the library that ALIAS stands for."""
        front = [f"{alias}:"] if alias else []
        return Route(
            self.bucket,
            self.entry.prefix,
            "/".join(front + self.entry.folders(at_root=True)),
            include=self.include,
            exclude=self.exclude,
            keeps_files=not self.deletes,
        )


class _Reader:
    """Reads route NUMBER of the file out of its table; LINES tells where its keys stand, "" its header. What is wrong is in `problems`."""

    def __init__(self, number: int, values: Mapping[str, Any], lines: Mapping[str, int]) -> None:
        self.problems: list[str] = []
        self._number = number
        self._values = values
        self._lines = lines

    def where(self, key: str) -> str:
        """The line of KEY, or of the route."""
        line = self._lines.get(key) or self._lines.get("")
        return f"line {line}" if line else f"route {self._number}"

    def wish(self, default: Destination | None) -> _Wish | None:
        """What the table asks for; None when it cannot be known."""
        for key in self._values:
            if key not in _KEYS:
                self._complain(key, f"there is no such key{_suggestion(key)}")
        bucket, entry, destination = self._bucket(), self._entry(), self._destination(default)
        include, exclude, deletes = self._globs("include"), self._globs("exclude"), self._deletes()
        if self.problems or bucket is None or entry is None or destination is None:
            return None
        return _Wish(
            bucket=bucket, entry=entry, destination=destination, include=include, exclude=exclude, deletes=deletes
        )

    def _bucket(self) -> str | None:
        if "bucket" not in self._values:
            self._complain("bucket", "it is missing: name the bucket whose keys go this way")
        return self._text("bucket", parse_bucket)

    def _entry(self) -> Entry | None:
        """Prefix and folder; * is "all keys" as in ALLOWED_PREFIXES, and an empty folder is a mistake."""
        prefix, folder = self._text("prefix", str), self._text("folder", _folder)
        entry = Entry.of(prefix or "*", folder, text="")
        for problem in entry.prefix_problems():
            self._complain("prefix", f"{_shown(prefix)} {problem}")
        for problem in entry.folder_problems(at_root=True):
            self._complain("prefix" if folder is None else "folder", f"{_shown(folder or prefix)} {problem}")
        return entry

    def _destination(self, default: Destination | None) -> Destination | None:
        site, library = self._text("site", parse_site), self._text("library", parse_library)
        if "site" not in self._values and default is None:
            self._complain("site", "it is missing, and SITE_PATH is not set: name the site")
        if site is None:
            return replace(default, library=library or default.library) if default is not None else None
        if library is None and default is not None and site == default.site:
            library = default.library
        return Destination(site=site, library=library)

    def _globs(self, key: str) -> tuple[str, ...]:
        patterns = self._values.get(key, [])
        if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
            self._complain(key, f'{_shown(patterns)} cannot be used: it must be a list of texts, like ["**/*.pdf"]')
            return ()
        for pattern in patterns:
            if not pattern or pattern.startswith("/"):
                advice = "a pattern is compared with the key below the prefix, which begins with a name"
                self._complain(key, f"{_shown(pattern)} matches no key: {advice}")
        if key in self._values and not patterns and key == "include":
            self._complain(key, "the list is empty, so that nothing would be mirrored; leave it out for everything")
        return tuple(patterns)

    def _deletes(self) -> bool:
        deletes = self._values.get("delete", True)
        if not isinstance(deletes, bool):
            self._complain("delete", f"{_shown(deletes)} cannot be used: it must be true or false, without quotes")
        return deletes is True

    def _text(self, key: str, parse_value: Callable[[str], T]) -> T | None:
        value = self._values.get(key)
        if value is None:
            return None
        try:
            return parse_value(_one_line(value))
        except ValueError as error:
            self._complain(key, f"{_shown(value)} cannot be used: {error}")
        return None

    def _complain(self, key: str, problem: str) -> None:
        self.problems.append(f"{self.where(key)}, {key}: {problem}")


def _routes(wishes: Sequence[_Wish], main: Destination, *, name: str) -> Routes:
    destinations = {_names(wish.destination): _aliased(wish.destination, main) for wish in wishes}
    routes = [wish.route(destinations[_names(wish.destination)].alias) for wish in wishes]
    ordered = sorted(destinations.values(), key=lambda destination: bool(destination.alias))
    return Routes(Routing(tuple(routes)), tuple(ordered), tuple(_shared_folders(routes, name)))


def _shared_folders(routes: Sequence[Route], name: str) -> Iterator[str]:
    seen: dict[str, Route] = {}
    for route in routes:
        other = seen.setdefault(comparison_key(route.folder), route)
        if other is not route:
            yield (
                f"ROUTES_FILE {name}: {_said(other)} and {_said(route)} share the folder {route.folder or '/'}: of two objects that"
                " belong at one place there, the second is parked."
            )


def _said(route: Route) -> str:
    return f"{route.bucket}/{route.prefix}"


def _repeated(readers: Sequence[_Reader], wishes: Sequence[_Wish | None]) -> Iterator[str]:
    seen: dict[tuple[str, str], _Reader] = {}
    for reader, wish in zip(readers, wishes, strict=True):
        if wish is None:
            continue
        first = seen.setdefault((wish.bucket, wish.entry.prefix), reader)
        if first is not reader:
            prefix = wish.entry.prefix or "*"
            yield f"{reader.where('prefix')}, prefix: {prefix!r} of {wish.bucket} has a route at {first.where('')}; keep one"


def _tables(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    tables = document.get("route")
    return [table for table in tables if isinstance(table, dict)] if isinstance(tables, list) else []


def _problems_outside(document: Mapping[str, Any], lines: Mapping[str, int]) -> Iterator[str]:
    """What is wrong outside of the routes."""
    strange = [key for key in document if key != "route"]
    for key in strange:
        where = f"line {lines[key]}" if key in lines else "outside of the routes"
        yield f"{where}, {key}: there is no such key; routes begin with [[route]], and their keys follow"
    if "route" in document and not _tables(document):
        where = f"line {lines['route']}" if "route" in lines else "outside of the routes"
        yield f"{where}, route: a route begins with [[route]], in two pairs of brackets"
    if not document:
        yield "line 1: the file holds no route; begin one with [[route]]"


def _lines(text: str) -> list[dict[str, int]]:
    """The line of each key: first of those outside of the routes, then of each route, whose own line is that of ""."""
    tables: list[dict[str, int]] = [{}]
    for number, line in enumerate(text.split("\n"), 1):
        if _HEADER.match(line):
            tables.append({"": number})
        elif (found := _NAME.match(line)) is not None:
            # Another table's header ends the routes.
            table = tables[0 if line.lstrip().startswith("[") else -1]
            table.setdefault(next(filter(None, found.groups())), number)
    return tables


def _syntax_problem(error: tomllib.TOMLDecodeError, last_line: int) -> str:
    told = _SYNTAX_LINE.fullmatch(str(error))
    if told is None:
        return f"line {last_line}: this is no TOML: {error}"
    return f"line {told[2]}: this is no TOML: {told[1]}, at column {told[3]}"


def _aliased(destination: Destination, main: Destination) -> Destination:
    """DESTINATION with its alias, which depends on nothing but the names in it: stored paths and ids hold it."""
    names = _names(destination)
    if names == _names(main):
        return destination
    words = [names[1].rpartition("/")[2] or names[0].partition(".")[0], *filter(None, [names[2]])]
    readable = "~".join(re.sub(r"[^\w.-]+", "-", word)[:_LONGEST_WORD] for word in words)
    digest = sha256("\n".join(names).encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return replace(destination, alias=f"{readable}~{digest}")


def _names(destination: Destination) -> tuple[str, str, str]:
    """Host, site and library, equal for two spellings that SharePoint takes for one."""
    site = destination.site
    host, path, library = (
        normalize("NFC", name) for name in (site.host, site.relative_path, destination.library or "")
    )
    return host.casefold(), path.casefold(), library.casefold()


def _suggestion(key: str) -> str:
    near = get_close_matches(key, _KEYS, n=1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(_KEYS)}"


def _folder(text: str) -> str:
    if not text:
        raise ValueError('write "/" for the library\'s root, or leave the line out for the prefix itself')
    return text


def _one_line(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("it must be a text in quotes")  # noqa: TRY004 - a sentence for a person, as all of them here
    if _CONTROL.search(value):
        raise ValueError("it must be one line, without control characters")
    return value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
