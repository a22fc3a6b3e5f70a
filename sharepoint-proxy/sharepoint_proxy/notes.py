"""Small things that the service remembers across restarts, a text under each name, in the journal's file."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Database(Protocol):
    """Where the rows live."""

    def write(self, operation: Callable[[Any], T], *, durable: bool = True) -> T:
        """Run OPERATION in a transaction; returns once it is committed and, if DURABLE, synced."""

    def read(self, sql: str, parameters: tuple[object, ...] = ()) -> list[Any]:
        """The rows that SQL selects."""


class Notes:
    """What is noted in DATABASE. Every method raises JournalError when the file cannot be used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, name: str) -> str | None:
        """What is noted under NAME."""
        rows = self._database.read("SELECT text FROM notes WHERE name = ?", (name,))
        return str(rows[0]["text"]) if rows else None

    def write(self, name: str, text: str) -> None:
        """Note TEXT under NAME, in the place of what was there."""
        statement = "INSERT OR REPLACE INTO notes VALUES (?, ?)"
        self._database.write(lambda cursor: cursor.execute(statement, (name, text)))

    def remove(self, name: str) -> None:
        """Forget what is noted under NAME."""
        self._database.write(lambda cursor: cursor.execute("DELETE FROM notes WHERE name = ?", (name,)))
