import json
import math
import struct
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.contract.v2 import request as requests
from driftline.contract.v2.request import InferRequest, Tensor, Wanted
from driftline.errors import InputError

AGE = {"name": "age", "shape": [2], "datatype": "FP64", "data": [1.5, 2]}
BINARY = {"name": "age", "shape": [2], "datatype": "FP64", "parameters": {"binary_data_size": 16}}
RAW = struct.pack("<2d", 1.5, 2)
read_request = partial(requests.read_request, max_rows=10_000, max_columns=10)
READ = Tensor("age", "FP64", (2,), [1.5, 2.0])


def body(inputs: object = (AGE,), **members: object) -> bytes:
    return json.dumps({"inputs": inputs, **members}).encode()


def binary_body(*raw: bytes, inputs: object = (BINARY,), **members: object) -> tuple[bytes, str]:
    head = body(inputs, **members)
    return head + b"".join(raw), str(len(head))


def refused(given: bytes, header: str | None = None) -> InputError:
    with pytest.raises(InputError) as caught:
        read_request(given, header)
    return caught.value


def test_a_request_is_json_or_json_and_bytes() -> None:
    assert read_request(body(), None) == InferRequest(None, (READ,), None, binary=False)
    assert read_request(*binary_body(RAW)) == InferRequest(None, (READ,), None, binary=False)


def test_that_all_is_json_may_be_said_in_the_header() -> None:
    assert read_request(body(), str(len(body()))) == read_request(body(), None)


def test_tensors_in_json_and_in_bytes_may_be_mixed_and_bytes_come_in_the_inputs_order() -> None:
    names = [{**BINARY, "name": "a"}, {**AGE, "name": "b"}, {**BINARY, "name": "c", "datatype": "INT64"}]
    request = read_request(*binary_body(RAW, struct.pack("<2q", 7, 8), inputs=names))
    assert [(each.name, each.elements) for each in request.inputs] == [
        ("a", [1.5, 2.0]),
        ("b", [1.5, 2.0]),
        ("c", [7, 8]),
    ]


def test_what_the_protocol_does_not_know_is_passed_over() -> None:
    # KServe's client sends model_name, tritonclient sequence_id, priority and timeout.
    parameters = {"sequence_id": 3, "priority": 1, "timeout": 10, "anything": "else"}
    assert read_request(body(model_name="m", parameters=parameters), None).inputs == (READ,)


def test_outputs_come_as_bytes_where_they_are_asked_for_as_such_or_all_are() -> None:
    outputs = [{"name": "a"}, {"name": "b", "parameters": {"binary_data": True}}]
    request = read_request(body(outputs=outputs, id="42"), None)
    assert request.id == "42"
    assert request.outputs == (Wanted("a", binary=False), Wanted("b", binary=True))
    all_binary = {"binary_data_output": True}
    assert read_request(body(parameters=all_binary), None).binary
    outputs = [{"name": "a"}, {"name": "b", "parameters": {"binary_data": False}}]
    request = read_request(body(outputs=outputs, parameters=all_binary), None)
    assert request.outputs == (Wanted("a", binary=True), Wanted("b", binary=False))
    assert read_request(body(outputs=[]), None).outputs is None


def test_nan_is_read_as_tritonclient_writes_it() -> None:
    [tensor] = read_request(body().replace(b"1.5", b"NaN"), None).inputs
    assert isinstance(tensor.elements[0], float)
    assert math.isnan(tensor.elements[0])
    assert read_request(body().replace(b"1.5", b"-Infinity"), None).inputs[0].elements[0] == -math.inf


@pytest.mark.parametrize("header", ["-1", "+5", "1e3", "0x10", "", "5, 5", "²", "9" * 5000, "999999"])
def test_a_header_that_cannot_be_the_length_of_the_json_is_refused(header: str) -> None:
    error = refused(body(), header)
    assert error.reason == "wrong_value"
    assert "Inference-Header-Content-Length" in error.message
    assert "9999999" not in error.message


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (b"", "empty_body"),
        (b" \n", "empty_body"),
        (b"{", "malformed_json"),
        (b"NaN{", "malformed_json"),
        (b'{"id": "\\ud800", "inputs": [NaN]}', "wrong_type"),
        (body(id="42").replace(b"42", b"\\ud800").replace(b"1.5", b"NaN"), "malformed_json"),
        (body().replace(b"age", b"\xff"), "invalid_utf8"),
        (b"[]", "wrong_type"),
        (b"{}", "wrong_type"),
        (b'{"inputs": ' + b"[" * 100_000, "wrong_type"),
        (b'{"inputs": [NaN, ' + b"[" * 100_000, "too_deep"),
        (body([{**AGE, "data": "DEEP"}]).replace(b'"DEEP"', b"[" * 5000 + b"]" * 5000), "too_deep"),
        (body([]), "missing_field"),
        (body([AGE, AGE]), "duplicate_field"),
        (body([{**AGE, "datatype": "FP128"}]), "wrong_value"),
        (body([{**AGE, "datatype": "BF16"}]), "wrong_value"),
        (body([{**AGE, "shape": [-2]}]), "wrong_type"),
        (body([{**AGE, "shape": [2.0]}]), "wrong_type"),
        (body([{**AGE, "shape": [True]}]), "wrong_type"),
        (body([{**AGE, "shape": [2**63]}]), "wrong_type"),
        (body([{**AGE, "shape": [3]}]), "wrong_value"),
        (body([{**AGE, "data": None}]), "missing_field"),
        (body([BINARY]), "wrong_value"),
        (body([{**AGE, "parameters": {"shared_memory_region": "r"}}]), "wrong_value"),
        (body([{**AGE, "parameters": []}]), "wrong_type"),
        (body(id=42), "wrong_type"),
        (body(outputs=[{"name": "p"}, {"name": "p"}]), "duplicate_field"),
        (body(outputs=[{"name": "p", "parameters": {"classification": 2}}]), "wrong_value"),
        (body(outputs=[{"name": "p", "parameters": {"shared_memory_region": "r"}}]), "wrong_value"),
        (body(outputs=[{"name": "p", "parameters": {"binary_data": 1}}]), "wrong_type"),
        (body(parameters={"binary_data_output": "yes"}), "wrong_type"),
    ],
)
def test_what_is_no_request_is_refused(given: bytes, code: str) -> None:
    assert refused(given).reason == code


@pytest.mark.parametrize("size", [-1, True, 1.0, "16", 15, 17, 2**70])
def test_a_size_that_lies_is_refused(size: object) -> None:
    error = refused(*binary_body(RAW, inputs=[{**BINARY, "parameters": {"binary_data_size": size}}]))
    assert "age" in error.message


def test_bytes_that_belong_to_no_input_are_refused() -> None:
    assert "1 bytes more" in refused(*binary_body(RAW, b"!")).message
    assert refused(body() + RAW, str(len(body()))).reason == "wrong_value"
    assert refused(*binary_body(RAW, inputs=[{**BINARY, "data": [1.5, 2]}])).reason == "wrong_value"


def test_a_name_that_is_long_or_no_unicode_is_told_so_that_it_can_be_sent() -> None:
    error = refused(body([{**AGE, "name": "n" * 1000, "shape": [9]}]))
    assert len(error.message) < 300
    nan = (
        body([{**AGE, "name": "n", "shape": [9], "data": [1]}]).replace(b'"n"', b'"\\ud800"').replace(b"[1]", b"[NaN]")
    )
    refused(nan).message.encode()


WORDS = st.sampled_from(
    ["name", "shape", "datatype", "data", "parameters", "inputs", "outputs", "id", "binary_data_size"]
)
JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from(["FP64", "BYTES"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=2), inner, max_size=5),
    max_leaves=20,
)


@given(
    JSON | st.fixed_dictionaries({"inputs": st.lists(JSON)}), st.binary(max_size=20), st.none() | st.text(max_size=4)
)
def test_whatever_comes_it_is_a_request_or_refused(written: object, raw: bytes, header: str | None) -> None:
    head = json.dumps(written).encode()
    for length in (header, str(len(head))):
        try:
            read_request(head + raw, length)
        except InputError as error:
            error.message.encode()


@given(st.binary(), st.integers(0, 300))
def test_whatever_a_request_is_broken_into_it_is_a_request_or_refused(noise: bytes, at: int) -> None:
    whole, header = binary_body(RAW)
    try:
        read_request(whole[:at] + noise + whole[at + len(noise) :], header)
    except InputError as error:
        error.message.encode()
