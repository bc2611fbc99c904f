"""``driftline model``: from what was trained to what is served, in two commands."""

import json
import shutil
import subprocess
import tomllib
import urllib.request
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pandas as pd
import pytest
import skops.io
import xgboost
from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from driftline.contract.package import read_package
from driftline.drift.profile import decode_profile
from tests.cli.conftest import Run, StartUp
from tests.waiting import wait_until

ROWS, COLUMNS = 240, 9
pytestmark = pytest.mark.xdist_group("models")


def declared(package: Path) -> dict[str, Any]:
    return tomllib.loads((package / "model.toml").read_text("utf-8"))


def expected(package: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (package / "expected.jsonl").read_text().splitlines()]


def cancers() -> tuple[pd.DataFrame, Any]:
    """The first rows and columns of a real table: enough for a profile, and for many columns that are alike."""
    table = load_breast_cancer(as_frame=True)
    return table.data.iloc[:ROWS, :COLUMNS], table.target[:ROWS]


@pytest.fixture(scope="module")
def cancer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a pipeline for breast cancers, and their table."""
    folder = tmp_path_factory.mktemp("cancer")
    table, target = cancers()
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(table, target)
    skops.io.dump(pipeline, folder / "cancer.skops")
    joblib.dump(pipeline, folder / "cancer.joblib")
    (folder / "cancer.onnx").write_bytes(
        to_onnx(pipeline, table.to_numpy(np.float32), options={"zipmap": False}).SerializeToString()
    )
    table.assign(target=target).to_parquet(folder / "cancer.parquet")
    return folder


@pytest.mark.long
def test_what_was_trained_in_five_lines_is_served_by_two_commands(ask: Run, start_up: StartUp, tmp_path: Path) -> None:
    table = load_iris(as_frame=True)
    kinds = table.target_names[table.target]
    model = LogisticRegression(max_iter=500).fit(table.data, kinds)
    skops.io.dump(model, tmp_path / "iris.skops")
    table.data.assign(species=kinds).to_csv(tmp_path / "iris.csv", index=False)
    made = ask("model", "init", "iris.skops", "iris.csv")
    assert (made.returncode, made.stderr) == (0, "")
    up = start_up("iris")
    answers = []
    for row in table.data.iloc[::50].to_dict("records"):
        request = urllib.request.Request(
            f"{up.api}/predict", json.dumps(row).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            answers.append(json.load(answer))
    wanted = model.predict_proba(table.data)[::50]
    assert [answer["predicted_class"] for answer in answers] == list(kinds[::50])
    for answer, probabilities in zip(answers, wanted, strict=True):
        assert list(answer["probabilities"].values()) == pytest.approx(list(probabilities), rel=1e-12)
    wait_until(lambda: "iris 1" in up.output)
    line = next(line for line in up.output.splitlines() if line.strip().startswith("curl "))
    pasted = subprocess.run(line, shell=True, capture_output=True, text=True, check=True, timeout=60).stdout
    assert json.loads(pasted)["predicted_class"] == kinds[0]
    log = up.data / "logs" / "predictions.jsonl"
    wait_until(lambda: log.read_bytes().count(b"\n") == len(answers) + 1)


def test_a_package_has_all_that_it_takes_to_check_it(ask: Run, cancer: Path, tmp_path: Path) -> None:
    made = ask("model", "init", str(cancer / "cancer.skops"), str(cancer / "cancer.parquet"), "--version", "2026-11")
    assert "cancer 2026-11: binary, 9 inputs, runtime skops" in made.stdout
    assert "9 inputs of type float: mean radius, mean texture ... mean symmetry" in made.stdout
    assert "the column target is taken for what is predicted" in made.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cancer"]
    package = tmp_path / "cancer"
    assert sorted(path.name for path in package.iterdir()) == [
        "cancer.skops", "expected.jsonl", "model.toml", "reference.json", "sample.parquet",
    ]  # fmt: skip
    assert not any({"range", "categories"} & feature.keys() for feature in declared(package)["features"])
    table, _ = cancers()
    pipeline = skops.io.load(cancer / "cancer.skops")
    given = [row["probability"] for row in expected(package)]
    assert given == pytest.approx(list(pipeline.predict_proba(table)[:200, 1]), rel=1e-12)
    profile = decode_profile((package / "reference.json").read_bytes())
    assert (profile.rows, profile.model, profile.origin.source) == (240, "cancer", "package")
    assert {column.name for column in profile.columns} >= {"mean radius", "probability", "predicted_class"}
    checked = ask("model", "check", "cancer")
    assert checked.returncode == 0
    assert checked.stdout.splitlines()[1:] == [
        "sample.parquet: 240 rows, all valid, the model scores them",
        "expected.jsonl: 200 rows are as expected, the largest difference is 0 (let pass: 1e-05 of a number, or 1e-06)",
        "reference.json: the profile of 240 rows",
    ]


def test_check_says_what_does_not_hold(ask: Run, cancer: Path, tmp_path: Path) -> None:
    ask("model", "init", str(cancer / "cancer.skops"), str(cancer / "cancer.parquet"))
    package = tmp_path / "cancer"

    def check(says: str) -> None:
        finished = ask("model", "check", "cancer")
        assert (finished.returncode, says in finished.stderr) == (1, True), finished

    text = (package / "model.toml").read_text()
    (package / "model.toml").write_text(text.replace('name = "cancer"', 'name = "tumour"'))
    check("reference.json does not fit: the reference is of model cancer with ")
    whole = text.replace('"mean radius"\ntype = "float"\nexample = 17.99', '"mean radius"\ntype = "int"')
    (package / "model.toml").write_text(whole)
    check("row 1: the field mean radius must be a whole number.")
    (package / "model.toml").write_text(text)
    (package / "expected.jsonl").write_text('{"probability": 0.5, "predicted_class": 1}\n')
    check("row 1: probability is ")
    (package / "cancer.skops").write_bytes((package / "cancer.skops").read_bytes() + b"x")
    check("is not the artifact that is meant")
    shutil.rmtree(package)
    check("cannot read cancer/model.toml")


@pytest.mark.parametrize("artifact", ["cancer.joblib", "cancer.onnx"])
def test_other_artifacts_of_it_give_the_same(ask: Run, cancer: Path, tmp_path: Path, artifact: str) -> None:
    files = (str(cancer / artifact), str(cancer / "cancer.parquet"))
    if artifact == "cancer.joblib":
        refused = ask("model", "init", *files)
        assert (refused.returncode, "runs whatever code is in it" in refused.stderr) == (3, True)
        assert list(tmp_path.iterdir()) == []
    assert ask("model", "init", *files, "--allow-pickle").returncode == 0
    assert ask("model", "check", "cancer", DRIFTLINE_PICKLE="allow").returncode == 0
    table, _ = cancers()
    pipeline = skops.io.load(cancer / "cancer.skops")
    given = [row["probability"] for row in expected(tmp_path / "cancer")]
    assert given == pytest.approx(list(pipeline.predict_proba(table)[:200, 1]), rel=1e-3, abs=1e-6)


def test_missing_values_and_categories_of_boosted_trees(ask: Run, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = 300
    table = pd.DataFrame(
        {
            "age": random.integers(18, 90, rows),
            "income": np.where(np.arange(rows) % 7, random.normal(3, 1, rows), np.nan),
            "city": pd.Categorical(random.choice(["Wien", "Berlin", "Zürich"], rows)),
            "member": random.random(rows) < 0.3,
        }
    )
    churned = (table.age / 50 + table.income.fillna(0) + (table.city == "Wien") > 5).astype(int)
    first = xgboost.XGBClassifier(n_estimators=5, enable_categorical=True).fit(table, churned)
    second = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(table, churned)
    first.save_model(tmp_path / "first.ubj")
    second.booster_.save_model(tmp_path / "second.txt")
    table.assign(since="2026-11-26", churned=churned).to_csv(tmp_path / "rows.csv", index=False)
    for name, model in (("first.ubj", first), ("second.txt", second)):
        made = ask("model", "init", name, "rows.csv", "--output-dir", "m", "--force", "--target", "churned")
        assert made.returncode == 0, made.stderr
        features = {feature["name"]: feature for feature in declared(tmp_path / "m")["features"]}
        assert [(it["type"], it.get("nullable", False)) for it in features.values()] == [
            ("int", False), ("float", True), ("category", False), ("bool", False), ("category", False),
        ]  # fmt: skip
        assert features["city"]["categories"] == ["Berlin", "Wien", "Zürich"]
        assert (features["since"]["role"], "categories" in features["since"]) == ("context", False)
        own = name != "first.ubj"  # XGBoost cuts the ends off texts beyond ASCII
        assert ("the model's own categories" in made.stdout, "are these its categories" in made.stdout) == (
            own,
            not own,
        )
        given = [row["probability"] for row in expected(tmp_path / "m")]
        assert given == pytest.approx(list(np.asarray(model.predict_proba(table))[:200, 1]), rel=1e-5)
        checked = ask("model", "check", "m")
        assert (checked.returncode, checked.stderr) == (0, "")
        profile = decode_profile((tmp_path / "m" / "reference.json").read_bytes())
        assert [column.name for column in profile.columns] == [*features, "probability", "predicted_class"]
    text = (tmp_path / "m" / "model.toml").read_text()
    (tmp_path / "m" / "model.toml").write_text(text.replace('role = "context"', 'role = "context"\nlog = "hash"'))
    refused = ask("model", "check", "m")
    assert "does not fit: the reference has values of since, of which the log has hashes" in refused.stderr
    built = ask("reference", "build", "m/sample.csv", "--model", "m", "--output", "m/reference.json")
    assert built.returncode == 0
    assert ask("model", "check", "m").returncode == 0


def test_a_regression_a_class_of_python_and_weights(ask: Run, tmp_path: Path) -> None:
    table = load_diabetes(as_frame=True)
    model = Ridge().fit(table.data.to_numpy(), table.target)
    skops.io.dump(model, tmp_path / "ridge.skops")
    table.frame.to_json(tmp_path / "rows.jsonl", orient="records", lines=True, double_precision=15)
    made = ask("model", "init", "ridge.skops", "rows.jsonl")
    assert "ridge 1: regression, 10 inputs" in made.stdout
    assert "guessed: the model does not say which features it takes" in made.stdout
    given = [row["prediction"] for row in expected(tmp_path / "ridge")]
    assert given == pytest.approx(list(model.predict(table.data.to_numpy())[:200]), rel=1e-9)

    (tmp_path / "own.py").write_text("class Half:\n    def predict(self, matrix):\n        return matrix[:, 0] / 2\n")
    asked = ask("model", "init", "own:Half", "rows.jsonl")
    assert (asked.returncode, "say it with --gives" in asked.stderr) == (3, True)
    assert ask("model", "init", "own:Half", "rows.jsonl", "--gives", "regression").returncode == 0
    assert expected(tmp_path / "own")[0]["prediction"] == pytest.approx(table.data.iloc[0, 0] / 2)
    (tmp_path / "own.py").unlink()
    assert ask("model", "check", "own").returncode == 0

    (tmp_path / "sum.json").write_text('{"bias": 1.0, "weights": {"bmi": 2.0}}')
    assert ask("model", "init", "sum.json", "rows.jsonl", "--gives", "regression").returncode == 0
    assert expected(tmp_path / "sum")[0]["prediction"] == pytest.approx(1 + 2 * table.data["bmi"][0])
    roles = {feature.name: feature.role for feature in read_package(tmp_path / "sum").schema.features}
    assert roles == {name: "input" if name == "bmi" else "context" for name in table.data.columns}


def test_types_that_are_not_known_to_be_harmless_are_shown(ask: Run, tmp_path: Path) -> None:
    table = load_iris(as_frame=True)
    skops.io.dump(GradientBoostingClassifier(n_estimators=2).fit(table.data, table.target), tmp_path / "iris.skops")
    table.frame.to_csv(tmp_path / "iris.csv", index=False)
    refused = ask("model", "init", "iris.skops", "iris.csv")
    assert (refused.returncode, "if you trust it: --trust sklearn.tree._tree.Tree" in refused.stderr) == (3, True)
    assert ask("model", "init", "iris.skops", "iris.csv", "--trust", "sklearn.tree._tree.Tree").returncode == 0
    assert declared(tmp_path / "iris")["artifact"]["trusted"] == ["sklearn.tree._tree.Tree"]
    assert ask("model", "check", "iris").returncode == 0


def test_a_package_is_replaced_only_when_asked_and_nothing_else_ever(ask: Run, cancer: Path, tmp_path: Path) -> None:
    files = (str(cancer / "cancer.skops"), str(cancer / "cancer.parquet"))
    assert ask("model", "init", *files).returncode == 0
    before = (tmp_path / "cancer" / "model.toml").read_bytes()
    again = ask("model", "init", *files, "--version", "2")
    assert (again.returncode, "replace it with --force" in again.stderr) == (3, True)
    assert (tmp_path / "cancer" / "model.toml").read_bytes() == before
    assert ask("model", "init", *files, "--version", "2", "--force").returncode == 0
    assert declared(tmp_path / "cancer")["version"] == "2"
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").touch()
    refused = ask("model", "init", *files, "--output-dir", "home", "--force")
    assert (refused.returncode, "no model package" in refused.stderr) == (3, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cancer", "home"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("nothing.skops", "rows.csv"), 3, "there is no file nothing.skops"),
        (("rows.csv", "rows.csv"), 3, "what rows.csv holds cannot be told"),
        (("sum.json", "nothing.csv"), 3, "nothing.csv cannot be read"),
        (("sum.json", "rows.csv", "--gives", "numbers"), 2, "a model gives one of: binary, multiclass, regression"),
        (("own:Nothing", "rows.csv", "--gives", "binary"), 3, "the module own cannot be imported"),
        ((".", "rows.csv"), 3, "a folder without the file MLmodel"),
        (("bad.skops", "rows.csv"), 3, "bad.skops cannot be read"),
        (("bad.ubj", "rows.csv"), 3, "bad.ubj is no model of XGBoost"),
        (("bad.txt", "rows.csv"), 3, "bad.txt is no model of LightGBM"),
        (("bad.onnx", "rows.csv"), 3, "bad.onnx is no ONNX graph"),
    ],
)
def test_what_cannot_be_made_is_one_line(
    ask: Run, tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    (tmp_path / "rows.csv").write_text("a,y\n1.5,0\n2.5,1\n")
    (tmp_path / "sum.json").write_text('{"bias": 1.0, "weights": {"a": 2.0}}')
    for suffix in ("skops", "ubj", "txt", "onnx"):
        (tmp_path / f"bad.{suffix}").write_bytes(b"bad")
    before = sorted(tmp_path.iterdir())
    finished = ask("model", "init", *arguments)
    assert (finished.returncode, says in finished.stderr) == (code, True), finished.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_what_the_library_says_of_the_users_own_sample_is_shown(ask: Run, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a\n1.5\n2.5\n")
    own = "class Own:\n    def predict(self, matrix):\n        {}\n"
    (tmp_path / "own.py").write_text(own.format("raise ValueError('1.5 is odd\\nand more')"))
    said = "the model raises ValueError at own.py:3: 1.5 is odd (model_invalid)"
    made = ask("model", "init", "own:Own", "rows.csv", "--gives", "regression")
    assert (made.returncode, made.stderr.endswith(f"{said}\n")) == (3, True), made.stderr
    (tmp_path / "own.py").write_text(own.format("return matrix[:, 0]"))
    assert ask("model", "init", "own:Own", "rows.csv", "--gives", "regression").returncode == 0
    (tmp_path / "own" / "own.py").write_text(own.format("raise ValueError('1.5 is odd\\nand more')"))
    checked = ask("model", "check", "own")
    assert (checked.returncode, checked.stderr.endswith(f"{said}\n")) == (1, True), checked.stderr


def test_the_summary_ends_with_what_is_left_to_do(ask: Run, tmp_path: Path) -> None:
    (tmp_path / "sum.json").write_text('{"bias": 1.0, "weights": {"a": 2.0}}')
    (tmp_path / "rows.csv").write_text(",a,vip,bought,zip\n0,1.5,0,1,01067\n1,2.5,1,0,10115\n")
    made = ask("model", "init", "sum.json", "rows.csv", "--allow-pickle")
    assert made.returncode == 0, made.stderr
    for line in (
        "left out: a column without a name (an index?)",
        "question: which of vip, bought, zip is predicted? Say it with --target: they are taken as context now",
        "context columns are required in every request: delete those that clients will not send",
        "  driftline up sum --allow-pickle",
    ):
        assert line in made.stdout.splitlines()
    assert [it.get("example") for it in declared(tmp_path / "sum")["features"]] == [1.5, 0, 1, "01067"]
    assert ask("model", "init", "sum.json", "rows.csv", "--gives", "regression", "--force").returncode == 0
    inputs_only = "a\n1.5\n2.5\n"
    (tmp_path / "rows.csv").write_text(inputs_only)
    made = ask("model", "init", "sum.json", "rows.csv", "--force")
    assert made.stdout.endswith("\n\n  driftline up sum\n\n")
    assert "context" not in made.stdout


def test_check_takes_the_file_of_a_package_and_a_folder_of_several(ask: Run, tmp_path: Path) -> None:
    (tmp_path / "sum.json").write_text('{"bias": 1.0, "weights": {"a": 2.0}}')
    (tmp_path / "rows.csv").write_text("a\n1.5\n2.5\n")
    for version in ("1", "2"):
        ask("model", "init", "sum.json", "rows.csv", "--version", version, "--output-dir", f"models/sum/{version}")
    assert ask("model", "check", "models/sum/1/model.toml").returncode == 0
    assert ask("model", "check", "models").returncode == 0
    (tmp_path / "models" / "sum" / "1" / "expected.jsonl").write_text('{"probability": 0.5}\n')
    checked = ask("model", "check", "models")
    assert (checked.returncode, checked.stderr.count("\n")) == (1, 1), checked.stderr
    assert "row 1: probability is" in checked.stderr
    assert [line for line in checked.stdout.splitlines() if line.endswith(":")] == ["models/sum/1:", "models/sum/2:"]
    assert "sum 2: binary" in checked.stdout


def test_a_pickle_is_promoted_only_when_allowed(ask: Run, cancer: Path, tmp_path: Path) -> None:
    files = (str(cancer / "cancer.joblib"), str(cancer / "cancer.parquet"))
    assert ask("model", "init", *files, "--allow-pickle", "--output-dir", "models/cancer/1").returncode == 0
    promotion = ("model", "promote", "cancer", "1", "--model", "models")
    refused = ask(*promotion)
    assert (refused.returncode, "runs whatever code is in it" in refused.stderr) == (3, True)
    assert ask(*promotion, "--allow-pickle").returncode == 0
