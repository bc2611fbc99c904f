"""Whether a package's model does what the package says: its sample is valid, is scored, and as it is expected to be."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from driftline.contract.cells import features_of_cells, number
from driftline.contract.outputs import PREDICTED_CLASS, PREDICTION, PROBABILITIES, PROBABILITY, outputs_of
from driftline.contract.package import Package
from driftline.contract.problems import InvalidFieldsError
from driftline.contract.request import RequestDecoder
from driftline.contract.schema import ModelSchema, Row, Score
from driftline.errors import InputError, ModelError, ScoringError, TableError
from driftline.scoring.model import Model
from driftline.tables import Table

RELATIVE: Final = 1e-5
ABSOLUTE: Final = 1e-6
"""A number of an output may differ by the larger of the two: what libraries and processors round otherwise."""
QUICK_ROWS: Final = 200
"""So many rows of a sample say whether a package may be served; a check that is asked for reads all."""


class Checked(NamedTuple):
    """What holds of a package.

    Attributes:
        rows: Rows of the sample, each valid and scored; 0 if it has none.
        unscored: Those of them that the model has no number for.
        compared: Those that were compared with what is expected.
        difference: The largest that was found.
    """

    rows: int
    unscored: int
    compared: int
    difference: float


def check_package(package: Package, model: Model, most_rows: int | None = QUICK_ROWS) -> Checked:
    """Returns what holds of a package, if all does that it says.

    Args:
        package: What it says.
        model: The model of its artifact.
        most_rows: Rows of the sample to look at; None for all.

    Raises:
        ModelError: A row of its sample is none of its schema's, the model fails for one, gives what such a model
            cannot, another score for a row alone than among others, or another one than is expected; or what is
            expected has no rows, or more than the sample.
    """
    try:
        if package.sample is None:
            return _check_example(package, model)
        return _check_sample(package, Table(package.sample), model, most_rows)
    except InvalidFieldsError as error:
        raise ModelError(f"the sample is none of what the schema takes: {error.errors[0].detail}") from error
    except ScoringError as error:
        raise ModelError(f"the model fails: {error.message}") from error
    except TableError as error:
        raise ModelError(error.message) from error


def _check_example(package: Package, model: Model) -> Checked:
    """Without a sample, what the package itself gives as an example tells at least that the model is one."""
    schema = package.schema
    if package.expected is not None:
        raise ModelError("expected is what the model gives for the sample, and there is no sample")
    if all(feature.example is not None for feature in schema.inputs):
        _values(schema, [model.score_row(tuple(feature.example for feature in schema.inputs))])
    return Checked(0, 0, 0, 0.0)


def _check_sample(package: Package, sample: Table, model: Model, most_rows: int | None) -> Checked:
    schema = package.schema
    decoder = RequestDecoder(schema)
    expected = None if package.expected is None else _Expected(schema, Table(package.expected))
    rows = unscored = 0
    for piece in sample.pieces(most_rows):
        try:
            features = features_of_cells(schema, decoder, piece, text=sample.text)
        except InvalidFieldsError as error:
            raise ModelError(f"the sample {sample.path}: {told(error, rows)}") from error
        inputs = [decoder.inputs(each) for each in features]
        scores = model.score(inputs)
        if len(scores) != len(inputs):
            raise ModelError(f"the model gives {len(scores)} scores for {len(inputs)} rows")
        values = _values(schema, scores)
        unscored += values.count(None)
        if rows == 0:
            _check_alone(model, inputs[0], scores[0])
        if expected is not None:
            expected.compare(values)
        rows += len(inputs)
    if rows == 0:
        raise ModelError(f"the sample {sample.path} has no rows")
    if expected is None:
        return Checked(rows, unscored, 0, 0.0)
    expected.refuse_other_rows(all_read=most_rows is None or rows < most_rows)
    return Checked(rows, unscored, expected.compared, expected.difference)


def told(error: InputError, rows_before: int) -> str:
    """Returns what is wrong with the rows of a piece of a table, the first three of it; the first row is 1.

    Args:
        error: Has the number of the row in its path, from 0, if it is about one.
        rows_before: Rows before this piece.
    """
    wrong = [(each.path, each.detail) for each in error.errors] if isinstance(error, InvalidFieldsError) else []
    if not wrong:
        wrong = [(error.path, error.message)]
    parts = []
    for path, detail in wrong[:3]:
        if path and isinstance(path[0], int):
            parts.append(f"row {rows_before + path[0] + 1:,}:{detail.partition(':')[2]}")
        else:
            parts.append(detail)
    return " ".join(parts) + (" And more." if len(wrong) > len(parts) else "")


def close(one: object, other: object) -> bool:
    """Whether two numbers are the same but for what is let pass."""
    if not isinstance(one, int | float) or not isinstance(other, int | float):
        return False
    return math.isclose(one, other, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def _check_alone(model: Model, row: Row, among: Score) -> None:
    alone = model.score_row(row)
    pairs = (
        zip(alone, among, strict=True) if isinstance(alone, tuple) and isinstance(among, tuple) else [(alone, among)]
    )
    if not all(repr(one) == repr(other) or close(one, other) for one, other in pairs):  # NaN has its repr only
        raise ModelError(f"the model gives the first row of the sample {alone!r} alone, and {among!r} among others")


def _values(schema: ModelSchema, scores: Sequence[Score]) -> list[Mapping[str, Any] | None]:
    """Returns the fields of what the model gives; None for a row that it has no score for."""
    outputs = outputs_of(schema)
    names = outputs.response.__struct_fields__[1:]  # type: ignore[attr-defined]  # of a struct, whose maker it is
    values: list[Mapping[str, Any] | None] = []
    for score in scores:
        try:
            values.append(dict(zip(names, outputs.of(score), strict=True)))
        except InputError:
            values.append(None)
    return values


class _Expected:
    """What the model is expected to give, row by row, as far as the table goes."""

    def __init__(self, schema: ModelSchema, table: Table) -> None:
        self.compared = 0
        self.difference = 0.0
        self._path = table.path
        self._text = table.text
        self._fields = _fields(schema, table)
        self._rows = _rows(table)

    def compare(self, values: Sequence[Mapping[str, Any] | None]) -> None:
        for given, row in zip(values, self._rows, strict=False):  # given first: one more row would be lost
            self.compared += 1
            for name, path in self._fields.items():
                self._compare(name, _at(given, path), self._cell(row, name, path))

    def refuse_other_rows(self, *, all_read: bool) -> None:
        """Returns if some rows were compared and, once all of the sample is read, none are left."""
        if not self.compared:
            raise ModelError(f"{self._path} has no rows, so nothing is compared with it")
        if all_read and next(self._rows, None) is not None:
            raise ModelError(f"{self._path} has more rows than the sample, which has {self.compared:,}")

    def _cell(self, row: Mapping[str, Any], name: str, path: Sequence[str]) -> Any:
        cell = row[name]
        if path[0] == PREDICTED_CLASS:
            return cell
        return number(cell) if self._text else cell

    def _compare(self, name: str, given: Any, wanted: Any) -> None:
        if isinstance(given, Mapping):
            wanted = wanted if isinstance(wanted, Mapping) else {}
            for label, each in given.items():
                self._compare(f"{name} of {label}", each, wanted.get(label))
            return
        if given is None and (wanted is None or wanted == "" or wanted != wanted):  # noqa: PLR0124 (NaN)
            return
        if isinstance(given, float) and isinstance(wanted, int | float):
            self.difference = max(self.difference, abs(given - wanted))
            if close(given, wanted):
                return
        elif str(given) == str(wanted):
            return
        raise ModelError(f"row {self.compared:,}: {name} is {given!r}, and {self._path} expects {wanted!r}")


def _fields(schema: ModelSchema, table: Table) -> dict[str, tuple[str, ...]]:
    """Returns the columns to compare, each with where it is in what the model gives: numbers if there are any."""
    flat = {f"{PROBABILITIES}.{label}": (PROBABILITIES, str(label)) for label in schema.classes}
    by_output: dict[str, dict[str, tuple[str, ...]]] = {
        "binary": {PROBABILITY: (PROBABILITY,)},
        "multiclass": {PROBABILITIES: (PROBABILITIES,), **flat},
        "regression": {PREDICTION: (PREDICTION,)},
    }
    numbers = by_output[schema.output]
    found = {name: path for name, path in numbers.items() if name in table.names}
    # The class follows from the numbers, and where two of them are as good as equal it may be either.
    if not found and schema.classes and PREDICTED_CLASS in table.names:
        found = {PREDICTED_CLASS: (PREDICTED_CLASS,)}
    if not found:
        raise ModelError(f"{table.path} has none of the columns {', '.join([*numbers, PREDICTED_CLASS])}")
    return found


def _at(given: Mapping[str, Any] | None, path: Sequence[str]) -> Any:
    value: Any = given
    for name in path:
        value = None if value is None else value[name]
    return value


def _rows(table: Table) -> Iterator[Mapping[str, Any]]:
    for piece in table.pieces():
        names = tuple(piece)
        for cells in zip(*piece.values(), strict=True):
            yield dict(zip(names, cells, strict=True))
