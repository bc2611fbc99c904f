import pytest
from pydantic import ValidationError

import driftline.contract
from driftline.contract import Feature, ModelSchema, PredictRequest, PredictResponse, event_class, request_class
from driftline.contract.package import seed_schema


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
    names = ("copy", "model_dump", "class", "_private", "größe", "a b", "plain")
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
