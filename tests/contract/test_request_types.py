"""The two ways to read a body agree, whatever the features are."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from msgspec.structs import astuple

from driftline.contract.diagnosis import read_features
from driftline.contract.request import RequestDecoder
from driftline.contract.schema import ModelSchema
from driftline.errors import InputError
from tests.contract.schemas import ALL_TYPES, bodies, cases, rows

DECODER = RequestDecoder(ALL_TYPES)
VALID = {"amount": 1.5, "months": 7, "seats": None, "paid": True, "plan": "basic", "country": "AT"}


def careful(schema: ModelSchema, body: bytes) -> list[str] | None:
    try:
        return [repr(value) for value in read_features(body, schema.features)]
    except InputError:
        return None


def fast(decoder: RequestDecoder, body: bytes) -> list[str] | None:
    features = decoder.decode_fast(body)
    return None if features is None else [repr(value) for value in astuple(features)]


@settings(max_examples=300)
@given(cases())
def test_what_the_fast_way_takes_the_careful_way_takes_with_equal_values(case: tuple[ModelSchema, bytes]) -> None:
    schema, body = case
    taken = fast(RequestDecoder(schema), body)
    assert taken is None or taken == careful(schema, body)


@settings(max_examples=300)
@given(bodies(ALL_TYPES))
@example(b'{"amount":1,"months":7,"seats":3,"paid":true,"plan":"basic","plan":"basic","country":null}')
@example(b'{"amount":1,"months":7,"seats":3,"paid":true,"plan":"basic","country":"AT","country":null}')
def test_so_it_is_for_a_schema_with_all_types(body: bytes) -> None:
    taken = fast(DECODER, body)
    assert taken is None or taken == careful(ALL_TYPES, body)


@settings(max_examples=200)
@given(rows())
def test_every_row_of_valid_values_is_taken_and_comes_back_as_it_was(case: tuple[ModelSchema, tuple[Any, ...]]) -> None:
    schema, row = case
    decoder = RequestDecoder(schema)
    body = json.dumps(dict(zip(schema.names, row, strict=True)), ensure_ascii=False).encode()
    expected = [repr(value) for value in row]
    assert [repr(value) for value in astuple(decoder.decode(body))] == expected
    if b"\\" not in body:  # nothing is escaped: no need for care
        assert fast(decoder, body) == expected


def changed(**tokens: str) -> bytes:
    written = {name: json.dumps(value) for name, value in VALID.items()} | tokens
    return ("{" + ",".join(f'"{name}":{token}' for name, token in written.items()) + "}").encode()


def read(body: bytes) -> dict[str, object]:
    return dict(zip(ALL_TYPES.names, astuple(DECODER.decode(body)), strict=True))


@pytest.mark.parametrize(
    ("name", "token", "value"),
    [
        ("amount", "-0.5", -0.5),
        ("amount", "1000000", 1e6),
        ("amount", "-0", 0.0),
        ("months", "1", 1),
        ("months", "3.0", 3),
        ("months", "3e2", 300),
        ("months", "9007199254740991", 2**53 - 1),
        ("seats", "null", None),
        ("seats", "-0", 0),
        ("seats", "-0.0", 0),
        ("plan", '"b\\u0061sic"', "basic"),
        ("plan", '"say \\"pro\\""', 'say "pro"'),
        ("plan", '""', ""),
        ("country", '"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
        ("country", '"' + "\N{GRINNING FACE}" * 1000 + '"', "\N{GRINNING FACE}" * 1000),
        ("country", '"\\u0000"', "\x00"),
        ("country", "null", None),
    ],
)
def test_any_way_to_write_a_value_is_taken(name: str, token: str, value: object) -> None:
    taken = read(changed(**{name: token}))[name]
    assert (repr(taken), type(taken)) == (repr(value), type(value))


@pytest.mark.parametrize(
    ("name", "token", "code"),
    [
        ("amount", "-0.5000000000000001", "out_of_range"),
        ("amount", "1000001", "out_of_range"),
        ("amount", "1e999", "number_out_of_range"),
        ("amount", "NaN", "not_finite"),
        ("amount", "null", "wrong_type"),
        ("months", "0", "out_of_range"),
        ("months", "0.5", "wrong_type"),
        ("months", "9007199254740992", "number_out_of_range"),
        ("months", "9007199254740993", "number_out_of_range"),
        ("months", "9" * 5000, "number_out_of_range"),
        ("months", "1e400", "number_out_of_range"),
        ("months", "true", "wrong_type"),
        ("months", '"7"', "wrong_type"),
        ("months", "Infinity", "not_finite"),
        ("paid", "1", "wrong_type"),
        ("paid", '"true"', "wrong_type"),
        ("paid", "NaN", "wrong_type"),
        ("paid", "null", "wrong_type"),
        ("plan", '"gold"', "unknown_category"),
        ("plan", "1", "wrong_type"),
        ("plan", "[]", "wrong_type"),
        ("plan", "{}", "wrong_type"),
        ("country", '"\\ud800"', "wrong_type"),
        ("country", '"' + "x" * 1001 + '"', "text_too_long"),
    ],
)
def test_each_way_to_be_no_value_has_its_own_code(name: str, token: str, code: str) -> None:
    with pytest.raises(InputError) as caught:
        DECODER.decode(changed(**{name: token}))
    assert (caught.value.reason, caught.value.path) == (code, (name,))


def test_a_field_that_may_be_null_may_not_be_missing() -> None:
    without = json.dumps({name: value for name, value in VALID.items() if name != "seats"}).encode()
    with pytest.raises(InputError) as caught:
        DECODER.decode(without)
    assert caught.value.reason == "missing_field"


def test_what_is_scored_is_the_inputs_in_the_models_order() -> None:
    body = changed()
    assert list(DECODER.inputs(DECODER.decode(body))) == [1.5, 7, None, True, "basic"]
