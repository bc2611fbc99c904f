"""Who is told of alerts, as the settings have it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from driftline.monitor.sink import AlertSink
    from driftline.settings import Settings


def sinks_of(settings: "Settings") -> "Mapping[str, AlertSink]":
    """Returns the sinks that are configured, by name; none if nobody is to be told."""
    from driftline.monitor.sinks import make_sinks  # noqa: PLC0415 - see read_settings

    secrets = (settings.alert_webhook, settings.alert_slack, settings.alert_smtp)
    webhook_url, slack_url, smtp_url = (None if it is None else it.get_secret_value() for it in secrets)
    return make_sinks(
        webhook_url=webhook_url,
        slack_url=slack_url,
        email_to=settings.alert_email_to,
        email_from=settings.alert_email_from,
        smtp_url=smtp_url,
        timeout_s=settings.alert_timeout_s,
    )
