from typing import Any

import pytest

from driftline.contract.schema import ModelSchema
from driftline.contract.v2.columns import columns_of
from driftline.contract.v2.request import Tensor
from driftline.errors import InputError
from tests.contract.v2.schemas import MIXED, NUMBERS, ONE


def tensor(name: str, shape: tuple[int, ...], elements: list[Any], datatype: str = "FP64") -> Tensor:
    return Tensor(name, datatype, shape, elements)


AGE = tensor("age", (2,), [41, 42], "INT32")
INCOME = tensor("income", (2, 1), [1.5, 2.5], "FP32")
COUNTRY = tensor("country", (2,), ["at", "de"], "BYTES")
MATRIX = tensor("input-0", (2, 2), [41.0, 1.5, 42.0, 2.5])
COLUMNS = {"age": [41, 42], "income": [1.5, 2.5], "country": ["at", "de"]}


def refused(schema: ModelSchema, *tensors: Tensor) -> str:
    with pytest.raises(InputError) as caught:
        columns_of(schema, tensors)
    return caught.value.message


def test_a_feature_is_a_column_of_one_or_two_dimensions_in_any_order() -> None:
    assert columns_of(NUMBERS, [COUNTRY, INCOME, AGE]) == COLUMNS


def test_inputs_that_are_numbers_may_come_as_one_matrix_of_any_name_and_the_context_beside_it() -> None:
    assert columns_of(NUMBERS, [MATRIX, COUNTRY]) == COLUMNS
    assert columns_of(NUMBERS, [COUNTRY, MATRIX._replace(name="predict", datatype="UINT8")]) == COLUMNS


def test_a_matrix_of_one_input_may_be_a_column() -> None:
    for shape in ((2,), (2, 1)):
        assert columns_of(ONE, [tensor("predict", shape, [1.0, 2.0])]) == {"x": [1.0, 2.0]}


def test_what_is_missing_is_left_to_who_reads_the_columns() -> None:
    assert columns_of(NUMBERS, [AGE]) == {"age": [41, 42]}


@pytest.mark.parametrize(
    ("schema", "tensors", "said"),
    [
        (NUMBERS, [MATRIX, AGE, COUNTRY], "no input input-0"),
        (NUMBERS, [MATRIX, MATRIX._replace(name="input-1")], "no input input-0"),
        (NUMBERS, [AGE._replace(name="agee"), INCOME], "did you mean age?"),
        (MIXED, [MATRIX], "It takes age, member, city."),
        (NUMBERS, [MATRIX._replace(shape=(4, 1))], "[rows, 2]"),
        (NUMBERS, [MATRIX._replace(shape=(4,))], "[rows, 2]"),
        (NUMBERS, [MATRIX._replace(shape=(2, 2, 1))], "[rows, 2]"),
        (NUMBERS, [MATRIX._replace(datatype="BYTES")], "datatype of numbers"),
        (NUMBERS, [AGE._replace(shape=(1, 2))], "[rows] or [rows, 1]"),
        (NUMBERS, [AGE._replace(shape=())], "[rows] or [rows, 1]"),
        (NUMBERS, [AGE._replace(shape=(2, 1, 1))], "[rows] or [rows, 1]"),
        (NUMBERS, [AGE._replace(datatype="BYTES")], "age must be INT64 or another datatype of numbers, not BYTES"),
        (NUMBERS, [AGE._replace(datatype="BOOL")], "age must be INT64"),
        (NUMBERS, [COUNTRY._replace(datatype="INT64")], "country must be BYTES, not INT64"),
        (MIXED, [tensor("member", (2,), [0, 1], "UINT8")], "member must be BOOL, not UINT8"),
        (NUMBERS, [AGE, tensor("income", (1,), [1.5])], "age has 2 rows, and income has 1"),
        (NUMBERS, [tensor("age", (0,), []), COUNTRY], "country has 2 rows, and age has 0"),
        (NUMBERS, [tensor("input-0", (0, 2), [])], "no rows"),
    ],
)
def test_tensors_that_are_none_of_the_models_are_refused(schema: ModelSchema, tensors: list[Tensor], said: str) -> None:
    assert said in refused(schema, *tensors)
