from driftline.contract.v2.metadata import model_metadata
from tests.contract.v2.schemas import MIXED, NUMBERS, ONE


def test_a_model_says_what_it_takes_and_gives_and_that_its_inputs_may_be_one_matrix() -> None:
    assert model_metadata(NUMBERS, ["7", "6"], "onnx") == {
        "name": "m",
        "versions": ["7", "6"],
        "platform": "driftline_onnx",
        "inputs": [
            {"name": "age", "datatype": "INT64", "shape": [-1]},
            {
                "name": "country",
                "datatype": "BYTES",
                "shape": [-1],
                "parameters": {"role": "context", "categories": ("at", "de")},
            },
            {
                "name": "income",
                "datatype": "FP64",
                "shape": [-1],
                "parameters": {"nullable": True, "range": (0.0, 1e6)},
            },
        ],
        "outputs": [
            {"name": "probability", "datatype": "FP64", "shape": [-1]},
            {"name": "predicted_class", "datatype": "INT64", "shape": [-1]},
            {"name": "request_id", "datatype": "BYTES", "shape": [-1]},
        ],
        "parameters": {"matrix": {"inputs": ["age", "income"], "shape": [-1, 2]}},
    }


def test_what_is_predicted_is_the_first_output_and_the_id_of_the_prediction_the_last() -> None:
    metadata = model_metadata(MIXED, ["7"], "skops")
    assert "parameters" not in metadata  # no matrix
    assert metadata["outputs"] == [
        {
            "name": "probabilities",
            "datatype": "FP64",
            "shape": [-1, 3],
            "parameters": {"labels": ("red", "green", "blue")},
        },
        {"name": "predicted_class", "datatype": "BYTES", "shape": [-1]},
        {"name": "request_id", "datatype": "BYTES", "shape": [-1]},
    ]
    assert [each["name"] for each in model_metadata(ONE, ["7"], "x")["outputs"]] == ["prediction", "request_id"]
