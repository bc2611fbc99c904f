"""The part of the OpenAPI document that is about batches."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from driftline.contract.examples import batch_refusals
from driftline.contract.problems import Answer
from driftline.contract.schema import ModelSchema

BATCH_PATH: Final = "/predict/batch"
ARROW_TYPE: Final = "application/vnd.apache.arrow.stream"
LINES_TYPES: Final = ("application/x-ndjson", "application/jsonl")
MOST_ROWS: Final = 10_000

Json = dict[str, Any]


def batch_operation(schema: ModelSchema, single: Json, refusal: Callable[[int, Mapping[str, Answer]], Json]) -> Json:
    """Returns how many rows are predicted in one request.

    Args:
        schema: What the model takes and gives.
        single: How one is; what is the same for both is taken from it.
        refusal: Returns how the refusals of one status are told.
    """
    answers = batch_refusals(schema)
    accepted = single["responses"]["200"]
    return {
        "operationId": "predict_batch",
        "tags": single["tags"],
        "summary": "Ask the model about many rows, and have all answers kept",
        "description": (
            "The rows are scored together and kept by one write: all of them or none. One that is wrong refuses "
            "the batch, and `errors` points at it by its index, from 0. The answer has a row for each, in their order, "
            "with a `request_id` of its own. It comes in the form of the request, unless `Accept` asks for another. "
            f"How many rows and bytes a batch may have is set by the server; by default {MOST_ROWS:,} and 32 MiB."
        ),
        "parameters": single["parameters"],
        "requestBody": {
            "required": True,
            "description": "An array, or objects in lines, or an Arrow IPC stream with a column for each feature.",
            "content": _forms("PredictRequest", [schema.example]),
        },
        "responses": {
            "200": {
                "description": "The predictions, which are in the outbox now unless a header says otherwise.",
                "headers": accepted["headers"],
                "content": _forms("PredictResponse", None),
            },
            **{str(status): refusal(status, answers) for status in sorted({each.status for each in answers.values()})},
        },
    }


def _forms(row: str, example: list[Json] | None) -> Json:
    array: Json = {"schema": {"type": "array", "minItems": 1, "items": {"$ref": f"#/components/schemas/{row}"}}}
    lines: Json = {"schema": {**array["schema"], "description": "Each in a line of its own, without the array."}}
    if example is not None:
        array["examples"] = {"one": {"value": example}}
    return {
        "application/json": array,
        **dict.fromkeys(LINES_TYPES, lines),
        ARROW_TYPE: {"schema": {"type": "string", "format": "binary"}},
    }
