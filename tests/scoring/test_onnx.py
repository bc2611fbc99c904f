from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from driftline.contract.schema import Feature
from driftline.errors import ModelError
from driftline.scoring import load_package
from tests.scoring.packages import floats, write_package

pytestmark = pytest.mark.xdist_group("runtimes")

FLOAT, DOUBLE, INT64, STRING = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.STRING
ARTIFACT = {"runtime": "onnx", "file": "model.onnx"}


def graph(nodes: list[Any], takes: dict[str, tuple[int, list[Any]]], gives: dict[str, tuple[int, list[Any]]]) -> bytes:
    made = helper.make_graph(
        [helper.make_node(*node) for node in nodes],
        "graph",
        [helper.make_tensor_value_info(name, *kind) for name, kind in takes.items()],
        [helper.make_tensor_value_info(name, *kind) for name, kind in gives.items()],
    )
    content: bytes = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", 17)], ir_version=10
    ).SerializeToString()
    return content


SIGMOID = graph([("Sigmoid", ["x"], ["p"])], {"x": (FLOAT, ["n", 1])}, {"p": (FLOAT, ["n", 1])})
SOFTMAX = graph([("Softmax", ["x"], ["p"])], {"x": (FLOAT, ["n", 2])}, {"p": (FLOAT, ["n", 2])})
TWO = graph(
    [("Identity", ["x"], ["logits"]), ("Softmax", ["x"], ["p"])],
    {"x": (FLOAT, ["n", 2])},
    {"logits": (FLOAT, ["n", 2]), "p": (FLOAT, ["n", 2])},
)


def test_one_column_is_the_probability_of_the_second_class(tmp_path: Path) -> None:
    _, model = load_package(write_package(tmp_path, "binary", floats(["a"]), ARTIFACT, content=SIGMOID))
    assert model.score([[0.0], [100.0]]) == [0.5, 1.0]


def test_two_columns_are_the_probabilities_of_both(tmp_path: Path) -> None:
    _, model = load_package(write_package(tmp_path, "binary", floats("ab"), ARTIFACT, content=SOFTMAX))
    assert model.score_row([0.0, 0.0]) == 0.5
    assert model.score_row([0.0, 100.0]) == 1.0


def test_which_of_several_outputs_is_meant_has_to_be_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"write output = NAME .*logits, p"):
        load_package(write_package(tmp_path, "binary", floats("ab"), ARTIFACT, content=TWO))
    with pytest.raises(ModelError, match="no output q; it has: logits, p"):
        load_package(write_package(tmp_path, "binary", floats("ab"), {**ARTIFACT, "output": "q"}, content=TWO))
    _, model = load_package(write_package(tmp_path, "binary", floats("ab"), {**ARTIFACT, "output": "p"}, content=TWO))
    assert model.score_row([1.0, 1.0]) == 0.5


def test_null_is_nan_and_a_category_its_place_in_the_list(tmp_path: Path) -> None:
    content = graph([("ReduceMax", ["x"], ["y"])], {"x": (DOUBLE, ["n", 2])}, {"y": (DOUBLE, [1, 1])})
    features = [Feature("a", "float", nullable=True), Feature("b", "category", categories=("x", "y", "z"))]
    _, model = load_package(write_package(tmp_path, "regression", features, ARTIFACT, content=content))
    assert model.score_row([-5.0, "z"]) == 2.0
    assert np.isnan(model.score_row([None, "z"]))


def test_a_number_too_large_for_the_graph_is_infinite_there_and_no_warning(tmp_path: Path) -> None:
    _, model = load_package(write_package(tmp_path, "binary", floats(["a"]), ARTIFACT, content=SIGMOID))
    assert model.score_row([1e300]) == 1.0


def test_whole_numbers_of_up_to_2_to_the_53_arrive_as_they_are(tmp_path: Path) -> None:
    content = graph(
        [("Sub", ["a", "b"], ["d"])],
        {"a": (INT64, ["n", 1]), "b": (INT64, ["n", 1])},
        {"d": (INT64, ["n", 1])},
    )
    features = [Feature("a", "int"), Feature("b", "int")]
    artifact = {**ARTIFACT, "output": "d"}
    _, model = load_package(write_package(tmp_path, "regression", features, artifact, content=content))
    assert model.score_row([2**53 - 1, 2**53 - 3]) == 2.0


@pytest.mark.parametrize(
    ("takes", "features", "message"),
    [
        ({"x": (FLOAT, ["n", 3])}, floats("ab"), r"shape \['n', 3\], and the package 2 inputs"),
        ({"x": (FLOAT, ["n", 2, 2])}, floats("ab"), r"shape \['n', 2, 2\]"),
        ({"x": (INT64, ["n", 2])}, floats("ab"), r"a is a float, which no tensor\(int64\) holds"),
        ({"x": (TensorProto.UINT8, ["n", 2])}, floats("ab"), r"x is a tensor\(uint8\); taken are"),
        ({"a": (FLOAT, ["n", 1]), "c": (FLOAT, ["n", 1])}, floats("ab"), r"it lacks c; and it has b"),
        ({"a": (FLOAT, ["n", 1]), "b": (FLOAT, ["n", 2])}, floats("ab"), r"and not of a column"),
        (
            {"a": (STRING, ["n", 1])},
            [Feature("a", "category", nullable=True)],
            r"may be null, which no tensor\(string\)",
        ),
        ({"x": (FLOAT, ["n", 1])}, [Feature("a", "category")], r"a is a category, which no tensor\(float\)"),
        ({"a": (INT64, ["n", 1])}, [Feature("a", "int", nullable=True)], r"may be null"),
    ],
)
def test_a_graph_that_takes_something_else_is_refused(
    takes: dict[str, Any], features: list[Feature], message: str, tmp_path: Path
) -> None:
    nodes = [("Identity", [name], [f"{name}-out"]) for name in takes]
    gives = {f"{name}-out": kind for name, kind in takes.items()}
    content = graph(nodes, takes, gives)
    with pytest.raises(ModelError, match=message):
        load_package(write_package(tmp_path, "regression", features, ARTIFACT, content=content))
