"""What the conformance suite is run against: models of each runtime, rows, and what the library itself gives."""

import io
import json
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import onnx
import onnxruntime
import pandas as pd
import skops.io
import xgboost
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import BooleanTensorType, FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from driftline.contract.schema import Feature, Row
from tests.scoring.packages import floats, write_package

ROWS = 40
SIZES = ("small", "middling", "large")


@dataclass(frozen=True)
class Case:
    """A package, rows of its features, and the scores of the library called directly with all of them.

    ``within`` is how far a score may lie from the library's, ``alone_within`` how far that of a row may be from its
    score among others; both relative, and 0 is to the last bit.
    """

    package: Path
    rows: list[Row]
    expected: list[Any]
    within: float = 0
    alone_within: float = 0


def rows_of(frame: pd.DataFrame) -> list[Row]:
    columns = [frame[name].astype(object).where(frame[name].notna(), None).tolist() for name in frame]
    return list(zip(*columns, strict=True))


def tuples(matrix: Any) -> list[tuple[float, ...]]:
    return [tuple(row) for row in np.asarray(matrix, dtype=np.float64).tolist()]


def cancer(columns: int = 30) -> tuple[pd.DataFrame, Any]:
    bunch = load_breast_cancer(as_frame=True)
    return bunch.data.iloc[:, :columns], bunch.target


def mixed() -> tuple[pd.DataFrame, Any, list[Feature]]:
    """Breast cancers by a radius that is sometimes missing, a size in words, a whole number and a boolean."""
    frame, target = cancer()
    made = pd.DataFrame({"radius": frame["mean radius"].where(frame.index % 7 != 0)})
    made["size"] = pd.cut(frame["mean symmetry"], 3, labels=list(SIZES)).astype(object).where(frame.index % 11 != 0)
    made["points"] = (frame["mean concave points"] * 1000).astype(np.int64)
    made["rough"] = frame["mean smoothness"] > 0.1
    features = [
        Feature("radius", "float", nullable=True),
        Feature("size", "category", nullable=True, categories=SIZES),
        Feature("points", "int"),
        Feature("rough", "bool"),
    ]
    return made, target, features


def logistic(folder: Path) -> Case:
    frame, target = cancer(5)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, target)
    scaler, regression = model[0], model[1]
    weights = regression.coef_[0] / scaler.scale_
    bias = float(regression.intercept_[0] - (weights * scaler.mean_).sum())
    artifact = {"runtime": "logistic", "bias": bias, "weights": dict(zip(frame, weights.tolist(), strict=True))}
    package = write_package(folder, "binary", floats(frame.columns.tolist()), artifact)
    return Case(package, rows_of(frame[:ROWS]), model.predict_proba(frame[:ROWS])[:, 1].tolist(), within=1e-9)


def softmax(folder: Path) -> Case:
    bunch = load_wine(as_frame=True)
    frame = bunch.data.iloc[:, :4] / bunch.data.iloc[:, :4].max()
    model = LogisticRegression().fit(frame, bunch.target)
    classes = {
        name: {"bias": bias, "weights": dict(zip(frame, weights, strict=True))}
        for name, bias, weights in zip("abc", model.intercept_.tolist(), model.coef_.tolist(), strict=True)
    }
    content = json.dumps({"classes": classes}).encode()
    artifact = {"runtime": "logistic", "file": "weights.json"}
    package = write_package(
        folder, "multiclass", floats(frame.columns.tolist()), artifact, labels="abc", content=content
    )
    sample = frame[::4]
    return Case(package, rows_of(sample), tuples(model.predict_proba(sample)), within=1e-9)


def linear(folder: Path) -> Case:
    bunch = load_diabetes(as_frame=True)
    model = LinearRegression().fit(bunch.data, bunch.target)
    weights = dict(zip(bunch.data, model.coef_.tolist(), strict=True))
    artifact = {"runtime": "linear", "bias": float(model.intercept_), "weights": weights}
    package = write_package(folder, "regression", floats(bunch.data.columns.tolist()), artifact)
    sample = bunch.data[:ROWS]
    return Case(package, rows_of(sample), model.predict(sample).tolist(), within=1e-12)


def skops_numbers(folder: Path) -> Case:
    frame, target = cancer()
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, target)
    artifact = {"runtime": "skops", "file": "model.skops"}
    package = write_package(folder, "binary", floats(frame.columns.tolist()), artifact, content=skops.io.dumps(model))
    sample = frame[:ROWS]
    return Case(package, rows_of(sample), model.predict_proba(sample)[:, 1].tolist(), alone_within=1e-12)


def skops_mixed(folder: Path) -> Case:
    frame, target, features = mixed()
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["radius", "points"]),
        (OneHotEncoder(), ["size"]),
        remainder="passthrough",
    )
    model = make_pipeline(columns, LogisticRegression()).fit(frame, target)
    artifact = {"runtime": "skops", "file": "model.skops", "trusted": ["numpy.dtype"]}
    package = write_package(folder, "binary", features, artifact, content=skops.io.dumps(model))
    sample = frame[:ROWS]
    return Case(package, rows_of(sample), model.predict_proba(sample)[:, 1].tolist(), alone_within=1e-12)


def joblib_forest(folder: Path) -> Case:
    bunch = load_wine(as_frame=True)
    target = bunch.target.map(dict(enumerate(bunch.target_names)))
    model = RandomForestClassifier(10, random_state=0).fit(bunch.data, target).set_params(n_jobs=-1)
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    package = write_package(
        folder,
        "multiclass",
        floats(bunch.data.columns.tolist()),
        {"runtime": "joblib", "file": "model.joblib"},
        labels=bunch.target_names.tolist(),
        content=buffer.getvalue(),
    )
    sample = bunch.data[::4]
    return Case(package, rows_of(sample), tuples(model.predict_proba(sample)))


def pickle_hist(folder: Path) -> Case:
    bunch = load_diabetes(as_frame=True)
    matrix = bunch.data.to_numpy().copy()
    matrix[::5, 2] = np.nan
    model = HistGradientBoostingRegressor(max_iter=10, random_state=0).fit(matrix, bunch.target)
    artifact = {"runtime": "pickle", "file": "model.pkl"}
    features = floats(bunch.data.columns.tolist(), nullable=True)
    package = write_package(folder, "regression", features, artifact, content=pickle.dumps(model))
    rows = rows_of(pd.DataFrame(matrix[:ROWS]))
    return Case(package, rows, model.predict(matrix[:ROWS]).tolist())


def onnx_scores(content: bytes, feed: dict[str, Any], output: str) -> Any:
    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run([output], feed)[0]


def onnx_boosted(folder: Path) -> Case:
    frame, target = cancer()
    model = GradientBoostingClassifier(n_estimators=10, random_state=0).fit(frame.to_numpy(), target)
    graph = to_onnx(model, frame.to_numpy(np.float32)[:1], options={"zipmap": False})
    content = graph.SerializeToString()
    artifact = {"runtime": "onnx", "file": "model.onnx"}
    package = write_package(folder, "binary", floats(frame.columns.tolist()), artifact, content=content)
    sample = frame[:ROWS]
    given = onnx_scores(content, {"X": sample.to_numpy(np.float32)}, "probabilities")
    return Case(package, rows_of(sample), np.asarray(given)[:, 1].astype(float).tolist(), alone_within=1e-6)


def onnx_maps(folder: Path) -> Case:
    bunch = load_wine(as_frame=True)
    target = bunch.target.map(dict(enumerate(bunch.target_names)))
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(bunch.data.to_numpy(), target)
    content = to_onnx(model, bunch.data.to_numpy(np.float32)[:1]).SerializeToString()
    artifact, labels = {"runtime": "onnx", "file": "model.onnx"}, bunch.target_names.tolist()
    features = floats(bunch.data.columns.tolist())
    package = write_package(folder, "multiclass", features, artifact, labels=labels, content=content)
    sample = bunch.data[::4]
    maps = onnx_scores(content, {"X": sample.to_numpy(np.float32)}, "output_probability")
    expected = [tuple(each[label] for label in labels) for each in maps]
    return Case(package, rows_of(sample), expected, alone_within=1e-6)


def onnx_columns(folder: Path) -> Case:
    frame, target, _ = mixed()
    frame = frame.assign(radius=frame.radius.fillna(0.0), size=frame["size"].fillna("small"))
    columns = make_column_transformer((OneHotEncoder(), ["size"]), remainder="passthrough")
    model = make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(frame, target)
    types = [
        ("radius", FloatTensorType([None, 1])),
        ("size", StringTensorType([None, 1])),
        ("points", Int64TensorType([None, 1])),
        ("rough", BooleanTensorType([None, 1])),
    ]
    content = to_onnx(model, initial_types=types, options={"zipmap": False}).SerializeToString()
    features = [Feature("radius", "float"), Feature("size", "category"), Feature("points", "int")]
    features.append(Feature("rough", "bool"))
    artifact = {"runtime": "onnx", "file": "model.onnx"}
    package = write_package(folder, "binary", features, artifact, content=content)
    sample = frame[:ROWS]
    feed: dict[str, Any] = {
        "radius": sample[["radius"]].to_numpy(np.float32),
        "size": sample[["size"]].to_numpy(object),
        "points": sample[["points"]].to_numpy(np.int64),
        "rough": sample[["rough"]].to_numpy(bool),
    }
    given = onnx_scores(content, feed, "probabilities")
    return Case(package, rows_of(sample), np.asarray(given)[:, 1].astype(float).tolist(), alone_within=1e-6)


def onnx_sum(weights: Any, batch: int | str = "n") -> bytes:
    """A graph such as a training loop exports: a matrix of float64, one number for each row."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "sum",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, [batch, len(weights)])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, [batch, 1])],
        [numpy_helper.from_array(np.asarray(weights, dtype=np.float64).reshape(-1, 1), "w")],
    )
    opsets = [helper.make_opsetid("", 17)]
    content: bytes = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()
    return content


def onnx_one_by_one(folder: Path) -> Case:
    bunch = load_diabetes(as_frame=True)
    content = onnx_sum(np.arange(10.0), batch=1)
    artifact = {"runtime": "onnx", "file": "model.onnx"}
    package = write_package(folder, "regression", floats(bunch.data.columns.tolist()), artifact, content=content)
    sample = bunch.data[:ROWS]
    given = [onnx_scores(content, {"x": row.reshape(1, -1)}, "y")[0, 0] for row in sample.to_numpy()]
    return Case(package, rows_of(sample), [float(each) for each in given])


def xgboost_mixed(folder: Path) -> Case:
    frame, target, features = mixed()
    target = target.where(frame["size"] == "small", 0)  # so that it matters which code a size has
    frame = frame.assign(size=pd.Categorical(frame["size"]))  # sorted by name, and so not in the package's order
    model = xgboost.XGBClassifier(n_estimators=8, max_depth=3, enable_categorical=True, n_jobs=1).fit(frame, target)
    content = bytes(model.get_booster().save_raw("json"))
    artifact = {"runtime": "xgboost", "file": "model.json"}
    package = write_package(folder, "binary", features, artifact, content=content)
    sample = frame[:ROWS]
    return Case(package, rows_of(sample), model.predict_proba(sample)[:, 1].astype(float).tolist())


def xgboost_classes(folder: Path) -> Case:
    bunch = load_wine(as_frame=True)
    model = xgboost.XGBClassifier(n_estimators=200, max_depth=2, early_stopping_rounds=2, n_jobs=1)
    model.fit(bunch.data[::2], bunch.target[::2], eval_set=[(bunch.data[1::2], bunch.target[1::2])], verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    content = bytes(model.get_booster().save_raw("ubj"))
    features, labels = floats(bunch.data.columns.tolist()), bunch.target_names.tolist()
    artifact = {"runtime": "xgboost", "file": "model.ubj"}
    package = write_package(folder, "multiclass", features, artifact, labels=labels, content=content)
    sample = bunch.data[::4]
    return Case(package, rows_of(sample), tuples(model.predict_proba(sample)))


def xgboost_regression(folder: Path) -> Case:
    bunch = load_diabetes(as_frame=True)
    model = xgboost.XGBRegressor(n_estimators=8, max_depth=3, n_jobs=1).fit(bunch.data.to_numpy(), bunch.target)
    content = bytes(model.get_booster().save_raw("json"))
    artifact = {"runtime": "xgboost", "file": "model.json"}
    package = write_package(folder, "regression", floats(bunch.data.columns.tolist()), artifact, content=content)
    sample = bunch.data[:ROWS]
    return Case(package, rows_of(sample), model.predict(sample.to_numpy()).astype(float).tolist())


def lightgbm_mixed(folder: Path) -> Case:
    frame, target, features = mixed()
    target = target.where(frame["size"] == "small", 0)
    frame = frame.assign(size=pd.Categorical(frame["size"]))
    model = lightgbm.LGBMClassifier(n_estimators=8, verbose=-1, n_jobs=1, min_data_per_group=5).fit(frame, target)
    content = model.booster_.model_to_string().encode()
    artifact = {"runtime": "lightgbm", "file": "model.txt"}
    package = write_package(folder, "binary", features, artifact, content=content)
    sample = frame[:ROWS]
    return Case(package, rows_of(sample), np.asarray(model.predict_proba(sample))[:, 1].tolist())


def lightgbm_classes(folder: Path) -> Case:
    bunch = load_wine(as_frame=True)
    model = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1).fit(bunch.data, bunch.target)
    content = model.booster_.model_to_string().encode()
    features, labels = floats(bunch.data.columns.tolist()), bunch.target_names.tolist()
    artifact = {"runtime": "lightgbm", "file": "model.txt"}
    package = write_package(folder, "multiclass", features, artifact, labels=labels, content=content)
    sample = bunch.data[::4]
    return Case(package, rows_of(sample), tuples(model.predict_proba(sample)))


CLASS = """
from pathlib import Path

import numpy as np


class Sum:
    def __init__(self, package: Path) -> None:
        self.bias = float((package / "bias.txt").read_text())

    def predict(self, matrix):
        assert matrix.dtype == np.float64
        return self.bias + np.nansum(matrix, axis=1)


class Lengths:
    def predict(self, matrix):
        return [0.0 if text != text else min(len(text), 10) / 10 for text in matrix[:, 0]]
"""


def python_class(folder: Path, **artifact: Any) -> Case:
    sample = load_diabetes(as_frame=True).data[:ROWS]
    sample = sample.where(sample > -0.05)
    artifact = {"runtime": "python", "class": "model:Sum", **artifact}
    package = write_package(folder, "regression", floats(sample.columns.tolist(), nullable=True), artifact)
    (package / "model.py").write_text(CLASS)
    (package / "bias.txt").write_text("0.5")
    expected = [float(0.5 + np.nansum(row)) for row in sample.to_numpy()]
    return Case(package, rows_of(sample), expected, within=1e-15, alone_within=1e-15)


def python_pool(folder: Path) -> Case:
    return python_class(folder, cpu_bound=True, processes=2)


def python_texts(folder: Path) -> Case:
    features = [Feature("text", "category", nullable=True), Feature("number", "float")]
    package = write_package(folder, "binary", features, {"runtime": "python", "class": "model:Lengths"})
    (package / "model.py").write_text(CLASS)
    rows: Sequence[Row] = [("abc", 1.0), (None, 2.0), ("x" * 20, 3.0)]
    return Case(package, list(rows), [0.3, 0.0, 1.0])


THREADED = (
    skops_numbers,
    joblib_forest,
    pickle_hist,
    onnx_boosted,
    xgboost_mixed,
    lightgbm_mixed,
    python_pool,
)
"""One of each library that would start threads of its own."""

CASES: dict[str, Callable[[Path], Case]] = {
    make.__name__: make
    for make in (
        logistic,
        softmax,
        linear,
        skops_numbers,
        skops_mixed,
        joblib_forest,
        pickle_hist,
        onnx_boosted,
        onnx_maps,
        onnx_columns,
        onnx_one_by_one,
        xgboost_mixed,
        xgboost_classes,
        xgboost_regression,
        lightgbm_mixed,
        lightgbm_classes,
        python_class,
        python_pool,
        python_texts,
    )
}
