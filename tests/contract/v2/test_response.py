import json

import pytest

from driftline.contract.outputs import outputs_of
from driftline.contract.schema import ModelSchema, Score
from driftline.contract.v2.request import InferRequest, Wanted
from driftline.contract.v2.response import told_outputs, write_response
from driftline.contract.v2.tensors import bytes_of_elements
from driftline.errors import InputError
from tests.contract.v2.schemas import MIXED, NUMBERS, ONE

IDS = ["id-0", "id-1"]
ALL = InferRequest(None, (), None, binary=False)
PROBABILITIES: list[Score] = [(0.5, 0.25, 0.25), (0.125, 0.75, 0.125)]


def written(schema: ModelSchema, scores: list[Score], request: InferRequest = ALL) -> tuple[bytes, int | None]:
    rows = [outputs_of(schema).of(score) for score in scores]
    return write_response(schema, request, told_outputs(schema, request), rows, IDS)


def test_all_outputs_are_told_in_json_where_nothing_else_is_asked_for() -> None:
    body, head_bytes = written(NUMBERS, [0.25, 0.75])
    assert head_bytes is None
    assert json.loads(body) == {
        "model_name": "m",
        "model_version": "7",
        "outputs": [
            {"name": "probability", "datatype": "FP64", "shape": [2], "data": [0.25, 0.75]},
            {"name": "predicted_class", "datatype": "INT64", "shape": [2], "data": [0, 1]},
            {"name": "request_id", "datatype": "BYTES", "shape": [2], "data": IDS},
        ],
    }


def test_probabilities_are_a_matrix_in_the_labels_order() -> None:
    outputs = json.loads(written(MIXED, PROBABILITIES)[0])["outputs"]
    assert outputs[0]["shape"] == [2, 3]
    assert outputs[0]["data"] == [0.5, 0.25, 0.25, 0.125, 0.75, 0.125]
    assert outputs[1] == {"name": "predicted_class", "datatype": "BYTES", "shape": [2], "data": ["red", "green"]}


def test_a_regression_gives_its_prediction() -> None:
    [prediction, _] = json.loads(written(ONE, [1.5, -2.5])[0])["outputs"]
    assert prediction == {"name": "prediction", "datatype": "FP64", "shape": [2], "data": [1.5, -2.5]}


def test_outputs_come_in_the_order_in_which_they_are_asked_for_and_no_others_with_the_requests_id() -> None:
    wanted = (Wanted("request_id", binary=False), Wanted("probability", binary=False))
    told = json.loads(written(NUMBERS, [0.25, 0.75], ALL._replace(id="42", outputs=wanted))[0])
    assert told["id"] == "42"
    assert [each["name"] for each in told["outputs"]] == ["request_id", "probability"]


def test_bytes_follow_the_json_in_the_outputs_order() -> None:
    wanted = (
        Wanted("predicted_class", binary=True),
        Wanted("probabilities", binary=False),
        Wanted("request_id", binary=True),
    )
    body, head_bytes = written(MIXED, PROBABILITIES, ALL._replace(outputs=wanted))
    assert head_bytes is not None
    label, probabilities, request_id = json.loads(body[:head_bytes])["outputs"]
    assert "data" in probabilities
    assert "data" not in label
    assert body[head_bytes:] == bytes_of_elements("BYTES", ["red", "green"]) + bytes_of_elements("BYTES", IDS)
    assert [each["parameters"]["binary_data_size"] for each in (label, request_id)] == [16, 16]


def test_an_output_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match="did you mean probability") as caught:
        told_outputs(NUMBERS, ALL._replace(outputs=(Wanted("probabilitie", binary=False),)))
    assert "It gives probability, predicted_class, request_id." in caught.value.message
