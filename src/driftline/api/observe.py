"""The outermost layer of the application: counts and secures every answer, and gives one that nobody foresaw."""

from time import perf_counter

import structlog
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from driftline.api.body import read_rest
from driftline.api.docs import safe_headers
from driftline.api.metrics import DURATION, REFUSED, REQUESTS
from driftline.api.predict import internal_error
from driftline.api.routes import Routes
from driftline.api.service import Service
from driftline.contract.problems import Answer

log = structlog.get_logger()

CLOSE = (b"connection", b"close")


class Observed:
    """ASGI middleware.

    Args:
        app: What answers.
        routes: What is known of each path.
        service: Is told how many requests are in flight, and tells when clients are to go.
    """

    def __init__(self, app: ASGIApp, routes: Routes, service: Service) -> None:
        self._app = app
        self._routes = routes
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, whatever happens on the way."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        place = self._routes.place(scope["path"])
        status = 0
        whole = False

        async def receive_observed() -> Message:
            nonlocal whole
            message = await receive()
            whole = message["type"] == "http.request" and not message.get("more_body")
            return message

        async def send_observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *safe_headers(scope["path"])]
                if self._service.parting or not (whole or await read_rest(scope, receive)):
                    message["headers"].append(CLOSE)
            await send(message)

        started = scope.get("arrived") or perf_counter()  # it may have stood in line
        self._service.in_flight += 1
        try:
            await self._app(scope, receive_observed, send_observed)
        except Exception:
            log.exception("request.failed", route=place.route)
            if place.kept:
                REFUSED["internal_error"].inc()
            if not status:
                await respond(place.told(internal_error()))(scope, receive, send_observed)
        finally:
            self._service.in_flight -= 1
            REQUESTS.labels(place.route, str(status)).inc()
            if place.timed:
                DURATION.observe(perf_counter() - started)


def respond(answer: Answer) -> Response:
    """Returns an answer as the framework sends it."""
    return Response(answer.body, answer.status, dict(answer.headers))
