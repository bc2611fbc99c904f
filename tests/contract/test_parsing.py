"""A body that would become much more than it is long is refused before anything is made of it."""

import json
import tracemalloc
from collections.abc import Callable

import pytest

from driftline.contract.frames import frame_of_csv, frame_of_json
from driftline.contract.parsing import has_more
from driftline.contract.request import RequestDecoder
from driftline.contract.rows import RowsReader
from driftline.contract.schema import MOST_CHARS, Feature, ModelSchema
from driftline.contract.v2.request import read_request
from driftline.errors import InputError

MAX_ROWS = 100
MANY = 300_000
SCHEMA = ModelSchema(
    name="m",
    version="1",
    output="regression",
    features=(Feature(name="x", type="float"), Feature(name="t", type="category")),
)
TENSOR = b'{"name":"x","shape":[1],"datatype":"FP64"'


def infer(head: bytes, raw: bytes = b"") -> object:
    return read_request(head + raw, str(len(head)), max_rows=MAX_ROWS, max_columns=len(SCHEMA.features))


def invoke(body: bytes) -> object:
    return frame_of_json(body, SCHEMA, MAX_ROWS)


def invoke_csv(body: bytes) -> object:
    return frame_of_csv(body, SCHEMA, MAX_ROWS)


def batch(body: bytes) -> object:
    return RowsReader(SCHEMA, RequestDecoder(SCHEMA)).read(body, array=body.startswith(b"["), max_rows=MAX_ROWS)


def many(item: bytes, between: bytes = b",") -> bytes:
    return between.join([item] * MANY)


ROW = b'{"x":1,"t":"a"}'
INT8 = json.dumps(
    {"inputs": [{"name": "x", "shape": [MANY], "datatype": "INT8", "parameters": {"binary_data_size": MANY}}]}
).encode()


@pytest.mark.parametrize(
    ("read", "body"),
    [
        pytest.param(infer, b'{"inputs":[' + TENSOR + b',"data":[' + many(b"[]") + b"]}]}", id="V2, arrays"),
        pytest.param(infer, b'{"inputs":[' + TENSOR + b',"data":[' + many(b"1.5") + b"]}]}", id="V2, numbers"),
        pytest.param(infer, b'{"inputs":[' + TENSOR + b',"data":[NaN,' + many(b"[]") + b"]}]}", id="V2, with NaN"),
        pytest.param(infer, b'{"inputs":[],"parameters":{"a":[' + many(b"{}") + b"]}}", id="V2, parameters"),
        pytest.param(lambda raw: infer(INT8, raw), bytes(MANY), id="V2, bytes"),
        pytest.param(invoke, b'{"instances":[' + many(b"{}") + b"]}", id="MLflow, instances"),
        pytest.param(invoke, b'{"inputs":{"x":[' + many(b"[1]") + b"]}}", id="MLflow, columns of tensors"),
        pytest.param(invoke, b'{"dataframe_split":{"data":[' + many(b"[]") + b"]}}", id="MLflow, split"),
        pytest.param(invoke_csv, b"x\n" + many(b"10", b"\n"), id="MLflow, CSV"),
        pytest.param(batch, many(ROW, b"\n"), id="batch, lines"),
        pytest.param(batch, b"[" + many(ROW) + b"]", id="batch, array"),
        pytest.param(batch, b"[[" + many(b"[]") + b"]]", id="batch, arrays in one row"),
    ],
)
def test_a_body_of_very_many_rows_is_refused_before_they_are_made(read: Callable[[bytes], object], body: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as caught:
            read(body)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.reason == "too_many_rows"
    assert peak_bytes < 3 * len(body) + 500_000


@pytest.mark.parametrize("nested", [True, False])
def test_as_many_rows_as_may_be_are_read_whatever_their_texts_have_in_them(*, nested: bool) -> None:
    text = ('{["\\,' * MOST_CHARS)[:MOST_CHARS]
    row = {"x": 1.5, "t": text}
    rows = [row] * MAX_ROWS
    data = [text] * MAX_ROWS
    tensors = [
        {"name": "x", "shape": [MAX_ROWS], "datatype": "FP64", "data": [1.5] * MAX_ROWS},
        {
            "name": "t",
            "shape": [MAX_ROWS, 1],
            "datatype": "BYTES",
            "data": [[each] for each in data] if nested else data,
        },
    ]
    body = json.dumps({"inputs": tensors, "parameters": {"sequence_id": 1}}).encode()
    for given in (body, body.replace(b"[1.5", b"[NaN")):
        request = read_request(given, None, max_rows=MAX_ROWS, max_columns=2)
        assert [len(each.elements) for each in request.inputs] == [MAX_ROWS, MAX_ROWS]
        assert request.inputs[1].elements == data
    columns = {"x": [1.5] * MAX_ROWS, "t": [[each] for each in data] if nested else data}
    for form in ({"instances": rows}, {"inputs": columns}):
        assert frame_of_json(json.dumps(form).encode(), SCHEMA, MAX_ROWS).rows == MAX_ROWS
    reader = RowsReader(SCHEMA, RequestDecoder(SCHEMA))
    assert len(reader.read(json.dumps(rows).encode(), array=True, max_rows=MAX_ROWS)) == MAX_ROWS
    lines = b"\n".join(json.dumps(each).encode() for each in rows)
    assert len(reader.read(lines, array=False, max_rows=MAX_ROWS)) == MAX_ROWS


def test_a_csv_of_as_many_rows_as_may_be_is_read_and_one_more_is_refused() -> None:
    rows = b'1.5,"a\n\nb"\n\n' * MAX_ROWS
    assert frame_of_csv(b"x,t\n" + rows, SCHEMA, MAX_ROWS).rows == MAX_ROWS
    with pytest.raises(InputError) as caught:
        frame_of_csv(b"x,t\n" + rows + b"1.5,c", SCHEMA, MAX_ROWS)
    assert caught.value.reason == "too_many_rows"


@pytest.mark.parametrize(
    ("body", "tokens", "count"),
    [
        (b"[{}, [1, 2]]", ",[{", 5),
        (b"[{}, [1, 2]]", "[{", 3),
        (b"[{}, [1, 2]]", "{", 1),
        (b'["{{{", "\\"{{", {"{": "{"}]', "{", 1),
        (b'{"{{', "{", 1),  # a string without an end
        (b"", "{", 0),
    ],
)
def test_tokens_are_counted_outside_of_strings(body: bytes, tokens: object, count: int) -> None:
    assert not has_more(body, tokens, count)  # type: ignore[arg-type]  # one of them
    assert not count or has_more(body, tokens, count - 1)  # type: ignore[arg-type]
