"""The columns of two windows, and whether they can be compared at all."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from operator import attrgetter
from typing import Any, Literal

from driftline.errors import ReportError
from driftline.report.selection import MIN_WINDOW_ROWS
from driftline.report.windows import NAMES, Prediction, Side, Window, Windows

Type = Literal["numerical", "categorical"]
Value = float | str | None
PREDICTED = ("probability", "predicted_class", "prediction")
OF_CLASS = "probabilities."
"""Before a class's name: the column of its probabilities."""
MOST_CLASSES = 20
"""Of a model with more classes their probabilities are not compared."""
MOST_DISTINCT = 0.5
"""Share of the rows that may have a category of their own: what is new in nearly every row, as a hash, is none."""


@dataclass(frozen=True)
class Series:
    """One column of one window.

    Attributes:
        values: A number or a category a row; None where it is missing.
        strangers: How many values are not numbers, in a column of numbers; they are None in ``values``.
    """

    values: tuple[Value, ...]
    strangers: int = 0

    @property
    def missing(self) -> int:
        """Rows without a value."""
        return self.values.count(None)


@dataclass(frozen=True)
class Column:
    """A feature, or what the model gave, in both windows."""

    name: str
    type: Type
    reference: Series
    current: Series

    @property
    def feature(self) -> bool:
        """Whether it is what the model was given, not what it said."""
        return self.name not in PREDICTED and not self.name.startswith(OF_CLASS)

    @property
    def obstacle(self) -> str | None:
        """Why it must not go into the report, in which it would raise, have no score, or say nothing; or None."""
        for side, series in self._sides.items():
            if obstacle := _obstacle_in(series, NAMES[side]):
                return obstacle
        if self.constant:
            return "it has one and the same value in both windows"
        if self.type == "numerical":
            return None
        if len(set(self.reference.values)) > MOST_DISTINCT * len(self.reference.values):
            return "nearly every row of the reference has another value"
        return self._other_spelling()

    @property
    def constant(self) -> bool:
        """Whether there is but one value, and the same in both windows: nothing to compare, and no drift."""
        return len({*self.reference.values, *self.current.values} - {None}) == 1

    @property
    def _sides(self) -> dict[Side, Series]:
        return {"reference": self.reference, "current": self.current}

    def _other_spelling(self) -> str | None:
        """Words in one window and numbers in the other are a matter of spelling, not of drift."""
        reference, current = (
            {str(value) for value in series.values if value is not None} for series in self._sides.values()
        )
        if reference & current or _all_numbers(reference) == _all_numbers(current):
            return None
        shown = [", ".join(sorted(values)[:3]) for values in (reference, current)]
        return f"its values are written differently: {shown[0]} in the reference, {shown[1]} in the current window"


def _all_numbers(values: set[str]) -> bool:
    return all(value.lstrip("-").isdecimal() for value in values)


def _obstacle_in(series: Series, place: str) -> str | None:
    if series.strangers:
        return f"{_rows(series.strangers)} of {place} {_have(series.strangers)} a value that is not a number"
    infinite = sum(isinstance(value, float) and math.isinf(value) for value in series.values)
    if infinite:
        return f"{_rows(infinite)} of {place} {_have(infinite)} an infinite value"
    held = len(series.values) - series.missing
    if held == 0:
        return f"it has no value in {place}"
    if held < MIN_WINDOW_ROWS:
        return f"it has {held} values in {place}; {MIN_WINDOW_ROWS} are needed"
    return None


def columns_of(windows: Windows) -> list[Column]:
    """Returns the features of both windows in the order they are met, then what the model gave.

    A feature is categorical if its values in either window are all texts or truth values.

    Raises:
        ReportError: A feature has the name of one of the latter.
    """
    sides = (windows.reference, windows.current)
    features = dict.fromkeys([*windows.reference.features, *windows.current.features])
    labels = dict.fromkeys([*windows.current.labels, *windows.reference.labels])
    shares = {f"{OF_CLASS}{label}": label for label in labels} if len(labels) <= MOST_CLASSES else {}
    if taken := {*PREDICTED, *shares} & features.keys():
        raise ReportError(f"a feature has a name that means something else in a report: {', '.join(sorted(taken))}")
    categories = {name for side in sides for name in features if is_category(side, name)}
    given = {name for side in sides for row in side.predictions for name in PREDICTED if getattr(row, name) is not None}
    return [
        *(
            _column(name, "categorical" if name in categories else "numerical", windows, partial(_feature, name))
            for name in features
        ),
        *(_column(name, "numerical", windows, partial(_share, label)) for name, label in shares.items()),
        *(
            _column(name, "categorical" if name == "predicted_class" else "numerical", windows, attrgetter(name))
            for name in PREDICTED
            if name in given
        ),
    ]


def is_category(window: Window, name: str) -> bool:
    """Whether a feature's values are all texts, or truth values; one that has none is a number."""
    held = {type(value) for row in window.predictions if (value := row.features.get(name)) is not None}
    return held in ({str}, {bool})


def _share(label: str, row: Prediction) -> Any:
    return row.probabilities.get(label) if isinstance(row.probabilities, Mapping) else None


def _column(name: str, kind: Type, windows: Windows, value_of: Callable[[Prediction], Any]) -> Column:
    make = _numbers if kind == "numerical" else _categories
    reference, current = (
        make([value_of(row) for row in window.predictions]) for window in (windows.reference, windows.current)
    )
    return Column(name, kind, reference, current)


def _feature(name: str, row: Prediction) -> Any:
    return row.features.get(name)


def _numbers(values: Sequence[Any]) -> Series:
    numbers = [_number(value) for value in values]
    strangers = sum(number is None and value is not None for number, value in zip(numbers, values, strict=True))
    return Series(tuple(None if number is None or math.isnan(number) else number for number in numbers), strangers)


def is_number(value: Any) -> bool:
    """Whether a value counts as a number; True and False do not."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _number(value: Any) -> float | None:
    if not is_number(value):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _categories(values: Sequence[Any]) -> Series:
    return Series(tuple(_category(value) for value in values))


def _category(value: Any) -> str | None:
    """The same text for the same class, be it 1 in the log, 1.0 in a file of a column with gaps, or True."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool | int) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    return str(value)


def _rows(count: int) -> str:
    return f"{count:,} row" if count == 1 else f"{count:,} rows"


def _have(count: int) -> str:
    return "has" if count == 1 else "have"
