"""Addresses from which a file's bytes can be had without a token, for an hour."""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from simulator.graph_errors import GraphError

_LIFE_SECONDS = 3600


class DownloadLinks:
    """Signs and checks the query of download addresses."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(32)

    def query(self, drive_id: str, item_id: str) -> str:
        """A query that names the item and carries a `tempauth`."""
        expires = str(int(self._clock()) + _LIFE_SECONDS)
        tempauth = f"{expires}.{self._sign(drive_id, item_id, expires)}"
        return urlencode({"UniqueId": item_id, "driveId": drive_id, "tempauth": tempauth})

    def check(self, query: Mapping[str, str]) -> tuple[str, str]:
        """The drive id and item id that QUERY names; raise a 401 if its `tempauth` is wrong or old."""
        drive_id, item_id = query.get("driveId", ""), query.get("UniqueId", "")
        expires, _, signature = query.get("tempauth", "").partition(".")
        is_ours = hmac.compare_digest(signature.encode(), self._sign(drive_id, item_id, expires).encode())
        if not is_ours or float(expires) <= self._clock():
            raise GraphError(401, "unauthenticated", "Unauthenticated")
        return drive_id, item_id

    def _sign(self, *parts: str) -> str:
        return hmac.new(self._secret, "\n".join(parts).encode(), hashlib.sha256).hexdigest()
