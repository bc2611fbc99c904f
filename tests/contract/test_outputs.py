import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.contract.event import encode
from driftline.contract.outputs import outputs_of
from driftline.contract.schema import Feature, Label, ModelSchema, Output
from driftline.errors import InputError, ScoringError
from tests.contract.schemas import OF_EACH_OUTPUT, SCORES


def model(output: Output, *labels: Label, threshold: float = 0.5) -> ModelSchema:
    features = (Feature("x", "float"),)
    return ModelSchema(name="m", version="1", output=output, labels=labels, threshold=threshold, features=features)


@pytest.mark.parametrize(
    ("schema", "score", "told"),
    [
        (model("binary"), 0.5, {"probability": 0.5, "predicted_class": 1}),
        (model("binary"), math.nextafter(0.5, 0), {"probability": math.nextafter(0.5, 0), "predicted_class": 0}),
        (model("binary", threshold=0.0), 0.0, {"probability": 0.0, "predicted_class": 1}),
        (model("binary", threshold=1.0), 1.0, {"probability": 1.0, "predicted_class": 1}),
        (model("binary", "no", "yes"), 0.9, {"probability": 0.9, "predicted_class": "yes"}),
        (model("binary", "no", "yes", threshold=0.95), 0.9, {"probability": 0.9, "predicted_class": "no"}),
        (model("binary", 7, 3), 0.9, {"probability": 0.9, "predicted_class": 3}),
        (
            model("multiclass", "a", "b", "c"),
            (0.25, 0.5, 0.25),
            {"probabilities": {"a": 0.25, "b": 0.5, "c": 0.25}, "predicted_class": "b"},
        ),
        (
            model("multiclass", 3, 1, 2),
            (0.4, 0.4, 0.2),
            {"probabilities": {"3": 0.4, "1": 0.4, "2": 0.2}, "predicted_class": 3},
        ),
        (model("regression"), -1.5e300, {"prediction": -1.5e300}),
    ],
)
def test_a_score_is_told_as_the_models_output_and_labels_say(
    schema: ModelSchema, score: Any, told: dict[str, object]
) -> None:
    outputs = outputs_of(schema)
    response = json.loads(encode(outputs.response("id", *outputs.of(score))))
    assert response == {"request_id": "id", **told}
    assert type(response.get("predicted_class")) is type(told.get("predicted_class"))


@pytest.mark.parametrize(
    ("schema", "score"),
    [
        (model("binary"), math.nan),
        (model("multiclass", "a", "b"), (math.nan, 1.0)),
        (model("regression"), math.nan),
        (model("regression"), -math.inf),
    ],
)
def test_no_score_is_the_features_fault(schema: ModelSchema, score: Any) -> None:
    with pytest.raises(InputError) as caught:
        outputs_of(schema).of(score)
    assert caught.value.reason == "score_not_finite"


@pytest.mark.parametrize(
    ("schema", "score", "message"),
    [
        (model("binary"), 1.0000000000000002, "not from 0 to 1"),
        (model("binary"), -1e-300, "not from 0 to 1"),
        (model("binary"), math.inf, "not from 0 to 1"),
        (model("multiclass", "a", "b"), (1.5, 0.0), "not from 0 to 1"),
        (model("multiclass", "a", "b"), (1.0,), "has 2 classes"),
        (model("multiclass", "a", "b"), (0.5, 0.25, 0.25), "has 2 classes"),
        (model("multiclass", "a", "b"), 0.5, "has 2 classes"),
        (model("regression"), (1.0,), "not give a number"),
    ],
)
def test_a_score_that_no_such_model_gives_is_the_models_fault(schema: ModelSchema, score: Any, message: str) -> None:
    with pytest.raises(ScoringError, match=message):
        outputs_of(schema).of(score)


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_of_several_classes_it_is_the_first_with_the_highest_probability(scores: list[float]) -> None:
    labels = ("a", "b", "c")
    probabilities, predicted = outputs_of(model("multiclass", *labels)).of(tuple(scores))
    assert list(probabilities.values()) == scores
    assert all(probabilities[predicted] >= each for each in scores)
    assert all(probabilities[label] < probabilities[predicted] for label in labels[: labels.index(predicted)])


@pytest.mark.parametrize("name", OF_EACH_OUTPUT)
def test_what_is_answered_stands_in_the_event_to_the_byte(name: str) -> None:
    outputs = outputs_of(OF_EACH_OUTPUT[name])
    values = outputs.of(SCORES[name])
    features = outputs.response("inner", *values)  # any struct will do
    event = encode(outputs.event("id", features, *values, "at", 1, "shadow", "p", 0, "m", "1", None, None, None))
    told = encode(outputs.response("id", *values)).removeprefix(b'{"request_id":"id",').removesuffix(b"}")
    assert b"},%s," % told + b'"timestamp":"at"' in event


@pytest.mark.parametrize("schema", [model("binary"), model("binary", "no", "yes", threshold=0.3), model("regression")])
@given(scores=st.lists(st.one_of(st.floats(0, 1), st.floats()), min_size=1, max_size=4))
def test_many_scores_are_told_as_one_by_one(schema: ModelSchema, scores: list[float]) -> None:
    outputs = outputs_of(schema)
    try:
        expected = list(map(outputs.of, scores))
    except (InputError, ScoringError) as error:
        with pytest.raises(type(error), match=error.message):
            outputs.of_all(scores)
        return
    assert list(zip(*outputs.of_all(scores), strict=True)) == expected


def test_many_scores_of_several_classes_are_told_as_one_by_one() -> None:
    outputs = outputs_of(model("multiclass", "a", "b"))
    scores = [(0.25, 0.75), (0.5, 0.5)]
    assert list(zip(*outputs.of_all(scores), strict=True)) == list(map(outputs.of, scores))
    with pytest.raises(ScoringError, match="has 2 classes"):
        outputs.of_all([*scores, (1.0,)])
