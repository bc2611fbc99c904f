"""The routes that name a model: which there are, and a prediction of one of them."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from driftline.api.answering import answered
from driftline.api.keeper import Headers
from driftline.api.lineup import Lineup
from driftline.api.observe import respond
from driftline.api.predict import JSON_HEADERS, refuse
from driftline.api.routes import KeptRoute
from driftline.api.service import Service
from driftline.contract.openapi_models import MODELS, Places, places_of
from driftline.contract.problems import Answer
from driftline.errors import InputError, ModelNotFoundError


def models_routes(service: Service, max_body_bytes: int) -> list[BaseRoute]:
    """Returns the routes of models by name, and by name and version.

    Args:
        service: Answers.
        max_body_bytes: Longer bodies are refused.
    """

    async def predict(request: Request) -> Response:
        async def decide(headers: Headers, body: bytes) -> Answer:
            assert service.predict is not None
            version = request.path_params.get("version")
            try:
                served = service.roster.find(request.path_params["name"], version)
            except ModelNotFoundError as error:
                return refuse(InputError(error.code, error.message))
            chosen = service.roster.chosen if version is None else None
            return await service.predict.answer(served, headers, body, chosen=chosen)

        return await answered(service.predict and decide, request, max_body_bytes, service)

    async def models(_: Request) -> Response:
        return respond(Answer(200, JSON_HEADERS, listing(service.roster.lineup)))

    return [
        Route(MODELS, models),
        KeptRoute(f"{MODELS}/{{name}}/predict", predict, timed=True),
        KeptRoute(f"{MODELS}/{{name}}/versions/{{version}}/predict", predict, timed=True),
    ]


def places(lineup: Lineup) -> Places:
    """Returns who answers at each path that names a model."""
    serving = (model.serving.schema for model in lineup.models.values())
    versions = (served.schema for model in lineup.models.values() for served in model.versions.values())
    return places_of(serving, versions)


def listing(lineup: Lineup) -> bytes:
    """Returns who answers, as JSON that a person may read, too."""
    models = [
        {
            "name": name,
            "default": name == next(iter(lineup.models)),
            "output": model.serving.schema.output,
            "serving": model.serving.schema.version,
            "versions": list(model.versions),
            "shadow": [each.served.schema.version for each in model.shadows],
            "canary": None if model.split is None else model.split.plan,
        }
        for name, model in lineup.models.items()
    ]
    refused = [{"package": place, "refused": reason} for place, reason in lineup.refused.items()]
    return msgspec.json.format(msgspec.json.encode({"models": models, "refused": refused}), indent=2) + b"\n"
