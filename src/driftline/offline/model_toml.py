"""A ``model.toml`` as text, with what to look at as comments."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from driftline.contract.schema import Feature, ModelSchema


def model_toml(
    schema: ModelSchema,
    files: Mapping[str, str],
    artifact: Mapping[str, Any],
    *,
    head: str,
    notes: Mapping[str, str],
) -> str:
    """Returns the text of a ``model.toml``.

    Args:
        schema: What the model takes and gives.
        files: Further keys of the package, such as ``sample``.
        artifact: What the runtime is told.
        head: The comment that it begins with.
        notes: A comment for each feature that needs one.
    """
    return "\n".join(_lines(schema, files, artifact, head, notes)) + "\n"


def _lines(
    schema: ModelSchema,
    files: Mapping[str, str],
    artifact: Mapping[str, Any],
    head: str,
    notes: Mapping[str, str],
) -> Iterator[str]:
    yield f"# {_comment(head)}"
    yield from _pairs({"name": schema.name, "version": schema.version, "output": schema.output})
    if schema.output == "binary":
        yield from _pairs({"threshold": schema.threshold})
    if schema.labels:
        yield from _pairs({"labels": schema.labels})
    yield from _pairs(files)
    for feature in schema.features:
        yield ""
        if note := notes.get(feature.name):
            yield f"# {_comment(note)}"
        yield "[[features]]"
        yield from _pairs(_declared(feature))
    yield ""
    yield "[artifact]"
    yield from _pairs(artifact)


def _declared(feature: Feature) -> dict[str, Any]:
    """Returns what of a feature is not as it is by default."""
    declared: dict[str, Any] = {"name": feature.name, "type": feature.type}
    if feature.role != "input":
        declared["role"] = feature.role
    if feature.nullable:
        declared["nullable"] = True
    if feature.categories is not None:
        declared["categories"] = feature.categories
    if feature.example is not None:
        declared["example"] = feature.example
    return declared


def _pairs(pairs: Mapping[str, Any]) -> Iterator[str]:
    for key, value in pairs.items():
        yield f"{_key(key)} = {_value(value)}"


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _text(key)


def _value(value: object) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(str(key))} = {_value(each)}" for key, each in value.items()) + " }"
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(_value, value)) + "]"
    return repr(value)  # of numbers, TOML's forms are Python's


def _text(text: str) -> str:
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped too.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
