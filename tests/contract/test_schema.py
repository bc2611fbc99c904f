import math
import re
from pathlib import Path
from typing import Any

import pytest

import driftline
from driftline.contract.package import read_package, seed_package, seed_schema
from driftline.contract.schema import Feature, ModelSchema, Output, misfit
from driftline.errors import ModelError


def declared(**changes: Any) -> dict[str, Any]:
    features = [{"name": "age", "type": "float", "example": 41.0}, {"name": "income", "type": "float", "example": 3}]
    return {"name": "m", "version": "2", "output": "binary", "threshold": 0.25, "features": features, **changes}


def test_a_package_says_what_its_model_takes_and_gives() -> None:
    schema = ModelSchema.from_mapping(declared())
    assert (schema.name, schema.version, schema.threshold) == ("m", "2", 0.25)
    assert schema.names == ("age", "income")
    assert schema.example == {"age": 41.0, "income": 3.0}


@pytest.mark.parametrize("key", ["name", "version", "output", "features"])
def test_a_key_that_is_missing_is_named(key: str) -> None:
    mapping = declared()
    del mapping[key]
    with pytest.raises(ModelError, match=key):
        ModelSchema.from_mapping(mapping)


def test_an_unknown_key_is_answered_with_the_nearest_known_one() -> None:
    with pytest.raises(ModelError, match=r"treshold.*did you mean threshold"):
        ModelSchema.from_mapping(declared(treshold=0.5))


def test_an_unknown_key_of_a_feature_is_answered_with_its_place_and_the_nearest_known_one() -> None:
    features = [{"name": "age", "type": "float", "exampel": 1.0}]
    with pytest.raises(ModelError, match=r"features\[0\].exampel.*did you mean example"):
        ModelSchema.from_mapping(declared(features=features))


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan"), float("inf"), True, "0.5", None])
def test_a_threshold_that_no_probability_can_reach_is_refused(threshold: object) -> None:
    with pytest.raises(ModelError, match="threshold"):
        ModelSchema.from_mapping(declared(threshold=threshold))


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([], "features"),
        (["age"], "features"),
        ([{"name": "age", "type": "double"}], r"features\[0\]\.type is 'double' .* one of: float, int, bool, category"),
        ([{"name": "", "type": "float", "example": 1.0}], "name"),
        ([{"name": "a\nb", "type": "float", "example": 1.0}], "cannot be printed"),
        ([{"name": 'a"b', "type": "float", "example": 1.0}], "quotes"),
        ([{"name": "a\\b", "type": "float", "example": 1.0}], "backslashes"),
        ([{"name": "age", "type": "float", "example": float("inf")}], "example of the feature age"),
        ([{"name": "age", "type": "float", "example": 1.0}] * 2, "age is declared twice"),
        ([{"name": "age", "type": "int", "role": "output"}], r"role is 'output' .* one of: input, context"),
        ([{"name": "age", "type": ["int"]}], "type"),
        ([{"name": "age", "type": "int", "log": "hashed"}], r"log is 'hashed' .* one of: keep, hash, drop"),
        ([{"name": "age", "type": "int", "nullable": 1}], "nullable"),
        ([{"name": "age", "type": "int", "range": [1]}], "range"),
        ([{"name": "age", "type": "int", "range": [2, 1]}], "range of the feature age must be its lowest"),
        ([{"name": "age", "type": "float", "range": [0, float("nan")]}], "range of the feature age"),
        ([{"name": "age", "type": "float", "range": [float("inf"), float("inf")]}], "there is no float"),
        ([{"name": "age", "type": "float", "range": [float("-inf"), float("-inf")]}], "there is no float"),
        ([{"name": "age", "type": "int", "range": [0.2, 0.8]}], "there is no int"),
        ([{"name": "age", "type": "int", "range": [1e16, 1e17]}], "there is no int"),
        ([{"name": "paid", "type": "bool", "range": [0, 1]}], "paid is bool, which has no range"),
        ([{"name": "age", "type": "int", "categories": ["1"]}], "age is int, which has no categories"),
        ([{"name": "land", "type": "category", "categories": []}], "categories of the feature land"),
        ([{"name": "land", "type": "category", "categories": ["at", "at"]}], "categories of the feature land"),
        ([{"name": "land", "type": "category", "categories": [1]}], "categories"),
        ([{"name": "land", "type": "category", "categories": ["a" * 1001]}], "more than 1000 characters"),
        ([{"name": "land", "type": "category", "categories": ["at"], "example": "de"}], "example of the feature land"),
        ([{"name": "age", "type": "int", "example": 1.5}], "example of the feature age must be a whole number"),
        ([{"name": "age", "type": "int", "range": [0, 9], "example": 10}], "example of the feature age must be from 0"),
        ([{"name": "paid", "type": "bool", "example": 1}], "example of the feature paid must be a boolean"),
        ([{"name": "land", "type": "category", "role": "context"}], "none is left to score"),
        *(
            ([{"name": name, "type": "float"}], f"the feature {name} is called as what is said of a prediction")
            for name in ("request_id", "probability", "probabilities", "predicted_class", "prediction")
        ),
    ],
)
def test_features_that_contradict_themselves_are_refused(features: object, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        ModelSchema.from_mapping(declared(features=features))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"output": "multi"},
            "output is 'multi' in the model package, and must be one of: binary, multiclass, regression",
        ),
        ({"output": "multiclass"}, "needs labels"),
        ({"output": "multiclass", "labels": ["a"]}, "needs labels"),
        ({"labels": ["a"]}, "two labels, and here are 1"),
        ({"labels": ["a", "b", "c"]}, "two labels, and here are 3"),
        ({"labels": ["a", "a"]}, "labels must differ"),
        ({"labels": ["a", 1]}, "all text or all whole numbers"),
        ({"labels": [True, False]}, "labels"),
        ({"labels": [0.0, 1.0]}, "labels"),
        ({"labels": ["", "b"]}, "a label has 1 to 1000 characters"),
        ({"labels": [0, 2**53]}, "a label that is a number"),
        ({"output": "regression", "labels": ["a", "b"]}, "labels is only for an output that is binary or multiclass"),
        ({"output": "regression", "threshold": 0.5}, "threshold is only for an output that is binary"),
        ({"output": "multiclass", "labels": ["a", "b"], "threshold": 0.5}, "threshold is only for"),
        ({"name": "credit/eu"}, "the name 'credit/eu' cannot be part of a path"),
        ({"version": "1\n"}, "the version"),
        ({"version": ".."}, "the version"),
    ],
)
def test_an_output_that_contradicts_itself_is_refused(changes: dict[str, object], message: str) -> None:
    mapping = declared(**changes)
    if changes.get("output", "binary") != "binary" and "threshold" not in changes:
        del mapping["threshold"]
    with pytest.raises(ModelError, match=re.escape(message)):
        ModelSchema.from_mapping(mapping)


def schema_of(**feature: Any) -> ModelSchema:
    return ModelSchema.from_mapping(declared(features=[{"name": "x", **feature}]))


@pytest.mark.parametrize(
    ("feature", "shown"),
    [
        ({"type": "float"}, 0.0),
        ({"type": "float", "range": [2, 3]}, 2.0),
        ({"type": "float", "range": [float("-inf"), -2.5]}, -2.5),
        ({"type": "int"}, 0),
        ({"type": "int", "range": [0.5, 9]}, 1),
        ({"type": "int", "range": [-3.5, -0.5]}, -1),
        ({"type": "int", "range": [7, float("inf")]}, 7),
        ({"type": "bool"}, False),
        ({"type": "category"}, "a"),
        ({"type": "category", "categories": ["de", "at"]}, "de"),
        ({"type": "category", "example": "x"}, "x"),
    ],
)
def test_a_feature_without_an_example_is_shown_with_a_value_that_it_takes(
    feature: dict[str, Any], shown: object
) -> None:
    [made] = schema_of(**feature).features
    assert (made.shown, type(made.shown)) == (shown, type(shown))
    assert misfit(made, made.shown) is None


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ((0, 1234567.5), "from 0 to 1234567.5."),
        ((18, float("inf")), "at least 18."),
        ((float("-inf"), 1e-9), "at most 1e-09."),
    ],
)
def test_a_range_is_told_to_the_last_digit(ends: tuple[float, float], words: str) -> None:
    [feature] = schema_of(type="float", range=list(ends)).features
    beyond = ends[0] - 1 if math.isfinite(ends[0]) else ends[1] + 1
    assert misfit(feature, beyond) == ("out_of_range", f"must be {words}")


@pytest.mark.parametrize(
    ("output", "labels", "classes"),
    [
        ("binary", (), (0, 1)),
        ("binary", ("no", "yes"), ("no", "yes")),
        ("multiclass", ("a", "b", "c"), ("a", "b", "c")),
        ("regression", (), ()),
    ],
)
def test_the_classes_are_the_labels_and_of_two_without_labels_0_and_1(
    output: Output, labels: tuple[str, ...], classes: tuple[object, ...]
) -> None:
    features = (Feature("x", "float"),)
    schema = ModelSchema(name="m", version="1", output=output, labels=labels, features=features)
    assert schema.classes == classes


def test_a_directory_without_a_model_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=re.escape(f"{tmp_path}/model.toml")):
        read_package(tmp_path)


@pytest.mark.parametrize("content", [b"name =", b"\xff"])
def test_a_package_that_is_not_toml_is_an_error_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.toml").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.toml is not TOML"):
        read_package(tmp_path)


def test_the_seed_model_is_a_package_like_any_other() -> None:
    assert read_package(seed_package()).schema == seed_schema()


def test_no_code_knows_the_seeds_features() -> None:
    package = Path(driftline.__file__).parent
    names = set(seed_schema().names)
    knowing = [str(file) for file in package.rglob("*.py") if any(name in file.read_text() for name in names)]
    assert not knowing
