"""MLflow's model folders as packages. MLflow is big: these run by ``make interop``."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from driftline.contract.package import read_package
from driftline.contract.schema import Feature
from driftline.errors import ModelError
from driftline.scoring import load_model, load_package
from driftline.scoring.artifact import sha256_of
from tests.scoring.cases import rows_of
from tests.scoring.packages import floats, write_package

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow warns of its own type hints as it is imported
    import mlflow.models
    import mlflow.pyfunc
    import mlflow.sklearn

pytestmark = [pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore")]

ROWS = 40


class Bounded(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # it is Any where MLflow is not installed
    """A model of somebody's own that gives probabilities."""

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:
        return np.clip(model_input["count"].to_numpy() / 10 + model_input["share"].to_numpy(), 0, 1)


def package(tmp_path: Path, output: str, features: Sequence[Feature]) -> Path:
    artifact = {"runtime": "mlflow", "file": "model", "sha256": sha256_of(tmp_path / "model")}
    return write_package(tmp_path, output, features, artifact)


def test_a_classifier_gives_the_probabilities_of_the_estimator_in_the_folder(tmp_path: Path) -> None:
    bunch = load_breast_cancer(as_frame=True)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(bunch.data, bunch.target)
    signature = mlflow.models.infer_signature(bunch.data, model.predict(bunch.data))
    mlflow.sklearn.save_model(model, tmp_path / "model", signature=signature)
    folder = package(tmp_path, "binary", floats(bunch.data.columns.tolist()))
    loaded = load_model(read_package(folder), allow_pickle=True)
    sample = bunch.data[:ROWS]
    assert np.allclose(loaded.score(rows_of(sample)), model.predict_proba(sample)[:, 1], rtol=1e-12, atol=0)
    row = rows_of(sample)[3]
    assert loaded.score([row])[0] == loaded.score_row(row)


def test_a_regression_gives_what_pyfunc_gives(tmp_path: Path) -> None:
    bunch = load_diabetes(as_frame=True)
    model = LinearRegression().fit(bunch.data, bunch.target)
    signature = mlflow.models.infer_signature(bunch.data, model.predict(bunch.data))
    mlflow.sklearn.save_model(model, tmp_path / "model", signature=signature)
    folder = package(tmp_path, "regression", floats(bunch.data.columns.tolist()))
    _, loaded = load_package(folder, allow_pickle=True)
    sample = bunch.data[:ROWS]
    given = mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(sample)
    assert np.allclose(loaded.score(rows_of(sample)), given, rtol=1e-12, atol=0)


def test_a_model_of_ones_own_is_called_by_mlflow_with_the_types_of_its_signature(tmp_path: Path) -> None:
    frame = pd.DataFrame({"count": np.array([1, 2], np.int32), "share": np.array([0.25, 0.5], np.float32)})
    signature = mlflow.models.infer_signature(frame, np.array([0.5]))
    mlflow.pyfunc.save_model(tmp_path / "model", python_model=Bounded(), signature=signature)
    folder = package(tmp_path, "binary", [Feature("count", "int"), Feature("share", "float")])
    _, loaded = load_package(folder, allow_pickle=True)
    assert list(loaded.score([(1, 0.25), (2, 0.5)])) == pytest.approx([0.35, 0.7], rel=1e-6)


def test_a_folder_is_loaded_only_if_it_is_the_one_that_is_meant_and_its_code_may_run(tmp_path: Path) -> None:
    bunch = load_diabetes(as_frame=True)
    mlflow.sklearn.save_model(LinearRegression().fit(bunch.data, bunch.target), tmp_path / "model")
    folder = package(tmp_path, "regression", floats(bunch.data.columns.tolist()))
    with pytest.raises(ModelError, match="--allow-pickle"):
        load_package(folder)
    (tmp_path / "model" / "requirements.txt").write_text("")
    with pytest.raises(ModelError, match="is not the artifact that is meant"):
        load_package(folder, allow_pickle=True)
