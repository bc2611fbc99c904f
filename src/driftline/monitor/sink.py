"""Where alerts are sent to, as what sends them sees it."""

from typing import Protocol

from driftline.monitor.alert import Alert


class AlertSink(Protocol):
    """Tells somebody of an alert."""

    async def send(self, alert: Alert) -> None:
        """Returns when the receiver has taken the alert, or, as :attr:`Alert.notice_id` tells it, has had it before.

        Raises:
            SinkError: It has not, or it is not known whether it has.
        """
