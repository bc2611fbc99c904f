"""The one function that decides what ``/predict`` answers; it knows no server and no framework."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

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

    def decide(self, headers: Headers, body: bytes) -> "Answer | Asked | Unscored | None":
        """Returns a refusal, what is to be kept and then told, or what is to be scored with others before.

        What comes of it is answered as calling this object does. None is for a model that has to be waited for.
        """
        served = self._served()
        try:
            served, features = self._read(served, headers, body, self._chosen)
        except InputError as error:
            return refuse(error)
        row = Unscored(served, features, Origin.of(headers))
        if served.together is None:
            return self.score(row)
        return row if served.together.in_one_turn else None

    def score(self, row: "Unscored") -> Answer | Asked:
        """Returns a refusal, or what is to be kept and then told."""
        try:
            return Asked(row.served, row.served.score(row.features), row.origin)
        except InputError as error:
            return refuse(error)
        except ScoringError as error:
            return failed(error, row.served)

    def score_all(self, rows: Sequence["Unscored"]) -> list[Asked]:
        """Returns what is to be kept and then told of rows of one model, scored in one go.

        Raises:
            Exception: There is one that is to be refused, or the model fails: :meth:`score` says of each what to do.
        """
        served = rows[0].served
        scored = served.score_all([row.features for row in rows])
        return [Asked(served, each, row.origin) for each, row in zip(scored, rows, strict=True)]

    def _read(self, served: Served, headers: Headers, body: bytes, chosen: Choose | None) -> tuple[Served, Features]:
        check_request(headers, body, self._max_body_bytes)
        features = served.decoder.decode(body)
        return (served, features) if chosen is None else chosen(served, features)


class Unscored(NamedTuple):
    """A row that is read and checked.

    Attributes:
        served: Who is to score it.
        features: What it is.
        origin: What its event will say of the request.
    """

    served: Served
    features: Features
    origin: Origin


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
