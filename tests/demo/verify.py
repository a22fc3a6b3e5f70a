"""Compares what must be in the library with what is there; says each disagreement in a sentence."""

from collections.abc import Mapping


def disagreements(wanted: Mapping[str, bytes], found: Mapping[str, bytes]) -> list[str]:
    """A sentence for each file that is missing, that should not be there, or of which a byte differs; none if all agree."""
    missing = [f'"{path}" is not in the library.' for path in sorted(wanted.keys() - found.keys())]
    strange = [f'"{path}" is in the library, and should not be.' for path in sorted(found.keys() - wanted.keys())]
    common = sorted(wanted.keys() & found.keys())
    differing = [_difference(path, wanted[path], found[path]) for path in common if wanted[path] != found[path]]
    return [*missing, *strange, *differing]


def _difference(path: str, wanted: bytes, found: bytes) -> str:
    """The sizes, and how far the two are the same."""
    shorter = min(len(wanted), len(found))
    at = next((at for at in range(shorter) if wanted[at] != found[at]), shorter)
    sizes = f"{len(found):,} bytes instead of {len(wanted):,}"
    return f'"{path}" holds other bytes than MinIO: {sizes}, and the first {at:,} are the same.'
