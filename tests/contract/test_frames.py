import json
import math
from functools import partial
from typing import Any

import pytest
from msgspec.structs import astuple

from driftline.contract import frames
from driftline.contract.frames import Frame
from driftline.contract.request import RequestDecoder
from driftline.contract.schema import ModelSchema
from driftline.contract.table import features_of_columns
from driftline.errors import InputError

frame_of_json = partial(frames.frame_of_json, max_rows=10)
frame_of_csv = partial(frames.frame_of_csv, max_rows=10)


def schema_of(*features: dict[str, Any]) -> ModelSchema:
    return ModelSchema.from_mapping({"name": "m", "version": "1", "output": "regression", "features": list(features)})


SCHEMA = schema_of(
    {"name": "age", "type": "int"},
    {"name": "income", "type": "float", "nullable": True},
    {"name": "member", "type": "bool"},
    {"name": "country", "type": "category", "categories": ["at", "NA"]},
    {"name": "source", "type": "category", "nullable": True, "role": "context"},
)
ROWS: list[list[Any]] = [[41, 1.5, True, "at", "web"], [7, None, False, "NA", None]]
RECORDS = [dict(zip(SCHEMA.names, row, strict=True)) for row in ROWS]
COLUMNS: dict[str, list[Any]] = {name: [record[name] for record in RECORDS] for name in SCHEMA.names}
BACKWARDS = {name: COLUMNS[name] for name in reversed(SCHEMA.names)}

FORMS = {
    "split": {"dataframe_split": {"columns": SCHEMA.names, "data": ROWS}},
    "split with an index": {"dataframe_split": {"columns": SCHEMA.names, "index": [7, "x"], "data": ROWS}},
    "split, backwards": {
        "dataframe_split": {"columns": SCHEMA.names[::-1], "data": [list(reversed(row)) for row in ROWS]}
    },
    "split without names": {"dataframe_split": {"data": ROWS}},
    "split with numbered columns": {"dataframe_split": {"columns": [0, 1, 2, 3, 4], "data": ROWS}},
    "records": {"dataframe_records": RECORDS},
    "records without what is null": {
        "dataframe_records": [
            {name: value for name, value in record.items() if value is not None} for record in RECORDS
        ]
    },
    "instances, objects": {"instances": RECORDS},
    "instances, lists": {"instances": ROWS},
    "instances, columns": {"instances": COLUMNS},
    "inputs, columns": {"inputs": BACKWARDS},
    "inputs, columns of tensors": {"inputs": {name: [[value] for value in BACKWARDS[name]] for name in BACKWARDS}},
    "inputs, lists": {"inputs": ROWS},
    "inputs, objects": {"inputs": RECORDS},
    "with others beside it": {"inputs": ROWS, "params": {"a": 1}, "client_request_id": "x"},
    "with columns of no feature": {"inputs": {"target": [1, 0], "": [0, 1], **COLUMNS}},
    "with NaN, as Python writes it": {"inputs": [ROWS[0], [7, math.nan, False, "NA", math.nan]]},
    "without what may be missing": {"inputs": {**COLUMNS, "income": [1.5, None]}},
}


def values(frame: Frame, schema: ModelSchema = SCHEMA) -> list[list[Any]]:
    return [list(astuple(row)) for row in features_of_columns(schema, RequestDecoder(schema), frame.columns)]


def read(body: object, schema: ModelSchema = SCHEMA) -> list[list[Any]]:
    return values(frame_of_json(json.dumps(body).encode(), schema), schema)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_table_has_the_same_rows(form: str) -> None:
    assert read(FORMS[form]) == ROWS


def test_params_come_along() -> None:
    body = json.dumps({"inputs": ROWS, "params": {"output": "records"}}).encode()
    assert frame_of_json(body, SCHEMA).params == {"output": "records"}
    assert frame_of_json(json.dumps({"inputs": ROWS}).encode(), SCHEMA).params == {}


def test_a_feature_that_may_be_null_may_be_missing_and_no_other() -> None:
    less = {name: COLUMNS[name] for name in ("age", "member", "country")}
    assert read({"inputs": less}) == [[41, None, True, "at", None], [7, None, False, "NA", None]]
    del less["age"]
    with pytest.raises(InputError, match="The column age is required"):
        read({"inputs": less})


def test_a_name_that_is_nearly_that_of_a_missing_column_is_no_other_column() -> None:
    misspelt = {("incme" if name == "income" else name): cells for name, cells in COLUMNS.items()}
    with pytest.raises(InputError, match="no column of this name; did you mean income"):
        read({"inputs": misspelt})
    assert read({"inputs": {**COLUMNS, "incme": [1, 2]}}) == ROWS  # income itself is there


def test_rows_without_names_may_be_those_that_are_scored() -> None:
    assert read({"inputs": [row[:4] for row in ROWS]}) == [[*row[:4], None] for row in ROWS]


def test_of_one_feature_a_list_is_a_column_and_an_object_of_numbers_is_a_row() -> None:
    one = schema_of({"name": "x", "type": "float"})
    assert read({"inputs": [1, 2.5]}, one) == [[1.0], [2.5]]
    assert read({"instances": [[1], [2.5]]}, one) == [[1.0], [2.5]]
    assert read({"inputs": {"x": 3}}, one) == [[3.0]]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing_field"),
        ({"inputs": ROWS, "instances": ROWS}, "missing_field"),
        ({"columns": SCHEMA.names, "data": ROWS}, "missing_field"),
        ([ROWS], "not_an_object"),
        ({"dataframe_split": ROWS}, "wrong_type"),
        ({"dataframe_split": {"columns": SCHEMA.names}}, "missing_field"),
        ({"dataframe_split": {"columns": SCHEMA.names, "data": ROWS, "dtypes": []}}, "unknown_field"),
        ({"dataframe_split": {"columns": ["age"], "data": ROWS}}, "wrong_value"),
        ({"dataframe_split": {"columns": SCHEMA.names, "data": ROWS, "index": [0]}}, "wrong_value"),
        ({"dataframe_split": {"columns": [["a"], 1, 2, 3, 4], "data": ROWS}}, "wrong_type"),
        ({"dataframe_records": RECORDS[0]}, "wrong_type"),
        ({"dataframe_records": ROWS}, "wrong_type"),
        ({"inputs": []}, "empty_batch"),
        ({"inputs": 5}, "wrong_type"),
        ({"inputs": [1, 2]}, "wrong_type"),
        ({"inputs": [[1, 2]]}, "wrong_value"),
        ({"inputs": [ROWS[0], ROWS[1][:3]]}, "wrong_value"),
        ({"inputs": {"age": [1, 2], "member": [True]}}, "wrong_value"),
        ({"inputs": ROWS, "params": [1]}, "wrong_type"),
        ({"inputs": [[math.inf if name == "income" else value for name, value in RECORDS[0].items()]]}, "not_finite"),
        ({"inputs": [[1.5, *ROWS[0][1:]]]}, "wrong_type"),
        ({"inputs": [[{"a": 1}, *ROWS[0][1:]]]}, "wrong_type"),
        ({"inputs": [[[[1]], *ROWS[0][1:]]]}, "wrong_type"),
    ],
)
def test_what_is_no_table_of_the_models_is_refused(body: object, code: str) -> None:
    with pytest.raises(InputError) as caught:
        read(body)
    assert caught.value.reason == code


@pytest.mark.parametrize(
    "body",
    [
        '{"inputs": [[1]], "inputs": [[2]]}',
        '{"dataframe_records": [{"age": 1, "age": 2}]}',
        '{"inputs": {"age": [1], "age": [2]}}',
    ],
)
def test_what_is_given_twice_is_refused(body: str) -> None:
    with pytest.raises(InputError) as caught:
        frame_of_json(body.encode(), SCHEMA)
    assert caught.value.reason == "duplicate_field"


@pytest.mark.parametrize(
    "text",
    [
        "age,income,member,country,source\n41,1.5,True,at,web\n7,,False,NA,\n",
        ",age,income,member,country,source\n0,41,1.5,True,at,web\n1,7,,False,NA,\n",  # DataFrame.to_csv() as it is
        "\ufeffage,income,member,country,source\r\n41,1.5,true,at,web\r\n7.0,NaN,FALSE,NA,None\r\n\r\n",
        'country,"age",member,"income",source\n"at",41,1,1.50,"web"\nNA,7,0,null,',
        "age,income,member,country\n41,1.5,True,at\n7,,False,NA\n",
    ],
)
def test_csv_is_what_its_features_are(text: str) -> None:
    read = values(frame_of_csv(text.encode(), SCHEMA))
    assert [row[:4] for row in read] == [row[:4] for row in ROWS]
    assert [type(value) for value in read[0][:4]] == [int, float, bool, str]


def test_quotes_commas_and_line_ends_in_a_text_are_the_texts() -> None:
    schema = schema_of({"name": "text", "type": "category", "nullable": True}, {"name": "x", "type": "float"})
    body = b'text,x\n"a, ""b""\nc",1\n""  ,2\n'
    with pytest.raises(InputError):
        frame_of_csv(body, schema)  # something behind the closing quote
    assert values(frame_of_csv(body.replace(b'""  ', b'""'), schema), schema) == [['a, "b"\nc', 1.0], [None, 2.0]]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty_body"),
        (b"\n\n", "empty_body"),
        (b"age,member,country\n", "empty_batch"),
        (b"age,member,country\n1,true\n", "wrong_value"),
        (b'age,member,country\n1,true,"at', "wrong_value"),
        (b"age,member,country\n\xff,true,at\n", "invalid_utf8"),
        (b"age,member,country\nx,true,at\n", "wrong_type"),
        (b"age,member,country\n1_0,true,at\n", "wrong_type"),
        (b"age,member,country\n1,yes,at\n", "wrong_type"),
        (b"age,member,country\n,true,at\n", "wrong_type"),
        (b"age,member,country\n1,true,fr\n", "unknown_category"),
        (b"age,age,member,country\n1,1,true,at\n", "duplicate_field"),
    ],
)
def test_what_is_no_csv_of_the_models_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(InputError) as caught:
        values(frame_of_csv(body, SCHEMA))
    assert caught.value.reason == code


def test_a_line_of_another_width_is_named_by_its_row_from_0() -> None:
    with pytest.raises(InputError, match=r"^csv: row 1 has 2 values, and not 3\.$"):
        frame_of_csv(b"age,member,country\n1,true,at\n1,true\n", SCHEMA)
