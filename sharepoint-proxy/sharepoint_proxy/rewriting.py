"""What SharePoint makes of files by itself, and so what may be expected of an item that was just written.

It writes the properties of Office documents into the files, so that size and hash differ from what was sent
(OneDrive/onedrive-api-docs#935), at once or some time later; a few other types come out longer now and then.
"""

from pathlib import PurePosixPath

from sharepoint_proxy.errors import TransientError
from sharepoint_proxy.records import DriveItem

_REWRITTEN = frozenset(
    {
        *(".doc", ".docm", ".docx", ".dotx"),
        *(".xls", ".xlsb", ".xlsm", ".xlsx", ".xltx"),
        *(".potx", ".ppsx", ".ppt", ".pptm", ".pptx"),
    }
)
_MAY_GROW = frozenset({".aspx", ".htm", ".html", ".jpeg", ".jpg", ".pdf"})


def is_rewritten(path: str) -> bool:
    """True for Office documents."""
    return _suffix(path) in _REWRITTEN


def may_differ(item: DriveItem, *, path: str, size: int) -> bool:
    """True if the item may hold other bytes than the SIZE bytes that were sent, by SharePoint's own doing."""
    return is_rewritten(path) or (_suffix(path) in _MAY_GROW and item.size != size)


def difference(item: DriveItem, *, path: str, size: int, quickxor: str | None) -> str:
    """How the item differs from the SIZE bytes of hash QUICKXOR that were sent, in a sentence; "" if it does not.

    Office documents are not compared; files that may grow only where they did not.
    """
    if may_differ(item, path=path, size=size):
        return ""
    # Size or hash may be missing (OneDrive/onedrive-api-docs#1704): that is no sign of damage.
    if item.size is not None and item.size != size:
        return f"SharePoint holds {item.size} bytes where {size} were sent."
    if None not in {item.quickxor, quickxor} and item.quickxor != quickxor:
        return "SharePoint holds other bytes than were sent: the quickXorHash differs."
    return ""


def verify(item: DriveItem, *, path: str, size: int, quickxor: str) -> None:
    """TransientError when SharePoint holds other bytes than were sent. The file is never removed for a difference."""
    if sentence := difference(item, path=path, size=size, quickxor=quickxor):
        raise TransientError(sentence)


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.casefold()
