"""The two sides of a comparison."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from driftline.report.sample import Chosen

Side = Literal["reference", "current"]
NAMES: dict[Side, str] = {"reference": "the reference", "current": "the current window"}
Moment = Annotated[datetime, msgspec.Meta(tz=True)]

Progress = Callable[[int, int], None]
"""Gets (done, total) of what is read, rows or bytes, as often as there is news."""


class Prediction(msgspec.Struct, frozen=True):
    """What a report needs of a line of the log, or of a row of a reference file.

    Attributes:
        features: Their values by name; None where one is missing.
        probability: None if there is none, and so with the other outputs.
        predicted_class: See there.
        probabilities: Those of the classes, by name.
        prediction: The number that was predicted.
        timestamp: None in a reference file, and so with the model and its version.
    """

    features: dict[str, Any]
    probability: Any = None
    predicted_class: Any = None
    probabilities: Any = None
    prediction: Any = None
    timestamp: Moment | None = None
    model: str | None = None
    model_version: str | None = None


@dataclass(frozen=True)
class Window:
    """The predictions of one side, and where they come from.

    Attributes:
        side: Which one.
        predictions: In the order of the log, or of the file.
        chosen: Which of those that could have been taken.
        out_of: How many those were; known only of what was ``drawn``.
        file: The reference file; None for the log.
        span: The first row in the log and the one after the last; None for a file.
        ignored_columns: Columns of the reference file that the log does not have.
    """

    side: Side
    predictions: tuple[Prediction, ...]
    chosen: Chosen
    out_of: int | None = None
    file: str | None = None
    span: tuple[int, int] | None = None
    ignored_columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        return NAMES[self.side]

    def __len__(self) -> int:
        return len(self.predictions)

    @property
    def times(self) -> tuple[datetime, datetime] | None:
        """The earliest and the latest timestamp; None for a file."""
        moments = [row.timestamp for row in self.predictions if row.timestamp]
        return (min(moments), max(moments)) if moments else None

    @property
    def models(self) -> tuple[str, ...]:
        """The models that scored these rows, each with its version; none for a file."""
        return tuple(sorted({f"{row.model} {row.model_version}" for row in self.predictions if row.model}))

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes whose probabilities are in these rows, in the order they are met."""
        given = (row.probabilities for row in self.predictions if isinstance(row.probabilities, Mapping))
        return tuple(dict.fromkeys(itertools.chain.from_iterable(given)))

    @property
    def features(self) -> tuple[str, ...]:
        """The names of all features in these rows, in the order they are met."""
        return tuple(dict.fromkeys(itertools.chain.from_iterable(row.features for row in self.predictions)))


@dataclass(frozen=True)
class Windows:
    """What is compared with what; no row is in both.

    Attributes:
        notes: Sentences on how they differ from what was asked for, and on what makes them hard to compare.
    """

    reference: Window
    current: Window
    notes: tuple[str, ...] = ()
