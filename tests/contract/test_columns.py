import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.contract.columns import encoded, objects

values = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
nested = st.one_of(values, st.dictionaries(st.text(), values, max_size=3))


@given(st.lists(nested))
def test_values_are_encoded_as_one_by_one(column: list[Any]) -> None:
    assert encoded(column) == list(map(msgspec.json.encode, column))


@given(st.lists(st.tuples(nested, nested), max_size=5), st.booleans())
def test_objects_are_what_they_are_one_by_one(rows: list[tuple[Any, Any]], array: bool) -> None:
    names = ("one", 'ü"')
    columns = [(name, encoded([row[at] for row in rows])) for at, name in enumerate(names)]
    one_by_one = [dict(zip(names, row, strict=True)) for row in rows]
    told = msgspec.json.encode(one_by_one) if array else msgspec.json.Encoder().encode_lines(one_by_one)
    assert objects(columns, array=array) == told


def test_columns_of_different_lengths_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        objects([("a", encoded([1, 2])), ("b", encoded([1]))], array=True)


def test_a_line_break_in_a_text_is_none_in_its_json() -> None:
    assert [json.loads(each) for each in encoded(["a\nb", "\r\u2028\x85"])] == ["a\nb", "\r\u2028\x85"]
