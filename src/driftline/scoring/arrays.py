"""Between rows of Python values and the arrays that libraries take and give."""

import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftline.contract.schema import Feature, ModelSchema, Row, Score
from driftline.errors import ModelError, ScoringError

Encode = Callable[[Sequence[Row]], Any]
Codes = Mapping[int, Mapping[str, float]]

_SLACK: Final = 1e-6
"""How far a probability may lie outside of 0 to 1 and be taken for a rounding error; float32 has 1.2e-7."""


class ArrayModel:
    """A model of a library that takes many rows as one thing, and gives an array.

    Args:
        schema: What the model gives.
        encode: Makes of rows what the library takes.
        predict: Asks the library.

    Attributes:
        max_batch_size: See :class:`~driftline.scoring.model.GainsTogether`. Libraries take 5 microseconds to 5
            milliseconds for a call with one row, and a tenth to a thirtieth of that for each of 32. A process answers
            no more requests at once by default.
    """

    max_batch_size = 32

    def __init__(self, schema: ModelSchema, encode: Encode, predict: Callable[[Any], Any]) -> None:
        self._schema = schema
        self._encode = encode
        self._predict = predict

    def score(self, rows: Sequence[Row]) -> list[Score]:
        """Returns the score of each row.

        Raises:
            ScoringError: The library fails, or gives what is no score.
        """
        try:
            given = np.asarray(self._predict(self._encode(rows)))
        except ScoringError:
            raise
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a library may raise anything; a panic in Rust is no Exception (PyO3)
            raise failure(error) from error
        return scores(self._schema, given, len(rows))

    def score_row(self, row: Row) -> Score:
        """Returns the score of one row, which is a batch of one.

        Raises:
            ScoringError: As :meth:`score`.
        """
        return self.score((row,))[0]


def failure(error: BaseException) -> ScoringError:
    """Returns what a library's error is called; not its message, for that may tell features, and ends in a log."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""  # noqa: PTH119
    return ScoringError(f"the model raises {type(error).__name__}{place}")


def scores(schema: ModelSchema, given: NDArray[Any], rows: int) -> list[Score]:
    """Returns an array as scores.

    Args:
        schema: What the model gives.
        given: Shape ``(rows,)``, ``(rows, 1)`` or, one column for each class, ``(rows, classes)``.
        rows: How many were scored.

    Raises:
        ScoringError: It has another shape, or no numbers in it.
    """
    if given.dtype.kind not in "fiub":
        raise ScoringError(f"the model gives {given.dtype} where numbers should be")
    if given.dtype.kind != "f":
        given = given.astype(np.float64)
    classes = len(schema.classes)
    if given.ndim == 2 and given.shape == (rows, classes):  # noqa: PLR2004
        if schema.output == "binary":
            return [within(p) for p in given[:, 1].tolist()]
        return [tuple(map(within, row)) for row in given.tolist()]
    if schema.output == "multiclass" or given.shape not in {(rows,), (rows, 1)}:
        raise ScoringError(f"the model gives an array of shape {given.shape} for {rows} rows and {classes} classes")
    column = given.reshape(rows).tolist()
    return column if schema.output == "regression" else [within(p) for p in column]


def within(probability: float) -> float:
    """Returns a probability without the rounding error that has brought it out of 0 to 1, if it is one."""
    if 0.0 <= probability <= 1.0:
        return probability
    if 1.0 < probability <= 1.0 + _SLACK:
        return 1.0
    return 0.0 if -_SLACK <= probability < 0.0 else probability


def matrix_encoder(inputs: Sequence[Feature], dtype: Any = np.float64, codes: Codes | None = None) -> Encode:
    """Returns what makes a matrix of numbers of rows: a boolean is 0 or 1, null is NaN, a category its code.

    Args:
        inputs: The features, in the model's order.
        dtype: Of the matrix.
        codes: The code of each category, by the index of the feature; by default its place in the package's list.

    Raises:
        ModelError: A category has no code.
    """
    codes = category_codes(inputs) if codes is None else codes
    if not codes:
        return lambda rows: np.array(rows, dtype=dtype)
    lookups = tuple(codes.items())

    def encode(rows: Sequence[Row]) -> NDArray[Any]:
        coded = [list(row) for row in rows]
        for row in coded:
            for at, code in lookups:
                row[at] = code.get(row[at], np.nan)  # type: ignore[arg-type]  # None is no key: it is missing
        return np.array(coded, dtype=dtype)

    return encode


def category_codes(inputs: Sequence[Feature], known: Mapping[str, Sequence[str] | None] | None = None) -> Codes:
    """Returns the code of each category, by the index of its feature.

    Args:
        inputs: The features, in the model's order.
        known: The categories that the model itself knows, in the order of their codes, by the feature's name; of
            other features, the code of a category is its place in the package's list.

    Raises:
        ModelError: The package lists no categories, or one that the model does not know.
    """
    codes = {}
    for at, feature in enumerate(inputs):
        if feature.type != "category":
            continue
        own = (known or {}).get(feature.name)
        if feature.categories is None:
            found = f"; the model knows {', '.join(own)}" if own is not None else ", in the order of their codes from 0"
            raise ModelError(f"the model takes codes: list the categories of {feature.name} in the package{found}")
        codes[at] = {category: float(code) for code, category in enumerate(own or feature.categories)}
        for category in feature.categories:
            if category not in codes[at]:
                raise ModelError(f"the model does not know the category {category} of {feature.name}")
    return codes


def object_encoder(inputs: Sequence[Feature]) -> Encode:
    """Returns what makes an array of Python values of rows, shape ``(rows, inputs)``; null is NaN."""
    width = len(inputs)

    def encode(rows: Sequence[Row]) -> NDArray[np.object_]:
        matrix = np.empty((len(rows), width), dtype=object)
        for at, row in enumerate(rows):
            matrix[at] = [np.nan if value is None else value for value in row]
        return matrix

    return encode


def all_numbers(inputs: Sequence[Feature]) -> bool:
    """Returns whether a matrix of numbers can hold the features."""
    return all(feature.type != "category" for feature in inputs)
