"""The routes of the protocol: health, what is served, and inference."""

from http import HTTPStatus
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from driftline import __version__
from driftline.api.answering import answered
from driftline.api.batch import Limits
from driftline.api.body import read_body
from driftline.api.health import readiness
from driftline.api.keeper import Headers
from driftline.api.observe import respond
from driftline.api.predict import refuse
from driftline.api.routes import KeptRoute
from driftline.api.served import Served
from driftline.api.service import Service
from driftline.api.v2.answers import error_of_problem, json_answer
from driftline.api.v2.infer import infer
from driftline.contract.problems import Answer, problem_of
from driftline.contract.v2.metadata import model_metadata
from driftline.errors import InputError, ModelNotFoundError

V2: Final = "/v2"
LIVE: Final = f"{V2}/health/live"
READY: Final = f"{V2}/health/ready"
EXTENSIONS: Final = ("binary_tensor_data",)

_INDEX_MAX_BYTES: Final = 4096
_MODEL: Final = f"{V2}/models/{{name}}"
_VERSION: Final = f"{_MODEL}/versions/{{version}}"


class _IndexRequest(msgspec.Struct):
    ready: bool = False


def v2_routes(service: Service, limits: Limits) -> list[BaseRoute]:
    """Returns the routes of the Open Inference Protocol.

    Args:
        service: Answers.
        limits: Of one request; of bytes, both as they come and as they are once decompressed.
    """

    async def inference(request: Request) -> Response:
        keeper = service.keeper

        async def decide(headers: Headers, body: bytes) -> Answer:
            assert keeper is not None
            try:
                served = _asked(service, request)
            except InputError as error:
                return error_of_problem(refuse(error))
            chosen = service.roster.chosen if request.path_params.get("version") is None else None
            answer = await infer(served, keeper, limits, headers, body, chosen=chosen)
            return answer if answer.status == HTTPStatus.OK else error_of_problem(answer)

        ready_to_decide = None if keeper is None else decide
        return await answered(ready_to_decide, request, limits.body_bytes, service, error_of_problem)

    return [
        *_health_routes(service),
        *_model_routes(service),
        KeptRoute(f"{_MODEL}/infer", inference),
        KeptRoute(f"{_VERSION}/infer", inference),
    ]


def _health_routes(service: Service) -> list[BaseRoute]:
    async def server(_: Request) -> Response:
        return respond(json_answer({"name": "driftline", "version": __version__, "extensions": EXTENSIONS}))

    async def live(_: Request) -> Response:
        return respond(json_answer({"live": True, "ready": _not_ready(service) is None}))

    async def ready(_: Request) -> Response:
        return respond(_not_ready(service) or json_answer({"live": True, "ready": True}))

    return [Route(V2, server), Route(LIVE, live), Route(READY, ready)]


def _model_routes(service: Service) -> list[BaseRoute]:
    async def model(request: Request) -> Response:
        try:
            served = _asked(service, request)
        except InputError as error:
            return _refused(error)
        versions = [each.schema.version for each in service.roster.all() if each.schema.name == served.schema.name]
        return respond(json_answer(model_metadata(served.schema, versions, served.package.artifact["runtime"])))

    async def model_ready(request: Request) -> Response:
        try:
            served = _asked(service, request)
        except InputError as error:
            return _refused(error)
        return respond(_not_ready(service) or json_answer({"name": served.schema.name, "ready": True}))

    async def index(request: Request) -> Response:
        try:
            asked = _index_request(await read_body(request, _INDEX_MAX_BYTES, service.reading))
        except InputError as error:
            return _refused(error)
        return respond(json_answer(_index(service, only_ready=asked.ready)))

    return [
        Route(_MODEL, model),
        Route(_VERSION, model),
        Route(f"{_MODEL}/ready", model_ready),
        Route(f"{_VERSION}/ready", model_ready),
        Route(f"{V2}/repository/index", index, methods=["POST"]),
    ]


def _refused(error: InputError) -> Response:
    return respond(error_of_problem(problem_of(error)))


def _index_request(body: bytes) -> _IndexRequest:
    try:
        return msgspec.json.decode(body, type=_IndexRequest) if body.strip() else _IndexRequest()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(
            "wrong_type", "The body must be empty, or a JSON object whose `ready` is a boolean."
        ) from error


def _asked(service: Service, request: Request) -> Served:
    try:
        return service.roster.find(request.path_params["name"], request.path_params.get("version"))
    except ModelNotFoundError as error:
        raise InputError(error.code, error.message) from error


def _not_ready(service: Service) -> Answer | None:
    answer = readiness(service.not_ready_reason(), serves_unlogged=service.serves_unlogged)
    return None if answer.status == HTTPStatus.OK else error_of_problem(answer, live=True, ready=False)


def _index(service: Service, *, only_ready: bool) -> list[dict[str, str]]:
    reason = None if _not_ready(service) is None else service.not_ready_reason()
    if only_ready and reason is not None:
        return []
    state = {"state": "READY" if reason is None else "UNAVAILABLE", "reason": reason or ""}
    return [{"name": each.schema.name, "version": each.schema.version, **state} for each in service.roster.all()]
