"""How the protocol's answers look, those that refuse among them."""

from http import HTTPStatus
from typing import Any, Final

import msgspec

from driftline.contract.problems import Answer

JSON_HEADERS: Final = (
    ("content-type", "application/json"),
)  # with a parameter behind it, KServe's client reads no error
_LISTED_ERRORS: Final = 10
_OF_WRONG_REQUESTS: Final = (400, 408, 413, 415, 422)
"""The details of these say all; those of others go on from the title."""


def json_answer(told: object, status: int = HTTPStatus.OK) -> Answer:
    """Returns an answer that is JSON."""
    return Answer(status, JSON_HEADERS, msgspec.json.encode(told))


def error_of_problem(refusal: Answer, **members: bool) -> Answer:
    """Returns a refusal in the words of this protocol: ``{"error": "..."}``.

    What its clients know as a malformed request is 400, so 422 becomes that.

    Args:
        refusal: As :func:`~driftline.contract.problems.problem` makes it.
        members: Told beside the error.
    """
    document: dict[str, Any] = msgspec.json.decode(refusal.body)
    errors = [error["detail"] for error in document.get("errors", ())]
    alone = refusal.status in _OF_WRONG_REQUESTS or document["code"] == "model_not_found"
    text = " ".join(errors[:_LISTED_ERRORS]) or (
        document["detail"] if alone else f"{document['title']}. {document['detail']}"
    )
    if len(errors) > _LISTED_ERRORS:
        text += f" And {len(errors) - _LISTED_ERRORS} more."
    status = HTTPStatus.BAD_REQUEST if refusal.status == HTTPStatus.UNPROCESSABLE_ENTITY else refusal.status
    headers = tuple(header for header in refusal.headers if header[0] != "content-type")
    return Answer(status, (*JSON_HEADERS, *headers), msgspec.json.encode({"error": text, **members}))
