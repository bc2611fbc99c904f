"""Every way a request can be refused: the one table of codes, and the documents (RFC 9457) that tell a client.

A code never changes its meaning. Documents never repeat a client's values, only its field names.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from driftline.errors import InputError

PROBLEM_TYPE: Final = "application/problem+json"
MAX_LISTED_ERRORS: Final = 100
_MAX_TOKEN_CHARS = 128


class Problem(NamedTuple):
    """What every document with one code says.

    Attributes:
        status: HTTP status.
        title: What is wrong, in words that never change.
        retry_after_s: When it makes sense to come again, if it does.
    """

    status: int
    title: str
    retry_after_s: int | None = None


PROBLEMS: Final[Mapping[str, Problem]] = MappingProxyType(
    {
        "malformed_json": Problem(400, "The body is not JSON"),
        "malformed_arrow": Problem(400, "The body is not an Arrow stream"),
        "incomplete_body": Problem(400, "The body broke off"),
        "key_missing": Problem(401, "An API key is needed"),
        "key_unknown": Problem(401, "The API key is not known"),
        "model_not_found": Problem(404, "No such model is served"),
        "not_found": Problem(404, "There is nothing at this path"),
        "method_not_allowed": Problem(405, "The path does not take this method"),
        "body_timeout": Problem(408, "The body did not arrive in time"),
        "body_too_large": Problem(413, "The body is too large"),
        "too_many_rows": Problem(413, "The batch has too many rows"),
        "unsupported_media_type": Problem(415, "The body is not plain JSON"),
        "empty_body": Problem(422, "The body is empty"),
        "invalid_utf8": Problem(422, "The body is not UTF-8"),
        "not_an_object": Problem(422, "The body is not a JSON object"),
        "not_an_array": Problem(422, "The body is not a JSON array"),
        "empty_batch": Problem(422, "The batch has no rows"),
        "too_deep": Problem(422, "The body is nested too deeply"),
        "missing_field": Problem(422, "A field is missing"),
        "unknown_field": Problem(422, "A field is not known"),
        "duplicate_field": Problem(422, "A field is given more than once"),
        "wrong_type": Problem(422, "A field is of the wrong type"),
        "wrong_value": Problem(422, "A field has a value that it cannot have"),
        "not_finite": Problem(422, "A field is NaN or infinite"),
        "number_out_of_range": Problem(422, "A number does not fit its type"),
        "out_of_range": Problem(422, "A number is not in the model's range"),
        "unknown_category": Problem(422, "A category is not one of the model's"),
        "text_too_long": Problem(422, "A text is too long"),
        "score_not_finite": Problem(422, "The model has no score for these features"),
        "rate_limited": Problem(429, "The API key has used up its rate", retry_after_s=1),
        "scoring_failed": Problem(500, "The model failed"),
        "internal_error": Problem(500, "The server failed"),
        "not_ready": Problem(503, "The server is not ready", retry_after_s=1),
        "overloaded": Problem(503, "More requests come than can be answered", retry_after_s=1),
        "outbox_full": Problem(503, "Events cannot be kept: the outbox is full", retry_after_s=5),
        "outbox_unavailable": Problem(503, "Events cannot be kept: the outbox cannot be written", retry_after_s=1),
    }
)

KEPT_CODES: Final = tuple(code for code in PROBLEMS if code not in {"not_found", "method_not_allowed"})
"""What the routes refuse with whose events are kept."""

_OF_BATCHES = {"too_many_rows", "malformed_arrow", "not_an_array", "empty_batch"}
_OF_OTHER_ROUTES = {"wrong_value", "model_not_found"} | _OF_BATCHES
_OF_MODELS = {"out_of_range", "unknown_category", "text_too_long", "score_not_finite", "scoring_failed"}
PREDICT_CODES: Final = tuple(code for code in KEPT_CODES if code not in _OF_OTHER_ROUTES)
BATCH_CODES: Final = tuple(
    code for code in KEPT_CODES if (code in PREDICT_CODES or code in _OF_BATCHES) and code != "not_an_object"
)
FEEDBACK_CODES: Final = tuple(
    code for code in KEPT_CODES if code == "wrong_value" or code not in _OF_MODELS | _OF_OTHER_ROUTES
)


class Answer(NamedTuple):
    """An HTTP response, whatever server sends it.

    Attributes:
        status: HTTP status.
        headers: Names in lower case; the server adds ``content-length``.
        body: What is sent.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class FieldError(NamedTuple):
    """One thing that is wrong with one field.

    Attributes:
        path: From the body's root to the field, as names and indexes.
        code: A key of :data:`PROBLEMS`.
        detail: One sentence for a person.
    """

    path: tuple[str | int, ...]
    code: str
    detail: str


class InvalidFieldsError(InputError):
    """A body that is a JSON object, but not the one that the model takes.

    Attributes:
        errors: All that is wrong, at least one, at most :data:`MAX_LISTED_ERRORS`; the first one's code is ``reason``.
    """

    def __init__(self, errors: Iterable[FieldError]) -> None:
        found = tuple(errors)
        self.errors = found[:MAX_LISTED_ERRORS]
        first = found[0]
        if len(found) > MAX_LISTED_ERRORS:
            message = f"More than {MAX_LISTED_ERRORS} fields are wrong; see errors for the first of them"
        elif len(found) > 1:
            message = f"{len(found)} fields are wrong; see errors"
        else:
            message = first.detail
        super().__init__(first.code, message, first.path)


def problem(
    code: str,
    detail: str,
    *,
    headers: tuple[tuple[str, str], ...] = (),
    retry_after_s: int | None = None,
    **members: str | list[dict[str, str]],
) -> Answer:
    """Returns the answer that refuses a request.

    Args:
        code: A key of :data:`PROBLEMS`.
        detail: One sentence about this request, without any value of the client's.
        headers: Further headers, such as ``allow``.
        retry_after_s: When to come again, where that is known better than :data:`PROBLEMS` knows it.
        members: Further members of the document.
    """
    status, title, usual_s = PROBLEMS[code]
    wait_s = usual_s if retry_after_s is None else retry_after_s
    retry = () if wait_s is None else (("retry-after", str(wait_s)),)
    document: dict[str, Any] = {
        "type": f"urn:driftline:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        **members,
    }
    return Answer(status, (("content-type", PROBLEM_TYPE), *retry, *headers), msgspec.json.encode(document))


def problem_of(error: InputError) -> Answer:
    """Returns the answer for a request that an :class:`~driftline.errors.InputError` refuses."""
    if not isinstance(error, InvalidFieldsError):
        return problem(error.reason, error.message)
    return problem(
        error.reason,
        error.message,
        errors=[{"path": pointer(path), "code": code, "detail": detail} for path, code, detail in error.errors],
    )


def pointer(path: Iterable[str | int]) -> str:
    """Returns a JSON pointer (RFC 6901) that any JSON encoder takes: long names are cut, lone surrogates replaced."""
    return "".join(f"/{_token(str(part))}" for part in path)


def shown(name: str) -> str:
    """Returns a client's name for something as any JSON encoder takes it: cut if long, lone surrogates replaced."""
    cut = name if len(name) <= _MAX_TOKEN_CHARS else f"{name[:_MAX_TOKEN_CHARS]}\N{HORIZONTAL ELLIPSIS}"
    return cut.encode("utf-8", "replace").decode()


def _token(part: str) -> str:
    return shown(part).replace("~", "~0").replace("/", "~1")
