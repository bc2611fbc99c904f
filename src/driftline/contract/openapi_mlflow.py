"""The paths of MLflow's scoring protocol in the OpenAPI document."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from driftline.contract.frames import FORMS, PARAMS
from driftline.contract.headers import LOGGED_HEADER
from driftline.contract.mlflow import JSON_TYPE, OUTPUT, as_mlflow, outputs_asked
from driftline.contract.problems import PREDICT_CODES, PROBLEMS, Answer, problem
from driftline.contract.schema import MOST_CHARS, MOST_EXACT, Feature, ModelSchema

Json = dict[str, Any]

INVOCATION_CODES: Final = (*PREDICT_CODES, "wrong_value", "too_many_rows", "empty_batch")
_TAGS = ["MLflow"]
_TYPES: Final[Mapping[str, Json]] = {
    "float": {"type": "number"},
    "int": {"type": "integer", "minimum": -MOST_EXACT, "maximum": MOST_EXACT},
    "bool": {"type": "boolean"},
    "category": {"type": "string", "maxLength": MOST_CHARS},
}


def mlflow_paths(schema: ModelSchema) -> Json:
    """Returns the paths of the protocol, for a model."""
    return {
        "/invocations": {"post": _invocations(schema)},
        "/ping": {"get": _ping()},
        "/version": {"get": _version()},
    }


def mlflow_schemas(schema: ModelSchema) -> Json:
    """Returns the components that those paths refer to."""
    record = {
        "type": "object",
        "required": [feature.name for feature in schema.features if not feature.nullable],
        "properties": {feature.name: _value(feature) for feature in schema.features},
    }
    width = len(schema.features)
    values = [_value(feature) for feature in schema.features]
    row = {
        "type": "array",
        **({"items": values[0]} if all(value == values[0] for value in values) else {"prefixItems": values}),
        "minItems": width,
        "maxItems": width,
    }
    records, rows = ({"type": "array", "items": item, "minItems": 1} for item in (record, row))
    split = {
        "type": "object",
        "required": ["data"],
        "additionalProperties": False,
        "properties": {"columns": {"enum": [list(schema.names), None]}, "data": rows, "index": {"type": "null"}},
    }
    forms = {"dataframe_split": split, "dataframe_records": records, "instances": rows, "inputs": rows}
    params = {
        "type": ["object", "null"],
        "description": f"{OUTPUT} says what predictions is to hold; what else is there is not looked at.",
        "properties": {OUTPUT: {"enum": list(outputs_asked(schema))}},
    }
    return {
        "Invocation": {
            "title": "Invocation",
            "type": "object",
            "description": f"Exactly one of {', '.join(FORMS)}, and {PARAMS}. Beyond what is shown, instances and "
            "inputs may be records, or columns by their names. Columns may come in any order; others are left out.",
            "anyOf": [{"required": [form], "properties": {form: form_schema}} for form, form_schema in forms.items()],
            "properties": {PARAMS: params},
            "examples": list(_examples(schema).values()),
        },
        "InvocationResponse": {
            "title": "InvocationResponse",
            "type": "object",
            "required": ["predictions", "request_ids"],
            "properties": {
                "predictions": {"type": "array", "description": "One for each row; see params."},
                "request_ids": {
                    "type": "array",
                    "description": "The id of each row's event, for /feedback.",
                    "items": {"type": "string", "format": "uuid"},
                },
            },
        },
        "MlflowError": {
            "title": "MlflowError",
            "type": "object",
            "description": "Why a request was refused, as MLflow's clients read it.",
            "required": ["error_code", "message", "code"],
            "properties": {
                "error_code": {"type": "string", "description": "MLflow's."},
                "message": {"type": "string", "description": "For a person; never repeats a value from the request."},
                "code": {"type": "string", "enum": list(PROBLEMS), "description": "Never changes meaning."},
                "errors": {"type": "array", "items": {"$ref": "#/components/schemas/FieldError"}},
            },
        },
    }


def _invocations(schema: ModelSchema) -> Json:
    answers = {code: as_mlflow(problem(code, f"{PROBLEMS[code].title}.")) for code in INVOCATION_CODES}
    return {
        "operationId": "invocations",
        "tags": _TAGS,
        "summary": "Score a table, as MLflow's server does",
        "description": "Every row is a prediction like any other, with its own request_id, in the log exactly once. "
        "The table may come as text/csv too, with a header.",
        "requestBody": {
            "required": True,
            "content": {
                JSON_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Invocation"},
                    "examples": {name: {"value": value} for name, value in _examples(schema).items()},
                }
            },
        },
        "responses": {
            "200": {
                "description": "What the model gives for each row; the events are in the outbox now, unless a header "
                "says otherwise.",
                "headers": {LOGGED_HEADER: {"description": "no: could not be kept.", "schema": {"const": "no"}}},
                "content": {JSON_TYPE: {"schema": {"$ref": "#/components/schemas/InvocationResponse"}}},
            },
            **_refusals(answers),
        },
    }


def _ping() -> Json:
    stopping = as_mlflow(problem("not_ready", "The server is stopping.", reason="stopping"))
    return {
        "operationId": "ping",
        "tags": _TAGS,
        "summary": "Whether requests should be sent here; the body is a line feed",
        "security": [],
        "responses": {"200": {"description": "Yes."}, **_refusals({"not_ready": stopping})},
    }


def _version() -> Json:
    codes = ("key_missing", "key_unknown", "rate_limited")
    return {
        "operationId": "version",
        "tags": _TAGS,
        "summary": "Driftline's version",
        "responses": {
            "200": {"description": "Bare, as MLflow's server tells its own."},
            **_refusals({code: as_mlflow(problem(code, f"{PROBLEMS[code].title}.")) for code in codes}),
        },
    }


def _refusals(answers: Mapping[str, Answer]) -> Json:
    responses: Json = {}
    for code, answer in answers.items():
        response = responses.setdefault(
            str(answer.status),
            {"description": "", "content": {JSON_TYPE: {"schema": {"$ref": "#/components/schemas/MlflowError"}}}},
        )
        response["description"] += f"{PROBLEMS[code].title}. "
        response["content"][JSON_TYPE].setdefault("examples", {})[code] = {"value": msgspec.json.decode(answer.body)}
        if PROBLEMS[code].retry_after_s is not None:
            response["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    for response in responses.values():
        response["description"] = response["description"].strip()
    return dict(sorted(responses.items()))


def _examples(schema: ModelSchema) -> Json:
    row = list(schema.example.values())
    return {
        "dataframe_split": {"dataframe_split": {"columns": list(schema.names), "data": [row]}},
        "dataframe_records": {"dataframe_records": [schema.example], PARAMS: {OUTPUT: "records"}},
        "instances": {"instances": [row]},
        "inputs": {"inputs": [row]},
    }


def _value(feature: Feature) -> Json:
    value = dict(_TYPES[feature.type])
    if feature.range is not None:
        value["minimum"], value["maximum"] = feature.range
    if feature.categories is not None:
        value = {"enum": [*feature.categories, *([None] if feature.nullable else [])]}
    elif feature.nullable:
        value["type"] = [value["type"], "null"]
    return value
