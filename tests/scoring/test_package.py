from pathlib import Path

import pytest

from driftline.errors import ModelError
from driftline.scoring import load_package

PACKAGE = """
name = "credit"
version = "7"
output = "binary"
threshold = 0.3

[[features]]
name = "age"
type = "float"
example = 41

[[features]]
name = "income"
type = "float"
example = 2.5

[artifact]
runtime = "logistic"
bias = 0.5
weights = { income = 2.0, age = -1 }
"""


def package(directory: Path, old: str = "", new: str = "") -> Path:
    assert old in PACKAGE
    (directory / "model.toml").write_text(PACKAGE.replace(old, new) if old else PACKAGE)
    return directory


def test_weights_belong_to_features_by_name_in_any_order(tmp_path: Path) -> None:
    schema, model = load_package(package(tmp_path))
    assert schema.names == ("age", "income")
    assert model.score_row([2.5, 1.0]) == 0.5


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (", age = -1", "", "the feature age has no weight"),
        ("age = -1", "agee = -1", "agee belongs to no feature; did you mean age"),
        ("age = -1", "age = nan", "finite"),
        ("bias = 0.5", "bias = inf", "finite"),
        ("bias = 0.5", "bias = true", "bias"),
        ("bias = 0.5", "baias = 0.5", r"artifact\.baias.*did you mean bias"),
        ("bias = 0.5\n", "", "bias"),
        ('runtime = "logistic"', 'runtime = "logistics"', "did you mean logistic"),
        ('runtime = "logistic"', "runtime = 3", "artifact.runtime must be one of: logistic"),
        ('runtime = "logistic"\n', "", "artifact.runtime"),
        ("[artifact]", "[artefact]", "unknown key artefact.*did you mean artifact"),
        ("threshold = 0.3", "threshold = 30", "threshold"),
        ('name = "income"', 'name = "age"', "age is declared twice"),
    ],
)
def test_a_package_that_contradicts_itself_says_where(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_package(package(tmp_path, old, new))


def test_a_package_without_an_artifact_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.toml").write_text(PACKAGE.partition("[artifact]")[0])
    with pytest.raises(ModelError, match=r"no \[artifact\]"):
        load_package(tmp_path)
