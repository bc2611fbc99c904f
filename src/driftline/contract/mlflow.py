"""MLflow's words for what Driftline says: its error codes, and what a client may ask for."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from driftline.contract.problems import Answer
from driftline.contract.schema import ModelSchema

OUTPUT: Final = "output"
"""The member of ``params`` that says what ``predictions`` is to hold."""
JSON_TYPE: Final = "application/json"

_SHOWN_ERRORS: Final = 5
_UNPROCESSABLE: Final = 422
_ERROR_CODES: Final[Mapping[int, str]] = {
    401: "UNAUTHENTICATED",
    404: "ENDPOINT_NOT_FOUND",
    429: "REQUEST_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
}


def outputs_asked(schema: ModelSchema) -> tuple[str, ...]:
    """Returns what :data:`OUTPUT` may be; the first is what is answered without it."""
    return ("predictions", "records") if schema.output == "regression" else ("predictions", "probabilities", "records")


def as_mlflow(answer: Answer) -> Answer:
    """Returns a problem in MLflow's words; ``code`` and ``errors`` stay beside them."""
    document: dict[str, Any] = msgspec.json.decode(answer.body)
    errors = document.get("errors")
    status, message = answer.status, document["detail"]
    error_code = _ERROR_CODES.get(status, "BAD_REQUEST")
    if document["code"] == "model_not_found":
        error_code = "RESOURCE_DOES_NOT_EXIST"
    if status == _UNPROCESSABLE:  # MLflow's clients know no other status for what is wrong with the input
        status = 400
    if errors is not None:
        error_code = "INVALID_PARAMETER_VALUE"
        more = f" And {len(errors) - _SHOWN_ERRORS} more." if len(errors) > _SHOWN_ERRORS else ""
        message = " ".join(each["detail"] for each in errors[:_SHOWN_ERRORS]) + more
    told = {"error_code": error_code, "message": message, "code": document["code"]}
    if errors is not None:
        told["errors"] = errors
    others = tuple(header for header in answer.headers if header[0] != "content-type")
    return Answer(status, (("content-type", JSON_TYPE), *others), msgspec.json.encode(told))
