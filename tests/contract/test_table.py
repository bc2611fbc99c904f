import math
from typing import Any

import pytest
from msgspec.structs import astuple

from driftline.contract.problems import InvalidFieldsError
from driftline.contract.request import RequestDecoder
from driftline.contract.schema import ModelSchema
from driftline.contract.table import features_of_columns

SCHEMA = ModelSchema.from_mapping(
    {
        "name": "m",
        "version": "1",
        "output": "regression",
        "features": [
            {"name": "age", "type": "int"},
            {"name": "income", "type": "float", "nullable": True},
            {"name": "country", "type": "category", "categories": ["at", "de"], "role": "context"},
        ],
    }
)
DECODER = RequestDecoder(SCHEMA)


def test_a_row_of_columns_is_what_the_same_body_is() -> None:
    columns: dict[str, list[Any]] = {"country": ["at", "de"], "income": [1, math.nan], "age": [41.0, 7]}
    rows = features_of_columns(SCHEMA, DECODER, columns)
    assert rows == [
        DECODER.decode(b'{"age":41,"income":1,"country":"at"}'),
        DECODER.decode(b'{"age":7,"income":null,"country":"de"}'),
    ]
    assert [type(value) for value in astuple(rows[0])] == [int, float, str]
    assert [list(DECODER.inputs(row)) for row in rows] == [[41, 1.0], [7, None]]


@pytest.mark.parametrize(
    ("columns", "code", "path"),
    [
        ({"age": [1], "income": [1.0]}, "missing_field", ("country",)),
        ({"age": [1], "income": [1.0], "country": ["at"], "agee": [1]}, "unknown_field", ("agee",)),
        ({"age": [1, 1.5], "income": [1.0, 1.0], "country": ["at", "at"]}, "wrong_type", (1, "age")),
        ({"age": [1], "income": [math.inf], "country": ["at"]}, "not_finite", (0, "income")),
        ({"age": [1], "income": [1.0], "country": ["fr"]}, "unknown_category", (0, "country")),
        ({"age": [None], "income": [1.0], "country": ["at"]}, "wrong_type", (0, "age")),
    ],
)
def test_what_is_wrong_is_named_by_its_row_and_field(
    columns: dict[str, list[object]], code: str, path: tuple[object, ...]
) -> None:
    with pytest.raises(InvalidFieldsError) as caught:
        features_of_columns(SCHEMA, DECODER, columns)
    assert (caught.value.errors[0].code, caught.value.errors[0].path) == (code, path)
