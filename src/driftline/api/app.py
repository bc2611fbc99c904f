"""The application: routes that fetch what is decided elsewhere."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from typing import Final, NamedTuple

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from driftline.api.answering import answered
from driftline.api.batch import Limits, batch_routes
from driftline.api.config import ApiConfig
from driftline.api.docs import DOCS, OPENAPI, STATIC, docs_page, static_files
from driftline.api.guard import Guard, Guarded, KeyRing
from driftline.api.health import ALIVE, readiness
from driftline.api.metrics import serving_metrics
from driftline.api.mlflow import MLFLOW_FORMS, mlflow_routes
from driftline.api.models import models_routes, places
from driftline.api.observe import Observed, respond
from driftline.api.rates import Rates
from driftline.api.reload import Follower, loader
from driftline.api.routes import Form, KeptRoute, Routes
from driftline.api.service import Service
from driftline.api.v2.answers import error_of_problem
from driftline.api.v2.routes import V2, v2_routes
from driftline.contract.openapi import document
from driftline.contract.package import seed_package
from driftline.contract.problems import Answer, problem
from driftline.contract.schema import ModelSchema
from driftline.telemetry import metrics_payload

__all__ = ["FORMS", "ApiConfig", "create_app"]

PREDICT: Final = "/predict"
FEEDBACK: Final = "/feedback"
FORMS: Final[Mapping[str, Form]] = {**MLFLOW_FORMS, V2: error_of_problem}
"""How problems are told at a path and below it, where not as problem documents: in the words of its protocol."""

_METHOD_NOT_ALLOWED = 405


class Application(NamedTuple):
    """The application, and what else may decide for it.

    Attributes:
        service: Decides and keeps, as long as the application's lifespan lasts.
        guard: Asks for keys; None asks for none.
        app: Answers.
    """

    service: Service
    guard: Guard | None
    app: Starlette


def create_app(config: ApiConfig) -> Application:
    """Returns the application; it opens nothing before its lifespan begins.

    Args:
        config: See :class:`ApiConfig`.

    Raises:
        ModelError: The model package is wrong, or the key for what it hashes.
    """
    follower = Follower(config.model or seed_package(), loader(config))
    service = Service(config, follower.roster)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with service.running(), follower.following(), serving_metrics(config.metrics):
            yield

    routes = _routes(service, config)
    places = Routes(routes, FORMS)

    async def on_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return respond(places.place(request.scope["path"]).told(_problem_of_http(error)))

    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: on_http_error})
    app.router.redirect_slashes = False
    guard = None if config.keys is None else Guard(KeyRing(config.keys), Rates(config.rates))
    if guard is not None:
        app.add_middleware(Guarded, guard=guard, routes=places)
    app.add_middleware(Observed, routes=places, service=service)
    return Application(service, guard, app)


def _routes(service: Service, config: ApiConfig) -> list[BaseRoute]:
    openapi_of = lru_cache(maxsize=1)(partial(_openapi_json, keys_needed=config.keys is not None))

    async def predict(request: Request) -> Response:
        return await answered(service.predict, request, config.max_body_bytes, service)

    async def feedback(request: Request) -> Response:
        return await answered(service.take_feedback, request, config.max_body_bytes, service)

    async def ready(_: Request) -> Response:
        return respond(readiness(service.not_ready_reason(), serves_unlogged=service.serves_unlogged))

    async def live(_: Request) -> Response:
        return respond(ALIVE)

    async def metrics(_: Request) -> Response:
        payload, content_type = metrics_payload()
        return Response(payload, headers={"content-type": content_type})

    async def openapi(_: Request) -> Response:
        return Response(
            openapi_of(service.roster.default().schema, tuple(places(service.roster.lineup).items())),
            media_type="application/json",
        )

    async def docs(_: Request) -> Response:
        return docs_page(config.app_name)

    limits = Limits(config.max_batch_rows, config.max_batch_bytes)
    routes: list[BaseRoute] = [
        KeptRoute(PREDICT, predict, timed=True),
        KeptRoute(FEEDBACK, feedback),
        *batch_routes(service, limits),
        *models_routes(service, config.max_body_bytes),
        *mlflow_routes(service, limits),
        *v2_routes(service, limits),
        Route("/", lambda _: RedirectResponse(DOCS)),
        Route(DOCS, docs),
        Route(OPENAPI, openapi),
        Mount(STATIC, StaticFiles(directory=static_files())),
        Route("/health", ready),
        Route("/health/live", live),
        Route("/health/ready", ready),
    ]
    return routes if config.metrics else [*routes, Route("/metrics", metrics)]


def _openapi_json(schema: ModelSchema, places: tuple[tuple[str, ModelSchema], ...], *, keys_needed: bool) -> bytes:
    return json.dumps(document(schema, dict(places), keys_needed=keys_needed), ensure_ascii=False).encode()


def _problem_of_http(error: HTTPException) -> Answer:
    if error.status_code == _METHOD_NOT_ALLOWED:
        allowed = ", ".join(sorted((error.headers or {}).get("Allow", "").split(", ")))
        return problem("method_not_allowed", f"Use {allowed}.", headers=(("allow", allowed),))
    return problem("not_found", "See /docs for what there is.")
