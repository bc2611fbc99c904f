"""Real receivers of alerts: servers on 127.0.0.1 that take them, or behave as they are told to."""

import asyncio
import json
import ssl
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Protocol

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from driftline.alert_address import MailServer
from driftline.monitor.mail import MailSink
from driftline.monitor.sink import AlertSink
from driftline.monitor.slack import SlackSink
from driftline.monitor.webhook import WebhookSink
from tests.certificates import Pair
from tests.waiting import find_free_port

Mood = Literal["takes", "is in trouble", "refuses", "hangs", "cuts"]

SECRET = "s3cr3t"
TIMEOUT_S = 2.0
USER = "driftline@example.org"


class Receiver(Protocol):
    """A server, and the sink that sends to it."""

    mood: Mood
    sink: AlertSink
    notices: list[str]

    def words(self) -> str:
        """The last notice, as text."""

    def close(self) -> None: ...


class HttpReceiver:
    """A server for webhooks.

    Args:
        sink_type: What sends to it.
        certificate: For HTTPS.
    """

    def __init__(self, sink_type: type[WebhookSink | SlackSink] = WebhookSink, certificate: Pair | None = None) -> None:
        self.mood: Mood = "takes"
        self.notices: list[str] = []
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.answer: tuple[int, dict[str, str]] | None = None
        self.before_answer = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            scheme = "https"
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that leave are expected
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}/{SECRET}?token={SECRET}"
        self.sink: AlertSink = sink_type(self.url, TIMEOUT_S)

    def words(self) -> str:
        return str(json.loads(self.bodies[-1]))

    def documents(self) -> list[Any]:
        return [json.loads(body) for body in self.bodies]

    def close(self) -> None:
        self._closing.set()
        self.may_answer.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.headers.append(dict(self.headers))
                receiver.notices.append(self.headers["Idempotency-Key"])
                receiver.before_answer.set()
                receiver.may_answer.wait(60)
                if receiver.mood == "hangs":
                    receiver._closing.wait(60)
                if receiver.mood in {"hangs", "cuts"}:
                    self.close_connection = True
                    return
                moods: dict[str, int] = {"takes": 200, "is in trouble": 503, "refuses": 400}
                status, headers = receiver.answer or (moods[receiver.mood], {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                said = b"ok\r\nthat is all"
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def do_GET(self) -> None:
                raise AssertionError("an alert was fetched, not posted")

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its name there)
                pass

        return Handler


class MailReceiver:
    """A mail server.

    Args:
        certificate: For TLS; with it a login is asked for.
        tls: How TLS begins.
    """

    def __init__(self, certificate: Pair | None = None, tls: Literal["starttls", "tls", "none"] = "none") -> None:
        self.mood: Mood = "takes"
        self.notices: list[str] = []
        self.mails: list[EmailMessage] = []
        self.logins: list[tuple[bytes, bytes]] = []
        self.nobody: set[str] = set()
        self._hung: list[asyncio.Event] = []
        port = find_free_port()
        context = None
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
        login = certificate is not None
        wishes: dict[str, Any] = {"authenticator": self._authenticate, "auth_required": True} if login else {}
        if tls == "starttls":
            wishes |= {"tls_context": context, "require_starttls": True}
        elif tls == "tls":
            wishes |= {"ssl_context": context, "auth_require_tls": False, "auth_required": False}
        self._controller = Controller(self, hostname="127.0.0.1", port=port, **wishes)
        self._controller.start()
        server = MailServer("127.0.0.1", port, USER if login else None, SECRET if login else None, tls)
        self.sink: AlertSink = MailSink(server, "driftline@example.org", ["a@example.org", "b@example.org"], TIMEOUT_S)

    def words(self) -> str:
        body = self.mails[-1].get_body()
        assert body is not None
        return str(body.get_content())

    def close(self) -> None:
        for event in self._hung:
            self._controller.loop.call_soon_threadsafe(event.set)
        self._controller.stop()

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's name)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.nobody:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 (as above)
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.notices.append(mail["Message-ID"].strip("<>").rpartition("@")[0])
        if self.mood == "hangs":
            event = asyncio.Event()
            self._hung.append(event)
            await event.wait()
        if self.mood == "cuts":
            assert server.transport is not None
            server.transport.close()
        return {"is in trouble": "451 not now", "refuses": "554 not that"}.get(self.mood, "250 ok")

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: LoginPassword
    ) -> AuthResult:
        self.logins.append((login.login, login.password))
        good = (login.login, login.password) == (USER.encode(), SECRET.encode())
        return AuthResult(success=good, handled=good)
