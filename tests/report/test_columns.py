"""Which columns can be compared, and why the others cannot."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from driftline.errors import ReportError
from driftline.report.columns import Column, columns_of
from driftline.report.reading import read_windows
from driftline.report.selection import Selection
from driftline.report.windows import Prediction, Window, Windows
from tests.report.events import MakeLog, event

Values = list[Any]


def windows_of(reference: Values, current: Values) -> Windows:
    def rows(values: Values) -> tuple[Prediction, ...]:
        return tuple(Prediction({"x": value}, 0.5, 1) for value in values)

    return Windows(Window("reference", rows(reference), "first"), Window("current", rows(current), "last"))


def column_of(reference: Values, current: Values) -> Column:
    return columns_of(windows_of(reference, current))[0]


NUMBERS: Values = [float(number) for number in range(40)]


def with_some(count: int, value: object) -> Values:
    return [value] * count + NUMBERS[count:]


def test_columns_are_found_in_the_rows(make_log: MakeLog) -> None:
    lines = [
        event(number, {"b": 1.0, "a": 2.0} if number < 50 else {"b": 1.0, "a": 2.0, "new": 3.0})
        for number in range(100)
    ]
    columns = columns_of(read_windows(make_log(lines), Selection()))
    assert [(column.name, column.type) for column in columns] == [
        ("b", "numerical"),
        ("a", "numerical"),
        ("new", "numerical"),
        ("probability", "numerical"),
        ("predicted_class", "categorical"),
    ]
    assert columns[2].obstacle == "it has no value in the reference"


def test_texts_and_truth_values_are_categories_and_each_output_has_its_columns(make_log: MakeLog) -> None:
    def line(number: int) -> bytes:
        features = {"plan": "ab"[number % 2], "member": number % 3 == 0, "age": number, "id": f"{number:032x}"}
        return event(number, features, probability=None, predicted_class="yes", probabilities={"yes": 0.6, "no": 0.4})

    columns = columns_of(read_windows(make_log(map(line, range(100))), Selection()))
    assert [(column.name, column.type, column.feature) for column in columns] == [
        ("plan", "categorical", True),
        ("member", "categorical", True),
        ("age", "numerical", True),
        ("id", "categorical", True),
        ("probabilities.yes", "numerical", False),
        ("probabilities.no", "numerical", False),
        ("predicted_class", "categorical", False),
    ]
    assert columns[0].obstacle is None
    assert columns[1].obstacle is None
    assert columns[3].obstacle == "nearly every row of the reference has another value"


def test_a_regression_has_its_number(make_log: MakeLog) -> None:
    lines = [event(number, probability=None, predicted_class=None, prediction=number / 7) for number in range(100)]
    columns = columns_of(read_windows(make_log(lines), Selection()))
    assert [(column.name, column.type) for column in columns[2:]] == [("prediction", "numerical")]
    assert columns[2].obstacle is None


def test_of_very_many_classes_only_the_predicted_one_is_compared(make_log: MakeLog) -> None:
    shares = {f"class {at}": 1 / 21 for at in range(21)}
    columns = columns_of(
        read_windows(make_log(event(number, probabilities=shares) for number in range(100)), Selection())
    )
    assert [column.name for column in columns[2:]] == ["probability", "predicted_class"]


@pytest.mark.parametrize("name", ["probability", "predicted_class", "prediction"])
def test_a_feature_with_the_name_of_an_output_is_an_error(make_log: MakeLog, name: str) -> None:
    lines = [event(number, {name: 1.0}) for number in range(100)]
    with pytest.raises(ReportError, match=f"means something else in a report: {name}"):
        columns_of(read_windows(make_log(lines), Selection()))


@pytest.mark.parametrize(
    ("window", "reason"),
    [
        ([None] * 40, "it has no value in {side}"),
        ([math.nan] * 40, "it has no value in {side}"),
        (with_some(11, None), "it has 29 values in {side}; 30 are needed"),
        (with_some(1, math.inf), "1 row of {side} has an infinite value"),
        (with_some(2, -math.inf), "2 rows of {side} have an infinite value"),
        (with_some(1, 10**400), "1 row of {side} has an infinite value"),
        (with_some(2, "a"), "2 rows of {side} have a value that is not a number"),
        (with_some(1, True), "1 row of {side} has a value that is not a number"),
        (with_some(1, "1.5"), "1 row of {side} has a value that is not a number"),
    ],
)
def test_what_evidently_cannot_take_is_an_obstacle_on_either_side(window: Values, reason: str) -> None:
    assert column_of(window, NUMBERS).obstacle == reason.format(side="the reference")
    assert column_of(NUMBERS, window).obstacle == reason.format(side="the current window")


@pytest.mark.parametrize("value", [0.0, 7.5])
def test_one_and_the_same_value_in_both_windows_is_an_obstacle(value: float) -> None:
    assert column_of([value] * 40, [value] * 40).obstacle == "it has one and the same value in both windows"


@pytest.mark.parametrize(
    ("reference", "current"),
    [([1.0] * 40, [2.0] * 40), ([1.0] * 40, NUMBERS), (NUMBERS, [1] * 40), (with_some(10, None), NUMBERS)],
)
def test_what_can_differ_is_compared(reference: Values, current: Values) -> None:
    assert column_of(reference, current).obstacle is None


@pytest.mark.parametrize(("log", "file"), [(1, 1.0), (0, 0.0), (1, True), ("yes", "yes"), (None, math.nan), (1.5, 1.5)])
def test_a_class_is_the_same_in_the_log_and_in_a_file(log: object, file: object) -> None:
    def column(value: object) -> Callable[[int], Prediction]:
        return lambda number: Prediction({"x": number}, 0.5, value)

    logged, filed = (tuple(map(column(value), range(40))) for value in (log, file))
    classes = columns_of(Windows(Window("reference", logged, "first"), Window("current", filed, "last")))[-1]
    assert classes.reference == classes.current
