import io
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from driftline.contract.schema import Feature, ModelSchema, Type
from driftline.errors import ModelError, ScoringError
from driftline.scoring import load_package
from driftline.scoring.estimator import estimator_model
from driftline.scoring.frame import frame_encoder
from tests.scoring.packages import floats, write_package

pytestmark = pytest.mark.xdist_group("runtimes")

FRAME = load_iris(as_frame=True).data
FRAME.columns = ["a", "b", "c", "d"]
TARGET = load_iris().target
LABELS = [0, 1, 2]


class Ran:
    """Unpickling it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def halved(matrix: Any) -> Any:
    """A function of one's own in a pipeline; nobody else can know what it does."""
    return matrix / 2


def package(folder: Path, estimator: Any, names: Sequence[str] = "abcd", **artifact: Any) -> Path:
    table = {"runtime": "skops", "file": "model", **artifact}
    content = skops.io.dumps(estimator) if table["runtime"] == "skops" else pickle.dumps(estimator)
    return write_package(folder, "multiclass", floats(names), table, labels=LABELS, content=content)


def test_types_that_skops_does_not_trust_are_listed_with_the_line_to_write(tmp_path: Path) -> None:
    model = make_pipeline(FunctionTransformer(halved), LogisticRegression(max_iter=500)).fit(FRAME, TARGET)
    with pytest.raises(ModelError) as caught:
        load_package(package(tmp_path, model))
    unknown = skops.io.get_untrusted_types(data=skops.io.dumps(model))
    assert unknown
    assert all(name in caught.value.message for name in unknown)
    assert "if you trust their code, write trusted = [" in caught.value.message
    _, loaded = load_package(package(tmp_path, model, trusted=unknown))
    assert loaded.score_row(tuple(FRAME.iloc[0])) == tuple(model.predict_proba(FRAME[:1])[0])


@pytest.mark.parametrize("runtime", ["pickle", "joblib"])
def test_what_runs_code_when_it_is_loaded_is_not_loaded_unasked(runtime: str, tmp_path: Path) -> None:
    folder = package(tmp_path, Ran(tmp_path / "ran"), runtime=runtime)
    with pytest.raises(ModelError, match=r"runs whatever code is in it.*--allow-pickle"):
        load_package(folder)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(ModelError):
        load_package(folder, allow_pickle=True)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("estimator", "names", "labels", "message"),
    [
        (LogisticRegression(max_iter=500), "abdc", LABELS, r"order in which the model takes them: a, b, c, d"),
        (LogisticRegression(max_iter=500), "abcx", LABELS, r"it lacks d; and it has x"),
        (LogisticRegression(max_iter=500), "abcd", [2, 1, 0], r"classes are 0, 1, 2, and the package's labels 2, 1, 0"),
        (LogisticRegression(max_iter=500), "abcd", ["0", "1", "2"], r"labels '0', '1', '2'"),
        (LinearSVC(), "abcd", LABELS, r"LinearSVC gives no probabilities.*CalibratedClassifierCV"),
        (LinearRegression(), "abcd", LABELS, r"gives no probabilities"),
    ],
)
def test_a_model_of_something_else_than_the_package_says_is_refused(
    estimator: Any, names: str, labels: list[Any], message: str, tmp_path: Path
) -> None:
    content = skops.io.dumps(estimator.fit(FRAME, TARGET))
    table = {"runtime": "skops", "file": "model"}
    folder = write_package(tmp_path, "multiclass", floats(names), table, labels=labels, content=content)
    with pytest.raises(ModelError, match=message):
        load_package(folder)


def test_a_model_that_was_fitted_without_names_is_held_to_their_number(tmp_path: Path) -> None:
    model = LogisticRegression(max_iter=500).fit(FRAME.to_numpy(), TARGET)
    with pytest.raises(ModelError, match="takes 4 features, and the package has 3 inputs"):
        load_package(package(tmp_path, model, "abc"))


def test_a_classifier_is_no_regression(tmp_path: Path) -> None:
    content = skops.io.dumps(LogisticRegression(max_iter=500).fit(FRAME, TARGET))
    folder = write_package(tmp_path, "regression", floats("abcd"), {"runtime": "skops", "file": "m"}, content=content)
    with pytest.raises(ModelError, match="is a classifier"):
        load_package(folder)


def test_every_part_is_to_use_one_thread_also_those_that_are_no_parameters() -> None:
    forests = [(name, RandomForestClassifier(2)) for name in "xy"]
    model = VotingClassifier(forests, voting="soft").fit(FRAME, TARGET)
    for part in (model, *model.estimators_):
        part.n_jobs = 2  # to fit with it starts processes
    schema = schema_of(floats("abcd"))
    estimator_model(model, schema)
    assert [model.n_jobs, *(forest.n_jobs for forest in model.estimators_)] == [1, 1, 1]


def test_names_are_forgotten_only_where_nobody_asks_for_them() -> None:
    numbers = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(FRAME, TARGET)
    columns = make_column_transformer((StandardScaler(), ["a", "b"]), remainder="passthrough")
    by_name = make_pipeline(columns, LogisticRegression(max_iter=500)).fit(FRAME, TARGET)
    for model in (numbers, by_name):
        expected = model.predict_proba(FRAME[:1])[0]
        assert estimator_model(model, schema_of(floats("abcd"))).score_row(tuple(FRAME.iloc[0])) == tuple(expected)
    assert not hasattr(numbers[0], "feature_names_in_")
    assert hasattr(by_name[0], "feature_names_in_")


def test_an_error_in_scoring_tells_no_values() -> None:
    frame = pd.DataFrame({"word": ["x", "y", "z"] * 20})
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(frame, [0, 1, 2] * 20)
    loaded = estimator_model(model, schema_of([Feature("word", "category")]))
    with pytest.raises(ScoringError) as caught:
        loaded.score_row(("secret",))
    assert "secret" not in caught.value.message
    assert "ValueError" in caught.value.message


def test_a_frame_has_the_types_that_pandas_reads_from_a_file() -> None:
    types: tuple[Type, ...] = ("float", "int", "bool", "category")
    features = [Feature(kind + suffix, kind, nullable=bool(suffix)) for suffix in ("", "?") for kind in types]
    frame = frame_encoder(features)(
        [(1.5, 2, True, "a", None, None, None, None), (2, 3, False, "b", 1.5, 2, True, "a")]
    )
    text = frame.to_csv(index=False)
    read = pd.read_csv(io.StringIO(text))
    assert [str(kind) for kind in frame.dtypes] == [str(kind) for kind in read.dtypes]
    assert frame.isna().to_numpy().tolist() == read.isna().to_numpy().tolist()


def schema_of(features: Sequence[Feature]) -> ModelSchema:
    return ModelSchema(name="m", version="1", output="multiclass", labels=tuple(LABELS), features=tuple(features))
