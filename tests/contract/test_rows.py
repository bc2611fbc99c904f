import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from driftline.contract.examples import batch_refusals, refused_batches
from driftline.contract.package import seed_schema
from driftline.contract.problems import BATCH_CODES, MAX_LISTED_ERRORS, InvalidFieldsError, pointer
from driftline.contract.request import RequestDecoder
from driftline.contract.rows import RowsReader
from driftline.contract.schema import Feature, ModelSchema
from driftline.errors import InputError
from tests.contract.schemas import ALL_TYPES

MAX_ROWS = 5
TYPED = ModelSchema(
    name="typed",
    version="1",
    output="regression",
    features=(
        Feature(name="f{", type="float", nullable=True),
        Feature(name="i", type="int", range=(0, 10)),
        Feature(name="b", type="bool"),
        Feature(name="c", type="category", categories=("a", 'q"', "{")),
        Feature(name="t", type="category", nullable=True),
    ),
)
GOOD = b'{"f{":null,"i":1,"b":true,"c":"a","t":null}'


def reader_of(schema: ModelSchema) -> RowsReader:
    return RowsReader(schema, RequestDecoder(schema))


READER = reader_of(TYPED)


def fast(body: bytes, *, array: bool) -> list[str] | None:
    try:
        rows = READER.read_fast(body, array=array, max_rows=MAX_ROWS)
    except InputError as error:
        return [error.reason]
    return None if rows is None else [repr(astuple(row)) for row in rows]


def slow(body: bytes, *, array: bool) -> list[str] | None:
    try:
        return [repr(astuple(row)) for row in READER.read_with_care(body, array=array, max_rows=MAX_ROWS)]
    except InputError as error:
        return [error.reason] if error.reason == "too_many_rows" else None


def refused(body: bytes, *, array: bool = True) -> InputError:
    with pytest.raises(InputError) as caught:
        READER.read(body, array=array, max_rows=MAX_ROWS)
    return caught.value


def paths(error: InputError) -> list[tuple[str, str]]:
    assert isinstance(error, InvalidFieldsError)
    return [(pointer(each.path), each.code) for each in error.errors]


# -- the two ways to read rows agree

tokens = st.sampled_from(
    ["null", "1", "-0", "1.0", "1.5", "11", "1e999", "NaN", "true", '"a"', '"q\\""', '"{"', '"\\u0061"', "[]"]
)
member = st.tuples(st.sampled_from(["f{", "i", "b", "c", "t", "\\u0074", "x"]), tokens)
valid = st.builds(
    lambda f, i, b, c, t: f'{{"f{{":{f},"i":{i},"b":{b},"c":{c},"t":{t}}}',
    st.sampled_from(["null", "1", "-0", "2.5"]),
    st.sampled_from(["0", "10", "1.0"]),
    st.sampled_from(["true", "false"]),
    st.sampled_from(['"a"', '"q\\""', '"{"']),
    st.sampled_from(["null", '"x"', '"{{{"', '"\\""']),
)
odd = st.one_of(
    st.lists(member, max_size=6).map(lambda members: "{" + ",".join(f'"{k}":{v}' for k, v in members) + "}"),
    valid.map(lambda row: row[:-1] + ',"i":1}'),
    tokens,
)
rows = st.lists(st.one_of(valid, valid, valid, odd), max_size=MAX_ROWS + 1)
space = st.text(" \t\r\n", max_size=2)


@given(rows, space, st.sampled_from([",", ",", ",", "", ",,"]), st.sampled_from(["[]", "[]", "[]", "[", "]", "{}"]))
def test_the_fast_reading_of_an_array_takes_nothing_that_the_careful_one_does_not(
    rows: list[str], blank: str, comma: str, brackets: str
) -> None:
    body = (blank + brackets[:1] + blank + (comma + blank).join(rows) + brackets[1:] + blank).encode()
    found = fast(body, array=True)
    assert found is None or found == slow(body, array=True)


@given(rows, st.sampled_from(["\n", "\r\n", "\n\n", "", " ", ",", "\n,"]), st.sampled_from(["", "\n", "\n\n ", "x"]))
def test_the_fast_reading_of_lines_takes_nothing_that_the_careful_one_does_not(
    rows: list[str], between: str, end: str
) -> None:
    body = (between.join(rows) + end).encode()
    found = fast(body, array=False)
    assert found is None or found == slow(body, array=False)


def test_plain_rows_are_read_fast() -> None:
    text = GOOD.replace(b'"t":null', b'"t":"x{"')
    assert fast(b"[%s , %s]" % (GOOD, text), array=True) == slow(b"[%s,%s]" % (GOOD, text), array=True) is not None
    assert fast(b"%s\n%s\n" % (GOOD, text), array=False) is not None


# -- what is refused


@pytest.mark.parametrize("code", refused_batches(ALL_TYPES))
def test_each_refusal_of_the_documentation_has_its_code(code: str) -> None:
    body = refused_batches(ALL_TYPES)[code]
    with pytest.raises(InputError) as caught:
        reader_of(ALL_TYPES).read(body, array=True, max_rows=2)
    assert caught.value.reason == code


def test_every_code_of_the_route_is_documented() -> None:
    assert set(batch_refusals(ALL_TYPES)) == set(BATCH_CODES)


def test_a_wrong_row_is_named_by_its_index() -> None:
    bad = GOOD.replace(b'"i":1', b'"i":11').replace(b'"b":true', b'"b":0')
    error = refused(b"[%s,%s,7]" % (GOOD, bad))
    assert paths(error) == [("/1/i", "out_of_range"), ("/1/b", "wrong_type"), ("/2", "wrong_type")]
    assert paths(refused(b"%s\n\n%s" % (GOOD, bad), array=False)) == [("/1/i", "out_of_range"), ("/1/b", "wrong_type")]


def test_a_key_that_comes_twice_is_found_in_any_row() -> None:
    assert paths(refused(b"[%s,%s]" % (GOOD, GOOD[:-1] + b',"i":1}'))) == [("/1/i", "duplicate_field")]


def test_a_hundred_errors_are_listed_and_no_more_is_read() -> None:
    error = error_of(b"[" + b",".join([b"0"] * 200) + b" nonsense", max_rows=1000)
    assert isinstance(error, InvalidFieldsError)
    assert len(error.errors) == MAX_LISTED_ERRORS


def error_of(body: bytes, max_rows: int) -> InputError:
    with pytest.raises(InputError) as caught:
        READER.read(body, array=True, max_rows=max_rows)
    return caught.value


@pytest.mark.parametrize("row", [GOOD, b"0", b"{}", b"[]"])
def test_one_row_too_many_refuses_the_batch_whatever_the_rows_are(row: bytes) -> None:
    assert error_of(b"[" + b",".join([row] * 3) + b"]", max_rows=2).reason == "too_many_rows"


def test_as_many_rows_as_there_may_be_are_taken() -> None:
    body = b"[" + b",".join([GOOD] * MAX_ROWS) + b"]"
    assert len(READER.read(body, array=True, max_rows=MAX_ROWS)) == MAX_ROWS


def test_rows_that_are_far_too_many_are_refused_before_any_is_made() -> None:
    seed = reader_of(seed_schema())
    row = json.dumps(seed_schema().example).encode()
    with pytest.raises(InputError) as caught:
        seed.read_fast(b"[" + b",".join([row] * 3) + b" nonsense", array=True, max_rows=2)
    assert caught.value.reason == "too_many_rows"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"[", "malformed_json"),
        (b"[%s" % GOOD, "malformed_json"),
        (b"[%s,]" % GOOD, "malformed_json"),
        (b"[%s]]" % GOOD, "malformed_json"),
        (b"[] x", "malformed_json"),
        (b"[%s %s]" % (GOOD, GOOD), "malformed_json"),
        (b" [ ] ", "empty_batch"),
        (b"[" * 100_000, "too_deep"),
        (b"[" + b"[" * 40 + b"]" * 40 + b"]", "too_deep"),
        (b"\xef\xbb\xbf[]", "malformed_json"),
        (GOOD, "not_an_array"),
        (b'"["', "not_an_array"),
    ],
)
def test_what_is_no_array_of_rows_is_refused_for_what_it_is(body: bytes, reason: str) -> None:
    assert refused(body).reason == reason


def test_where_the_json_breaks_is_told_by_line_and_column() -> None:
    assert str(refused(b"%s\n%s,\n" % (GOOD, GOOD), array=False)).endswith(f"line 2, column {len(GOOD) + 1}.")


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_no_lines_are_no_batch(body: bytes) -> None:
    assert refused(body, array=False).reason == "empty_body"
