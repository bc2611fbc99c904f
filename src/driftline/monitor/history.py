"""The alerts there are and were, as whoever shows them reads them; :mod:`driftline.monitor.alarms` writes them."""

import sqlite3
from typing import Final

from driftline.monitor import alert as form
from driftline.monitor.alert import Alert

TABLES: Final = """
CREATE TABLE alerts (
    position INTEGER PRIMARY KEY,
    alert_id TEXT NOT NULL UNIQUE, key TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
    judged_us INTEGER NOT NULL, quiet_windows INTEGER NOT NULL, told INTEGER NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE INDEX alerts_by_key ON alerts (key, position);
CREATE UNIQUE INDEX alerts_firing ON alerts (key) WHERE state = 'firing';
"""


class AlertHistory:
    """The alerts of one monitor.

    Args:
        connection: To a database that has :data:`TABLES`.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def firing(self) -> list[Alert]:
        """Returns the alerts that are firing, the newest first."""
        return self._alerts("WHERE state = 'firing' ORDER BY position DESC")

    def recent(self, limit: int) -> list[Alert]:
        """Returns the newest alerts, firing and resolved, the newest first."""
        return self._alerts("ORDER BY position DESC LIMIT ?", limit)

    def alert(self, alert_id: str) -> Alert | None:
        """Returns the alert with this id, if it is known."""
        return next(iter(self._alerts("WHERE alert_id = ?", alert_id)), None)

    def counts(self) -> dict[str, int]:
        """Returns how many alerts are firing, by kind; a kind of which none is, is missing."""
        rows = self._connection.execute("SELECT kind, count(*) FROM alerts WHERE state = 'firing' GROUP BY kind")
        return {str(kind): int(count) for kind, count in rows}

    def _alerts(self, rest: str, *values: int | str) -> list[Alert]:
        query = f"SELECT body FROM alerts {rest}"  # noqa: S608 (only our own words)
        return [form.decode(body) for (body,) in self._connection.execute(query, values)]
