"""The alerts that people were told, what became of telling them, and which are silenced."""

from typing import Any, Final, NamedTuple

from driftline.console.reading import Reading
from driftline.monitor.alert import Alert
from driftline.monitor.delivery import DeliveryQueue
from driftline.monitor.history import AlertHistory
from driftline.monitor.silences import Silences

MOST_SHOWN: Final = 100


class Notice(NamedTuple):
    """One notice for one receiver; see :class:`driftline.monitor.delivery.Delivery`."""

    alert_id: str
    notice: str
    sink: str
    state: str
    attempts: int
    queued_us: int
    last_error: str | None
    delivered_us: int | None


def alerts_page(reading: Reading, now_us: int) -> dict[str, Any]:
    """Returns what the page of all alerts shows, each list with the newest first."""
    recent = AlertHistory(reading.connection).recent(MOST_SHOWN)
    return {
        "firing": AlertHistory(reading.connection).firing(),
        "resolved": [alert for alert in recent if alert.state == "resolved"],
        "notices": newest_notices(reading),
        "silences": Silences(reading.connection).at(now_us),
        "now_us": now_us,
    }


def firing_by_cause(reading: Reading) -> tuple[list[Alert], list[Alert]]:
    """Returns the alerts that are open: those that stand for themselves, and those that others explain or that are old.

    People were told of the former only; the oldest, being nearest to the cause, is the first.
    """
    told = {row[0] for row in reading.connection.execute("SELECT alert_id FROM alerts WHERE state = 'firing' AND told")}
    found = AlertHistory(reading.connection).firing()[::-1]
    return [it for it in found if it.alert_id in told], [it for it in found if it.alert_id not in told]


def alert_page(reading: Reading, alert_id: str) -> dict[str, Any] | None:
    """Returns what the page of one alert shows; None if it is not known."""
    alert = AlertHistory(reading.connection).alert(alert_id)
    if alert is None:
        return None
    return {"alert": alert, "deliveries": DeliveryQueue(reading.connection).of(alert_id)}


def newest_notices(reading: Reading) -> list[Notice]:
    """Returns what was sent last, or is to be sent, the newest first."""
    query = (
        "SELECT alert_id, notice, sink, state, attempts, queued_us, last_error, delivered_us FROM deliveries "
        "ORDER BY position DESC LIMIT ?"
    )
    return [Notice(*row) for row in reading.connection.execute(query, (MOST_SHOWN,))]
