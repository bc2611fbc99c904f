"""The requests of the client, and what becomes of their answers; sends nothing itself."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import httpx
import msgspec

from driftline import __version__
from driftline.client.results import Health, Outcome, Prediction, Record, read
from driftline.errors import (
    AnswerError,
    AnswerLostError,
    BusyError,
    ClientError,
    KeyRefusedError,
    RefusedError,
    UnreachableError,
)

MOST_OUTCOMES: Final = 500
"""So many outcomes are told in one request."""
LOGGED_HEADER: Final = "driftline-logged"

Features = Mapping[str, Any]

_PROBLEM_TYPE: Final = "application/problem+json"
_OK, _UNAUTHORIZED, _BUSY = 200, 401, frozenset({429, 503})
_BEFORE_SENDING: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class Call(NamedTuple):
    """One request.

    Attributes:
        method: Of HTTP.
        path: From the server's root.
        repeatable: Whether sending it twice does no harm.
        body: JSON; None for none.
        headers: Beyond the usual.
    """

    method: str
    path: str
    repeatable: bool
    body: bytes | None = None
    headers: Mapping[str, str] = {}


class _Problem(msgspec.Struct):
    code: str
    detail: str
    errors: list[dict[str, str]] = []
    reason: str | None = None


def usual_headers(key: str | None) -> dict[str, str]:
    """Returns what every request says.

    Raises:
        ValueError: The key cannot be part of a header.
    """
    headers = {"user-agent": f"driftline/{__version__}", "accept": "application/json"}
    return headers if key is None else {**headers, "authorization": f"Bearer {_checked('key', key)}"}


def prediction_call(
    features: Features,
    *,
    model: str | None,
    version: str | None,
    client_request_id: str | None,
    traceparent: str | None,
) -> Call:
    """Returns the request for a prediction.

    Raises:
        ValueError: The features are no mapping, a version is given without its model, or something cannot be part of a
            path, a header or JSON.
    """
    if not isinstance(features, Mapping):
        raise ValueError(  # noqa: TRY004 (as all that is wrong with what is to be sent)
            "the features of one row are a mapping from their names; several rows are for predict_batch"
        )
    return _asking("/predict", features, model, version, client_request_id, traceparent)


def batch_call(
    rows: Iterable[Features],
    *,
    model: str | None,
    version: str | None,
    client_request_id: str | None,
    traceparent: str | None,
) -> Call:
    """Returns the request for a prediction of each row.

    Raises:
        ValueError: As for one row, of any of them; or the rows are a single one.
    """
    if isinstance(rows, Mapping):
        raise ValueError("the rows of a batch are several mappings; a single one is for predict")  # noqa: TRY004
    several = list(rows)
    for at, row in enumerate(several):
        if not isinstance(row, Mapping):
            raise ValueError(f"row {at} is no mapping from the names of features")  # noqa: TRY004
    return _asking("/predict/batch", several, model, version, client_request_id, traceparent)


def _asking(  # noqa: PLR0917
    path: str,
    content: Features | Sequence[Features],
    model: str | None,
    version: str | None,
    client_request_id: str | None,
    traceparent: str | None,
) -> Call:
    if version is not None and model is None:
        raise ValueError("a version is one of a model, which is not named")
    if version is not None:
        path = f"/versions/{_segment('version', version)}{path}"
    if model is not None:
        path = f"/models/{_segment('model', model)}{path}"
    headers = {"x-request-id": client_request_id, "traceparent": traceparent}
    given = {name: _checked(name, value) for name, value in headers.items() if value is not None}
    return Call("POST", path, repeatable=False, body=as_json(content), headers=given)


def _segment(what: str, name: str) -> str:
    """Returns what is one part of a path; of dots and slashes httpx or the server would make another path."""
    if name in {"", ".", ".."} or "/" in name:
        raise ValueError(f"no {what} is called {name!r}: it is empty, has a slash, or is dots alone")
    try:
        return quote(name, safe="")
    except UnicodeEncodeError as error:
        raise ValueError(f"the name of the {what} has half of a surrogate pair, which is no text") from error


def _checked(what: str, value: str) -> str:
    """Returns what can be part of a header; httpx would find out while it sends, and repeat the value."""
    if not (value.isascii() and value.isprintable()) or value != value.strip():
        raise ValueError(
            f"the {what} has blanks around it, a line break, or what is not ASCII: no header can have that"
        )
    return value


def feedback_calls(outcomes: Iterable[Outcome]) -> Iterator[Call]:
    """Yields the requests that tell outcomes, in their order.

    Raises:
        ValueError: A time has no zone, or a text half of a surrogate pair.
    """
    each = iter(outcomes)
    while some := list(islice(each, MOST_OUTCOMES)):
        body = as_json({"feedback": [_told(outcome) for outcome in some]})
        yield Call("POST", "/feedback", repeatable=True, body=body)


def _told(outcome: Outcome) -> dict[str, Any]:
    told: dict[str, Any] = {"request_id": outcome.request_id, "outcome": outcome.outcome}
    if outcome.at is not None:
        if outcome.at.tzinfo is None:
            raise ValueError("a time without its zone may be hours off: give at with a tzinfo")
        told["at"] = outcome.at.isoformat()
    return told


def as_json(value: object) -> bytes:
    """Returns JSON; NaN stays NaN, which a server refuses, and does not silently become null.

    Raises:
        ValueError: A text has half of a surrogate pair.
        TypeError: Something is none of JSON's values.
    """
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain).encode()
    except UnicodeEncodeError as error:
        raise ValueError("a text has half of a surrogate pair, which no JSON in UTF-8 can hold") from error


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # NumPy's numbers
        return value.tolist()
    raise TypeError(f"a value of the type {type(value).__name__} is none of JSON's")


def predictions_of(response: httpx.Response) -> list[Prediction]:
    """Returns the predictions of a batch.

    Raises:
        AnswerError: There are none in the answer.
    """
    logged = response.headers.get(LOGGED_HEADER) != "no"
    return [record.typed(logged=logged) for record in read(response.content, list[Record])]


def prediction_of(response: httpx.Response) -> Prediction:
    """Returns the prediction.

    Raises:
        AnswerError: There is none in the answer.
    """
    return read(response.content, Record).typed(logged=response.headers.get(LOGGED_HEADER) != "no")


def health_of(response: httpx.Response) -> Health:
    """Returns what a server says of itself.

    Raises:
        AnswerError: It says something else.
    """
    if response.status_code == _OK:
        return Health(ready=True, reason=read(response.content, dict[str, str]).get("reason"))
    problem = _problem(response)
    return Health(ready=False, reason=problem.reason or problem.code)


def checked(response: httpx.Response) -> httpx.Response:
    """Returns an answer that is what was asked for.

    Raises:
        RefusedError: It is a refusal.
        AnswerError: It is not Driftline's.
    """
    status = response.status_code
    if status == _OK:
        return response
    problem = _problem(response)
    message = " ".join([problem.detail, *(each.get("detail", "") for each in problem.errors[:3])])
    if status in _BUSY:
        retry_after = response.headers.get("retry-after", "")
        raise BusyError(message, problem.code, status, float(retry_after) if retry_after.isdecimal() else None)
    if status == _UNAUTHORIZED:
        raise KeyRefusedError(message, problem.code, status)
    raise RefusedError(message, problem.code, status, problem.errors)


def _problem(response: httpx.Response) -> _Problem:
    status = response.status_code
    if response.headers.get("content-type") == _PROBLEM_TYPE:
        try:
            return msgspec.json.decode(response.content, type=_Problem)
        except msgspec.MsgspecError as error:
            raise AnswerError(f"the server answered {status}, with a broken reason", status) from error
    raise AnswerError(f"somebody who is not Driftline answered {status}", status)


def as_client_error(error: httpx.HTTPError | httpx.InvalidURL) -> ClientError:
    """Returns what happened to a request that has no answer."""
    said = str(error) or type(error).__name__
    if isinstance(error, (*_BEFORE_SENDING, httpx.InvalidURL)):
        return UnreachableError(f"the server cannot be reached: {said}")
    return AnswerLostError(f"the request was sent, and no answer came: {said}")
