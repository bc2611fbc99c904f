"""The part of the OpenAPI document that is about models by their names."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

from pydantic import BaseModel

from driftline.contract.messages import request_class, response_class
from driftline.contract.problems import PROBLEM_TYPE, PROBLEMS
from driftline.contract.schema import ModelSchema

MODELS: Final = "/models"

Json = dict[str, Any]
Places = Mapping[str, ModelSchema]
"""Who answers at each path that names a model."""


def places_of(serving: Iterable[ModelSchema], versions: Iterable[ModelSchema]) -> Places:
    """Returns who answers at which path.

    Args:
        serving: The versions that answer where none is named.
        versions: All of them.
    """
    by_name = {f"{MODELS}/{quote(each.name, safe='')}/predict": each for each in serving}
    by_version = {
        f"{MODELS}/{quote(each.name, safe='')}/versions/{quote(each.version, safe='')}/predict": each
        for each in versions
    }
    return by_name | by_version


def models_paths(places: Places, default: ModelSchema, predict: Callable[[ModelSchema], Json], refused: Json) -> Json:
    """Returns the paths below ``/models``; they refer to :func:`models_schemas`.

    Args:
        places: Who answers where.
        default: Who answers ``/predict``.
        predict: Returns how a prediction of a model is asked for.
        refused: How ``GET`` is refused.
    """
    paths: Json = {MODELS: {"get": _listing(refused)}}
    suffixes = _suffixes(places, default)
    for number, (path, schema) in enumerate(places.items(), 1):
        paths[path] = {"post": _prediction(f"predict_{number}", schema, predict(schema), suffixes[schema])}
    return paths


def models_schemas(places: Places, default: ModelSchema) -> Json:
    """Returns the schemas of the bodies, but for those of the model that answers ``/predict``."""
    schemas: Json = {}
    for schema, suffix in _suffixes(places, default).items():
        if suffix:
            for made in (request_class(schema), response_class(schema)):
                schemas |= _definitions(made, suffix)
    return schemas


def _suffixes(places: Places, default: ModelSchema) -> dict[ModelSchema, str]:
    """What sets the names of a model's schemas apart; nothing for the default's."""
    others = dict.fromkeys(schema for schema in places.values() if schema != default)
    return {default: "", **{schema: f".{number}" for number, schema in enumerate(others, 2)}}


def _definitions(made: type[BaseModel], suffix: str) -> Json:
    described = made.model_json_schema(ref_template=f"#/components/schemas/{{model}}{suffix}")
    inner = described.pop("$defs", {})
    return {f"{name}{suffix}": schema for name, schema in ({made.__name__: described} | inner).items()}


def _prediction(operation: str, schema: ModelSchema, like: Json, suffix: str) -> Json:
    told = {status: _without_examples(response) for status, response in like["responses"].items() if status != "200"}
    told["404"] = {
        "description": f"{PROBLEMS['model_not_found'].title}; it was when this document was made.",
        "content": {PROBLEM_TYPE: {"schema": _ref("Problem")}},
    }
    answer = {**like["responses"]["200"], "content": {"application/json": {"schema": _ref(f"PredictResponse{suffix}")}}}
    body: Json = {"schema": _ref(f"PredictRequest{suffix}"), "examples": {"example": {"value": schema.example}}}
    return {
        **like,
        "operationId": operation,
        "summary": f"Ask the model {schema.name}, version {schema.version}, and have the answer kept",
        "requestBody": {**like["requestBody"], "content": {"application/json": body}},
        "responses": {"200": answer, **dict(sorted(told.items()))},
    }


def _without_examples(response: Json) -> Json:
    content = {kind: {"schema": media["schema"]} for kind, media in response["content"].items()}
    return {**response, "content": content}


def _listing(refused: Json) -> Json:
    text: Json = {"type": "string"}
    texts: Json = {"type": "array", "items": text}
    model: Json = {
        "type": "object",
        "required": ["name", "default", "output", "serving", "versions", "shadow", "canary"],
        "properties": {
            "name": text,
            "default": {"type": "boolean", "description": "Whether it answers `/predict`."},
            "output": {"enum": ["binary", "multiclass", "regression"]},
            "serving": {**text, "description": "The version that answers where none is named."},
            "versions": texts,
            "shadow": {**texts, "description": "Versions that score beside, without being told."},
            "canary": {
                "type": ["object", "null"],
                "description": "A version that answers a share in place of the serving one.",
                "required": ["version", "share"],
                "properties": {"version": text, "share": {"type": "number"}, "by": {"type": ["string", "null"]}},
            },
        },
    }
    package = {"type": "object", "required": ["package", "refused"], "properties": {"package": text, "refused": text}}
    listing = {
        "type": "object",
        "required": ["models", "refused"],
        "properties": {
            "models": {"type": "array", "minItems": 1, "items": model},
            "refused": {"type": "array", "items": package, "description": "Packages that cannot be served, and why."},
        },
    }
    return {
        "operationId": "models",
        "tags": ["operations"],
        "summary": "Which models and versions are served",
        "responses": {
            "200": {"description": "All of them.", "content": {"application/json": {"schema": listing}}},
            **refused,
        },
    }


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
