"""Rows that come as columns: from tensors, data frames and files, checked as the body of a request is."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from driftline.contract.diagnosis import refuse_wrong, settled
from driftline.contract.nearest import did_you_mean
from driftline.contract.problems import FieldError
from driftline.contract.request import Features, RequestDecoder
from driftline.contract.schema import Feature, ModelSchema, misfit


def features_of_columns(
    schema: ModelSchema, decoder: RequestDecoder, columns: Mapping[str, Sequence[Any]]
) -> list[Features]:
    """Returns the features of each row.

    NaN is how tables write null: where a feature may be null, NaN is. A whole number is a float where one is wanted,
    and a float that is whole an ``int``.

    Args:
        schema: What the model takes.
        decoder: The same model's.
        columns: Python's own values by the feature's name, all of one length.

    Raises:
        InvalidFieldsError: A column is missing or not known, or a value is none of its feature's; a path is the row,
            from 0, and the name.
    """
    refuse_wrong(_column_errors(schema.names, columns))
    nulled = [_nulled(feature, columns[feature.name]) for feature in schema.features]
    refuse_wrong(_value_errors(schema.features, nulled))
    settle = [
        [settled(feature, value) for value in values] for feature, values in zip(schema.features, nulled, strict=True)
    ]
    make = decoder.make
    return [make(*row) for row in zip(*settle, strict=True)]


def _column_errors(names: Sequence[str], columns: Mapping[str, object]) -> Iterator[FieldError]:
    for name in names:
        if name not in columns:
            yield FieldError((name,), "missing_field", f"The field {name} is required.")
    for name in columns:
        if name not in names:
            hint = did_you_mean(name, names) or "."
            yield FieldError((name,), "unknown_field", f"There is no field of this name{hint}")


def _nulled(feature: Feature, values: Sequence[Any]) -> Sequence[Any]:
    if not feature.nullable:
        return values
    return [None if value != value else value for value in values]  # noqa: PLR0124 (only NaN differs from itself)


def _value_errors(features: Sequence[Feature], columns: Sequence[Sequence[Any]]) -> Iterator[FieldError]:
    wrong = [
        (at, place, found)
        for place, (feature, values) in enumerate(zip(features, columns, strict=True))
        for at, value in enumerate(values)
        if (found := misfit(feature, value)) is not None
    ]
    for at, place, (code, detail) in sorted(wrong):
        name = features[place].name
        yield FieldError((at, name), code, f"Row {at}: the field {name} {detail}")
