import json
import math
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.contract.diagnosis import read_features
from driftline.contract.examples import refusals, refused_bodies
from driftline.contract.problems import (
    PREDICT_CODES,
    PROBLEM_TYPE,
    PROBLEMS,
    FieldError,
    InvalidFieldsError,
    pointer,
    problem,
    problem_of,
)
from driftline.contract.schema import ModelSchema
from driftline.errors import InputError
from tests.contract.schemas import ALL_TYPES

STATUSES = {
    400: {"malformed_json", "malformed_arrow", "incomplete_body"},
    401: {"key_missing", "key_unknown"},
    404: {"not_found", "model_not_found"},
    405: {"method_not_allowed"},
    408: {"body_timeout"},
    413: {"body_too_large", "too_many_rows"},
    415: {"unsupported_media_type"},
    429: {"rate_limited"},
    500: {"internal_error", "scoring_failed"},
    503: {"not_ready", "outbox_full", "outbox_unavailable", "overloaded"},
}


def test_a_code_keeps_its_status() -> None:
    for status, codes in STATUSES.items():
        assert {code for code, each in PROBLEMS.items() if each.status == status} == codes
    rest = set(PROBLEMS) - set().union(*STATUSES.values())
    assert {PROBLEMS[code].status for code in rest} == {422}


@pytest.mark.parametrize("code", PROBLEMS)
def test_a_document_says_what_rfc_9457_asks_for_and_the_code(code: str) -> None:
    status, headers, body = problem(code, "It is so.")
    assert dict(headers)["content-type"] == PROBLEM_TYPE
    assert json.loads(body) == {
        "type": f"urn:driftline:problem:{code}",
        "title": PROBLEMS[code].title,
        "status": status,
        "detail": "It is so.",
        "code": code,
    }


@pytest.mark.parametrize("code", PROBLEMS)
def test_whoever_should_come_again_is_told_when(code: str) -> None:
    answer = problem(code, "")
    assert ("retry-after" in dict(answer.headers)) == (answer.status in {429, 503})


def test_when_to_come_again_may_be_known_better() -> None:
    assert dict(problem("rate_limited", "", retry_after_s=7).headers)["retry-after"] == "7"


def test_each_wrong_field_is_told_with_its_pointer_code_and_detail() -> None:
    error = InvalidFieldsError([FieldError(("a/b",), "not_finite", "D1"), FieldError(("list", 3), "wrong_type", "D2")])
    answer = problem_of(error)
    document = json.loads(answer.body)
    assert answer.status == 422
    assert document["code"] == "not_finite"
    assert document["detail"] == "2 fields are wrong; see errors"
    assert document["errors"] == [
        {"path": "/a~1b", "code": "not_finite", "detail": "D1"},
        {"path": "/list/3", "code": "wrong_type", "detail": "D2"},
    ]


def test_more_wrong_fields_than_are_listed_are_not_counted_as_those_listed() -> None:
    body = json.dumps({f"x{number}": 1 for number in range(500)}).encode()
    with pytest.raises(InvalidFieldsError) as caught:
        read_features(body, ALL_TYPES.features)
    document = json.loads(problem_of(caught.value).body)
    assert document["detail"] == "More than 100 fields are wrong; see errors for the first of them"
    assert len(document["errors"]) == 100


def test_a_refusal_of_the_whole_body_lists_no_fields() -> None:
    assert "errors" not in json.loads(problem_of(InputError("empty_body", "D")).body)


@pytest.mark.parametrize(
    ("path", "expected"),
    [((), ""), (("a",), "/a"), (("~/",), "/~0~1"), ((0, "b"), "/0/b"), (("",), "/"), (("\ud800x",), "/?x")],
)
def test_a_path_is_told_as_a_json_pointer(path: tuple[str | int, ...], expected: str) -> None:
    assert pointer(path) == expected


@given(st.lists(st.text(st.characters(), max_size=300), max_size=3))
def test_any_field_name_can_be_told_and_none_at_length(path: list[str]) -> None:
    shown = pointer(path)
    shown.encode()
    assert len(shown) <= len(path) * 2 * 130


def test_the_examples_cover_every_code_and_are_what_they_say() -> None:
    answers = refusals(ALL_TYPES)
    assert set(answers) == set(PREDICT_CODES)
    for code, answer in answers.items():
        assert json.loads(answer.body)["code"] == code
    assert set(refused_bodies(ALL_TYPES)) <= set(answers)


@pytest.mark.parametrize(
    ("feature", "codes"),
    [
        ({"type": "float"}, {"not_finite", "number_out_of_range"}),
        ({"type": "float", "range": [0, 1]}, {"not_finite", "number_out_of_range", "out_of_range"}),
        ({"type": "float", "range": [0, 1e308]}, {"not_finite", "number_out_of_range", "out_of_range"}),
        ({"type": "float", "range": [-math.inf, math.inf]}, {"not_finite", "number_out_of_range"}),
        ({"type": "float", "range": [-sys.float_info.max, sys.float_info.max]}, {"not_finite", "number_out_of_range"}),
        ({"type": "int"}, {"not_finite", "number_out_of_range"}),
        ({"type": "int", "range": [0.5, math.inf]}, {"not_finite", "number_out_of_range", "out_of_range"}),
        ({"type": "int", "range": [-1e17, 1e17]}, {"not_finite", "number_out_of_range"}),
        ({"type": "bool", "nullable": True}, set()),
        ({"type": "category"}, {"text_too_long"}),
        ({"type": "category", "categories": ["other", "other_"]}, {"text_too_long", "unknown_category"}),
    ],
)
def test_only_the_codes_are_told_that_a_schema_can_give(feature: dict[str, Any], codes: set[str]) -> None:
    schema = ModelSchema.from_mapping(
        {"name": "m", "version": "1", "output": "regression", "features": [{"name": "x", **feature}]}
    )
    of_some = {"not_finite", "number_out_of_range", "out_of_range", "unknown_category", "text_too_long"}
    answers = refusals(schema)
    assert set(answers) & of_some == codes
    assert set(answers) | of_some == set(PREDICT_CODES)
    for code, answer in answers.items():
        assert json.loads(answer.body)["code"] == code
