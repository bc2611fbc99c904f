"""Artifacts say of themselves what they take and give."""

import json
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from driftline.errors import ModelError
from driftline.scoring.description import Description, describe, runtime_of

pytestmark = pytest.mark.xdist_group("models")

X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)
KINDS = np.arange(60) % 3


def described(path: Path) -> Description:
    return describe(runtime_of(path), path, allow_pickle=False)


@pytest.mark.parametrize(
    ("objective", "target", "output", "classes"),
    [
        ("binary:logistic", Y, "binary", ()),
        ("multi:softprob", KINDS, "multiclass", (0, 1, 2)),
        ("reg:squarederror", X[:, 1], "regression", ()),
    ],
)
def test_xgboost(tmp_path: Path, objective: str, target: Any, output: str, classes: tuple[int, ...]) -> None:
    parameters = {"objective": objective, "nthread": 1, **({"num_class": 3} if classes else {})}
    names, types = ["a", "b", "c"], ["float", "int", "i"]
    rows = xgboost.DMatrix(X, target, feature_names=names, feature_types=types)
    booster = xgboost.train(parameters, rows, 1)
    for path in (tmp_path / "m.json", tmp_path / "m.ubj"):
        booster.save_model(path)
        found = described(path)
        assert found[:4] == (("a", "b", "c"), 3, output, classes)
        assert found.types == {"a": "float", "b": "int", "c": "bool"}
        assert found.categories == {}


@pytest.mark.parametrize(
    ("objective", "target", "output", "classes"),
    [
        ("binary", Y, "binary", ()),
        ("multiclass", KINDS, "multiclass", (0, 1, 2)),
        ("regression", X[:, 1], "regression", ()),
    ],
)
def test_lightgbm(tmp_path: Path, objective: str, target: Any, output: str, classes: tuple[int, ...]) -> None:
    parameters = {"objective": objective, "verbose": -1, "num_threads": 1, **({"num_class": 3} if classes else {})}
    booster = lightgbm.train(parameters, lightgbm.Dataset(X, target, categorical_feature=[]), 1)
    booster.save_model(tmp_path / "m.txt")
    assert described(tmp_path / "m.txt")[:4] == (None, 3, output, classes)


def test_onnx_with_a_column_for_each_feature(tmp_path: Path) -> None:
    table = pd.DataFrame({"a": X[:, 0], "kind": np.array(["x", "y"])[Y]})
    columns = make_column_transformer((StandardScaler(), ["a"]), (OneHotEncoder(), ["kind"]))
    pipeline = make_pipeline(columns, LogisticRegression()).fit(table, Y)
    types = [("a", FloatTensorType([None, 1])), ("kind", StringTensorType([None, 1]))]
    graph = to_onnx(pipeline, initial_types=types, options={"zipmap": False})
    (tmp_path / "m.onnx").write_bytes(graph.SerializeToString())
    found = described(tmp_path / "m.onnx")
    assert found[:4] == (("a", "kind"), 2, "binary", ())
    assert found.types == {"a": "float", "kind": "category"}


def test_the_signature_of_an_mlflow_model(tmp_path: Path) -> None:
    columns = [
        {"type": kind, "name": name}
        for name, kind in (("a", "double"), ("b", "long"), ("c", "string"), ("d", "datetime"))
    ]
    (tmp_path / "MLmodel").write_text(f"signature:\n  inputs: '{json.dumps(columns)}'\n")
    found = described(tmp_path)
    assert found[:4] == (("a", "b", "c", "d"), 4, None, ())
    assert found.types == {"a": "float", "b": "int", "c": "category"}
    (tmp_path / "MLmodel").write_text("flavors: {}\n")
    assert described(tmp_path) == Description()
    (tmp_path / "MLmodel").write_text("]")
    with pytest.raises(ModelError, match="MLmodel cannot be read"):
        described(tmp_path)


def test_weights(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"bias": 1, "weights": {"b": 1, "a": 2}}')
    assert described(tmp_path / "m.json") == Description(("b", "a"), 2, "binary")
