"""Refusals for the documentation, made by refusing: what it shows is what the code answers."""

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from driftline.contract.diagnosis import read_features
from driftline.contract.feedback import Outcomes, read_feedback
from driftline.contract.parsing import MAX_DEPTH
from driftline.contract.problems import (
    BATCH_CODES,
    FEEDBACK_CODES,
    PREDICT_CODES,
    PROBLEMS,
    Answer,
    problem,
    problem_of,
)
from driftline.contract.request import RequestDecoder
from driftline.contract.rows import RowsReader
from driftline.contract.schema import MOST_CHARS, MOST_EXACT, Feature, ModelSchema, whole_ends
from driftline.errors import InputError


def refused_bodies(schema: ModelSchema) -> dict[str, bytes]:
    """Returns a body for each code that a body alone can be refused with; which there are is up to the schema."""
    features, example = schema.features, schema.example
    first = features[0].name

    def changed(name: str, token: str) -> bytes:
        members = {each: json.dumps(value) for each, value in example.items()} | {name: token}
        return "{{{}}}".format(", ".join(f"{json.dumps(each)}: {value}" for each, value in members.items())).encode()

    bodies = {
        "malformed_json": b"{",
        "empty_body": b"",
        "invalid_utf8": b"\xff",
        "not_an_object": b"[]",
        "too_deep": b"[" * (MAX_DEPTH + 1),
        "missing_field": json.dumps({name: value for name, value in example.items() if name != first}).encode(),
        "unknown_field": json.dumps({**example, f"{first}_": 0}).encode(),
        "duplicate_field": changed(first, f"0, {json.dumps(first)}: 0"),
        "wrong_type": changed(first, "0" if features[0].type == "category" else '"1.5"'),
    }
    for code, wrong in _WRONG.items():
        token = next(((each.name, made) for each in features if (made := wrong(each)) is not None), None)
        if token is not None:
            bodies[code] = changed(*token)
    return bodies


def refused_batches(schema: ModelSchema) -> dict[str, bytes]:
    """Returns the same for ``/predict/batch``."""
    one = refused_bodies(schema)
    good = json.dumps(schema.example).encode()
    rows = {code: b"[%s,%s]" % (good, body) for code, body in one.items() if body.startswith(b"{") and body != b"{"}
    documents = {code: one[code] for code in ("empty_body", "invalid_utf8")}
    deep = b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2)
    many = b"[%s,%s,%s]" % (good, good, good)
    whole = {"malformed_json": b"[", "not_an_array": good, "empty_batch": b"[]", "too_deep": deep}
    return {**documents, **rows, **whole, "too_many_rows": many}


def _if_number(token: str) -> Callable[[Feature], str | None]:
    return lambda feature: token if feature.type in {"float", "int"} else None


def _beyond(feature: Feature) -> str | None:
    low, high = feature.range or (-math.inf, math.inf)
    if feature.type == "int":
        lowest, highest = whole_ends(feature)
        return next((str(each) for each in (highest + 1, lowest - 1) if abs(each) <= MOST_EXACT), None)
    beyond = (high + 1, low - 1, math.nextafter(high, math.inf), math.nextafter(low, -math.inf))
    return next((repr(each) for each in beyond if math.isfinite(each) and not low <= each <= high), None)


def _foreign(feature: Feature) -> str | None:
    if feature.categories is None:
        return None
    text = "other"
    while text in feature.categories:
        text += "_"
    return json.dumps(text)


_WRONG: Final[Mapping[str, Callable[[Feature], str | None]]] = {
    "not_finite": _if_number("NaN"),
    "number_out_of_range": _if_number("1e999"),
    "out_of_range": _beyond,
    "unknown_category": _foreign,
    "text_too_long": lambda feature: json.dumps("x" * (MOST_CHARS + 1)) if feature.type == "category" else None,
}
"""What of a feature is refused with each code that not every schema has; None where nothing is."""


def refused_feedback(outcomes: Outcomes) -> dict[str, bytes]:
    """Returns the same for ``/feedback``."""
    request_id = '"request_id":"019ab2d1-6a3e-7c52-9f0e-2b61c1f3a9d4"'
    outcome = json.dumps(outcomes.shown)

    def told(token: str) -> str:
        return f'{{{request_id},"outcome":{token}}}'

    bodies = {
        "malformed_json": "{",
        "empty_body": "",
        "not_an_object": "[]",
        "too_deep": "[" * (MAX_DEPTH + 1),
        "missing_field": f'{{"feedback":[{told(outcome)},{{{request_id}}}]}}',
        "unknown_field": told(f'{outcome},"label":1'),
        "duplicate_field": told(f'{outcome},"outcome":{outcome}'),
        "wrong_type": told("null"),
        "wrong_value": f'{{"request_id":"order-4711","outcome":{outcome}}}',
    }
    if outcomes.takes_numbers:
        bodies |= {"not_finite": told("NaN"), "number_out_of_range": told("1e999")}
    return {"invalid_utf8": b"\xff", **{code: body.encode() for code, body in bodies.items()}}


def refusals(schema: ModelSchema) -> dict[str, Answer]:
    """Returns an answer for each code that ``/predict`` refuses with."""
    bodies = refused_bodies(schema)
    codes = [code for code in PREDICT_CODES if code in bodies or code not in _WRONG]
    return _refusals(codes, bodies, lambda body: read_features(body, schema.features))


def batch_refusals(schema: ModelSchema) -> dict[str, Answer]:
    """Returns an answer for each code that ``/predict/batch`` refuses with."""
    reader, bodies = RowsReader(schema, RequestDecoder(schema)), refused_batches(schema)
    codes = [code for code in BATCH_CODES if code in bodies or code not in _WRONG]
    return _refusals(codes, bodies, lambda body: reader.read_with_care(body, array=True, max_rows=2))


def feedback_refusals(outcomes: Outcomes) -> dict[str, Answer]:
    """Returns an answer for each code that ``/feedback`` refuses with."""
    bodies = refused_feedback(outcomes)
    codes = [code for code in FEEDBACK_CODES if code in bodies or code not in _WRONG]
    return _refusals(codes, bodies, lambda body: read_feedback(body, 0, outcomes))


def _refusals(codes: Iterable[str], bodies: Mapping[str, bytes], read: Callable[[bytes], object]) -> dict[str, Answer]:
    return {
        code: _refuse(bodies[code], read) if code in bodies else problem(code, f"{PROBLEMS[code].title}.")
        for code in codes
    }


def _refuse(body: bytes, read: Callable[[bytes], object]) -> Answer:
    try:
        read(body)
    except InputError as error:
        return problem_of(error)
    raise AssertionError(f"{body!r} is accepted")


def parsed(answer: Answer) -> dict[str, Any]:
    """Returns an answer's document."""
    return dict(json.loads(answer.body))
