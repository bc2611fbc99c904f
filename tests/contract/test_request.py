import json
import math
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import astuple

from driftline.contract import request_class
from driftline.contract.diagnosis import read_features
from driftline.contract.package import seed_schema
from driftline.contract.parsing import MAX_DEPTH
from driftline.contract.problems import MAX_LISTED_ERRORS, InvalidFieldsError, problem_of
from driftline.contract.request import RequestDecoder
from driftline.contract.schema import Feature, ModelSchema
from driftline.errors import InputError

SCHEMA = seed_schema()
DECODER = RequestDecoder(SCHEMA)
A, B = SCHEMA.names


def body(token: str, name: str = A) -> bytes:
    return f'{{"{name}": {token}, "{B}": 2}}'.encode()


def fast(text: bytes) -> list[str] | None:
    features = DECODER.decode_fast(text)
    return None if features is None else [repr(value) for value in astuple(features)]


def slow(text: bytes) -> list[str] | None:
    try:
        return [repr(value) for value in read_features(text, SCHEMA.features)]
    except InputError:
        return None


def refused(text: bytes) -> InputError:
    with pytest.raises(InputError) as caught:
        DECODER.decode(text)
    return caught.value


# -- the two ways to read a body agree

digits = st.text("0123456789", min_size=0, max_size=25)
number_like = st.builds(
    lambda *parts: "".join(parts),
    st.sampled_from(["", "-", "+", "--"]),
    digits,
    st.sampled_from(["", "."]),
    digits,
    st.sampled_from(["", "e", "E", "e+", "E-"]),
    st.text("0123456789", max_size=4),
)
numbers = st.one_of(
    st.floats().map(repr),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda value: f"{value:.17e}"),
    st.integers().map(str),
    st.integers(min_value=-(10**400), max_value=10**400).map(str),
    st.integers(min_value=2**52, max_value=2**70).map(str),
    st.floats(1e307, 1e308).map(lambda value: f"{int(value)}{'7' * 3}"),
    number_like,
)
others = st.sampled_from(
    ["NaN", "Infinity", "-Infinity", "true", "false", "null", '"1"', '""', "[]", "{}", "[1]", "", "-0", "1E5", "01"]
)
keys = st.sampled_from([A, B, A.replace("_", "\\u005f"), A.upper(), f"\\u0066{A[1:]}", "", "\\ud800", 'x\\"y', "\xff"])
space = st.text(" \t\r\n", max_size=2)
members = st.builds(
    lambda before, key, between, value, after: f'{before}"{key}"{between}:{between}{value}{after}',
    space,
    keys,
    space,
    st.one_of(numbers, others),
    space,
)
exact = st.tuples(numbers, numbers, space).map(lambda values: f'{{"{A}":{values[0]},"{B}":{values[1]}}}{values[2]}')
objects = st.one_of(exact, st.lists(members, max_size=4).map(lambda parts: "{" + ",".join(parts) + "}"))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    text = bytearray(draw(objects).encode())
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(text)))
        text[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(text)


@settings(max_examples=1500)
@given(st.one_of(objects.map(str.encode), damaged(), st.binary(max_size=60)))
@example(body("1e400"))
@example(body("9" * 309))
@example(body("-0"))
@example(body("-0.0"))
@example(body("5e-324"))
@example(body("1e-999"))
@example(body("1.7976931348623158e308"))
@example(body("1.7976931348623159e308"))
@example(body("9007199254740993"))
@example(f'{{"{A}": 1, "{A}": 2, "{B}": 3}}'.encode())
@example(f'{{"{A}": 1, "{A}": 2}}'.encode())
@example(b"\xef\xbb\xbf" + body("1"))
@example(body("1") + b"\x00")
@example(body("1").decode().encode("utf-16"))
def test_the_fast_way_accepts_exactly_what_the_careful_way_accepts_with_equal_values(text: bytes) -> None:
    assert fast(text) == slow(text)


@settings(max_examples=300)
@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_double_is_read_back_to_the_bit(first: float, second: float) -> None:
    assert fast(json.dumps({A: first, B: second}).encode()) == [repr(first), repr(second)]


@settings(max_examples=300)
@given(objects.map(str.encode))
def test_the_pydantic_class_takes_the_values_that_are_accepted_and_no_others(text: bytes) -> None:
    accepted = fast(text)
    try:
        members = json.loads(text)
    except ValueError:
        assert accepted is None
        return
    try:
        parsed = request_class(SCHEMA).model_validate(members)
    except ValueError:
        assert accepted is None
        return
    if accepted is None:  # what a parsed object cannot tell: a key that was given twice
        assert refused(text).reason == "duplicate_field"
    else:
        assert [float(value) for value in accepted] == [getattr(parsed, name) for name in SCHEMA.names]


# -- what is accepted


@pytest.mark.parametrize(
    ("token", "value"),
    [
        ("1", 1.0),
        ("1E5", 1e5),
        ("1e+5", 1e5),
        ("-1.5e-3", -0.0015),
        ("9007199254740993", 9007199254740992.0),
        ("123456789012345678901234567890", 123456789012345678901234567890.0),
        ("9" * 308, 1e308),
        ("1e-999", 0.0),
        ("5e-324", 5e-324),
    ],
)
def test_any_way_to_write_a_finite_number_is_accepted(token: str, value: float) -> None:
    assert astuple(DECODER.decode(body(token)))[0] == value


def test_an_integer_has_no_negative_zero_but_a_fraction_has() -> None:
    assert math.copysign(1, astuple(DECODER.decode(body("-0")))[0]) == 1
    assert math.copysign(1, astuple(DECODER.decode(body("-0.0")))[0]) == -1


def test_an_escaped_key_is_the_key() -> None:
    assert astuple(DECODER.decode(body("1", A.replace("_", "\\u005f")))) == (1.0, 2.0)


def test_names_that_are_no_identifiers_are_read_like_others() -> None:
    names = ("say 'hi'", "class", "größe", "a/b~c", "feature0")
    schema = ModelSchema(
        name="odd",
        version="1",
        output="binary",
        threshold=0.5,
        features=tuple(Feature(name, "float", example=1.0) for name in names),
    )
    decoder = RequestDecoder(schema)
    for ensure_ascii in (True, False):
        text = json.dumps(dict.fromkeys(names, 7), ensure_ascii=ensure_ascii).encode()
        assert astuple(decoder.decode(text)) == (7.0,) * len(names)
    twice = json.dumps(dict.fromkeys(names, 7))[:-1] + ', "class": 7}'
    with pytest.raises(InputError) as caught:
        decoder.decode(twice.encode())
    assert caught.value.reason == "duplicate_field"


# -- what is refused, and how

DEEP: list[Callable[[int], bytes]] = [
    lambda depth: b"[" * depth,
    lambda depth: b"[" * depth + b"]" * depth,
    lambda depth: b'{"a":' * depth + b"1" + b"}" * depth,
    lambda depth: body("[" * depth + "]" * depth),
]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "empty_body"),
        (b" \r\n\t", "empty_body"),
        (b"\xff", "invalid_utf8"),
        (b'{"a": "\xc3\x28"}', "invalid_utf8"),
        (b'{"\xed\xa0\x80": 1}', "invalid_utf8"),
        (body("1").decode().encode("utf-16"), "invalid_utf8"),
        (b"{", "malformed_json"),
        (b"hello", "malformed_json"),
        (b"\xef\xbb\xbf" + body("1"), "malformed_json"),
        (body("1") + b"}", "malformed_json"),
        (body("1") + body("1"), "malformed_json"),
        (body("1").replace(b"}", b",}"), "malformed_json"),
        (body("1").replace(b'"', b"'"), "malformed_json"),
        (body("01"), "malformed_json"),
        (body("+1"), "malformed_json"),
        (body("1."), "malformed_json"),
        (body(".5"), "malformed_json"),
        (body("0x10"), "malformed_json"),
        (body("1_000"), "malformed_json"),
        (body("nan"), "malformed_json"),
        (b'{"a\nb": 1}', "malformed_json"),
        (b'{"unclosed', "malformed_json"),
        (b'"' + b'\\"' * 1000, "malformed_json"),
        (b"[]", "not_an_object"),
        (b"1", "not_an_object"),
        (b"NaN", "not_an_object"),
        (b"null", "not_an_object"),
        (b"true", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b"{}", "missing_field"),
        (f'{{"{A}": 1}}'.encode(), "missing_field"),
        (f'{{"{A}": 1, "{B}": 2, "other": 3}}'.encode(), "unknown_field"),
        (f'{{"{A}": 1, "{B}": 2, "\\ud800": 3}}'.encode(), "unknown_field"),
        (f'{{"{A}": 1, "{B}": 2, "": 3}}'.encode(), "unknown_field"),
        (f'{{"{A}": 1, "{A}": 1, "{B}": 2}}'.encode(), "duplicate_field"),
        (f'{{"{A}": 1, "{A.replace("_", chr(92) + "u005f")}": 1, "{B}": 2}}'.encode(), "duplicate_field"),
        (body("true"), "wrong_type"),
        (body("null"), "wrong_type"),
        (body('"1.5"'), "wrong_type"),
        (body("[1]"), "wrong_type"),
        (body("{}"), "wrong_type"),
        (body("NaN"), "not_finite"),
        (body("Infinity"), "not_finite"),
        (body("-Infinity"), "not_finite"),
        (body("1e999"), "number_out_of_range"),
        (body("-1e999"), "number_out_of_range"),
        (body("9" * 400), "number_out_of_range"),
        (body("9" * 100_000), "number_out_of_range"),
        (body("1" + "0" * 400 + ".5"), "number_out_of_range"),
        *((deep(100_000), "too_deep") for deep in DEEP),
        *((deep(MAX_DEPTH + 1), "too_deep") for deep in DEEP),
    ],
)
def test_each_way_to_be_wrong_has_its_own_code(text: bytes, reason: str) -> None:
    assert refused(text).reason == reason


def test_brackets_in_strings_and_side_by_side_are_not_depth() -> None:
    assert refused(body(json.dumps('[{"' * 1000))).reason == "wrong_type"
    assert refused(body("[" + "[]," * 1000 + "[]]")).reason == "wrong_type"
    assert refused(body("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1))).reason == "wrong_type"


def test_all_wrong_fields_are_told_at_once_in_the_models_order() -> None:
    error = refused(f'{{"{B}": "x", "other": 1, "{A}": NaN}}'.encode())
    assert isinstance(error, InvalidFieldsError)
    assert [(each.path, each.code) for each in error.errors] == [
        ((A,), "not_finite"),
        ((B,), "wrong_type"),
        (("other",), "unknown_field"),
    ]
    assert error.reason == "not_finite"


def test_an_unknown_field_is_answered_with_the_nearest_known_one() -> None:
    error = refused(f'{{"{A}": 1, "{B}": 2, "{A}x": 3}}'.encode())
    assert f"did you mean {A}?" in error.message


def test_the_list_of_wrong_fields_has_an_end() -> None:
    many = {f"field {index}" * 100: index for index in range(MAX_LISTED_ERRORS * 3)}
    error = refused(json.dumps(many).encode())
    assert isinstance(error, InvalidFieldsError)
    assert len(error.errors) == MAX_LISTED_ERRORS
    assert len(problem_of(error).body) < 100_000


@pytest.mark.parametrize("secret", ['"hunter2 4711"', "[4711]", '{"hunter2": 4711}', "47114711e999", "4711x"])
def test_a_refusal_never_repeats_a_value(secret: str) -> None:
    answer = problem_of(refused(body(secret)))
    assert b"4711" not in answer.body
    assert b"hunter2" not in answer.body
