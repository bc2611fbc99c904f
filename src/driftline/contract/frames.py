"""The data frames of MLflow's scoring protocol: a body in any of its forms, as columns of a model's features.

What MLflow's own server does with a model that has a signature is done here: the order of columns does not matter,
columns that the model does not know are left out, a feature that may be null may be missing, and NaN is null.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple, TypeGuard

from driftline.contract.cells import values_of
from driftline.contract.nearest import did_you_mean
from driftline.contract.parsing import PYTHONS, Pairs, has_more, kind, parse_object
from driftline.contract.problems import FieldError, InvalidFieldsError
from driftline.contract.schema import Feature, ModelSchema
from driftline.errors import InputError

FORMS: Final = ("dataframe_split", "dataframe_records", "instances", "inputs")
"""The members of which a body has exactly one."""
PARAMS: Final = "params"

_MORE_COLUMNS: Final = 16
_MORE_CONTAINERS: Final = 1024
_SPLIT = ("columns", "data", "index")

Column = Sequence[Any]


class Frame(NamedTuple):
    """What a body asks to have scored.

    Attributes:
        columns: Values by the feature's name, of all features, all of one length; not checked yet.
        params: What comes beside them.
    """

    columns: Mapping[str, Column]
    params: Mapping[str, Any]

    @property
    def rows(self) -> int:
        """How many there are, at least one."""
        return len(next(iter(self.columns.values())))


class _Table(NamedTuple):
    """Rows with the names of their columns, or by position."""

    names: Sequence[str] | None
    columns: Sequence[Column]


def frame_of_json(body: bytes, schema: ModelSchema, max_rows: int) -> Frame:
    """Returns what a JSON body asks for.

    Args:
        body: As it came.
        schema: The model's.
        max_rows: A body that is much more than so many rows is refused before it is parsed; some more are returned.

    Raises:
        InputError: It is no JSON object, has not exactly one of :data:`FORMS`, or that is no table of the model's.
    """
    # An object or array for each row, or one in each cell; some columns may be none of the model's.
    if has_more(body, "[{", max_rows * (1 + len(schema.features) + _MORE_COLUMNS) + _MORE_CONTAINERS):
        raise _too_many(max_rows)
    members = _members("The body", parse_object(body, PYTHONS))
    given = [form for form in FORMS if form in members]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise InputError("missing_field", f"The body must have exactly one of {', '.join(FORMS)}, and has {found}.")
    (form,) = given
    match form:
        case "dataframe_split":
            table = _split(members[form])
        case "dataframe_records":
            table = _records(form, _listed(form, members[form]))
        case _:
            table = _tensors(form, members[form], schema)
    return Frame(_columns(table, schema), _params(members.get(PARAMS)))


def frame_of_csv(body: bytes, schema: ModelSchema, max_rows: int) -> Frame:
    """Returns what a CSV body asks for: a header, and a row in each line, as ``DataFrame.to_csv`` writes them.

    A field that is empty, or a word that pandas takes for no value, is null, unless it is one of the categories.

    Args:
        body: As it came.
        schema: The model's.
        max_rows: No more than so many are read.

    Raises:
        InputError: It is no table of the model's, or has more rows.
    """
    try:
        body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("invalid_utf8", f"The byte at offset {error.start} is not UTF-8.") from error
    # Line by line: a StringIO would take four bytes for each character.
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(body), "utf-8-sig", newline=""), strict=True)
    try:
        header, *rows = list(islice(filter(None, reader), max_rows + 2)) or [[]]
    except csv.Error as error:
        raise InputError("wrong_value", f"The body is not CSV at line {reader.line_num}.") from error
    if len(rows) > max_rows:
        raise _too_many(max_rows)
    if not header:
        raise InputError("empty_body", "The body must be CSV with a header.")
    features = {feature.name: feature for feature in schema.features}
    columns = [
        values_of(features[name], cells, text=True) if name in features else cells
        for name, cells in zip(header, _transposed("csv", rows, len(header)), strict=False)  # none where no row is
    ]
    return Frame(_columns(_Table(header, columns), schema), {})


def _split(value: object) -> _Table:
    form = "dataframe_split"
    if not isinstance(value, Pairs):
        raise _wrong((form,), f"{form} must be an object, not {kind(value)}.")
    members = _members(form, value)
    for name in members:
        if name not in _SPLIT:
            raise _wrong((form, name), f"{form} has only data, columns and index.", "unknown_field")
    if "data" not in members:
        raise _wrong((form, "data"), f"{form} must have data.", "missing_field")
    rows = _listed(f"{form}.data", members["data"])
    names = members.get("columns")
    if names is not None:
        names = _listed(f"{form}.columns", names)
    if members.get("index") is not None and len(_listed(f"{form}.index", members["index"])) != len(rows):
        raise _wrong((form, "index"), f"{form}.index must be as long as its data.", "wrong_value")
    columns = _transposed(f"{form}.data", rows, None if names is None else len(names))
    # A frame that never had names numbers its columns.
    if names is None or names == list(range(len(names))):
        return _Table(None, columns)
    if not all(isinstance(name, str) for name in names):
        raise _wrong((form, "columns"), f"{form}.columns must be texts.")
    return _Table(names, columns)


def _tensors(form: str, value: object, schema: ModelSchema) -> _Table:
    if isinstance(value, Pairs):
        columns = [_flat(cells) if _is_array(cells) else [cells] for _, cells in value]
        if len({len(cells) for cells in columns}) > 1:
            raise _wrong((form,), f"The columns of {form} must be of one length.", "wrong_value")
        return _Table([name for name, _ in value], columns)
    rows = _listed(form, value)
    if any(isinstance(row, Pairs) for row in rows):
        return _records(form, rows)
    if len(schema.inputs) == 1 and not any(map(_is_array, rows)):
        return _Table(None, [rows])
    return _Table(None, _transposed(form, rows, None))


def _records(form: str, rows: Sequence[object]) -> _Table:
    records = []
    for at, row in enumerate(rows):
        if not isinstance(row, Pairs):
            raise _wrong((form, at), f"{form}: row {at} must be an object, not {kind(row)}.")
        records.append(_members(f"{form}: row {at}", row))
    names = list(dict.fromkeys(name for record in records for name in record))
    return _Table(names, [[record.get(name) for record in records] for name in names])


def _columns(table: _Table, schema: ModelSchema) -> dict[str, Column]:
    length = len(table.columns[0]) if table.columns else 0
    if not length:
        raise InputError("empty_batch", "The table has no rows.")
    names = _names_by_position(len(table.columns), schema) if table.names is None else table.names
    known = set(schema.names)
    columns: dict[str, Column] = {}
    others = []
    for name, cells in zip(names, table.columns, strict=True):
        if name in columns:
            raise _wrong((name,), f"The column {name} is given twice.", "duplicate_field")
        if name in known:
            columns[name] = cells
        else:
            others.append(name)
    missing = [feature for feature in schema.features if feature.name not in columns]
    _refuse_misspelt(others, missing)
    columns.update((feature.name, [None] * length) for feature in missing)
    return columns


def _refuse_misspelt(others: Iterable[str], missing: Sequence[Feature]) -> None:
    """Returns if what is missing may be, and does not seem to be there under a wrong name."""
    errors = [
        FieldError((feature.name,), "missing_field", f"The column {feature.name} is required.")
        for feature in missing
        if not feature.nullable
    ]
    if missing:
        names = [feature.name for feature in missing]
        hints = [(name, did_you_mean(name, names)) for name in others]
        errors += [
            FieldError((name,), "unknown_field", f"There is no column of this name{hint}")
            for name, hint in hints
            if hint
        ]
    if errors:
        raise InvalidFieldsError(errors)


def _names_by_position(width: int, schema: ModelSchema) -> Sequence[str]:
    inputs = tuple(feature.name for feature in schema.inputs)
    for names in (schema.names, inputs):
        if width == len(names):
            return names
    known = " or ".join(str(number) for number in dict.fromkeys((len(schema.names), len(inputs))))
    raise InputError("wrong_value", f"Rows without names must have {known} values, and have {width}.")


def _transposed(form: str, rows: Sequence[Any], width: int | None) -> Sequence[Column]:
    """Returns rows of one width as columns; without a width it is that of the first."""
    for at, row in enumerate(rows):
        if not _is_array(row):
            raise _wrong((form, at), f"{form}: row {at} must be an array, not {kind(row)}.")
        width = len(row) if width is None else width
        if len(row) != width:
            raise _wrong((form, at), f"{form}: row {at} has {len(row)} values, and not {width}.", "wrong_value")
    return list(zip(*rows, strict=True))


def _flat(cells: Sequence[Any]) -> Sequence[Any]:
    """Returns a column that may be a tensor of one value in each row."""
    if all(_is_array(cell) and len(cell) == 1 for cell in cells):
        return [cell[0] for cell in cells]
    return cells


def _params(value: object) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Pairs):
        raise _wrong((PARAMS,), f"{PARAMS} must be an object, not {kind(value)}.")
    return _members(PARAMS, value)


def _members(name: str, pairs: Pairs) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise InputError("duplicate_field", f"{name} has a field twice.")
    return members


def _listed(name: str, value: object) -> list[Any]:
    if not _is_array(value):
        raise _wrong((name,), f"{name} must be an array, not {kind(value)}.")
    return value


def _is_array(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list) and not isinstance(value, Pairs)  # an object is a list of pairs in here


def _too_many(max_rows: int) -> InputError:
    return InputError("too_many_rows", f"The table has more than {max_rows} rows, which is the most at once.")


def _wrong(path: tuple[str | int, ...], message: str, code: str = "wrong_type") -> InputError:
    return InputError(code, message, path)
