"""A small HTTP server beside the work of a process: its metrics, whether it lives, whether it is ready."""

import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

import structlog

from driftline.contract.problems import PROBLEM_TYPE, problem
from driftline.errors import PortError
from driftline.telemetry import metrics_payload

log = structlog.get_logger()

_JSON = "application/json"
_SAFE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
_POLL_S = 0.1
"""How long a stop may have to wait to be noticed."""


class HealthServer:
    """Answers ``/metrics``, ``/health``, ``/health/live`` and ``/health/ready`` from a thread of its own, to anybody.

    Args:
        host: Where to listen.
        port: The port; 0 takes a free one.
        reason: Says why the process is not ready, an empty string if it is; None answers nothing but ``/metrics``.
        flag: The option that chooses another port.

    Attributes:
        port: The port it listens on.

    Raises:
        PortError: The port cannot be had.
    """

    def __init__(self, host: str, port: int, reason: Callable[[], str] | None, flag: str = "--metrics-port") -> None:
        handler = type("Handler", (_Handler,), {"reason": reason and staticmethod(reason)})
        try:
            self._server = _Server((host, port), handler)
        except OSError as error:
            raise PortError(
                f"cannot serve metrics on {host}:{port}: {error.strerror}; choose another port with {flag}"
            ) from error
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_S,), name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    request_queue_size = 64

    def server_bind(self) -> None:
        """Binds; the base class would ask a name server for the machine's own name as well, which may take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Prints a traceback, but not of a client that went away."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            log.debug("probe.client_lost", error=str(error))
        else:
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    reason: Callable[[], str] | None
    protocol_version = "HTTP/1.1"
    timeout = 10

    def do_GET(self) -> None:
        self._send(*self._answer(self.path.partition("?")[0]))

    do_HEAD = do_GET  # noqa: N815 (the base class looks for this name)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What is not HTTP, or no method of ours; the base class would answer with a page that repeats the request."""
        del message, explain
        self.close_connection = True
        self._send(code, "text/plain", b"")

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        # Not send_response, which tells everybody the version of Python.
        self.log_request(status)
        self.send_response_only(status)
        self.send_header("Date", self.date_time_string())
        headers = {"Content-Type": content_type, "Content-Length": str(len(body)), **_SAFE}
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _answer(self, path: str) -> tuple[int, str, bytes]:
        if path == "/metrics":
            body, content_type = metrics_payload()
            return 200, content_type, body
        if self.reason is None:
            return _refusal("not_found", "There is only /metrics.")
        if path == "/health/live":
            return 200, _JSON, b'{"status":"ok"}'
        if path in {"/health", "/health/ready"}:
            reason = self.reason()
            if not reason:
                return 200, _JSON, b'{"status":"ok"}'
            return _refusal("not_ready", reason)
        return _refusal("not_found", "There is only /metrics and /health.")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        log.debug("probe.answered", request=format % args)


def _refusal(code: str, detail: str) -> tuple[int, str, bytes]:
    answer = problem(code, detail)
    return answer.status, PROBLEM_TYPE, answer.body
