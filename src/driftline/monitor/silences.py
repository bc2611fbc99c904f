"""Silences: keys of which nothing is sent for a while. They are kept beside the alerts."""

import fnmatch
import sqlite3
from typing import Final, NamedTuple

TABLES: Final = """
CREATE TABLE silences (
    pattern TEXT PRIMARY KEY, made_us INTEGER NOT NULL, until_us INTEGER NOT NULL, reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""


class Silence(NamedTuple):
    """Nothing is sent of keys that match, until a time.

    Attributes:
        pattern: A key, or one with ``*``, ``?`` and ``[...]`` as in a shell.
        made_us: When it was made.
        until_us: When it ends.
        reason: Why, in the words of whoever made it; may be empty.
    """

    pattern: str
    made_us: int
    until_us: int
    reason: str

    def covers(self, key: str) -> bool:
        """Whether it is about this key."""
        return key == self.pattern or fnmatch.fnmatchcase(key, self.pattern)


class Silences:
    """The silences in a monitor's database.

    Args:
        connection: To a database that has :data:`TABLES`, in autocommit mode.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, silence: Silence) -> None:
        """Makes a silence; it takes the place of one with the same pattern, whenever that ends."""
        self._connection.execute("INSERT OR REPLACE INTO silences VALUES (?, ?, ?, ?)", silence)

    def lift(self, pattern: str, now_us: int) -> bool:
        """Ends a silence now; returns whether there was one."""
        changed = self._connection.execute(
            "UPDATE silences SET until_us = ? WHERE pattern = ? AND until_us > ?", (now_us, pattern, now_us)
        )
        return changed.rowcount > 0

    def at(self, now_us: int) -> list[Silence]:
        """Returns the silences that hold at this time, the first to end first."""
        rows = self._connection.execute(
            "SELECT pattern, made_us, until_us, reason FROM silences WHERE until_us > ? ORDER BY until_us, pattern",
            (now_us,),
        )
        return [Silence(*row) for row in rows]

    def covering(self, key: str, now_us: int) -> Silence | None:
        """Returns a silence that holds for this key at this time, if there is one."""
        return next((silence for silence in self.at(now_us) if silence.covers(key)), None)
