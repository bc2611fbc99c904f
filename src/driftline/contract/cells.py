"""The cells of tables as a schema's values: the text of a CSV file is read as what its feature is."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from driftline.contract.request import Features, RequestDecoder
from driftline.contract.schema import Feature, ModelSchema
from driftline.contract.table import features_of_columns

MISSING: Final = frozenset({"", "NA", "N/A", "<NA>", "NaN", "nan", "NULL", "null", "None", "n/a", "#N/A"})
"""Texts that stand for no value in a CSV file, as pandas has it."""
_BOOLS: Final = {"true": True, "false": False, "1": True, "0": False}


def features_of_cells(
    schema: ModelSchema, decoder: RequestDecoder, columns: Mapping[str, Sequence[Any]], *, text: bool
) -> list[Features]:
    """Returns the features of each row of a piece of a table; columns that are no feature are left out.

    Args:
        schema: What the model takes.
        decoder: The same model's.
        columns: Cells by the column's name.
        text: Whether they are text, as a CSV file's.

    Raises:
        InvalidFieldsError: As :func:`~driftline.contract.table.features_of_columns`.
    """
    read = {
        feature.name: values_of(feature, columns[feature.name], text=text)
        for feature in schema.features
        if feature.name in columns
    }
    return features_of_columns(schema, decoder, read)


def values_of(feature: Feature, cells: Sequence[Any], *, text: bool) -> list[Any]:
    """Returns cells as values of a feature; what is none stays as it is, to be refused."""
    if not text:
        return [plain(cell) for cell in cells]
    readers: dict[str, Callable[[str], Any]] = {"float": number, "int": whole, "bool": boolean, "category": str}
    read = readers[feature.type]
    missing = MISSING.difference(feature.categories or ())
    return [None if cell in missing else read(cell) for cell in cells]


def plain(cell: Any) -> Any:
    """Returns a value of a database's types as JSON would have it."""
    if isinstance(cell, Decimal):
        return int(cell) if cell == cell.to_integral_value() else float(cell)
    if isinstance(cell, date | time):
        return cell.isoformat()
    return str(cell) if isinstance(cell, UUID) else cell


def number(text: str) -> float | str:
    """Returns the number that a text is, or the text."""
    try:
        return text if "_" in text else float(text)  # which Python would read over
    except ValueError:
        return text


def whole(text: str) -> float | str:
    """Returns the number that a text is, as an int if it is written as one, or the text."""
    try:
        return text if "_" in text else int(text)
    except ValueError:
        return number(text)


def boolean(text: str) -> bool | str:
    """Returns the truth value that a text is, or the text."""
    return _BOOLS.get(text.strip().lower(), text)
