"""The one function that decides what ``/predict`` answers; it knows no server and no framework."""

from collections.abc import Callable
from typing import Final

import structlog

from driftline.api.keeper import Asked, Headers, Keeper, Origin, Told
from driftline.api.metrics import REFUSED
from driftline.api.served import Served
from driftline.contract.headers import LOGGED_HEADER, is_json
from driftline.contract.problems import Answer, problem, problem_of
from driftline.contract.request import Features
from driftline.errors import InputError, OutboxError, ScoringError

log = structlog.get_logger()

Choose = Callable[[Served, Features], tuple[Served, Features]]

JSON_HEADERS: Final = (("content-type", "application/json"),)
NOT_LOGGED: Final = (LOGGED_HEADER.lower(), "no")
_UNLOGGED: Final = (*JSON_HEADERS, NOT_LOGGED)


class Predictor:
    """Answers requests for one prediction.

    Args:
        served: Gives the model that answers now.
        keeper: Keeps the events.
        chosen: Gives who answers a row that names no version, and the row as that one has it.
        max_body_bytes: Longer bodies are refused.
    """

    def __init__(
        self,
        served: Callable[[], Served],
        keeper: Keeper,
        *,
        max_body_bytes: int,
        chosen: Choose | None = None,
    ) -> None:
        self._served = served
        self._keeper = keeper
        self._max_body_bytes = max_body_bytes
        self._chosen = chosen

    async def __call__(self, headers: Headers, body: bytes) -> Answer:
        """Returns the answer to a request.

        By then, if it is 200 and does not say otherwise in a header, the event is in the outbox.
        """
        return await self.answer(self._served(), headers, body, chosen=self._chosen)

    async def answer(self, served: Served, headers: Headers, body: bytes, *, chosen: Choose | None = None) -> Answer:
        """Returns the answer to a request that says who is to answer it; the promise is the same.

        Args:
            served: Who that is, and whose features the body has.
            headers: The request's.
            body: The request's.
            chosen: May give it to another one; None for the very version that was named.
        """
        try:
            served, features = self._read(served, headers, body, chosen)
            scored = served.score(features) if served.together is None else await served.score_soon(features)
        except InputError as error:
            return refuse(error)
        except ScoringError as error:
            return failed(error, served)
        try:
            told, logged = await self._keeper.keep(Asked(served, scored, Origin.of(headers)))
        except OutboxError as error:
            return not_kept(error)
        return answer_of(told, logged=logged)

    def decide(self, headers: Headers, body: bytes) -> Answer | Asked | None:
        """Returns a refusal, or what is to be kept and then told; None where the model cannot score at once.

        What is kept and told is answered as calling this object does.
        """
        served = self._served()
        try:
            served, features = self._read(served, headers, body, self._chosen)
            if served.together is not None:
                return None
            return Asked(served, served.score(features), Origin.of(headers))
        except InputError as error:
            return refuse(error)
        except ScoringError as error:
            return failed(error, served)

    def _read(self, served: Served, headers: Headers, body: bytes, chosen: Choose | None) -> tuple[Served, Features]:
        check_request(headers, body, self._max_body_bytes)
        features = served.decoder.decode(body)
        return (served, features) if chosen is None else chosen(served, features)


def answer_of(told: Told, *, logged: bool) -> Answer:
    """Returns the answer to who asked for a prediction."""
    return Answer(200, JSON_HEADERS if logged else _UNLOGGED, told.body)


def check_request(headers: Headers, body: bytes, max_body_bytes: int) -> None:
    """Returns if a body may be read as JSON.

    Raises:
        InputError: It is too long, or its headers say that it is something else.
    """
    check_framing(headers, body, max_body_bytes)
    if not is_json(headers.get("content-type")):
        raise InputError("unsupported_media_type", "The Content-Type must be application/json, in UTF-8.")


def check_framing(headers: Headers, body: bytes, max_body_bytes: int) -> None:
    """Returns if a body may be read, as whatever its content type says.

    Raises:
        InputError: It is too long, or compressed.
    """
    if len(body) > max_body_bytes:
        raise too_large(max_body_bytes)
    if (coding := headers.get("content-encoding")) is not None and coding.strip().lower() not in {"", "identity"}:
        raise InputError("unsupported_media_type", "The body must not be compressed: leave Content-Encoding out.")
    if (coding := headers.get("transfer-encoding")) is not None and coding.lower() != "chunked":
        raise InputError("unsupported_media_type", "The body must not be compressed on its way: only chunked.")


def refuse(error: InputError) -> Answer:
    """Returns the answer to a request that is refused, and counts it."""
    REFUSED[error.reason].inc()
    return problem_of(error)


def failed(error: ScoringError, served: Served) -> Answer:
    """Returns the answer to a request that the model fails at, and counts it."""
    REFUSED[error.code].inc()
    log.error("model.failed", model=served.schema.name, model_version=served.schema.version, error=error.message)
    return problem(error.code, "The model failed at these features; the server's log says more. Nothing was kept.")


def internal_error() -> Answer:
    """Returns the answer to a request at which the server failed; the caller has logged why."""
    return problem("internal_error", "The server failed to answer; its log says more.")


def not_kept(error: OutboxError) -> Answer:
    """Returns the answer to a request whose predictions could not be kept; the keeper has counted it."""
    return problem(error.code, "The prediction could not be kept, so there is none. Nothing was lost; try again.")


def too_large(max_body_bytes: int) -> InputError:
    """Returns the error of a body that is longer than allowed."""
    return InputError("body_too_large", f"The body is longer than {max_body_bytes} bytes.")
