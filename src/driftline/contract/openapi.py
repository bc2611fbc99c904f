"""The OpenAPI document of the HTTP API, made from a model's schema.

``python -m driftline.contract.openapi > openapi.yaml`` writes the committed one, that of the seed's model.
"""

import sys
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from driftline import __version__
from driftline.contract.examples import feedback_refusals, parsed, refusals
from driftline.contract.feedback import Outcomes
from driftline.contract.headers import LOGGED_HEADER
from driftline.contract.messages import (
    FeedbackResponse,
    event_class,
    feedback_batch_class,
    feedback_class,
    feedback_event_class,
    request_class,
    response_class,
)
from driftline.contract.openapi_batch import BATCH_PATH, batch_operation
from driftline.contract.openapi_mlflow import mlflow_paths, mlflow_schemas
from driftline.contract.openapi_models import Places, models_paths, models_schemas, places_of
from driftline.contract.openapi_v2 import TAG as V2_TAG
from driftline.contract.openapi_v2 import v2_paths, v2_schemas
from driftline.contract.package import seed_schema
from driftline.contract.problems import PROBLEM_TYPE, PROBLEMS, Answer, problem
from driftline.contract.schema import ModelSchema

UNLOGGED_REASONS = ("outbox_full", "outbox_unavailable")
NOT_READY_REASONS = ("starting", "stopping", *UNLOGGED_REASONS)

Json = dict[str, Any]

_SECURITY_SCHEMES: Json = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, on a server that asks for one."},
    "header": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same key, where Authorization is in use.",
    },
}
_KEY_CODES = ("key_missing", "key_unknown", "rate_limited")
_CHALLENGE = {"description": "How to send a key (RFC 6750).", "schema": {"type": "string"}}
_LOGGED = {
    "description": "Only there if the prediction could not be kept, and so is not promised to be in the log; sent "
    "instead of a 503 when the server's outbox_full_policy is serve.",
    "schema": {"const": "no"},
}
_RETRY_AFTER = {"description": "Seconds after which to come again.", "schema": {"type": "integer", "minimum": 0}}


def document(schema: ModelSchema, places: Places | None = None, *, keys_needed: bool = False) -> Json:
    """Returns the OpenAPI 3.1 document of an API that serves a model.

    Args:
        schema: What the model takes and gives that answers ``/predict``.
        places: All that are served, by where they answer; None if there is but this one.
        keys_needed: Whether it must be asked with a key, or is only able to ask for one.
    """
    places = places_of([schema], [schema]) if places is None else places
    outcomes = Outcomes.of([schema, *places.values()])
    classes: list[type[BaseModel]] = [request_class(schema), response_class(schema), event_class(schema)]
    classes += [feedback_class(outcomes), feedback_batch_class(outcomes), FeedbackResponse]
    classes += [feedback_event_class(outcomes)]
    _, definitions = models_json_schema(
        [(each, "validation") for each in classes], ref_template="#/components/schemas/{model}"
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Driftline",
            "version": __version__,
            "summary": "Serves a model and keeps every prediction.",
            "description": (
                "A 200 from `/predict` without the header `Driftline-Logged: no` means that the prediction will be in "
                "the log, exactly once; only with `outbox_full_policy = serve` is that header ever sent. A 200 from "
                "`/feedback` means the same of all outcomes in the request. Whatever is refused is answered with a "
                "problem document (RFC 9457) that has a stable `code`, and nothing is logged. Every `GET` is there as "
                "`HEAD` too."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": "predictions", "description": f"The model {schema.name}, version {schema.version}."},
            {"name": V2_TAG, "description": "Version 2, over REST, for clients that speak it; see docs/protocols.md."},
            {"name": "MLflow", "description": "The scoring protocol of MLflow's own server, for its clients."},
            {"name": "operations", "description": "For load balancers and Prometheus."},
        ],
        "paths": {
            "/predict": {"post": _predict(schema)},
            BATCH_PATH: {"post": batch_operation(schema, _predict(schema), _refusal)},
            **models_paths(places, schema, _predict, _key_refusals(schema)),
            "/feedback": {"post": _feedback(outcomes)},
            "/health": {"get": _health("health", "Whether requests should be sent here", ready=True)},
            "/health/live": {"get": _health("live", "Whether the process answers at all", ready=False)},
            "/health/ready": {"get": _health("ready", "Whether requests should be sent here", ready=True)},
            "/metrics": {"get": _metrics(schema)},
            **v2_paths(schema),
            **mlflow_paths(schema),
        },
        "components": {
            "schemas": {
                **definitions["$defs"],
                **models_schemas(places, schema),
                **_schemas(),
                **v2_schemas(schema),
                **mlflow_schemas(schema),
            },
            "securitySchemes": _SECURITY_SCHEMES,
        },
        "security": [*({name: []} for name in _SECURITY_SCHEMES), *([] if keys_needed else [{}])],
    }


def _predict(schema: ModelSchema) -> Json:
    answers = refusals(schema)
    statuses = sorted({answer.status for answer in answers.values()})
    return {
        "operationId": "predict",
        "tags": ["predictions"],
        "summary": "Ask the model, and have the answer kept",
        "parameters": [
            _header(
                "traceparent",
                "W3C Trace Context; kept in the event. One that is not valid is ignored.",
                {"type": "string", "examples": ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"]},
            ),
            _header(
                "X-Request-Id",
                "Kept in the event as client_request_id if it is 1 to 128 visible ASCII characters, else ignored.",
                {"type": "string", "examples": ["order-4711"]},
            ),
        ],
        "requestBody": {
            "required": True,
            "description": "Read as JSON in UTF-8 when there is no Content-Type, or one that is JSON.",
            "content": {"application/json": _content("PredictRequest", "example", schema.example)},
        },
        "responses": {
            "200": {
                "description": "The prediction, which is in the outbox now unless a header says otherwise.",
                "headers": {LOGGED_HEADER: _LOGGED},
                "content": {"application/json": {"schema": _ref("PredictResponse")}},
            },
            **{str(status): _refusal(status, answers) for status in statuses},
        },
    }


def _feedback(outcomes: Outcomes) -> Json:
    answers = feedback_refusals(outcomes)
    one: Json = feedback_class(outcomes).model_json_schema()["examples"][0]
    first = outcomes.classes[0] if outcomes.classes else outcomes.shown
    other = {**one, "request_id": "019ab2d1-6a3f-7000-8a4b-90f2d3c1e5b7", "outcome": first}
    return {
        "operationId": "feedback",
        "tags": ["predictions"],
        "summary": "Tell what became of predictions",
        "description": (
            "One outcome, or a batch of them. Sending the same again is harmless, also after a 503. A request_id that "
            "no prediction has is taken: that prediction may not be in the log yet. What belongs together is found "
            "by those who read the log."
        ),
        "requestBody": {
            "required": True,
            "description": "Read as JSON in UTF-8 when there is no Content-Type, or one that is JSON.",
            "content": {
                "application/json": {
                    "schema": {"oneOf": [_ref("Feedback"), _ref("FeedbackBatch")]},
                    "examples": {"one": {"value": one}, "batch": {"value": {"feedback": [one, other]}}},
                }
            },
        },
        "responses": {
            "200": {
                "description": "All of it is in the outbox now, and will be in the log.",
                "content": {"application/json": {"schema": _ref("FeedbackResponse")}},
            },
            **{str(status): _refusal(status, answers) for status in sorted({each.status for each in answers.values()})},
        },
    }


def _refusal(status: int, answers: Mapping[str, Answer]) -> Json:
    codes = [code for code, answer in answers.items() if answer.status == status]
    response: Json = {
        "description": "; ".join(PROBLEMS[code].title for code in codes) + ".",
        "content": {
            PROBLEM_TYPE: {
                "schema": {"allOf": [_ref("Problem"), {"properties": {"code": {"enum": codes}}}]},
                "examples": {code: {"value": parsed(answers[code])} for code in codes},
            }
        },
    }
    if any(PROBLEMS[code].retry_after_s is not None for code in codes):
        response["headers"] = {"Retry-After": _RETRY_AFTER}
    if status == HTTPStatus.UNAUTHORIZED:
        response["headers"] = {"WWW-Authenticate": _CHALLENGE}
    return response


def _health(operation: str, summary: str, *, ready: bool) -> Json:
    responses: Json = {
        "200": {
            "description": "Yes.",
            "content": {"application/json": _content("Health", "ok", {"status": "ok"})},
        }
    }
    if ready:
        unlogged = {"status": "unlogged", "reason": "outbox_full"}
        responses["200"]["description"] = "Yes; what it answers is logged, unless the status is unlogged."
        responses["200"]["content"]["application/json"]["examples"]["unlogged"] = {"value": unlogged}
        stopping = parsed(problem("not_ready", "The server is stopping.", reason="stopping"))
        responses["503"] = {
            "description": "No, for this reason.",
            "headers": {"Retry-After": _RETRY_AFTER},
            "content": {PROBLEM_TYPE: _content("NotReady", "stopping", stopping)},
        }
    return {
        "operationId": operation,
        "tags": ["operations"],
        "summary": summary,
        "security": [],
        "responses": responses,
    }


def _key_refusals(schema: ModelSchema) -> Json:
    answers = {code: answer for code, answer in refusals(schema).items() if code in _KEY_CODES}
    return {str(status): _refusal(status, answers) for status in sorted({each.status for each in answers.values()})}


def _metrics(schema: ModelSchema) -> Json:
    return {
        "operationId": "metrics",
        "tags": ["operations"],
        "summary": "Counters and gauges of all processes, for Prometheus",
        "responses": {
            "200": {
                "description": "The Prometheus text format.",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            },
            **_key_refusals(schema),
        },
    }


def _schemas() -> Json:
    field_error = {
        "type": "object",
        "title": "FieldError",
        "description": "One thing that is wrong with one field.",
        "required": ["path", "code", "detail"],
        "properties": {
            "path": {"type": "string", "format": "json-pointer", "description": "Where in the body (RFC 6901)."},
            "code": {"type": "string", "enum": list(PROBLEMS)},
            "detail": {"type": "string"},
        },
    }
    members = {
        "type": {"type": "string", "format": "uri", "description": "`urn:driftline:problem:` and the code."},
        "title": {"type": "string", "description": "The same for every problem with this code."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "For a person; never repeats a value from the request."},
        "code": {"type": "string", "enum": list(PROBLEMS), "description": "For a program; never changes meaning."},
    }
    problem_schema = {
        "type": "object",
        "title": "Problem",
        "description": "Why a request was refused (RFC 9457).",
        "required": list(members),
        "properties": {
            **members,
            "errors": {
                "type": "array",
                "description": "Everything that is wrong with the fields; `code` is that of the first.",
                "items": _ref("FieldError"),
            },
        },
    }
    not_ready = {
        "title": "NotReady",
        "description": "Why requests should go elsewhere.",
        "allOf": [_ref("Problem")],
        "required": ["reason"],
        "properties": {
            "code": {"const": "not_ready"},
            "reason": {"type": "string", "enum": list(NOT_READY_REASONS)},
        },
    }
    health = {
        "type": "object",
        "title": "Health",
        "required": ["status"],
        "properties": {
            "status": {
                "enum": ["ok", "unlogged"],
                "description": "unlogged: predictions are answered that cannot be kept (outbox_full_policy = serve).",
            },
            "reason": {"type": "string", "enum": list(UNLOGGED_REASONS), "description": "Why they cannot be kept."},
        },
    }
    return {"FieldError": field_error, "Health": health, "NotReady": not_ready, "Problem": problem_schema}


def _header(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


def _content(schema: str, example: str, value: object) -> Json:
    return {"schema": _ref(schema), "examples": {example: {"value": value}}}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def to_yaml(openapi: Json) -> str:
    """Returns the text of a document as it is committed."""
    import yaml  # noqa: PLC0415 - no server needs it

    text: str = yaml.safe_dump(openapi, sort_keys=False, allow_unicode=True, width=120)
    return text


if __name__ == "__main__":
    sys.stdout.write(to_yaml(document(seed_schema())))
