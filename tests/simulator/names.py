"""Which names and paths a SharePoint library accepts, and when two names are the same.

Sources: "Restrictions and limitations in OneDrive and SharePoint" (support.microsoft.com); the 255 and 400 characters of
"SharePoint limits" (learn.microsoft.com). SharePoint counts UTF-16 code units, so an emoji counts twice.
"""

import re

from simulator.graph_errors import GraphError, invalid

LONGEST_NAME = 255
LONGEST_PATH = 400

_FORBIDDEN = re.compile(r'["*:<>?/\\|\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(?:CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])(?:\..*)?|\.LOCK|DESKTOP\.INI", re.DOTALL)


def comparison_key(name: str) -> str:
    """The form in which two names are equal for a library: case is ignored, Unicode normal forms are not unified."""
    if name.isascii():
        return name.upper()
    return "".join(upper if len(upper := char.upper()) == 1 else char for char in name)


def utf16_length(text: str) -> int:
    """The length of TEXT as SharePoint counts it."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def check_characters(name: str) -> None:
    """Raise a 400 for a character that can stand in no name, so that not even a look-up is possible."""
    if not name or _FORBIDDEN.search(name):
        raise invalid("The provided name contains characters that are not allowed.", inner="invalidPath")


def check_new_name(name: str, *, is_folder: bool, at_root: bool) -> None:
    """Raise a 400 if no item may be created or renamed to NAME."""
    check_characters(name)
    if utf16_length(name) > LONGEST_NAME:
        raise invalid("The provided name is longer than 255 characters.", inner="pathIsTooLong")
    if name != name.strip() or name.endswith("."):
        raise invalid("The provided name starts or ends with a space, or ends with a dot.", inner="invalidPath")
    if _is_reserved(name.upper(), is_folder=is_folder, at_root=at_root):
        raise invalid("Invalid request", inner="invalidPath")


def check_path_length(*parts: str) -> None:
    """Raise a 400 if the decoded server-relative path of PARTS (site, library, names) exceeds 400 characters."""
    if sum(utf16_length(part) for part in parts) + len(parts) - 1 > LONGEST_PATH:
        raise path_too_long()


def path_too_long() -> GraphError:
    """The refusal with the inner code that clients look for (rclone's onedrive backend tests it)."""
    return invalid("The specified file or folder name is too long.", inner="pathIsTooLong")


def _is_reserved(upper: str, *, is_folder: bool, at_root: bool) -> bool:
    if _RESERVED.fullmatch(upper) or upper.startswith("~$") or "_VTI_" in upper:
        return True
    return (at_root and upper == "FORMS") or (is_folder and upper.startswith("~"))
