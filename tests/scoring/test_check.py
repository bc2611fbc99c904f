"""A package is what it says, or it is said where it is not."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from driftline.contract.package import Package, read_package
from driftline.contract.schema import Row, Score
from driftline.errors import ModelError, ScoringError
from driftline.scoring import load_model
from driftline.scoring.check import check_package

PACKAGE = """
name = "credit"
version = "7"
output = "binary"
{more}

[[features]]
name = "age"
type = "float"

[[features]]
name = "income"
type = "float"

[[features]]
name = "country"
type = "category"
role = "context"
nullable = true

[artifact]
runtime = "logistic"
bias = 0.5
weights = {{ income = 2.0, age = -1 }}
"""
SAMPLE = "age,income,country,target\n2.5,1.0,de,1\n1,0.25,,0\n"
EXPECTED = "probability\n0.5\n0.5\n"


def package(folder: Path, sample: str = SAMPLE, expected: str | None = EXPECTED, name: str = "expected.csv") -> Package:
    (folder / "sample.csv").write_text(sample)
    more = 'sample = "sample.csv"'
    if expected is not None:
        (folder / name).write_text(expected)
        more += f'\nexpected = "{name}"'
    (folder / "model.toml").write_text(PACKAGE.format(more=more))
    return read_package(folder)


def test_a_sample_that_is_valid_and_scored_as_expected_holds(tmp_path: Path) -> None:
    made = package(tmp_path)
    checked = check_package(made, load_model(made))
    assert (checked.rows, checked.unscored, checked.compared, checked.difference) == (2, 0, 2, 0.0)


def test_only_so_many_rows_are_looked_at(tmp_path: Path) -> None:
    made = package(tmp_path, SAMPLE + "old,1,de,1\n")
    assert check_package(made, load_model(made), most_rows=2).rows == 2
    with pytest.raises(ModelError, match="row 3: the field age must be a number, not a string"):
        check_package(made, load_model(made))


def test_what_is_expected_of_rows_that_are_not_looked_at_is_not_too_much(tmp_path: Path) -> None:
    made = package(tmp_path)
    assert check_package(made, load_model(made), most_rows=1).compared == 1


def test_what_is_expected_may_be_of_the_first_rows_only(tmp_path: Path) -> None:
    made = package(tmp_path, expected="probability\n0.5000001\n")
    checked = check_package(made, load_model(made))
    assert (checked.rows, checked.compared) == (2, 1)
    assert checked.difference == pytest.approx(1e-7)


@pytest.mark.parametrize(
    ("sample", "expected", "says"),
    [
        (SAMPLE, "probability\n0.5\n0.51\n", r"row 2: probability is 0\.5, and .*expected\.csv expects 0\.51"),
        (SAMPLE, "probability\n0.5\n\n", None),  # an empty line is no row
        (SAMPLE, "probability,x\n0.5,\n,\n", r"row 2: probability is 0\.5, and .* expects ''"),
        (SAMPLE, "predicted_class\n1\n0\n", r"row 2: predicted_class is 1, and .* expects '0'"),
        (SAMPLE, "probability\n", r"expected\.csv has no rows"),
        (SAMPLE, EXPECTED + "0.5\n", r"expected\.csv has more rows than the sample, which has 2"),
        (SAMPLE, "p\n1\n", r"none of the columns probability, predicted_class"),
        (SAMPLE, "", r"expected\.csv has no columns"),
        ("age,income\n1,2\n", EXPECTED, r"The field country is required"),
        ("age,income,country\n", EXPECTED, r"has no rows"),
        (SAMPLE + "1,1e999,de,0\nx,y,z,0\n", EXPECTED, r"row 3: the field income .*finite.* row 4: the field age"),
        ("age,income,country\n1,,de\n", EXPECTED, r"row 1: the field income must be a number, not null"),
        ("age,age\n1,2\n", EXPECTED, r"a column twice: age"),
        ("age,income,country\n1,2\n", EXPECTED, r"line 2 has 2 fields, its header 3"),
    ],
)
def test_what_does_not_hold_is_said_with_its_row(tmp_path: Path, sample: str, expected: str, says: str | None) -> None:
    made = package(tmp_path, sample, expected)
    if says is None:
        assert check_package(made, load_model(made)).compared == 1
        return
    with pytest.raises(ModelError, match=says):
        check_package(made, load_model(made))


class Wrong:
    """A model that breaks a promise."""

    def __init__(self, scores: Sequence[Score] | None, alone: Score) -> None:
        self.scores = scores
        self.alone = alone

    def score(self, rows: Sequence[Row]) -> Sequence[Score]:
        if self.scores is None:
            raise ScoringError("it is tired")
        return self.scores

    def score_row(self, row: Row) -> Score:
        return self.alone


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (Wrong([0.5, 0.5], 0.25), r"0\.25 alone, and 0\.5 among others"),
        (Wrong([0.5], 0.5), "gives 1 scores for 2 rows"),
        (Wrong([0.5, 1.5], 0.5), "the model fails: .*not from 0 to 1"),
        (Wrong(None, 0.5), "the model fails: it is tired"),
        (Wrong([0.5, float("nan")], 0.5), "row 2: probability is None, and .* expects 0.5"),
    ],
)
def test_a_model_that_breaks_its_promise_is_refused(tmp_path: Path, model: Wrong, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        check_package(package(tmp_path), model)


def test_a_row_without_a_score_is_counted_and_may_be_expected(tmp_path: Path) -> None:
    model = Wrong([0.5, float("nan")], 0.5)
    assert check_package(package(tmp_path, expected=None), model).unscored == 1
    checked = check_package(package(tmp_path, expected="probability,x\n0.5,\n,\n"), model)
    assert (checked.compared, checked.unscored) == (2, 1)


def test_several_classes_are_compared_each(tmp_path: Path) -> None:
    text = PACKAGE.format(more='labels = ["a", "b", "c"]\nsample = "sample.csv"\nexpected = "expected.jsonl"')
    (tmp_path / "model.toml").write_text(text.replace('"binary"', '"multiclass"'))
    (tmp_path / "sample.csv").write_text(SAMPLE)
    (tmp_path / "expected.jsonl").write_text('{"probabilities": {"a": 0.25, "b": 0.25, "c": 0.5}}\n' * 2)
    made = read_package(tmp_path)
    good = (0.25, 0.25, 0.5)
    assert check_package(made, Wrong([good, good], good)).compared == 2
    with pytest.raises(ModelError, match=r"row 2: probabilities of a is 0\.5"):
        check_package(made, Wrong([good, (0.5, 0.25, 0.25)], good))


def test_without_a_sample_there_is_nothing_to_compare(tmp_path: Path) -> None:
    made = package(tmp_path)._replace(sample=None)
    with pytest.raises(ModelError, match="there is no sample"):
        check_package(made, load_model(made))
    assert check_package(made._replace(expected=None), load_model(made)).rows == 0
