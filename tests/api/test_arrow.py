"""Rows as Arrow: what every column may be, and what a stream may not do."""

import asyncio
import io
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple

from driftline.api import batch
from driftline.api.arrow import encode_rows, read_rows
from driftline.api.served import Served
from driftline.contract.package import read_package, seed_package, seed_schema
from driftline.contract.problems import InvalidFieldsError, pointer
from driftline.contract.request import RequestDecoder
from driftline.contract.rows import Rows
from driftline.contract.schema import Feature, ModelSchema
from driftline.contract.table import features_of_columns
from driftline.errors import InputError
from driftline.scoring import load_model
from tests.api.api_process import ApiProcess

ARROW = "application/vnd.apache.arrow.stream"
SCHEMA = ModelSchema(
    name="typed",
    version="1",
    output="multiclass",
    labels=("a", "b"),
    features=(
        Feature(name="f", type="float", nullable=True, range=(-5, 5)),
        Feature(name="i", type="int"),
        Feature(name="b", type="bool"),
        Feature(name="c", type="category", categories=("x", "y")),
        Feature(name="t", type="category", nullable=True),
    ),
)
DECODER = RequestDecoder(SCHEMA)
GOOD: dict[str, list[Any]] = {"f": [1.5, None], "i": [1, 2], "b": [True, False], "c": ["x", "y"], "t": [None, "z"]}


def stream(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue()


def read(table: pa.Table, max_rows: int = 10, **options: Any) -> list[tuple[Any, ...]]:
    return [astuple(row) for row in read_rows(SCHEMA, DECODER, stream(table, **options), max_rows).features]


def refused(body: bytes, max_rows: int = 10) -> InputError:
    with pytest.raises(InputError) as caught:
        read_rows(SCHEMA, DECODER, body, max_rows)
    return caught.value


def with_column(name: str, values: Any) -> pa.Table:
    table = pa.table(GOOD)
    return table.set_column(table.column_names.index(name), name, values)


def test_a_table_is_read_whatever_the_order_of_its_columns() -> None:
    expected = [(1.5, 1, True, "x", None), (None, 2, False, "y", "z")]
    assert read(pa.table(GOOD)) == expected
    assert read(pa.table(dict(reversed(GOOD.items())))) == expected


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("f", pa.array([1, 2], pa.int8())),
        ("f", pa.array([1.5, float("nan")], pa.float64())),
        ("f", pa.array([1.5, 2], pa.float32())),
        ("f", pa.array([None, None])),
        ("i", pa.array([1.0, 2.0])),
        ("i", pa.array([1, 2], pa.uint64())),
        ("c", pa.array(["x", "y"], pa.large_string())),
        ("c", pa.array(["x", "y"]).dictionary_encode()),
    ],
)
def test_a_column_may_have_any_type_that_holds_the_features_values(name: str, values: pa.Array) -> None:
    found = [row[SCHEMA.names.index(name)] for row in read(with_column(name, values))]
    assert found == [None if str(value) == "nan" else value for value in values.to_pylist()]
    kinds = {"f": float, "i": int, "c": str}
    assert all(value is None or type(value) is kinds[name] for value in found)


def outcome(rows: Callable[[], list[Any]]) -> Any:
    try:
        return [repr(astuple(row)) for row in rows()]
    except InvalidFieldsError as error:
        return error.errors


values_of = {
    "f": st.one_of(st.none(), st.floats(width=32), st.sampled_from([-5.0, 5.0, 5.5, float("nan")])),
    "i": st.one_of(st.integers(0, 5), st.sampled_from([2**53, -(2**53), 2**53 - 1])),
    "b": st.booleans(),
    "c": st.sampled_from(["x", "y", "y", "z"]),
    "t": st.one_of(st.none(), st.text(max_size=3), st.just("l" * 1001)),
}


@given(st.lists(st.tuples(*values_of.values()), min_size=1, max_size=6))
def test_columns_are_taken_whole_exactly_where_each_of_their_values_is(rows: list[tuple[Any, ...]]) -> None:
    columns = {name: list(values) for name, values in zip(SCHEMA.names, zip(*rows, strict=True), strict=True)}
    types = [pa.float64(), pa.int64(), pa.bool_(), pa.string(), pa.string()]
    table = pa.table([pa.array(each, kind) for each, kind in zip(columns.values(), types, strict=True)], SCHEMA.names)
    found = outcome(lambda: read_rows(SCHEMA, DECODER, stream(table), 10).features)
    assert found == outcome(lambda: features_of_columns(SCHEMA, DECODER, columns))


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
def test_a_number_that_is_not_finite_is_refused_where_no_range_would(value: float, kind: pa.DataType) -> None:
    schema = ModelSchema(name="m", version="1", output="regression", features=(Feature("n", "float"),))
    with pytest.raises(InvalidFieldsError) as caught:
        read_rows(schema, RequestDecoder(schema), stream(pa.table({"n": pa.array([1.0, value, 2.0], kind)})), 10)
    assert [(error.path, error.code) for error in caught.value.errors] == [((1, "n"), "not_finite")]


def test_what_is_scored_comes_as_columns_too_where_all_of_it_is_numbers() -> None:
    features = (Feature("n", "float"), Feature("c", "category", role="context"), Feature("b", "bool"))
    schema = ModelSchema(name="m", version="1", output="regression", features=features)
    table = pa.table({"b": [True, False], "c": ["x", "y"], "n": pa.array([0.5, -1], pa.float32())})
    rows = read_rows(schema, RequestDecoder(schema), stream(table), 10)
    assert rows.inputs is not None
    assert [column.tolist() for column in rows.inputs] == [[0.5, -1.0], [True, False]]
    assert list(map(astuple, rows.features)) == [(0.5, "x", True), (-1.0, "y", False)]
    assert read_rows(SCHEMA, DECODER, stream(pa.table(GOOD)), 10).inputs is None


@pytest.mark.parametrize(
    ("table", "path", "code"),
    [
        (pa.table(GOOD).drop_columns("i"), "/i", "missing_field"),
        (pa.table({**GOOD, "x": [1, 2]}), "/x", "unknown_field"),
        (pa.table(GOOD).append_column("i", pa.array([1, 2])), "/i", "duplicate_field"),
        (with_column("i", pa.array([1, None])), "/1/i", "wrong_type"),
        (with_column("f", pa.array([1, 6])), "/1/f", "out_of_range"),
        (with_column("f", pa.array([[1.0], [2.0]])), "/f", "wrong_type"),
        (with_column("t", pa.array([b"1", b"2"])), "/t", "wrong_type"),
        (with_column("t", pa.array(["1", "2"], pa.string_view())), "/t", "wrong_type"),
        (with_column("t", pa.array(["l" * 1001, "2"]).dictionary_encode()), "/t", "text_too_long"),
        (with_column("c", pa.array(["x", "Z"])), "/1/c", "unknown_category"),
    ],
)
def test_a_column_that_is_wrong_is_named(table: pa.Table, path: str, code: str) -> None:
    error = refused(stream(table))
    assert isinstance(error, InvalidFieldsError)
    assert [(pointer(each.path), each.code) for each in error.errors] == [(path, code)]


def test_a_stream_is_refused_before_it_unfolds() -> None:
    nulls = pa.table({name: pa.nulls(10_000_000, pa.float64()) for name in SCHEMA.names})
    compressed = stream(nulls, compression="zstd")
    assert len(compressed) < 100_000
    assert refused(compressed).reason == "unsupported_media_type"
    assert refused(stream(nulls.slice(0, 11))).reason == "too_many_rows"
    assert refused(stream(nulls.slice(0, 0))).reason == "empty_batch"


def test_rows_are_counted_over_all_batches_of_a_stream() -> None:
    sink = io.BytesIO()
    table = pa.table(GOOD)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        for _ in range(6):
            writer.write_table(table)
    assert refused(sink.getvalue(), 11).reason == "too_many_rows"
    assert len(read_rows(SCHEMA, DECODER, sink.getvalue(), 12).features) == 12


def test_dictionaries_are_no_way_around_the_limits() -> None:
    body = stream(with_column("t", pa.array(["l" * 500, "2"]).dictionary_encode()), compression="lz4")
    assert refused(body).reason == "unsupported_media_type"


BODY = stream(with_column("t", pa.array(["1", "2"]).dictionary_encode()))


@given(st.integers(0, len(BODY) - 1), st.integers(0, 255), st.booleans())
def test_a_damaged_stream_is_refused_or_read_and_never_a_crash(at: int, byte: int, cut: bool) -> None:
    damaged = BODY[:at] if cut else BODY[:at] + bytes([byte]) + BODY[at + 1 :]
    with suppress(InputError):
        read_rows(SCHEMA, DECODER, damaged, 10)


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b"\xff" * 100, BODY[:-20]])
def test_what_is_no_stream_is_refused(body: bytes) -> None:
    assert refused(body).reason == "malformed_arrow"


@pytest.mark.parametrize(
    ("declared", "values"),
    [
        ({"output": "binary"}, [(0.5, 1), (0.25, 0)]),
        ({"output": "binary", "labels": ("no", "yes")}, [(0.5, "yes"), (0.25, "no")]),
        ({"output": "multiclass", "labels": (3, 4)}, [({"3": 0.5, "4": 0.5}, 3), ({"3": 0.0, "4": 1.0}, 4)]),
        ({"output": "regression"}, [(0.5,), (-1.0,)]),
    ],
)
def test_answers_come_in_columns(declared: Any, values: list[tuple[Any, ...]]) -> None:
    schema = ModelSchema(name="m", version="1", features=(Feature(name="f", type="float"),), **declared)
    table = pa.ipc.open_stream(encode_rows(schema, [b'"one"', b'"two"'], list(zip(*values, strict=True)))).read_all()
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        (request_id, *each) for request_id, each in zip(["one", "two"], values, strict=True)
    ]


# -- over HTTP


@pytest.fixture(scope="module")
def seed_stream() -> bytes:
    return stream(pa.table({name: [0.5, 1.5] for name in seed_schema().names}))


def post(api: ApiProcess, body: bytes, **headers: str) -> httpx.Response:
    return api.client.post("/predict/batch", content=body, headers={"content-type": ARROW, **headers})


def test_arrow_is_answered_in_arrow_or_in_what_is_asked_for(api: ApiProcess, seed_stream: bytes) -> None:
    answer = post(api, seed_stream)
    assert answer.headers["content-type"] == ARROW
    told = pa.ipc.open_stream(answer.content).read_all().to_pylist()
    as_json = post(api, seed_stream, accept="application/json").json()
    assert [each["probability"] for each in told] == [each["probability"] for each in as_json]
    single = api.predict(json.dumps(dict.fromkeys(seed_schema().names, 0.5)).encode()).json()
    assert told[0]["probability"] == single["probability"]
    events = {event["request_id"] for event in api.events()}
    assert {each["request_id"] for each in told} <= events


def test_what_is_wrong_with_arrow_is_told_as_everywhere(api: ApiProcess, seed_stream: bytes) -> None:
    answer = post(api, seed_stream[:50])
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_arrow")


WITHOUT = """
import sys, asyncio
sys.modules["pyarrow"] = None
from driftline.api.batch import Limits, predict_batch
from tests.api.models import seed
for headers in ({"content-type": TYPE}, {"accept": TYPE}):
    answer = asyncio.run(predict_batch(None, seed(), Limits(10, 10), headers, b"[]"))
    assert answer.status == 415, answer
    assert b"driftline[arrow]" in answer.body, answer
"""


def test_a_server_without_pyarrow_says_so() -> None:
    script = WITHOUT.replace("TYPE", repr(ARROW))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_nobody_who_sends_no_arrow_loads_it() -> None:
    script = "import sys, driftline.api.app; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_large_stream_is_read_beside_everything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def noted(*args: Any) -> Rows:
        threads.append(threading.current_thread() is threading.main_thread())
        return read_rows(*args)

    monkeypatch.setattr("driftline.api.arrow.read_rows", noted)
    package = read_package(seed_package())
    served = Served(package, load_model(package))
    for rows in (1, 10_000):
        body = stream(pa.table({"feature_1": [1.5] * rows, "feature_2": [0.0] * rows}))
        assert len(asyncio.run(batch._read(served, body, "arrow", 10_000)).features) == rows
    assert threads == [True, False]
