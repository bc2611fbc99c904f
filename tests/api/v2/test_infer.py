"""What is asked and answered, in the bytes that tritonclient makes and reads."""

import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import tritonclient.http as triton
from numpy.typing import NDArray

from tests.api.v2.asking import Place, texts
from tests.contract.v2.schemas import MIXED, NUMBERS, ONE, schema_of

MIXED_ROWS: dict[str, NDArray[Any]] = {
    "age": np.array([41, 42]),
    "member": np.array([True, False]),
    "city": texts("Wien", "Köln"),
}
PROBABILITIES = ((0.5, 0.25, 0.25), (0.1, 0.7, 0.2))


@pytest.mark.parametrize("binary", [True, False])
def test_the_model_gets_what_was_sent_and_the_client_what_it_gives(tmp_path: Path, *, binary: bool) -> None:
    place = Place(tmp_path, MIXED, *PROBABILITIES)
    result = place.ask(MIXED_ROWS, binary=binary, request_id="order-7")
    assert place.model.asked == [[41, True, "Wien"], [42, False, "Köln"]]
    assert result.as_numpy("probabilities").tolist() == [list(each) for each in PROBABILITIES]
    assert result.as_numpy("predicted_class").tolist() == [b"red", b"green"]
    response = result.get_response()
    assert (response["model_name"], response["model_version"], response["id"]) == ("m", "7", "order-7")
    assert [output["name"] for output in response["outputs"]] == ["probabilities", "predicted_class", "request_id"]


def test_each_row_is_an_event_with_an_id_of_its_own_in_one_append(tmp_path: Path) -> None:
    place = Place(tmp_path, MIXED, *PROBABILITIES)
    result = place.ask(MIXED_ROWS, request_id="order-7")
    events = place.events()
    assert [event["request_id"].encode() for event in events] == result.as_numpy("request_id").tolist()
    assert [event["features"]["city"] for event in events] == ["Wien", "Köln"]
    assert [event["predicted_class"] for event in events] == ["red", "green"]
    assert [list(event["probabilities"].values()) for event in events] == [list(each) for each in PROBABILITIES]
    assert {event["client_request_id"] for event in events} == {"order-7"}


def test_the_header_names_the_request_where_both_do_and_an_id_that_cannot_is_only_echoed(tmp_path: Path) -> None:
    place = Place(tmp_path, ONE, 1.5)
    rows = {"x": np.array([1.0])}
    place.ask(rows, request_id="order-7", headers={"x-request-id": "other"})
    result = place.ask(rows, request_id="two words")
    assert [event["client_request_id"] for event in place.events()] == ["other", None]
    assert result.get_response()["id"] == "two words"


@pytest.mark.parametrize(
    "dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64"]
)
@pytest.mark.parametrize("binary", [True, False])
def test_every_datatype_of_numbers_is_a_number(tmp_path: Path, dtype: str, *, binary: bool) -> None:
    place = Place(tmp_path, schema_of({"name": "a", "type": "int"}, {"name": "b", "type": "float"}), 0.5)
    numbers = np.array([[7, 0], [9, 3]], dtype=dtype)
    place.ask({"input-0": numbers}, binary=binary)
    place.ask({"a": numbers[:, :1], "b": numbers[:, 1]}, binary=binary)
    assert place.model.asked == [[7, 0.0], [9, 3.0]] * 2
    assert {type(value) for row in place.model.asked for value in row} == {int, float}


@pytest.mark.parametrize("binary", [True, False])
def test_nan_is_null_where_null_may_be_and_refused_elsewhere(tmp_path: Path, *, binary: bool) -> None:
    place = Place(tmp_path, NUMBERS, 0.5)
    country = texts("at", "de")
    place.ask({"input-0": np.array([[41, math.nan], [42, 1.5]]), "country": country}, binary=binary)
    assert place.model.asked == [[41, None], [42, 1.5]]
    wrong = {"input-0": np.array([[41, 1.5], [math.nan, 1.5]]), "country": country}
    assert place.refusal(wrong, binary=binary) == ("not_finite", "Row 1: the field age must be finite.")
    assert len(place.events()) == 2


def test_outputs_that_are_asked_for_come_and_no_others_as_they_are_asked_for(tmp_path: Path) -> None:
    place = Place(tmp_path, NUMBERS, 0.25, 0.75)
    rows = {"age": np.array([41, 42]), "income": np.array([1.5, 2.5]), "country": texts("at", "de")}
    outputs = [
        triton.InferRequestedOutput("predicted_class", binary_data=False),
        triton.InferRequestedOutput("probability", binary_data=True),
    ]
    result = place.ask(rows, outputs=outputs)
    label, probability = result.get_response()["outputs"]
    assert label["data"] == [0, 1]
    assert "data" not in probability
    assert result.as_numpy("probability").tolist() == [0.25, 0.75]
    assert result.as_numpy("request_id") is None


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_long_answer_is_compressed_and_says_how_much_of_it_is_json_before_that(tmp_path: Path, coding: str) -> None:
    place = Place(tmp_path, ONE, 1.5, 2.5)
    result = place.ask({"x": np.arange(1000.0)}, binary=False, headers={"accept-encoding": coding})
    assert result.as_numpy("prediction").tolist() == [1.5, 2.5] * 500
    assert len(place.events()) == 1000


@pytest.mark.parametrize(
    ("tensors", "reason", "said"),
    [
        ({"x": np.array([1.0, math.inf])}, "not_finite", "Row 1: the field x must be finite."),
        ({"y": np.array([[1.0, 2.0]])}, "wrong_value", "The shape of the input y must be [rows, 1]"),
        ({"x": np.array([1.0]), "y": np.array([1.0])}, "unknown_field", "The model has no input y"),
        ({"x": np.array([], dtype=float)}, "empty_batch", "no rows"),
        ({"x": np.zeros(1001)}, "too_many_rows", "more than 1000 rows"),
    ],
)
def test_rows_that_are_wrong_refuse_the_whole_request_and_nothing_is_kept(
    tmp_path: Path, tensors: dict[str, NDArray[Any]], reason: str, said: str
) -> None:
    place = Place(tmp_path, ONE, 1.5)
    code, detail = place.refusal(tensors)
    assert code == reason
    assert said in detail
    assert place.events() == []
    assert place.model.asked == []


def test_a_model_that_has_no_score_for_a_row_refuses_the_request_and_names_the_row(tmp_path: Path) -> None:
    place = Place(tmp_path, ONE, 1.5, math.nan)
    code, detail = place.refusal({"x": np.array([1.0, 2.0])})
    assert code == "score_not_finite"
    assert detail.startswith("Row 1: ")
    assert place.events() == []


def test_what_cannot_be_kept_is_not_told(tmp_path: Path) -> None:
    place = Place(tmp_path, ONE, 1.5, max_outbox_bytes=2000)
    assert place.refusal({"x": np.arange(9.0)})[0] == "outbox_full"
    assert place.events() == []


def test_a_single_row_may_be_a_canarys_and_the_answer_says_who_gave_it(tmp_path: Path) -> None:
    place = Place(tmp_path / "serving", ONE, 1.5)
    canary = Place(tmp_path / "canary", msgspec.structs.replace(ONE, version="8"), 2.5)
    place.chosen = lambda _, features: (canary.served, features)
    result = place.ask({"x": np.array([1.0])})
    assert result.get_response()["model_version"] == "8"
    assert result.as_numpy("prediction").tolist() == [2.5]
    assert [event["model_version"] for event in place.events()] == ["8"]
    assert place.ask({"x": np.array([1.0, 2.0])}).get_response()["model_version"] == "7"


def test_an_output_that_there_is_not_is_refused_before_anything_is_scored(tmp_path: Path) -> None:
    place = Place(tmp_path, ONE, 1.5)
    outputs = [triton.InferRequestedOutput("predictions")]
    code, detail = place.refusal({"x": np.array([1.0])}, outputs=outputs)
    assert (code, "did you mean prediction?" in detail) == ("unknown_field", True)
    assert place.model.asked == []
    assert place.events() == []
