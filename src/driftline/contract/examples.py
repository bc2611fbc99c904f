"""Refusals for the documentation, made by refusing: what it shows is what the code answers."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from driftline.contract.diagnosis import read_features
from driftline.contract.feedback import read_feedback
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
from driftline.contract.schema import ModelSchema
from driftline.errors import InputError


def refused_bodies(schema: ModelSchema) -> dict[str, bytes]:
    """Returns a body for each code that a body alone can be refused with."""
    first = schema.names[0]
    rest = {name: value for name, value in schema.example.items() if name != first}

    def with_first(token: str) -> bytes:
        others = "".join(f", {json.dumps(name)}: {json.dumps(value)}" for name, value in rest.items())
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


def refused_feedback() -> dict[str, bytes]:
    """Returns the same for ``/feedback``."""
    request_id = b'"request_id":"019ab2d1-6a3e-7c52-9f0e-2b61c1f3a9d4"'

    def with_outcome(token: bytes) -> bytes:
        return b'{%s,"outcome":%s}' % (request_id, token)

    return {
        "malformed_json": b"{",
        "empty_body": b"",
        "invalid_utf8": b"\xff",
        "not_an_object": b"[]",
        "too_deep": b"[" * (MAX_DEPTH + 1),
        "missing_field": b'{"feedback":[%s,{%s}]}' % (with_outcome(b"1"), request_id),
        "unknown_field": with_outcome(b'1,"label":1'),
        "duplicate_field": with_outcome(b'1,"outcome":0'),
        "wrong_type": with_outcome(b'"1"'),
        "wrong_value": with_outcome(b"2"),
        "not_finite": with_outcome(b"NaN"),
        "number_out_of_range": with_outcome(b"1e999"),
    }


def refusals(schema: ModelSchema) -> dict[str, Answer]:
    """Returns an answer for each code that ``/predict`` refuses with."""
    return _refusals(PREDICT_CODES, refused_bodies(schema), lambda body: read_features(body, schema.features))


def batch_refusals(schema: ModelSchema) -> dict[str, Answer]:
    """Returns an answer for each code that ``/predict/batch`` refuses with."""
    reader = RowsReader(schema, RequestDecoder(schema))
    return _refusals(
        BATCH_CODES, refused_batches(schema), lambda body: reader.read_with_care(body, array=True, max_rows=2)
    )


def feedback_refusals() -> dict[str, Answer]:
    """Returns an answer for each code that ``/feedback`` refuses with."""
    return _refusals(FEEDBACK_CODES, refused_feedback(), lambda body: read_feedback(body, 0))


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
