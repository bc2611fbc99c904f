"""Sends alerts as mails, by SMTP."""

import asyncio
import contextlib
import datetime as dt
import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

import structlog

from driftline.alert_address import MailServer
from driftline.errors import SinkError
from driftline.monitor import wording
from driftline.monitor.alert import Alert

log = structlog.get_logger()

_PERMANENT: Final = 500
_EXCERPT_CHARACTERS: Final = 200


class MailSink:
    """Sends each alert as one mail to all recipients. What is sent again has the same ``Message-ID``.

    Args:
        server: The mail server.
        sender: Address it comes from.
        recipients: Addresses it goes to.
        timeout_s: Longest wait for each answer of the server.
    """

    def __init__(self, server: MailServer, sender: str, recipients: Sequence[str], timeout_s: float) -> None:
        self._server = server
        self._sender = sender
        self._recipients = recipients
        self._timeout_s = timeout_s

    async def send(self, alert: Alert) -> None:
        """Returns when the server has taken the mail for at least one recipient; others are named in the log.

        Raises:
            SinkError: It has not.
        """
        await asyncio.to_thread(self._send, message(alert, self._sender, self._recipients))

    def _send(self, mail: EmailMessage) -> None:
        host = self._server.host
        try:
            self._hand_over(mail)
        except smtplib.SMTPRecipientsRefused as error:
            raise _refusal(host, *next(iter(error.recipients.values()))) from None
        except smtplib.SMTPResponseException as error:
            about_this = isinstance(error, smtplib.SMTPDataError) and error.smtp_code >= _PERMANENT
            raise _refusal(host, error.smtp_code, error.smtp_error, refused=about_this) from None
        except TimeoutError:
            raise SinkError(f"{host} has not answered within {self._timeout_s:g} s") from None
        except ssl.SSLCertVerificationError as error:
            raise SinkError(f"{host} has a certificate that is not trusted: {error.verify_message}") from None
        except smtplib.SMTPException as error:
            raise SinkError(f"{host}: {error}") from None
        except (OSError, UnicodeError) as error:  # Unicode: a host that can be no name
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise SinkError(f"{host} cannot be reached: {reason}") from None

    def _hand_over(self, mail: EmailMessage) -> None:
        with contextlib.closing(self._connected()) as connection:
            missed = connection.send_message(mail)
            # What is taken is taken, however the server says good-bye.
            with contextlib.suppress(smtplib.SMTPException, OSError):
                connection.quit()
        for recipient, (code, said) in missed.items():
            log.error(
                "alert.recipient_refused", recipient=recipient, error=_refusal(self._server.host, code, said).message
            )

    def _connected(self) -> smtplib.SMTP:
        host, port, user, password, tls = self._server
        trusted = ssl.create_default_context()
        if tls == "tls":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=self._timeout_s, context=trusted)
        else:
            connection = smtplib.SMTP(host, port, timeout=self._timeout_s)
        with contextlib.ExitStack() as on_error:
            on_error.callback(connection.close)
            if tls == "starttls":
                connection.starttls(context=trusted)
            if user is not None and password is not None:
                connection.login(user, password)
            on_error.pop_all()
        return connection


def _refusal(host: str, code: int, said: bytes | str, *, refused: bool = False) -> SinkError:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return SinkError(f"{host} has answered {code}: {' '.join(text.split())[:_EXCERPT_CHARACTERS]}", refused=refused)


def message(alert: Alert, sender: str, recipients: Sequence[str]) -> EmailMessage:
    """Returns the mail; that an alert has resolved is an answer to the mail that said it was firing."""
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    # A line break would begin another header; the library refuses it, and the alert would never arrive.
    mail["Subject"] = " ".join(f"[{alert.service}] {wording.title(alert)}".split())
    mail["Date"] = format_datetime(dt.datetime.now(dt.UTC))
    domain = sender.rpartition("@")[2]
    mail["Message-ID"] = f"<{alert.notice_id}@{domain}>"
    if alert.state == "resolved":
        mail["In-Reply-To"] = mail["References"] = f"<{alert.alert_id}.firing@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(wording.text(alert))
    return mail
