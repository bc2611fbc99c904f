import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from driftline.contract.v2.tensors import (
    DATATYPES,
    FLOATS,
    INTEGERS,
    bytes_of_elements,
    elements_of_bytes,
    elements_of_json,
)
from driftline.errors import InputError

SIZES = {"FP16": 16, "FP32": 32, "FP64": 64}


def whole_numbers(datatype: str) -> SearchStrategy[int]:
    bits = int(datatype.removeprefix("U").removeprefix("INT"))
    return st.integers(0, 2**bits - 1) if datatype[0] == "U" else st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def elements(datatype: str) -> SearchStrategy[Any]:
    if datatype in INTEGERS:
        return whole_numbers(datatype)
    if datatype in FLOATS:
        return st.floats(width=SIZES[datatype], allow_nan=False)  # type: ignore[arg-type]  # one of its widths
    return st.booleans() if datatype == "BOOL" else st.text(max_size=5)


TENSORS = st.sampled_from(DATATYPES).flatmap(
    lambda datatype: st.tuples(st.just(datatype), st.lists(elements(datatype), max_size=12))
)


@given(TENSORS)
def test_a_tensor_is_the_same_as_bytes_and_as_json(tensor: tuple[str, list[Any]]) -> None:
    datatype, written = tensor
    shape = (len(written), 1)
    raw = bytes_of_elements(datatype, written)
    assert elements_of_bytes("x", datatype, shape, memoryview(raw)) == written
    assert elements_of_json("x", datatype, shape, written) == written
    assert elements_of_json("x", datatype, shape, [[each] for each in written]) == written


@given(st.sampled_from(DATATYPES), st.lists(st.integers(0, 2**63 - 1) | st.integers(0, 4), max_size=10), st.binary())
def test_bytes_that_are_no_such_tensor_are_refused_and_nothing_else(
    datatype: str, shape: list[int], raw: bytes
) -> None:
    try:
        read = elements_of_bytes("x", datatype, shape, memoryview(raw))
    except InputError:
        return
    assert len(read) == math.prod(shape)
    if not any(isinstance(each, float) and math.isnan(each) for each in read):
        assert bytes_of_elements(datatype, read) == raw


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=12,
)


@given(st.sampled_from(DATATYPES), st.lists(st.integers(0, 4), max_size=4), JSON)
def test_json_that_is_no_such_tensor_is_refused_and_nothing_else(
    datatype: str, shape: list[int], written: object
) -> None:
    try:
        read = elements_of_json("x", datatype, shape, written)
    except InputError:
        return
    assert len(read) == math.prod(shape)
    if None not in read and datatype != "BYTES":
        assert len(bytes_of_elements(datatype, read)) == len(read) * len(bytes_of_elements(datatype, [0]))


def test_the_bytes_are_those_of_the_binary_extension() -> None:
    assert bytes_of_elements("UINT32", [1, 2, 3, 4]) == bytes([1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0])
    assert bytes_of_elements("BOOL", [True, False]) == b"\x01\x00"
    assert bytes_of_elements("BYTES", ["at", "", "ö"]) == b"\x02\0\0\0at\0\0\0\0\x02\0\0\0\xc3\xb6"


@pytest.mark.parametrize(
    ("datatype", "shape", "raw", "code"),
    [
        ("FP64", [2], bytes(8), "wrong_value"),
        ("FP64", [1], bytes(16), "wrong_value"),
        ("FP64", [2**63 - 1, 2**63 - 1], bytes(8), "wrong_value"),
        ("FP64", [1] * 9, bytes(8), "wrong_value"),
        ("BOOL", [2], b"\x01\x02", "wrong_value"),
        ("BYTES", [1], b"\x05\0\0\0abc", "wrong_value"),
        ("BYTES", [1], b"\xff\xff\xff\xff", "wrong_value"),
        ("BYTES", [1], b"\x01\0", "wrong_value"),
        ("BYTES", [2**60], b"\0\0\0\0", "wrong_value"),
        ("BYTES", [1], b"\x01\0\0\0ab", "wrong_value"),
        ("BYTES", [1], b"\x01\0\0\0\xff", "invalid_utf8"),
    ],
)
def test_bytes_that_lie_are_refused(datatype: str, shape: list[int], raw: bytes, code: str) -> None:
    with pytest.raises(InputError) as caught:
        elements_of_bytes("age", datatype, shape, memoryview(raw))
    assert caught.value.reason == code
    assert "age" in caught.value.message


@pytest.mark.parametrize(
    ("datatype", "shape", "written", "code"),
    [
        ("FP64", [2], [1.0], "wrong_value"),
        ("FP64", [2], [[1.0], [2.0]], "wrong_type"),
        ("FP64", [2, 2], [[1.0, 2.0], [3.0]], "wrong_value"),
        ("FP64", [2, 2], [[1.0, 2.0, 3.0], [4.0]], "wrong_value"),
        ("FP64", [2, 2], [[1.0, 2.0, 3.0, 4.0]], "wrong_value"),
        ("FP64", [2, 2], [[1.0, 2.0], 3.0], "wrong_value"),
        ("FP64", [1], 1.0, "wrong_type"),
        ("FP64", [1], ["1.0"], "wrong_type"),
        ("FP64", [1], [True], "wrong_type"),
        ("FP64", [2], [1.0, [2.0]], "wrong_type"),
        ("FP64", [1], [10**400], "number_out_of_range"),
        ("FP32", [1], [1e39], "number_out_of_range"),
        ("FP16", [1], [1e5], "number_out_of_range"),
        ("INT8", [1], [128], "number_out_of_range"),
        ("UINT64", [1], [-1], "number_out_of_range"),
        ("INT64", [1], [2**63], "number_out_of_range"),
        ("INT64", [1], [1.5], "wrong_type"),
        ("INT64", [1], [math.nan], "wrong_type"),
        ("INT64", [1], [True], "wrong_type"),
        ("BOOL", [1], [1], "wrong_type"),
        ("BYTES", [1], [1], "wrong_type"),
    ],
)
def test_json_that_lies_is_refused(datatype: str, shape: list[int], written: object, code: str) -> None:
    with pytest.raises(InputError) as caught:
        elements_of_json("age", datatype, shape, written)
    assert caught.value.reason == code
    assert "age" in caught.value.message


def test_a_whole_number_may_be_written_as_a_float_and_a_float_as_a_whole_number() -> None:
    assert elements_of_json("x", "INT32", [2], [1.0, 2]) == [1, 2]
    assert [type(each) for each in elements_of_json("x", "FP64", [2], [1, 2.5])] == [float, float]


def test_null_is_missing_whatever_the_datatype() -> None:
    for datatype in DATATYPES:
        assert elements_of_json("x", datatype, [2], [None, None]) == [None, None]
    assert elements_of_json("x", "FP32", [3], [0.5, None, 1.5]) == [0.5, None, 1.5]


def test_a_number_in_json_is_the_same_as_in_bytes() -> None:
    [read] = elements_of_json("x", "FP32", [1], [0.1])
    assert read == elements_of_bytes("x", "FP32", [1], memoryview(struct.pack("<f", 0.1)))[0] != 0.1
