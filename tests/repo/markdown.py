"""Reads the Markdown pages of the tree: their links, headings and pieces of code."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]

_PARSER = MarkdownIt("commonmark").enable("table")
_CONTINUED = re.compile(r"\\\n\s*")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced piece of code on the page NAME; LINE is that of its fence."""

    name: str
    line: int
    language: str
    text: str

    @property
    def first_line(self) -> str:
        """What a test knows it by."""
        return self.text.partition("\n")[0]

    @property
    def commands(self) -> list[str]:
        """Its lines, with continued ones in one piece, without comments."""
        return [
            line for line in _CONTINUED.sub("", self.text).splitlines() if line.strip() and not line.startswith("#")
        ]


@dataclass(frozen=True, slots=True)
class Page:
    """One page; NAME is its path from the root of the tree."""

    name: str
    text: str

    @property
    def path(self) -> Path:
        """Where it is."""
        return ROOT / self.name

    def links(self) -> Iterator[str]:
        """The targets of its links and pictures."""
        for token in self._inline():
            target = token.attrs.get("href") or token.attrs.get("src")
            if isinstance(target, str):
                yield target

    def anchors(self) -> set[str]:
        """What a link may name after a #: GitHub makes it of the headings."""
        tokens = _PARSER.parse(self.text)
        headings = [after for before, after in pairwise(tokens) if before.type == "heading_open"]
        slugs = [_slug(heading) for heading in headings]
        seen: Counter[str] = Counter()
        found = set()
        for slug in slugs:
            found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
        return found

    def blocks(self, *languages: str) -> Iterator[Block]:
        """Its fenced pieces of code, all or those in one of LANGUAGES; indented ones have no language."""
        for token in _PARSER.parse(self.text):
            is_code = token.type in {"fence", "code_block"}
            if is_code and (not languages or token.info.strip() in languages):
                line = token.map[0] + 1 if token.map else 0
                yield Block(self.name, line, token.info.strip(), token.content)

    def spans(self) -> Iterator[str]:
        """Its pieces of code within a sentence."""
        yield from (token.content for token in self._inline() if token.type == "code_inline")

    def _inline(self) -> Iterator[Token]:
        for token in _PARSER.parse(self.text):
            yield from token.children or ()


def _slug(heading: Token) -> str:
    text = "".join(part.content for part in heading.children or () if part.type in {"text", "code_inline"})
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def tree() -> list[str]:
    """Every file that git has or would add, by its path from the root."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(name for name in listed.split("\0") if name and (ROOT / name).is_file())


def pages() -> list[Page]:
    """All pages of the tree."""
    return [Page(name, (ROOT / name).read_text(encoding="utf-8")) for name in tree() if name.endswith(".md")]
