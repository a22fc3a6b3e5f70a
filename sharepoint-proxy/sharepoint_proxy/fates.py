"""What a restore is asked for and what comes of it: the words that its modules and the console share."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from unicodedata import normalize


class Fate(StrEnum):
    """What became of a file.

    already there   MinIO holds its content under its key
    kept            MinIO holds another content there, and nobody asked to overwrite it
    skipped         no key leads to it, or the service has its key before it
    """

    RESTORED = "restored"
    WOULD_RESTORE = "would restore"
    ALREADY_THERE = "already there"
    KEPT = "kept"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """The fate of the file at PATH of the library, which belongs under KEY of BUCKET ("" where no key leads to it); BYTES is its size."""

    path: str
    bucket: str
    key: str
    fate: Fate
    bytes: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked for: the objects of BUCKET in the folder PREFIX (or the one object of that key), TO another bucket and folder or home."""

    bucket: str
    prefix: str
    to: tuple[str, str] | None
    dry_run: bool
    overwrite: bool
    on_bytes: Callable[[int], None]

    def covers(self, bucket: str, key: str) -> bool:
        """True for a key that is asked for; as people type it, whose keyboards know no Unicode normalization."""
        if bucket != self.bucket:
            return False
        wanted, typed = normalize("NFC", key), normalize("NFC", self.prefix)
        return not typed or wanted == typed or wanted.startswith(f"{typed}/")

    def destination(self, bucket: str, key: str) -> tuple[str, str]:
        """Where the object of that name is to go: below TO it keeps its path below PREFIX."""
        if self.to is None:
            return bucket, key
        names = key.split("/")
        below = names[self.prefix.count("/") + 1 :] if self.prefix else names
        target, folder = self.to
        return target, "/".join([*filter(None, [folder.strip("/")]), *(below or names[-1:])])
