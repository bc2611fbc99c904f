"""Turns judged windows into alerts, each once.

The judge calls :meth:`Alarms.observe` for each key of each window that it has judged, quiet ones too, in the order of
time. That is all there is between them: when an alert opens and closes, and whether anybody is told, is decided here.
"""

import sqlite3
from collections.abc import Callable, Collection, Sequence
from typing import Final, NamedTuple

import structlog
from prometheus_client import Gauge

from driftline.monitor import alert as form
from driftline.monitor.alert import KINDS, Alert, Finding, Kind, Window, alert_id, alert_key
from driftline.monitor.delivery import DeliveryQueue
from driftline.monitor.history import AlertHistory
from driftline.monitor.silences import Silences
from driftline.monitor.transaction import atomically

log = structlog.get_logger()

FIRING = Gauge("driftline_alerts_firing", "Alerts that are firing, silenced ones too.", ["kind"])

MOST_KEPT: Final = 10_000
"""Resolved alerts that are kept."""


class Judgement(NamedTuple):
    """What was found of one key in one window.

    Attributes:
        kind: What may have changed.
        column: The feature or output; None where it is about none.
        scope: Whose rows.
        window: The window that was judged.
        alarming: Whether the detector alarms; None if there were too few rows to say, which is neither alarm nor quiet.
        find: Returns what an alert says. Called at most once, and only if an alert opens. It must find something to say
            even if the log has lost the window's rows meanwhile.
        explained_by: Keys whose alerts explain this one: an output drifts when an input does. While one of them is
            firing, this one opens, is shown and counted, but nobody is told; if it outlives them, they are. They are to
            be observed before it.
    """

    kind: Kind
    column: str | None
    scope: str
    window: Window
    alarming: bool | None
    find: Callable[[], Finding]
    explained_by: Collection[str] = ()

    @property
    def key(self) -> str:
        """What it is about."""
        return alert_key(self.scope, self.column, self.kind)


class _Last(NamedTuple):
    """The last alert of a key, as it is kept."""

    position: int
    state: str
    judged_us: int
    quiet_windows: int
    told: int
    body: bytes


class Alarms:
    """The alarms of one monitor. All their state is in its database: a new one goes on where another was killed.

    Args:
        connection: Of a :class:`~driftline.monitor.store.MonitorStore`. What :meth:`observe` writes belongs to the
            caller's transaction if there is one: the window is then judged and its alerts are opened together.
        log_id: The log that is watched; part of each alert's id.
        service: The name of the installation, for people.
        sinks: Whom to tell.
        close_after: Quiet windows in a row that close an alert.
        clock_us: Gives the time.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        log_id: str,
        service: str,
        sinks: Sequence[str],
        close_after: int,
        clock_us: Callable[[], int],
    ) -> None:
        self._connection = connection
        self._history = AlertHistory(connection)
        self._queue = DeliveryQueue(connection)
        self._silences = Silences(connection)
        self._log_id = log_id
        self._service = service
        self._sinks = sinks
        self._close_after = close_after
        self._clock_us = clock_us
        self._count()

    def observe(self, judgement: Judgement) -> Alert | None:
        """Takes one judgement; returns the alert that it opened or closed, if any.

        Windows of a key come in the order of time; one that begins no later than the last its alert knows is passed
        over. So are those that are judged again because the reference has changed.
        """
        if judgement.alarming is None:
            return None
        with atomically(self._connection):
            last = self._last(judgement.key)
            if last is not None and judgement.window.start_us <= last.judged_us:
                return None
            if last is None or last.state == "resolved":
                changed = self._open(judgement) if judgement.alarming else None
            elif judgement.alarming:
                self._alarmed_again(last, judgement)
                changed = None
            else:
                changed = self._was_quiet(last, judgement)
        if changed is not None:
            self._count()
        return changed

    def firing(self) -> list[Alert]:
        """Returns the alerts that are firing, the newest first; those that :meth:`observe` has just opened, too."""
        return self._history.firing()

    def close_unwatched(self, keys: Collection[str]) -> list[Alert]:
        """Closes the alerts of all keys but these, and returns them: nothing will ever judge those again.

        For when a new profile or model does away with columns.
        """
        now_us = self._clock_us()
        with atomically(self._connection):
            closed = [self._close(last, now_us) for key, last in self._all_firing() if key not in keys]
        self._count()
        return closed

    def _last(self, key: str) -> _Last | None:
        row = self._connection.execute(
            "SELECT position, state, judged_us, quiet_windows, told, body FROM alerts WHERE key = ? "
            "ORDER BY position DESC LIMIT 1",
            (key,),
        ).fetchone()
        return None if row is None else _Last(*row)

    def _all_firing(self) -> list[tuple[str, _Last]]:
        rows = self._connection.execute(
            "SELECT key, position, state, judged_us, quiet_windows, told, body FROM alerts WHERE state = 'firing'"
        )
        return [(key, _Last(*rest)) for key, *rest in rows]

    def _open(self, judgement: Judgement) -> Alert:
        finding, window = judgement.find(), judgement.window
        alert = Alert(
            alert_id=alert_id(self._log_id, judgement.key, window),
            service=self._service,
            key=judgement.key,
            kind=judgement.kind,
            state="firing",
            column=judgement.column,
            scope=judgement.scope,
            since_us=finding.since_us,
            opened_us=window.stop_us,
            closed_us=None,
            sentence=finding.sentence,
            effect=finding.effect,
            evidence=finding.evidence,
            bins=finding.bins,
            request_ids=finding.request_ids,
            profile=finding.profile,
            window=window,
            page=finding.page,
        )
        told = self._tell(alert, judgement)
        self._connection.execute(
            "INSERT INTO alerts (alert_id, key, kind, state, judged_us, quiet_windows, told, body) "
            "VALUES (?, ?, ?, 'firing', ?, 0, ?, ?)",
            (alert.alert_id, alert.key, alert.kind, window.start_us, told, form.encode(alert)),
        )
        self._forget_the_oldest()
        log.warning("alert.opened", alert=alert.alert_id, key=alert.key, told=told)
        return alert

    def _alarmed_again(self, last: _Last, judgement: Judgement) -> None:
        # It may be that nobody was told when it opened, and that what kept us from it is over.
        told = bool(last.told) or self._tell(form.decode(last.body), judgement)
        self._connection.execute(
            "UPDATE alerts SET judged_us = ?, quiet_windows = 0, told = ? WHERE position = ?",
            (judgement.window.start_us, told, last.position),
        )

    def _was_quiet(self, last: _Last, judgement: Judgement) -> Alert | None:
        self._connection.execute(
            "UPDATE alerts SET judged_us = ?, quiet_windows = quiet_windows + 1 WHERE position = ?",
            (judgement.window.start_us, last.position),
        )
        if last.quiet_windows + 1 < self._close_after:
            return None
        return self._close(last, judgement.window.stop_us)

    def _close(self, last: _Last, closed_us: int) -> Alert:
        alert = form.decode(last.body).resolved(closed_us)
        self._connection.execute(
            "UPDATE alerts SET state = 'resolved', body = ? WHERE position = ?", (form.encode(alert), last.position)
        )
        if last.told:  # and silenced or not: whoever was told that it fires would wait for ever
            self._queue.put(alert, self._sinks, self._clock_us())
        log.info("alert.closed", alert=alert.alert_id, key=alert.key)
        return alert

    def _tell(self, alert: Alert, judgement: Judgement) -> bool:
        """Puts the alert into the queue, unless there is a reason not to; returns whether it did."""
        now_us = self._clock_us()
        if any(self._is_firing(key) for key in judgement.explained_by):
            return False
        if self._silences.covering(alert.key, now_us) is not None:
            return False
        self._queue.put(alert, self._sinks, now_us)
        return True

    def _is_firing(self, key: str) -> bool:
        last = self._last(key)
        return last is not None and last.state == "firing"

    def _forget_the_oldest(self) -> None:
        """Keeps what is known of alerts, and of what was sent of them, from growing for ever."""
        old = "SELECT alert_id FROM alerts WHERE state = 'resolved' ORDER BY position DESC LIMIT -1 OFFSET ?"
        self._connection.execute(f"DELETE FROM deliveries WHERE alert_id IN ({old})", (MOST_KEPT,))  # noqa: S608
        self._connection.execute(f"DELETE FROM alerts WHERE alert_id IN ({old})", (MOST_KEPT,))  # noqa: S608

    def _count(self) -> None:
        counts = self._history.counts()
        for kind in KINDS:
            FIRING.labels(kind).set(counts.get(kind, 0))
