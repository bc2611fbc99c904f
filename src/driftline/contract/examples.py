"""Refusals for the documentation, made by refusing: what it shows is what the code answers."""

import json
from collections.abc import Iterator
from typing import Any

from driftline.contract.diagnosis import MAX_DEPTH, read_features
from driftline.contract.problems import PREDICT_CODES, PROBLEMS, Answer, problem, problem_of
from driftline.contract.schema import ModelSchema
from driftline.errors import InputError


def refused_bodies(schema: ModelSchema) -> dict[str, bytes]:
    """Returns a body for each code that a body alone can be refused with."""
    first = schema.names[0]
    rest = {name: value for name, value in schema.example.items() if name != first}

    def with_first(token: str) -> bytes:
        others = "".join(f", {json.dumps(name)}: {value}" for name, value in rest.items())
        return f"{{{json.dumps(first)}: {token}{others}}}".encode()

    return {
        "malformed_json": b"{",
        "empty_body": b"",
        "invalid_utf8": b"\xff",
        "not_an_object": b"[]",
        "too_deep": b"[" * (MAX_DEPTH + 1),
        "missing_field": json.dumps(rest).encode(),
        "unknown_field": json.dumps({**schema.example, f"{first}_": 0}).encode(),
        "duplicate_field": with_first(f"0, {json.dumps(first)}: 0"),
        "wrong_type": with_first('"1.5"'),
        "not_finite": with_first("NaN"),
        "number_out_of_range": with_first("1e999"),
    }


def refusals(schema: ModelSchema) -> dict[str, Answer]:
    """Returns an answer for each code that ``/predict`` refuses with."""
    return dict(_refusals(schema))


def _refusals(schema: ModelSchema) -> Iterator[tuple[str, Answer]]:
    bodies = refused_bodies(schema)
    for code in PREDICT_CODES:
        if code in bodies:
            yield code, _refuse(bodies[code], schema)
        else:
            yield code, problem(code, f"{PROBLEMS[code].title}.")


def _refuse(body: bytes, schema: ModelSchema) -> Answer:
    try:
        read_features(body, schema.names)
    except InputError as error:
        return problem_of(error)
    raise AssertionError(f"{body!r} is accepted")


def parsed(answer: Answer) -> dict[str, Any]:
    """Returns an answer's document."""
    return dict(json.loads(answer.body))
