from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost

from driftline.contract.schema import Feature
from driftline.errors import ModelError
from driftline.scoring import load_package
from tests.scoring.packages import floats, write_package

pytestmark = pytest.mark.xdist_group("runtimes")

RANDOM = np.random.default_rng(0)
MATRIX = pd.DataFrame(RANDOM.normal(size=(60, 2)), columns=["a", "b"])
TARGET = (MATRIX["a"] + MATRIX["b"] > 0).astype(int)
WORDS = pd.DataFrame({"a": MATRIX["a"], "b": pd.Categorical(RANDOM.choice(["x", "y"], 60))})


def saved(runtime: str, frame: Any, objective: str = "binary:logistic") -> tuple[dict[str, Any], bytes]:
    """The ``[artifact]`` table and the file of a small model."""
    if runtime == "xgboost":
        model = xgboost.XGBClassifier(n_estimators=2, enable_categorical=True, n_jobs=1, objective=objective).fit(
            frame, TARGET
        )
        return {"runtime": runtime, "file": "model.ubj"}, bytes(model.get_booster().save_raw("ubj"))
    booster = lightgbm.train(
        {"objective": "binary", "verbose": -1, "num_threads": 1}, lightgbm.Dataset(frame, TARGET), num_boost_round=2
    )
    return {"runtime": runtime, "file": "model.txt"}, booster.model_to_string().encode()


@pytest.mark.parametrize("runtime", ["xgboost", "lightgbm"])
@pytest.mark.parametrize(
    ("output", "features", "message"),
    [
        ("binary", floats("ba"), r"order in which the model takes them: a, b"),
        ("binary", floats("abc"), r"it has c"),
        ("regression", floats("ab"), r"objective is binary\S*, and the package's output is regression"),
        ("multiclass", floats("ab"), r"objective is binary\S*, and the package's output is multiclass, for which"),
        ("binary", [*floats("a"), Feature("b", "category")], r"list the categories of b"),
    ],
)
def test_a_model_of_something_else_than_the_package_says_is_refused(
    runtime: str, output: str, features: list[Feature], message: str, tmp_path: Path
) -> None:
    artifact, content = saved(runtime, MATRIX)
    labels = ["x", "y", "z"] if output == "multiclass" else ()
    with pytest.raises(ModelError, match=message):
        load_package(write_package(tmp_path, output, features, artifact, labels=labels, content=content))


@pytest.mark.parametrize("runtime", ["xgboost", "lightgbm"])
def test_a_model_without_names_is_held_to_the_number_of_its_features(runtime: str, tmp_path: Path) -> None:
    artifact, content = saved(runtime, MATRIX.to_numpy())
    load_package(write_package(tmp_path / "2", "binary", floats("xy"), artifact, content=content))
    with pytest.raises(ModelError, match=r"takes 2 features, and the package"):
        load_package(write_package(tmp_path / "1", "binary", floats("x"), artifact, content=content))


@pytest.mark.parametrize("runtime", ["xgboost", "lightgbm"])
def test_a_category_that_the_model_does_not_know_is_refused(runtime: str, tmp_path: Path) -> None:
    artifact, content = saved(runtime, WORDS)
    features = [*floats("a"), Feature("b", "category", categories=("y", "x", "w"))]
    with pytest.raises(ModelError, match="does not know the category w of b"):
        load_package(write_package(tmp_path, "binary", features, artifact, content=content))


def test_scores_that_are_no_probabilities_are_refused(tmp_path: Path) -> None:
    artifact, content = saved("xgboost", MATRIX, "binary:logitraw")
    with pytest.raises(ModelError, match="binary:logitraw, and the package's output is binary, for which it must be"):
        load_package(write_package(tmp_path, "binary", floats("ab"), artifact, content=content))


def test_lightgbm_calls_a_feature_with_blanks_by_underscores(tmp_path: Path) -> None:
    artifact, content = saved("lightgbm", MATRIX.rename(columns={"a": "mean a"}))
    assert b"mean_a" in content
    load_package(write_package(tmp_path, "binary", floats(["mean a", "b"]), artifact, content=content))
