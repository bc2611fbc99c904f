"""What ``/predict/batch`` answers: many rows of one model, read, scored and kept together."""

from typing import Final, Literal, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from driftline.api.answering import answered
from driftline.api.beside import LARGE_BYTES, read_beside
from driftline.api.keeper import Headers, Origin
from driftline.api.predict import NOT_LOGGED, check_framing, failed, not_kept, refuse
from driftline.api.routes import KeptRoute
from driftline.api.served import ScoredRows, Served
from driftline.api.service import Service
from driftline.contract.columns import objects
from driftline.contract.headers import is_json, media_type, most_wanted
from driftline.contract.openapi_batch import ARROW_TYPE, BATCH_PATH, LINES_TYPES
from driftline.contract.problems import Answer
from driftline.contract.request import Features
from driftline.contract.request_ids import RequestIds
from driftline.contract.rows import Rows
from driftline.errors import InputError, ModelNotFoundError, OutboxError, ScoringError

Form = Literal["array", "lines", "arrow"]

FORMS: Final[dict[str, Form]] = {
    "application/json": "array",
    **dict.fromkeys(LINES_TYPES, "lines"),
    ARROW_TYPE: "arrow",
}

_SMALL_BYTES: Final = 1 << 16


class Limits(NamedTuple):
    """How much one batch may be.

    Attributes:
        rows: Most rows.
        body_bytes: Longest body.
    """

    rows: int
    body_bytes: int


def batch_routes(service: Service, limits: Limits) -> list[BaseRoute]:
    """Returns the routes on which many rows are predicted in one request."""

    async def predict(request: Request) -> Response:
        async def decide(headers: Headers, body: bytes) -> Answer:
            try:
                served = service.roster.find(request.path_params.get("name"), request.path_params.get("version"))
            except ModelNotFoundError as error:
                return refuse(InputError(error.code, error.message))
            return await predict_batch(service, served, limits, headers, body)

        return await answered(decide if service.keeper else None, request, limits.body_bytes, service)

    paths = (BATCH_PATH, f"/models/{{name}}{BATCH_PATH}", f"/models/{{name}}/versions/{{version}}{BATCH_PATH}")
    return [KeptRoute(path, predict) for path in paths]


async def predict_batch(service: Service, served: Served, limits: Limits, headers: Headers, body: bytes) -> Answer:
    """Returns the answer to a batch; if it is 200 and does not say otherwise, all of its events are in the outbox.

    Whatever is wrong with one row refuses all of them.
    """
    try:
        check_framing(headers, body, limits.body_bytes)
        given, told = _forms(headers)
        rows = await _read(served, body, FORMS[given], limits.rows)
        scored = await served.score_many(rows.features, rows.inputs)
    except InputError as error:
        return refuse(error)
    except ScoringError as error:
        return failed(error, served)
    assert service.keeper is not None
    try:
        kept = await service.keeper.keep_all(served, scored, Origin.of(headers))
    except OutboxError as error:
        return not_kept(error)
    answer = Answer(200, (("content-type", told),), _told(served, FORMS[told], kept.request_ids, scored))
    return answer if kept.logged else answer._replace(headers=(*answer.headers, NOT_LOGGED))


def _forms(headers: Headers) -> tuple[str, str]:
    """Returns the media types in which rows come, and in which they are answered."""
    content_type = headers.get("content-type")
    given = "application/json" if is_json(content_type) else media_type(content_type or "")
    if given not in FORMS:
        raise InputError("unsupported_media_type", f"The Content-Type must be one of: {', '.join(FORMS)}.")
    told = most_wanted(headers.get("accept"), (given, *FORMS))
    if "arrow" in {FORMS[given], FORMS[told]}:
        _check_arrow()
    return given, told


def _check_arrow() -> None:
    try:
        import driftline.api.arrow  # noqa: F401, PLC0415 (a tenth of a second, for those who use it)
    except ImportError as error:
        detail = "This server has no pyarrow, and so no Arrow: it takes pip install 'driftline[arrow]'."
        raise InputError("unsupported_media_type", detail) from error


async def _read(served: Served, body: bytes, form: Form, max_rows: int) -> Rows:
    if form == "arrow":
        from driftline.api.arrow import read_rows  # noqa: PLC0415

        if len(body) < _SMALL_BYTES:
            return read_rows(served.schema, served.decoder, body, max_rows)
        return await read_beside(len(body), read_rows, served.schema, served.decoder, body, max_rows)
    return Rows(await _read_json(served, body, form, max_rows))


async def _read_json(served: Served, body: bytes, form: Form, max_rows: int) -> list[Features]:
    array, reader = form == "array", served.rows
    if len(body) > LARGE_BYTES:
        return await read_beside(len(body), reader.read, body, array=array, max_rows=max_rows)
    if (rows := reader.read_fast(body, array=array, max_rows=max_rows)) is not None:
        return rows
    if len(body) < _SMALL_BYTES:
        return reader.read_with_care(body, array=array, max_rows=max_rows)
    # It takes ten times as long as what was tried, and others would have to wait.
    return await read_beside(len(body), reader.read_with_care, body, array=array, max_rows=max_rows)


def _told(served: Served, form: Form, request_ids: RequestIds, scored: ScoredRows) -> bytes:
    if form == "arrow":
        from driftline.api.arrow import encode_rows  # noqa: PLC0415

        return encode_rows(served.schema, request_ids.encoded, scored.columns)
    told = zip(served.outputs.names, scored.texts, strict=True)
    return objects([("request_id", request_ids.encoded), *told], array=form == "array")
