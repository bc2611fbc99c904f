"""What a feature is in JSON Schema (2020-12): the one description of it that OpenAPI and AsyncAPI show."""

import math
from collections.abc import Mapping
from typing import Any, Final

from driftline.contract.schema import MOST_CHARS, Feature, Type, whole_ends

JsonSchema = dict[str, Any]

HASHED: Final = r"^[0-9a-f]{32}$"
_TYPES: Final[Mapping[Type, str]] = {"float": "number", "int": "integer", "bool": "boolean", "category": "string"}


def asked(feature: Feature) -> JsonSchema:
    """Returns what a feature is in a request."""
    schema = _nullable(feature, {"type": _TYPES[feature.type], **_limits(feature)})
    return {**_described(feature, schema), "examples": [feature.shown]}


def logged(feature: Feature) -> JsonSchema:
    """Returns what a feature that is not dropped is in an event."""
    if feature.log == "hash":
        return _described(feature, _nullable(feature, {"type": "string", "pattern": HASHED}))
    return asked(feature)


def _limits(feature: Feature) -> JsonSchema:
    match feature.type:
        case "int":
            low, high = whole_ends(feature)
            return {"minimum": low, "maximum": high}
        case "float" if feature.range:
            ends = zip(("minimum", "maximum"), feature.range, strict=True)
            return {key: end for key, end in ends if math.isfinite(end)}
        case "category" if feature.categories:
            return {"enum": list(feature.categories)}
        case "category":
            return {"maxLength": MOST_CHARS}
    return {}


def _nullable(feature: Feature, schema: JsonSchema) -> JsonSchema:
    if not feature.nullable:
        return schema
    enum = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, "type": [schema["type"], "null"], **enum}


def _described(feature: Feature, schema: JsonSchema) -> JsonSchema:
    sentences = []
    if feature.role == "context":
        watched = "logged and watched, " if feature.log == "keep" else ""
        sentences.append(f"Context: {watched}not scored.")
    if feature.log != "keep":
        sentences.append("Logged as a keyed hash." if feature.log == "hash" else "Not logged.")
    described = {"description": " ".join(sentences)} if sentences else {}
    return {"title": feature.name, **described, **schema}
