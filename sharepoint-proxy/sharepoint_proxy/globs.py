"""Patterns over keys: `*` and `?` stay within one name, `**` crosses slashes, and everything else stands for itself."""

import re
from collections.abc import Sequence
from functools import lru_cache

_PIECES = re.compile(r"(?:\A|(?<=/))\*\*/|\*\*|\*|\?|[^*?]+")
_EXPRESSIONS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def matches(patterns: Sequence[str], text: str) -> bool:
    """True if one of PATTERNS is all of TEXT; `**/` in the place of folders also stands for none."""
    return any(_compiled(pattern).fullmatch(text) for pattern in patterns)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile("".join(map(_expression, _PIECES.findall(pattern))), re.DOTALL)


def _expression(piece: str) -> str:
    return _EXPRESSIONS.get(piece) or re.escape(piece)
