"""Turns lines of the log into columns of a profile."""

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from driftline.contract.outputs import PREDICTED_CLASS, PREDICTION, PROBABILITIES, PROBABILITY
from driftline.contract.schema import Label, Output
from driftline.drift.bins import NumberBins
from driftline.drift.layout import Values
from driftline.drift.profile import Column

TEN_THOUSAND_YEARS_US = 253_402_300_800_000_000
MOST_CLASSES: Final = 20
"""Of a model with more classes their probabilities are not looked at, only which one was predicted."""
OF_CLASS: Final = f"{PROBABILITIES}."
"""Before a class's name: the column of its probabilities."""
_NUMBERS: Final = frozenset({float, int, bool, type(None)})


class Answers(NamedTuple):
    """What a model answers with: as :class:`~driftline.contract.schema.ModelSchema` says it."""

    output: Output
    classes: tuple[Label, ...]


class Rows(NamedTuple):
    """Predictions of one model, column by column.

    Attributes:
        numbers: Their rows in the log, shape ``(rows,)``.
        times_us: When they were made, microseconds since 1970, shape ``(rows,)``.
        versions: The model's version, for each.
        producers: Who answered, for each.
        values: For each column of the profile the values, shape ``(rows,)``.
        scores: What was answered, NaN where there is nothing: the probability, or the number, shape ``(rows,)``; of a
            model of many classes their probabilities, ``(rows, classes)``, or ``(rows, 0)`` if they are too many.
        classes: Which of the classes was answered, -1 where it is none of them.
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
        answers: What it answers with; None leaves ``scores`` and ``classes`` empty.
    """

    def __init__(self, model: str, columns: Sequence[Column], answers: Answers | None = None) -> None:
        self._model = model
        self._columns = tuple(columns)
        features = [column for column in columns if column.role == "feature"]
        # Any string may be a feature's name, but not any string an attribute's.
        attributes = {f"feature{index}": column.name for index, column in enumerate(features)}
        types = [(name, Any, None) for name in attributes]
        self._features = msgspec.defstruct("Features", types, rename=attributes, gc=False)
        self._answers = answers
        self._classes = {label: at for at, label in enumerate(answers.classes)} if answers else {}
        labels = _labels(columns, answers)
        self._labels = {label: at for at, label in enumerate(labels)}
        attributes = {f"label{at}": label for at, label in enumerate(labels)}
        types = [(name, Any, None) for name in attributes]
        probabilities = msgspec.defstruct("Probabilities", types, rename=attributes, gc=False)
        self._none = probabilities()
        outputs: dict[str, Any] = {
            PROBABILITY: float | None,
            PREDICTED_CLASS: Any,
            PROBABILITIES: probabilities | None,
            PREDICTION: Any,
        }
        wanted = {_output_of(column) for column in columns} | set(_FIELDS[answers.output] if answers else ())
        line = msgspec.defstruct(
            "Line",
            [
                ("kind", str),
                ("timestamp", str),
                ("producer", str),
                ("model", str, ""),
                ("model_version", str, ""),
                ("features", self._features | None, None),
                *((name, kind, None) for name, kind in outputs.items() if name in wanted),
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
        shares = self._shares(kept)
        rows = Rows(
            np.array(numbers, np.int64),
            times,
            [event.model_version for event in kept],
            [event.producer for event in kept],
            self._values(kept, shares),
            self._scores(kept, shares),
            self._predicted(kept),
        )
        return Read(rows, feedback, foreign, unreadable)

    def _shares(self, events: list[Any]) -> list[Sequence[Any]]:
        """The probabilities of each class that is looked at."""
        if not self._labels or not events:
            return [()] * len(self._labels)
        answered = [msgspec.structs.astuple(event.probabilities or self._none) for event in events]
        return list(zip(*answered, strict=True))

    def _scores(self, events: list[Any], shares: list[Sequence[Any]]) -> NDArray[np.float64]:
        match self._answers:
            case Answers("binary"):
                return as_numbers([event.probability for event in events])
            case Answers("regression"):
                return as_numbers([event.prediction for event in events])
            case Answers("multiclass") if len(self._classes) <= MOST_CLASSES:
                return np.stack([as_numbers(shares[self._labels[str(label)]]) for label in self._classes], axis=1)
            case Answers("multiclass"):
                return np.zeros((len(events), 0))
        return np.zeros(0)

    def _predicted(self, events: list[Any]) -> NDArray[np.int64]:
        if not self._classes:
            return np.zeros(0, np.int64) if self._answers is None else np.full(len(events), -1)
        values = [event.predicted_class for event in events]
        try:
            return np.array([self._classes.get(value, -1) for value in values], np.int64)
        except TypeError:  # a list, or an object
            return np.array([-1 if isinstance(it, list | dict) else self._classes.get(it, -1) for it in values])

    def _values(self, events: list[Any], shares: list[Sequence[Any]]) -> list[Values]:
        taken = list(zip(*(msgspec.structs.astuple(event.features) for event in events), strict=True))
        features = iter(taken or [()] * len(self._columns))
        values: list[Values] = []
        for column in self._columns:
            if column.role == "feature":
                found: Sequence[Any] = next(features)
            elif (output := _output_of(column)) == PROBABILITIES:
                found = shares[self._labels[column.name.removeprefix(OF_CLASS)]]
            else:
                assert output is not None
                found = [getattr(event, output) for event in events]
            values.append(values_of(column, found))
        return values


_FIELDS: Final[Mapping[Output, Sequence[str]]] = {
    "binary": (PROBABILITY, PREDICTED_CLASS),
    "multiclass": (PROBABILITIES, PREDICTED_CLASS),
    "regression": (PREDICTION,),
}


def _labels(columns: Sequence[Column], answers: Answers | None) -> list[str]:
    """The names of the classes whose probabilities are taken."""
    watched = [it.name.removeprefix(OF_CLASS) for it in columns if _output_of(it) == PROBABILITIES]
    many = answers is not None and answers.output == "multiclass" and len(answers.classes) <= MOST_CLASSES
    return list(dict.fromkeys([*(map(str, answers.classes) if answers and many else ()), *watched]))


def _output_of(column: Column) -> str | None:
    """The field of an event that holds a column; None of a feature."""
    match column.role:
        case "feature":
            return None
        case "probability":
            return PROBABILITIES if column.name.startswith(OF_CLASS) else PROBABILITY
        case "class":
            return PREDICTED_CLASS
        case "prediction":
            return PREDICTION


def value_in(event: Mapping[str, Any], column: Column) -> Any:
    """Returns the value of a column in an event that was decoded; None if it is not there."""
    output = _output_of(column)
    if output is None:
        return (event.get("features") or {}).get(column.name)
    if output == PROBABILITIES:
        return (event.get(output) or {}).get(column.name.removeprefix(OF_CLASS))
    return event.get(output)


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


def values_of(column: Column, values: Sequence[Any]) -> Values:
    """Returns values as its column takes them: floats, or text."""
    if isinstance(column.bins, NumberBins):
        return as_numbers(values)
    if column.role == "feature":
        values = [truth(value) if isinstance(value, bool) else value for value in values]
    return as_categories(values)


def as_categories(values: Sequence[Any]) -> list[str | None]:
    """Returns values as text; 1, 1.0 and true are one category."""
    return [None if value is None else category(value) for value in values]


def truth(value: object) -> str:
    """Returns the text for a truth value of a feature; of a class it is the number, as :func:`category` has it."""
    return "true" if value else "false"


def category(value: object) -> str:
    """Returns the one text for a value, in whatever type it came."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


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
