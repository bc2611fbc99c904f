"""MLflow's scoring protocol: ``/invocations``, ``/ping`` and ``/version``, as its own server answers them."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from driftline import __version__
from driftline.api.answering import answered
from driftline.api.batch import Limits
from driftline.api.beside import read_beside
from driftline.api.health import readiness
from driftline.api.keeper import Headers, Keeper, KeptRows, Origin
from driftline.api.observe import respond
from driftline.api.predict import JSON_HEADERS, NOT_LOGGED, Choose, check_framing, failed, not_kept, refuse
from driftline.api.routes import Form, KeptRoute
from driftline.api.served import ScoredRows, Served
from driftline.api.service import Service
from driftline.contract.event import encode
from driftline.contract.frames import Frame, frame_of_csv, frame_of_json
from driftline.contract.mlflow import OUTPUT, as_mlflow, outputs_asked
from driftline.contract.openapi_models import MODELS
from driftline.contract.problems import Answer
from driftline.contract.request import Features
from driftline.contract.schema import ModelSchema
from driftline.contract.table import features_of_columns
from driftline.errors import InputError, ModelNotFoundError, OutboxError, ScoringError

INVOCATIONS: Final = "/invocations"
PING: Final = "/ping"
VERSION: Final = "/version"
PATHS: Final = (INVOCATIONS, f"{MODELS}/{{name}}{INVOCATIONS}", f"{MODELS}/{{name}}/versions/{{version}}{INVOCATIONS}")
MLFLOW_FORMS: Final[Mapping[str, Form]] = dict.fromkeys((*PATHS, PING, VERSION), as_mlflow)
"""Where problems are told in MLflow's words."""

SMALL_BYTES: Final = 1 << 16
"""Longer bodies are read beside the loop."""

_CSV: Final = "text/csv"
_JSON: Final = "application/json"

Tell = Callable[[Served, ScoredRows, KeptRows], list[Any]]


def mlflow_routes(service: Service, limits: Limits) -> list[BaseRoute]:
    """Returns the routes of the protocol.

    Args:
        service: Answers.
        limits: How much a table may be.
    """

    async def invocations(request: Request) -> Response:
        async def decide(headers: Headers, body: bytes) -> Answer:
            assert service.keeper is not None
            name, version = request.path_params.get("name"), request.path_params.get("version")
            try:
                served = service.roster.find(name, version)
            except ModelNotFoundError as error:
                return as_mlflow(refuse(InputError(error.code, error.message)))
            chosen = service.roster.chosen if version is None else None
            answer = await invoke(served, service.keeper, limits, headers, body, chosen=chosen)
            return answer if answer.status == 200 else as_mlflow(answer)  # noqa: PLR2004 (all that is no problem)

        return await answered(decide if service.keeper else None, request, limits.body_bytes, service, as_mlflow)

    async def ping(_: Request) -> Response:
        answer = readiness(service.not_ready_reason(), serves_unlogged=service.serves_unlogged)
        return respond(Answer(200, JSON_HEADERS, b"\n") if answer.status == 200 else as_mlflow(answer))  # noqa: PLR2004

    async def version(_: Request) -> Response:
        return respond(Answer(200, JSON_HEADERS, __version__.encode()))

    return [
        *(KeptRoute(path, invocations) for path in PATHS),
        Route(PING, ping),
        Route(VERSION, version),
    ]


async def invoke(
    served: Served, keeper: Keeper, limits: Limits, headers: Headers, body: bytes, *, chosen: Choose | None = None
) -> Answer:
    """Returns the predictions for a table, or a problem; if it is the former, the event of each row is kept by then.

    Args:
        served: Answers.
        keeper: Keeps the events.
        limits: How much a table may be.
        headers: The request's.
        body: As it came.
        chosen: May give a single row to another version; None for the very version that was named.
    """
    try:
        check_framing(headers, body, limits.body_bytes)
        content_type = headers.get("content-type")
        if len(body) < SMALL_BYTES:
            rows, tell = _read(served, limits, content_type, body)
        else:  # others would have to wait
            rows, tell = await read_beside(len(body), _read, served, limits, content_type, body)
        if chosen is not None and len(rows) == 1:
            served, rows[0] = chosen(served, rows[0])
        scored = await served.score_many(rows)
    except InputError as error:
        return refuse(error)
    except ScoringError as error:
        return failed(error, served)
    try:
        kept = await keeper.keep_all(served, scored, Origin.of(headers))
    except OutboxError as error:
        return not_kept(error)
    told = {"predictions": tell(served, scored, kept), "request_ids": list(kept.request_ids)}
    return Answer(200, JSON_HEADERS if kept.logged else (*JSON_HEADERS, NOT_LOGGED), encode(told))


def _read(served: Served, limits: Limits, content_type: str | None, body: bytes) -> tuple[list[Features], Tell]:
    frame = read_frame(content_type, body, served.schema, limits.rows)
    if frame.rows > limits.rows:
        raise InputError("too_many_rows", f"The table has {frame.rows} rows; {limits.rows} are taken at once.")
    tell = _teller(frame.params, served.schema)
    return features_of_columns(served.schema, served.decoder, frame.columns), tell


def read_frame(content_type: str | None, body: bytes, schema: ModelSchema, max_rows: int) -> Frame:
    """Returns what a body of this type asks for; one that has none is read as JSON.

    Args:
        content_type: The header.
        body: As it came.
        schema: The model's.
        max_rows: A body that is much more is refused before it is read; some more rows are returned.

    Raises:
        InputError: It is of another type, or no table of the model's.
    """
    media_type, *parameters = (part.strip().lower() for part in (content_type or _JSON).split(";"))
    readers = {_JSON: frame_of_json, _CSV: frame_of_csv}
    charset = {"charset=utf-8", 'charset="utf-8"'}
    if media_type not in readers or not charset.issuperset(parameters):
        raise InputError("unsupported_media_type", f"The Content-Type must be {_JSON} or {_CSV}, in UTF-8.")
    return readers[media_type](body, schema, max_rows)


def _teller(params: Mapping[str, Any], schema: ModelSchema) -> Tell:
    asked = outputs_asked(schema)
    output = params.get(OUTPUT, asked[0])
    if output not in asked:
        raise InputError("wrong_value", f"params.{OUTPUT} must be one of {', '.join(asked)}.")
    return _TELLERS[output]


def _predictions(_: Served, scored: ScoredRows, __: KeptRows) -> list[Any]:
    """What ``predict`` of the library gives: the class, or the number."""
    return [each.values[-1] for each in scored]


def _probabilities(served: Served, scored: ScoredRows, _: KeptRows) -> list[Any]:
    """What ``predict_proba`` gives: a number for each class, in the model's order."""
    if served.schema.output == "binary":
        return [(1.0 - each.values[0], each.values[0]) for each in scored]
    return [tuple(each.values[0].values()) for each in scored]


def _records(served: Served, scored: ScoredRows, kept: KeptRows) -> list[Any]:
    """What ``/predict`` answers."""
    response = served.outputs.response
    return [response(request_id, *each.values) for request_id, each in zip(kept.request_ids, scored, strict=True)]


_TELLERS: Final[Mapping[str, Tell]] = {
    "predictions": _predictions,
    "probabilities": _probabilities,
    "records": _records,
}
