"""SQLite as the simulated processes see it: the real one, of which each COMMIT is a boundary."""

import sqlite3
from typing import Any

from tests.simulation.engine.disk import Disk, alive
from tests.simulation.engine.loop import CURRENT
from tests.simulation.engine.real import REAL

_ERROR_BEHIND = 0.3
"""How often an error that a COMMIT meets comes when all has been done."""


def connect(disk: Disk, address: Any, /, **named: Any) -> sqlite3.Connection:
    """``sqlite3.connect``."""
    if CURRENT.get() is None:
        return REAL.connect(address, **named)  # type: ignore[no-any-return]
    alive()
    connection: _Connection = REAL.connect(address, **named, factory=_Connection)
    connection.disk = disk
    connection.path = address.removeprefix("file://").partition("?")[0]
    disk.keep_connection(connection)
    return connection


class _Connection(sqlite3.Connection):
    """A connection of a process, which may die at each COMMIT: before it nothing of it is there, behind it all."""

    disk: Disk
    path: str
    _writes = False

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        alive()
        if sql == "COMMIT" and self._writes:
            self._writes = False
            torn = self._commit if self.disk.rng.random() < _ERROR_BEHIND else None
            return self.disk.boundary("commit", self.path, self._commit, torn=torn, flaw="commit")
        if sql == "BEGIN IMMEDIATE":
            self._writes = True
        return super().execute(sql, *parameters)

    def _commit(self) -> sqlite3.Cursor:
        cursor = super().execute("COMMIT")
        self.disk.committed(self.path)
        return cursor

    def executemany(self, sql: str, parameters: Any) -> sqlite3.Cursor:
        alive()
        return super().executemany(sql, parameters)

    def close(self) -> None:
        alive()
        self.disk.let_go_connection(self)
        super().close()
