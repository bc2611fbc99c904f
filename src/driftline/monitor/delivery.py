"""What is to be sent to whom: a queue in SQLite, so that nothing is forgotten when a process or a receiver is away."""

import sqlite3
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from prometheus_client import Counter

from driftline.monitor import alert as form
from driftline.monitor.alert import Alert
from driftline.monitor.transaction import atomically

SINKS: Final = ("webhook", "slack", "email")

DELIVERIES = Counter(
    "driftline_alert_deliveries_total", "Attempts to send an alert, and what came of them.", ["sink", "result"]
)

# Made at once: an alarm on the rise of a counter does not see one that is born with its first count.
for _sink in SINKS:
    for _result in ("delivered", "failed", "given_up"):
        DELIVERIES.labels(_sink, _result)

DeliveryState = Literal["waiting", "delivered", "given_up"]

TABLES: Final = """
CREATE TABLE deliveries (
    position INTEGER PRIMARY KEY,
    alert_id TEXT NOT NULL, notice TEXT NOT NULL, sink TEXT NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL, queued_us INTEGER NOT NULL, next_try_us INTEGER NOT NULL,
    last_error TEXT, delivered_us INTEGER, body BLOB NOT NULL,
    UNIQUE (alert_id, notice, sink)
) STRICT;
CREATE INDEX deliveries_waiting ON deliveries (sink, position) WHERE state = 'waiting';
"""

MOST_WAITING: Final = 1000
"""Notices that may wait for one receiver. The next one is given up at once: whoever did not hear of a thousand is not
told more by another."""
GIVE_UP_AFTER_US: Final = 7 * 86_400_000_000
LONGEST_WAIT_US: Final = 3_600_000_000
"""Between two attempts, whatever a receiver asks for."""
_ERROR_CHARACTERS: Final = 500


class Delivery(NamedTuple):
    """One notice for one receiver.

    Attributes:
        position: Its place in the queue.
        alert: What is sent.
        sink: To which sink.
        state: Whether it still waits, was delivered, or was given up.
        attempts: How often it was tried.
        queued_us: When it was put into the queue.
        next_try_us: When it is tried next.
        last_error: Why the last attempt failed.
        delivered_us: When the receiver took it.
    """

    position: int
    alert: Alert
    sink: str
    state: DeliveryState
    attempts: int
    queued_us: int
    next_try_us: int
    last_error: str | None
    delivered_us: int | None


_COLUMNS = "position, body, sink, state, attempts, queued_us, next_try_us, last_error, delivered_us"


class DeliveryQueue:
    """The queue of one monitor.

    Args:
        connection: To a database that has :data:`TABLES`, in autocommit mode. What puts notices in and what sends them
            have one each: what is recorded by one must not depend on a transaction of the other.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def put(self, alert: Alert, sinks: Iterable[str], now_us: int) -> None:
        """Puts the alert into the queue of each sink, once: one that was put before stays as it is."""
        for sink in sinks:
            (waiting,) = self._connection.execute(
                "SELECT count(*) FROM deliveries WHERE sink = ? AND state = 'waiting'", (sink,)
            ).fetchone()
            full = waiting >= MOST_WAITING
            inserted = self._connection.execute(
                "INSERT OR IGNORE INTO deliveries (alert_id, notice, sink, state, attempts, queued_us, next_try_us, "
                "last_error, body) VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?)",
                (
                    alert.alert_id,
                    alert.state,
                    sink,
                    "given_up" if full else "waiting",
                    now_us,
                    now_us,
                    f"{MOST_WAITING} were waiting before it" if full else None,
                    form.encode(alert),
                ),
            )
            if full and inserted.rowcount:
                DELIVERIES.labels(sink, "given_up").inc()

    def next(self, sink: str, now_us: int) -> Delivery | None:
        """Returns what is to be sent to this sink now, if anything is: the longest waiting that is due.

        That an alert has resolved is not sent while it still waits to be sent that it is firing.
        """
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM deliveries AS it WHERE sink = ? AND state = 'waiting' "  # noqa: S608 (only names)
            # One that lies further ahead than any wait can be is from before the clock was set back.
            "AND (next_try_us <= ? OR next_try_us > ?) AND NOT (notice = 'resolved' AND EXISTS (SELECT 1 FROM "
            "deliveries WHERE alert_id = it.alert_id AND sink = it.sink AND notice = 'firing' AND state = 'waiting')) "
            "ORDER BY position LIMIT 1",
            (sink, now_us, now_us + LONGEST_WAIT_US),
        ).fetchone()
        return None if row is None else _delivery(row)

    def delivered(self, delivery: Delivery, now_us: int) -> None:
        """Records that the receiver has taken it."""
        self._connection.execute(
            "UPDATE deliveries SET state = 'delivered', attempts = attempts + 1, delivered_us = ?, last_error = NULL "
            "WHERE position = ?",
            (now_us, delivery.position),
        )

    def failed(self, delivery: Delivery, error: str, now_us: int, wait_us: int, *, alone: bool) -> bool:
        """Records that an attempt has failed; returns whether it will be tried again.

        Args:
            delivery: What was tried.
            error: Why it failed.
            now_us: When.
            wait_us: How long to wait before the next attempt; at most :data:`LONGEST_WAIT_US` is waited.
            alone: Whether the receiver minds this notice only; otherwise all that wait for it wait as long.
        """
        again = now_us - delivery.queued_us < GIVE_UP_AFTER_US
        next_try_us = now_us + min(wait_us, LONGEST_WAIT_US)
        with atomically(self._connection):
            self._connection.execute(
                "UPDATE deliveries SET state = ?, attempts = attempts + 1, next_try_us = ?, last_error = ? "
                "WHERE position = ?",
                ("waiting" if again else "given_up", next_try_us, error[:_ERROR_CHARACTERS], delivery.position),
            )
            if not alone:
                self._connection.execute(
                    "UPDATE deliveries SET next_try_us = max(next_try_us, ?) WHERE sink = ? AND state = 'waiting'",
                    (next_try_us, delivery.sink),
                )
        return again

    def waiting(self) -> list[Delivery]:
        """Returns all that has not been delivered yet and was not given up, the longest waiting first."""
        return self._all("state = 'waiting'")

    def of(self, alert_id: str) -> list[Delivery]:
        """Returns what was, or is to be, sent of an alert, in order."""
        return self._all("alert_id = ?", alert_id)

    def _all(self, where: str, *values: str) -> list[Delivery]:
        query = f"SELECT {_COLUMNS} FROM deliveries WHERE {where} ORDER BY position"  # noqa: S608 (only names)
        return [_delivery(row) for row in self._connection.execute(query, values)]


def _delivery(row: tuple[int, bytes, str, DeliveryState, int, int, int, str | None, int | None]) -> Delivery:
    return Delivery(row[0], form.decode(row[1]), *row[2:])
