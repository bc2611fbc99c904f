"""The application: routes that fetch what is decided elsewhere."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from driftline import __version__
from driftline.api.body import read_body, read_headers
from driftline.api.config import ApiConfig
from driftline.api.docs import DOCS, STATIC, docs_page
from driftline.api.guard import Guard, KeyRing
from driftline.api.health import ALIVE, readiness
from driftline.api.metrics import serving_metrics
from driftline.api.observe import PREDICT, Observed, respond
from driftline.api.predict import refuse
from driftline.api.rates import Rates
from driftline.api.service import Service
from driftline.contract.openapi import document
from driftline.contract.problems import problem
from driftline.errors import InputError
from driftline.scoring import load_package, seed_package
from driftline.telemetry import metrics_payload

__all__ = ["ApiConfig", "create_app"]

_METHOD_NOT_ALLOWED = 405


def create_app(config: ApiConfig, when_started: Callable[[Service], None] = lambda _: None) -> FastAPI:
    """Returns the application; it opens nothing before its lifespan begins.

    Args:
        config: See :class:`ApiConfig`.
        when_started: Called in the running loop, when the service serves.

    Raises:
        ModelError: The model package is wrong.
    """
    schema, model = load_package(config.model or seed_package())
    service = Service(config, schema, model)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.running(), serving_metrics(config.metrics):
            when_started(service)
            yield

    app: FastAPI = FastAPIOffline(
        title=config.app_name,
        version=__version__,
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # it has a policy of its own: see docs_page
        redoc_url=None,  # would ask a foreign host for its logo
        static_url=STATIC,
        exception_handlers={HTTPException: _on_http_error},
    )
    app.router.routes.extend(_routes(service, config))
    paths = [route.path for route in app.routes if isinstance(route, Route)]
    for route in app.routes:
        if isinstance(route, Route) and route.methods and "GET" in route.methods:
            route.methods.add("HEAD")  # FastAPI, unlike Starlette, leaves it out
    if config.keys is not None:
        app.add_middleware(Guard, keys=KeyRing(config.keys), rates=Rates(config.rates))
    app.add_middleware(Observed, routes=paths, service=service)
    openapi = document(schema, keys_needed=config.keys is not None)
    app.openapi = lambda: openapi  # type: ignore[method-assign]  # FastAPI's documented way to bring one's own
    return app


def _routes(service: Service, config: ApiConfig) -> list[Route]:
    async def predict(request: Request) -> Response:
        if service.predict is None:
            return respond(refuse(InputError("not_ready", "The server is starting.")))
        try:
            body = await read_body(request, config.max_body_bytes, service.reading)
        except InputError as error:
            return respond(refuse(error))
        return respond(await service.predict(read_headers(request), body))

    async def ready(_: Request) -> Response:
        return respond(readiness(service.not_ready_reason(), serves_unlogged=service.serves_unlogged))

    async def live(_: Request) -> Response:
        return respond(ALIVE)

    async def metrics(_: Request) -> Response:
        payload, content_type = metrics_payload()
        return Response(payload, headers={"content-type": content_type})

    async def docs(_: Request) -> Response:
        return docs_page(config.app_name)

    routes = [
        Route("/", lambda _: RedirectResponse(DOCS)),
        Route(DOCS, docs),
        Route(PREDICT, predict, methods=["POST"]),
        Route("/health", ready),
        Route("/health/live", live),
        Route("/health/ready", ready),
    ]
    return routes if config.metrics else [*routes, Route("/metrics", metrics)]


async def _on_http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == _METHOD_NOT_ALLOWED:
        allowed = ", ".join(sorted((error.headers or {}).get("Allow", "").split(", ")))
        return respond(problem("method_not_allowed", f"Use {allowed}.", headers=(("allow", allowed),)))
    return respond(problem("not_found", "See /docs for what there is."))
