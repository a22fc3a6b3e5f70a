"""What nobody may be told, and everything that the service told: no test may end with the one in the other."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path

TELL_TALES = ("tempauth", "PRIVATE KEY", "client_assertion=", "AWS4-HMAC")
"""Parts of upload URLs, of the key, of requests to Entra ID and to MinIO, whoever they are for."""

_SECRET_SETTINGS = (
    "WEBHOOK_SECRET",
    "WEBHOOK_SECRET_PREVIOUS",
    "KEY_PASSPHRASE",
    "MINIO_SECRET_KEY",
    "RESTORE_SECRET_KEY",
    "ADMIN_PASSWORD",
    "KAFKA_SASL_PASSWORD",
)
_SECRET_COLUMNS = frozenset({"session_url"})
"""What the journal holds because it needs it, in a file of mode 0600."""


def secret_settings(settings: Mapping[str, str]) -> list[str]:
    """Those of SETTINGS that nobody may be told."""
    return [settings[name] for name in _SECRET_SETTINGS if settings.get(name)]


def readable_journal(data_dir: Path) -> str:
    """Every value of every table of the journal in DATA_DIR, but for the secrets that it needs; "" where it cannot be read."""
    with suppress(sqlite3.DatabaseError), closing(_opened(data_dir / "journal.db")) as journal:
        return "\n".join(_values(journal))
    return ""


def leaks(secrets: Iterable[str], told: Mapping[str, str]) -> list[str]:
    """Where TOLD, which maps places to texts, holds one of SECRETS or a tell-tale: place and the secret's beginning."""
    sought = {*secrets, *TELL_TALES}
    return [f"{place}: {secret[:20]}" for place, text in told.items() for secret in sought if secret in text]


def _opened(path: Path) -> sqlite3.Connection:
    journal = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    journal.row_factory = sqlite3.Row
    return journal


def _values(journal: sqlite3.Connection) -> Iterator[str]:
    for (table,) in journal.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        for row in journal.execute(f"SELECT * FROM {table}"):  # noqa: S608 - the names come from the database
            columns = row.keys()
            yield from (f"{column}={row[column]}" for column in columns if column not in _SECRET_COLUMNS)
