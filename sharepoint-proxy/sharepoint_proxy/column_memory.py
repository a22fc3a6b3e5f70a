"""Remembers what was written into the columns of each item, so that nothing is written twice."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Database(Protocol):
    """Where the rows live."""

    def write(self, operation: Callable[[Any], T], *, durable: bool = True) -> T:
        """Run OPERATION in a transaction; returns once it is committed and, if DURABLE, synced."""

    def read(self, sql: str, parameters: tuple[object, ...] = ()) -> list[Any]:
        """The rows that SQL selects."""


class ColumnMemory:
    """The rows of the table `fields`. Lost ones only cost a call."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def written(self, item_id: str) -> str:
        """What was remembered of the item; "" when nothing was."""
        rows = self._database.read("SELECT text FROM fields WHERE item_id = ?", (item_id,))
        return str(rows[0]["text"]) if rows else ""

    def remember(self, item_id: str, text: str) -> None:
        """Keep TEXT for the item."""
        statement = "INSERT OR REPLACE INTO fields VALUES (?, ?)"
        self._database.write(lambda cursor: cursor.execute(statement, (item_id, text)), durable=False)
