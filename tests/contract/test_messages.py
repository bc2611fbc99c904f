import json

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # has no stubs
from pydantic import ValidationError

import driftline.contract
from driftline.contract import (
    Feature,
    ModelSchema,
    PredictRequest,
    PredictResponse,
    event_class,
    request_class,
    response_class,
)
from driftline.contract.checksum import with_checksum
from driftline.contract.diagnosis import read_features
from driftline.contract.event import encode, timestamp
from driftline.contract.logged import logged_features
from driftline.contract.outputs import outputs_of
from driftline.contract.package import seed_schema
from driftline.contract.problems import InvalidFieldsError
from driftline.contract.request import RequestDecoder
from tests.contract.schemas import OF_EACH_OUTPUT, SCORES, cases

ID = "019ab2d1-6a3e-7c52-9f0e-2b61c1f3a9d4"


def test_the_seeds_classes_have_its_features_as_attributes() -> None:
    names = seed_schema().names
    request = PredictRequest(**seed_schema().example)
    assert [getattr(request, name) for name in names] == list(seed_schema().example.values())
    assert request.model_dump() == seed_schema().example


@pytest.mark.parametrize("value", [True, "1.5", None, float("nan"), float("inf"), [1.0]])
def test_a_request_takes_numbers_only(value: object) -> None:
    first, second = seed_schema().names
    with pytest.raises(ValidationError):
        PredictRequest(**{first: value, second: 1.0})


def test_a_class_is_made_once() -> None:
    assert driftline.contract.PredictRequest is driftline.contract.PredictRequest


def test_a_class_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="PredictFeedback"):
        _ = driftline.contract.PredictFeedback


def test_a_response_is_a_probability_a_class_and_a_uuid7() -> None:
    valid = {"request_id": "019ab2d1-6a3e-7c52-9f0e-2b61c1f3a9d4", "probability": 0.5, "predicted_class": 1}
    PredictResponse(**valid)
    for key, wrong in (("request_id", "x"), ("probability", 1.5), ("predicted_class", 2)):
        with pytest.raises(ValidationError):
            PredictResponse(**{**valid, key: wrong})


def test_any_string_can_be_a_features_name() -> None:
    names = ("copy", "model_dump", "class", "_private", "größe", "a b", "plain", "feature1")
    schema = ModelSchema(
        name="odd",
        version="1",
        output="binary",
        threshold=0.5,
        features=tuple(Feature(name, "float", example=1.0) for name in names),
    )
    parsed = request_class(schema).model_validate(dict.fromkeys(names, 2))
    assert parsed.model_dump(by_alias=True) == dict.fromkeys(names, 2.0)
    assert set(request_class(schema).model_json_schema()["properties"]) == set(names)
    event_class(schema)


# What a parsed object cannot tell, or JSON Schema does not say.
UNTOLD = {"duplicate_field", "not_finite", "number_out_of_range"}


def codes_of(body: bytes, schema: ModelSchema) -> set[str]:
    """Why a body is refused; nothing if it is not."""
    try:
        read_features(body, schema.features)
    except InvalidFieldsError as error:
        return {each.code for each in error.errors}
    return set()


@settings(max_examples=150)
@given(cases())
def test_the_classes_and_the_json_schema_of_any_model_take_what_is_accepted(case: tuple[ModelSchema, bytes]) -> None:
    schema, body = case
    try:
        members = json.loads(body)
        json.dumps(members, ensure_ascii=False).encode()
    except ValueError:  # no JSON, or half of a surrogate pair
        return
    request = request_class(schema)
    described = Draft202012Validator(request.model_json_schema())
    codes = codes_of(body, schema)
    if not codes:
        parsed = request.model_validate(members)
        values = [repr(value) for value in parsed.model_dump(by_alias=True).values()]
        assert values == [
            repr(value + 0.0 if type(value) is int and feature.type == "float" else value)
            for feature, value in zip(schema.features, read_features(body, schema.features), strict=True)
        ]
        described.validate(members)
    elif codes - {"duplicate_field"}:
        with pytest.raises(ValidationError):
            request.model_validate(members)
    if codes - UNTOLD:
        assert not described.is_valid(members)


@pytest.mark.parametrize("name", OF_EACH_OUTPUT)
def test_the_classes_describe_what_is_answered_and_logged(name: str) -> None:
    schema = OF_EACH_OUTPUT[name]
    outputs = outputs_of(schema)
    values = outputs.of(SCORES[name])
    response = encode(outputs.response(ID, *values))
    body = b'{"amount":1,"months":2,"say class":"x","feature7":null,"age":41}'
    features = logged_features(schema, b"key")(RequestDecoder(schema).decode(body))
    at = timestamp(1_700_000_000_000_000_000)
    for kind in ("prediction", "shadow"):
        event = encode(outputs.event(ID, features, *values, at, 1, kind, "a" * 32, 7, "m", "1", None, None, None))
        for line, made in ((response, response_class(schema)), (with_checksum(event), event_class(schema))):
            parsed = made.model_validate_json(line, strict=True)
            assert list(parsed.model_dump(by_alias=True)) == list(json.loads(line))
            Draft202012Validator(made.model_json_schema()).validate(json.loads(line))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("labels", {"predicted_class": 1}),
        ("whole labels", {"predicted_class": 0}),
        ("multiclass", {"predicted_class": "d"}),
        ("multiclass", {"probabilities": {"class": 0.5, "b c": 0.5}}),
        ("multiclass", {"probabilities": {"class": 0.5, "b c": 0.25, "class0": 0.25, "d": 0}}),
        ("multiclass", {"probabilities": {"class": 1.5, "b c": 0.25, "class0": 0.25}}),
        ("regression", {"prediction": None}),
        ("regression", {"probability": 0.5}),
    ],
)
def test_an_answer_of_another_model_is_none_of_this_one(name: str, wrong: dict[str, object]) -> None:
    schema = OF_EACH_OUTPUT[name]
    outputs = outputs_of(schema)
    response = json.loads(encode(outputs.response(ID, *outputs.of(SCORES[name]))))
    made = response_class(schema)
    made.model_validate(response)
    with pytest.raises(ValidationError):
        made.model_validate({**response, **wrong})
    assert not Draft202012Validator(made.model_json_schema()).is_valid({**response, **wrong})
