"""Rows as a stream of Arrow: read into features, and answered. Only those who send Arrow import this."""

import math
import struct
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from driftline.api.arrow_messages import rows_of
from driftline.contract.outputs import PREDICTED_CLASS, PREDICTION, PROBABILITIES, PROBABILITY
from driftline.contract.problems import FieldError, InvalidFieldsError
from driftline.contract.request import RequestDecoder
from driftline.contract.rows import Rows, too_many
from driftline.contract.schema import MOST_CHARS, MOST_EXACT, Column, Feature, ModelSchema, misfit, noun
from driftline.contract.table import features_of_columns
from driftline.errors import InputError

_BRING_ROWS: Final = {"record batch": False, "dictionary": True}


def read_rows(schema: ModelSchema, decoder: RequestDecoder, body: bytes, max_rows: int) -> Rows:
    """Returns the rows of a stream, checked as those of a JSON body are.

    Args:
        schema: What the model takes.
        decoder: The same model's.
        body: An IPC stream; a column for each feature, in any order.
        max_rows: More are refused.

    Raises:
        InputError: The body is refused; ``reason`` says why.
        InvalidFieldsError: A column is missing, not known or of another type, or a value is none of its feature's.
    """
    try:
        _check_messages(body, max_rows)
        table = pa.ipc.open_stream(body).read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, struct.error, UnicodeDecodeError) as error:
        raise InputError("malformed_arrow", "The body is not an Arrow IPC stream.") from error
    if not table.num_rows:
        raise InputError("empty_batch", "The batch has no rows.")
    columns = _columns(schema, table)
    if len(columns) == len(schema.features):
        plain = [_plain(feature, columns.get(feature.name)) for feature in schema.features]
        whole = [values for values in plain if values is not None]
        if len(whole) == len(plain):
            lists = (values if isinstance(values, list) else values.tolist() for values in whole)
            inputs = [values for feature, values in zip(schema.features, whole, strict=True) if feature.role == "input"]
            arrays = [values for values in inputs if not isinstance(values, list)]
            return Rows(list(map(decoder.make, *lists)), arrays if len(arrays) == len(inputs) else None)
    plainest = {name: column.to_pylist() for name, column in columns.items()}
    return Rows(features_of_columns(schema, decoder, plainest))


def encode_rows(schema: ModelSchema, request_ids: Sequence[bytes], values: Sequence[Sequence[Any]]) -> bytes:
    """Returns the stream that answers rows: their request ids, and what the model gives, in columns.

    Args:
        schema: What the model gives.
        request_ids: One for each row, as JSON.
        values: What they are answered: a column for each of the output's fields, in their order.
    """
    label = pa.string() if schema.classes and isinstance(schema.classes[0], str) else pa.int64()
    types = {
        PROBABILITY: pa.float64(),
        PREDICTION: pa.float64(),
        PROBABILITIES: pa.struct([(str(each), pa.float64()) for each in schema.classes]),
        PREDICTED_CLASS: label,
    }
    names = {
        "binary": (PROBABILITY, PREDICTED_CLASS),
        "multiclass": (PROBABILITIES, PREDICTED_CLASS),
        "regression": (PREDICTION,),
    }[schema.output]
    pool = pa.system_memory_pool()  # Arrow's own gives its pages back between two answers
    columns = [pa.array(column, types[name], memory_pool=pool) for name, column in zip(names, values, strict=True)]
    quoted = pa.array(request_ids, pa.binary(), memory_pool=pool)
    ids = pc.binary_slice(quoted, 1, -1, memory_pool=pool).view(pa.string())
    rows = pa.record_batch([ids, *columns], names=["request_id", *names])
    sink = pa.BufferOutputStream(pool)
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_batch(rows)
    encoded: bytes = sink.getvalue().to_pybytes()
    return encoded


def _check_messages(body: bytes, max_rows: int) -> None:
    reader = pa.ipc.MessageReader.open_stream(body)
    rows = 0
    for message in reader:
        dictionary = _BRING_ROWS.get(message.type)
        if dictionary is None:
            continue
        brings = rows_of(message.metadata.to_pybytes(), dictionary=dictionary)
        if brings.compressed:
            raise InputError("unsupported_media_type", "The buffers of the Arrow stream must not be compressed.")
        rows += 0 if dictionary else brings.rows
        if rows > max_rows:
            raise too_many(max_rows)


def _columns(schema: ModelSchema, table: pa.Table) -> dict[str, pa.ChunkedArray]:
    features = {feature.name: feature for feature in schema.features}
    columns: dict[str, pa.ChunkedArray] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name in columns:
            raise InvalidFieldsError([FieldError((name,), "duplicate_field", "Two columns have the same name.")])
        columns[name] = column
        if name in features:
            _check_type(features[name], column)
    return {name: column if name in features else pa.nulls(0) for name, column in columns.items()}


def _check_type(feature: Feature, column: pa.ChunkedArray) -> None:
    """Returns if the values of a column are as long in Python as they are in the stream, or not much longer."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        _refuse_long(feature, [chunk.dictionary for chunk in column.chunks])
        kind = kind.value_type
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if not (number or pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
        detail = f"The column {feature.name} must be {noun(feature)}, and no {kind}."
        raise InvalidFieldsError([FieldError((feature.name,), "wrong_type", detail)])


def _refuse_long(feature: Feature, texts: Sequence[pa.Array]) -> None:
    for each in texts:
        if (pa.types.is_string(each.type) or pa.types.is_large_string(each.type)) and (
            (pc.max(pc.utf8_length(each)).as_py() or 0) > MOST_CHARS
        ):
            detail = f"The field {feature.name} must have at most {MOST_CHARS} characters."
            raise InvalidFieldsError([FieldError((feature.name,), "text_too_long", detail)])


def _plain(feature: Feature, column: pa.ChunkedArray | None) -> Column | list[Any] | None:
    """Returns the values of a column that all are its feature's, or None where each has to be looked at."""
    if column is None or (column.null_count and not feature.nullable):
        return None
    if column.null_count or feature.type == "category":
        return list(column.to_pylist()) if _fits(feature, column) else None
    if not _has_type(feature, column.type):
        return None
    values: Column = column.to_numpy()  # five times as fast
    # Of an array's values, one that is NaN is the lowest and the highest.
    return values if feature.type == "bool" or _spans(feature, values.min(), values.max()) else None


def _fits(feature: Feature, column: pa.ChunkedArray) -> bool:
    if feature.type == "category":
        known = not pa.types.is_null(column.type)
        return known and all(misfit(feature, value) is None for value in pc.unique(column).to_pylist())
    if not _has_type(feature, column.type):
        return False
    if feature.type == "float" and pc.all(pc.is_finite(column)).as_py() is False:
        return False
    ends = {"min": None} if feature.type == "bool" else pc.min_max(column).as_py()
    return ends["min"] is None or _spans(feature, ends["min"], ends["max"])


def _has_type(feature: Feature, kind: pa.DataType) -> bool:
    match feature.type:
        case "bool":
            return bool(pa.types.is_boolean(kind))
        case "int":
            return bool(pa.types.is_integer(kind))
    return bool(pa.types.is_float64(kind) or pa.types.is_float32(kind))


def _spans(feature: Feature, lowest: Any, highest: Any) -> bool:
    """Whether numbers from a lowest to a highest one are all a feature's; none that is NaN is."""
    low, high = feature.range or (-math.inf, math.inf)
    if feature.type == "int":
        return bool(max(low, -MOST_EXACT) <= lowest and highest <= min(high, MOST_EXACT))
    return bool(low <= lowest and highest <= high and -math.inf < lowest and highest < math.inf)
