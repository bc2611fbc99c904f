"""Turns lines of the log into columns of a profile."""

import contextlib
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from driftline.drift.bins import NumberBins
from driftline.drift.layout import Values
from driftline.drift.profile import Column

TEN_THOUSAND_YEARS_US = 253_402_300_800_000_000
_NUMBERS: Final = frozenset({float, int, bool, type(None)})


class Rows(NamedTuple):
    """Predictions of one model, column by column.

    Attributes:
        numbers: Their rows in the log, shape ``(rows,)``.
        times_us: When they were made, microseconds since 1970, shape ``(rows,)``.
        versions: The model's version, for each.
        producers: Who answered, for each.
        values: For each column of the profile the values, shape ``(rows,)``.
        scores: The probability that was answered, NaN where there is none.
        classes: The class that was answered, -1 where it is neither 0 nor 1.
    """

    numbers: NDArray[np.int64]
    times_us: NDArray[np.int64]
    versions: list[str]
    producers: list[str]
    values: list[Values]
    scores: NDArray[np.float64]
    classes: NDArray[np.int64]


class Other(NamedTuple):
    """A line that is no prediction."""

    row: int
    line: bytes


class Read(NamedTuple):
    """What a stretch of the log holds.

    Attributes:
        rows: Predictions of the model.
        feedback: Lines of feedback, with their rows.
        foreign: Predictions of other models.
        unreadable: Lines that are no events of a form that is known.
    """

    rows: Rows
    feedback: list[Other]
    foreign: int
    unreadable: int


class LineReader:
    """Reads lines for one model and the columns of its profile.

    Args:
        model: The model's name.
        columns: Which values to take.
    """

    def __init__(self, model: str, columns: Sequence[Column]) -> None:
        self._model = model
        self._columns = tuple(columns)
        features = [column for column in columns if column.role == "feature"]
        # Any string may be a feature's name, but not any string an attribute's.
        attributes = {f"feature{index}": column.name for index, column in enumerate(features)}
        types = [(name, Any, None) for name in attributes]
        self._features = msgspec.defstruct("Features", types, rename=attributes, gc=False)
        line = msgspec.defstruct(
            "Line",
            [
                ("kind", str),
                ("timestamp", str),
                ("producer", str),
                ("model", str, ""),
                ("model_version", str, ""),
                ("features", self._features | None, None),
                ("probability", float | None, None),
                ("predicted_class", Any, None),
            ],
            gc=False,
        )
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(line).decode  # its attributes are those above

    def read(self, lines: Iterable[tuple[int, bytes]]) -> Read:
        """Returns what is in these lines, each given with its row."""
        numbers: list[int] = []
        kept: list[Any] = []
        feedback: list[Other] = []
        foreign = unreadable = 0
        for number, line in lines:
            try:
                event = self._decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                unreadable += 1
                continue
            if event.kind == "feedback":
                feedback.append(Other(number, line))
            elif event.kind != "prediction" or event.model != self._model or event.features is None:
                foreign += 1
            else:
                numbers.append(number)
                kept.append(event)
        try:
            times = _microseconds([event.timestamp for event in kept])
        except ValueError:  # one of them is none; looked for only now, since all of them nearly always are
            good = [at for at, event in enumerate(kept) if _is_time(event.timestamp)]
            unreadable += len(kept) - len(good)
            numbers, kept = [numbers[at] for at in good], [kept[at] for at in good]
            times = _microseconds([event.timestamp for event in kept])
        rows = Rows(
            np.array(numbers, np.int64),
            times,
            [event.model_version for event in kept],
            [event.producer for event in kept],
            self._values(kept),
            as_numbers([event.probability for event in kept]),
            np.array([_class(event.predicted_class) for event in kept], np.int64),
        )
        return Read(rows, feedback, foreign, unreadable)

    def _values(self, events: list[Any]) -> list[Values]:
        taken = list(zip(*(msgspec.structs.astuple(event.features) for event in events), strict=True))
        features = iter(taken or [()] * len(self._columns))
        values: list[Values] = []
        for column in self._columns:
            if column.role == "feature":
                found: Sequence[Any] = next(features)
            elif column.role == "probability":
                found = [event.probability for event in events]
            else:
                found = [event.predicted_class for event in events]
            values.append(as_numbers(found) if isinstance(column.bins, NumberBins) else as_categories(found))
        return values


def as_numbers(values: Sequence[Any]) -> NDArray[np.float64]:
    """Returns values as floats; what is no number is missing."""
    # Numpy would make a number of the text "1", as long as there is nothing but such texts, and a table of lists.
    if _NUMBERS.issuperset(map(type, values)):
        with contextlib.suppress(OverflowError):
            return np.array(values, dtype=np.float64)
    return np.array([_number(value) for value in values], dtype=np.float64)


def _number(value: object) -> float | None:
    if not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def as_categories(values: Sequence[Any]) -> list[str | None]:
    """Returns values as text; 1, 1.0 and true are one category."""
    return [None if value is None else category(value) for value in values]


def category(value: object) -> str:
    """Returns the one text for a value, in whatever type it came."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _class(value: object) -> int:
    return int(value) if isinstance(value, bool | int | float) and value in (0, 1) else -1


def _microseconds(timestamps: list[str]) -> NDArray[np.int64]:
    if not all(timestamp.endswith("Z") for timestamp in timestamps):
        raise ValueError("not UTC")
    times = np.array([timestamp[:-1] for timestamp in timestamps], "datetime64[us]").astype(np.int64)
    if len(times) and not (times.min() >= 0 and times.max() < TEN_THOUSAND_YEARS_US):
        raise ValueError("before 1970, or no time")
    return times


def _is_time(timestamp: str) -> bool:
    try:
        _microseconds([timestamp])
    except ValueError:
        return False
    return True
