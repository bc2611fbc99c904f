"""The routes that name a model: which there are, and a prediction of one of them."""

from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from driftline.api.answering import answered
from driftline.api.keeper import Headers
from driftline.api.observe import respond
from driftline.api.predict import JSON_HEADERS, refuse
from driftline.api.roster import Roster
from driftline.api.routes import KeptRoute
from driftline.api.service import Service
from driftline.contract.problems import Answer
from driftline.errors import InputError, ModelNotFoundError

MODELS: Final = "/models"


def models_routes(service: Service, max_body_bytes: int) -> list[BaseRoute]:
    """Returns the routes of models by name, and by name and version.

    Args:
        service: Answers.
        max_body_bytes: Longer bodies are refused.
    """

    async def predict(request: Request) -> Response:
        async def decide(headers: Headers, body: bytes) -> Answer:
            assert service.predict is not None
            try:
                served = service.roster.find(request.path_params["name"], request.path_params.get("version"))
            except ModelNotFoundError as error:
                return refuse(InputError(error.code, error.message))
            return await service.predict.answer(served, headers, body)

        return await answered(service.predict and decide, request, max_body_bytes, service)

    async def models(_: Request) -> Response:
        return respond(Answer(200, JSON_HEADERS, listing(service.roster)))

    return [
        Route(MODELS, models),
        KeptRoute(f"{MODELS}/{{name}}/predict", predict, timed=True),
        KeptRoute(f"{MODELS}/{{name}}/versions/{{version}}/predict", predict, timed=True),
    ]


def listing(roster: Roster) -> bytes:
    """Returns what is served, as JSON that a person may read, too."""
    default = roster.default().schema
    models: dict[str, dict[str, Any]] = {}
    for served in roster.all():
        schema = served.schema
        model = models.setdefault(
            schema.name, {"name": schema.name, "default": schema.name == default.name, "versions": []}
        )
        model["versions"].append(
            {
                "version": schema.version,
                "serves": roster.find(schema.name).schema.version == schema.version,
                "output": schema.output,
            }
        )
    return msgspec.json.format(msgspec.json.encode({"models": list(models.values())}), indent=2) + b"\n"
