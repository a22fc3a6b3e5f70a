"""What the check-up finds: one line a step, for a person to read and for a program to count."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a step ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a step tried, what came back, and what to do about it; none of the texts holds a secret."""

    step: str
    verdict: Verdict
    tried: str
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A step that is about to be tried; its finding is made by how it ends."""

    name: str
    tried: str

    def ok(self, found: str) -> Finding:
        """All is well."""
        return self._ended(Verdict.OK, found)

    def warning(self, found: str, *, advice: str) -> Finding:
        """The mirror works, but somebody should look."""
        return self._ended(Verdict.WARNING, found, advice)

    def failed(self, found: str, *, advice: str) -> Finding:
        """The mirror cannot work, or not wholly, before somebody follows ADVICE."""
        return self._ended(Verdict.FAILED, found, advice)

    def skipped(self, needs: str) -> Finding:
        """It cannot be tried before NEEDS, the name of an earlier step or setting, is as it must be."""
        return self._ended(Verdict.SKIPPED, f"not tried: it needs {needs}")

    def _ended(self, verdict: Verdict, found: str, advice: str = "") -> Finding:
        return Finding(step=self.name, verdict=verdict, tried=self.tried, found=found, advice=advice)
