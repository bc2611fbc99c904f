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
    content: Features | Sequence[Features],
    *,
    model: str | None,
    version: str | None,
    client_request_id: str | None,
    traceparent: str | None,
) -> Call:
    """Returns the request for a prediction, or for a batch of them.

    Raises:
        ValueError: A version is given without its model, or something cannot be part of a header.
    """
    if version is not None and model is None:
        raise ValueError("a version is one of a model, which is not named")
    path = "/predict" if isinstance(content, Mapping) else "/predict/batch"
    if version is not None:
        path = f"/versions/{quote(version, safe='')}{path}"
    if model is not None:
        path = f"/models/{quote(model, safe='')}{path}"
    headers = {"x-request-id": client_request_id, "traceparent": traceparent}
    given = {name: _checked(name, value) for name, value in headers.items() if value is not None}
    return Call("POST", path, repeatable=False, body=as_json(content), headers=given)


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
        ValueError: A time has no zone.
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
    """Returns JSON; NaN stays NaN, which a server refuses, and does not silently become null."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain).encode()


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
