"""Makes the sinks that the settings ask for."""

from collections.abc import Mapping
from typing import Final

from driftline.alert_address import MailServer, mail_addresses, parse_mail_server
from driftline.monitor.mail import MailSink
from driftline.monitor.sink import AlertSink
from driftline.monitor.slack import SlackSink
from driftline.monitor.webhook import WebhookSink

LOCAL_MAIL_SERVER: Final = MailServer("localhost", 25, None, None, "none")


def make_sinks(
    *,
    webhook_url: str | None,
    slack_url: str | None,
    email_to: str | None,
    email_from: str | None,
    smtp_url: str | None,
    timeout_s: float,
) -> Mapping[str, AlertSink]:
    """Returns the sinks that are configured, by the names that metrics and deliveries call them.

    Args:
        webhook_url: Where alerts go as JSON.
        slack_url: Where they go in Slack's form.
        email_to: Addresses that mails go to, with commas; None for no mails.
        email_from: Address that they come from; None for the first of those.
        smtp_url: The mail server; None for :data:`LOCAL_MAIL_SERVER`.
        timeout_s: Longest wait for one answer of a receiver.

    Raises:
        ValueError: An address is none.
    """
    sinks: dict[str, AlertSink] = {}
    if webhook_url is not None:
        sinks["webhook"] = WebhookSink(webhook_url, timeout_s)
    if slack_url is not None:
        sinks["slack"] = SlackSink(slack_url, timeout_s)
    if email_to is not None:
        recipients = mail_addresses(email_to)
        server = LOCAL_MAIL_SERVER if smtp_url is None else parse_mail_server(smtp_url)
        sinks["email"] = MailSink(server, email_from or recipients[0], recipients, timeout_s)
    return sinks
