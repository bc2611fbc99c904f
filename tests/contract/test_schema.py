import re
from pathlib import Path
from typing import Any

import pytest

import driftline
from driftline.contract.package import read_package, seed_package, seed_schema
from driftline.contract.schema import ModelSchema
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
        ([{"name": "age", "type": "double", "example": 1.0}], "type"),
        ([{"name": "", "type": "float", "example": 1.0}], "name"),
        ([{"name": "a\nb", "type": "float", "example": 1.0}], "cannot be printed"),
        ([{"name": 'a"b', "type": "float", "example": 1.0}], "quotes"),
        ([{"name": "a\\b", "type": "float", "example": 1.0}], "backslashes"),
        ([{"name": "age", "type": "float", "example": float("inf")}], "example of the feature age"),
        ([{"name": "age", "type": "float", "example": 1.0}] * 2, "age is declared twice"),
    ],
)
def test_features_that_contradict_themselves_are_refused(features: object, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        ModelSchema.from_mapping(declared(features=features))


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
