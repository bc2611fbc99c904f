"""What an inference request is answered; it knows no server and no framework."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

from driftline.api.batch import Limits
from driftline.api.beside import read_beside
from driftline.api.keeper import Asked, Headers, Keeper, Origin
from driftline.api.predict import NOT_LOGGED, Choose, failed, not_kept, refuse
from driftline.api.served import Scored, ScoredRows, Served
from driftline.api.v2.answers import JSON_HEADERS
from driftline.api.v2.compression import MOST_OF_A_BYTE, compressed, decompressed
from driftline.contract.headers import parse_request_id
from driftline.contract.problems import Answer
from driftline.contract.request import Features
from driftline.contract.table import features_of_columns
from driftline.contract.v2.columns import columns_of
from driftline.contract.v2.request import HEADER_LENGTH, InferRequest, read_request
from driftline.contract.v2.response import Told, told_outputs, write_response
from driftline.errors import InputError, OutboxError, ScoringError

_BINARY_HEADERS: Final = (("content-type", "application/octet-stream"),)
_SMALL_BYTES: Final = 1 << 14
_FEW_ROWS: Final = 200


class _Asked(NamedTuple):
    request: InferRequest
    rows: list[Features]


async def infer(
    served: Served, keeper: Keeper, limits: Limits, headers: Headers, body: bytes, *, chosen: Choose | None = None
) -> Answer:
    """Returns the answer to a request; one that is refused gets a problem document.

    By then, if it is 200 and does not say otherwise in a header, the event of each row is in the outbox.

    Args:
        served: Who answers.
        keeper: Keeps the events.
        limits: How many rows there may be, and how many bytes once the body is decompressed.
        headers: The request's. Its content type says nothing: clients send none, or a wrong one.
        body: As it came.
        chosen: May give a single row to another version; None for the very version that was named.
    """
    try:
        # In a thread it takes no less time, but others get their turn.
        read = partial(_read, served, limits, headers, body)
        coded = headers.get("content-encoding") is not None
        small = len(body) <= _SMALL_BYTES and not coded
        longest = MOST_OF_A_BYTE * len(body) if coded else len(body)
        asked = read() if small else await read_beside(longest, read)
        rows = asked.rows
        if chosen is not None and len(rows) == 1:
            served, features = chosen(served, rows[0])
            rows = [features]
        told = told_outputs(served.schema, asked.request)
        scored = await _scored(served, rows)
    except InputError as error:
        return refuse(error)
    except ScoringError as error:
        return failed(error, served)
    try:
        request_ids, logged = await _keep(keeper, served, scored, _origin(headers, asked.request))
    except OutboxError as error:
        return not_kept(error)
    write = partial(_answer, served, asked.request, told, headers, scored, request_ids, logged)
    return write() if len(scored) <= _FEW_ROWS else await asyncio.to_thread(write)


def _read(served: Served, limits: Limits, headers: Headers, body: bytes) -> _Asked:
    plain = decompressed(body, headers.get("content-encoding"), limits.body_bytes)
    most = {"max_rows": limits.rows, "max_columns": len(served.schema.features)}
    request = read_request(plain, headers.get(HEADER_LENGTH), **most)
    columns = columns_of(served.schema, request.inputs)
    if any(len(column) > limits.rows for column in columns.values()):
        raise InputError("too_many_rows", f"There are more than {limits.rows} rows.")
    return _Asked(request, features_of_columns(served.schema, served.decoder, columns))


async def _scored(served: Served, rows: list[Features]) -> ScoredRows | tuple[Scored]:
    if len(rows) > 1:
        return await served.score_many(rows)
    return (served.score(rows[0]) if served.together is None else await served.score_soon(rows[0]),)


async def _keep(
    keeper: Keeper, served: Served, scored: ScoredRows | tuple[Scored], origin: Origin
) -> tuple[Sequence[str], bool]:
    if isinstance(scored, tuple):
        told, logged = await keeper.keep(Asked(served, scored[0], origin))
        return [told.request_id], logged
    return await keeper.keep_all(served, scored, origin)


def _answer(  # noqa: PLR0917
    served: Served,
    request: InferRequest,
    told: Sequence[Told],
    headers: Headers,
    scored: Sequence[Scored],
    request_ids: Sequence[str],
    logged: bool,
) -> Answer:
    rows = [each.values for each in scored]
    written, head_bytes = write_response(served.schema, request, told, rows, request_ids)
    sent, coding = compressed(written, headers.get("accept-encoding"))
    told_headers = JSON_HEADERS if head_bytes is None else (*_BINARY_HEADERS, (HEADER_LENGTH, str(head_bytes)))
    if coding is not None:
        told_headers = (*told_headers, ("content-encoding", coding))
    return Answer(200, told_headers if logged else (*told_headers, NOT_LOGGED), sent)


def _origin(headers: Headers, request: InferRequest) -> Origin:
    origin = Origin.of(headers)
    if origin.client_request_id is not None:
        return origin
    return origin._replace(client_request_id=parse_request_id(request.id))
