"""Predictions as a file: JSONL, CSV or Parquet, there as a whole or not at all."""

import csv
import io
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from driftline.contract.outputs import PREDICTED_CLASS, PREDICTION, PROBABILITIES, PROBABILITY
from driftline.contract.schema import ModelSchema
from driftline.errors import TableError
from driftline.tables import literal

REQUEST_ID: Final = "request_id"
SUFFIXES: Final = (".jsonl", ".ndjson", ".csv", ".parquet")

Write = Callable[[Sequence[Mapping[str, Any]]], None]


@contextmanager
def predictions_file(path: Path, schema: ModelSchema, *, with_ids: bool) -> Iterator[Write]:
    """Gives what takes rows; the file is in its place when the block has ended, unless it has failed.

    Args:
        path: Ends in one of :data:`SUFFIXES`.
        schema: Whose predictions.
        with_ids: Whether each row has its request id.

    Raises:
        TableError: It cannot be written.
    """
    unborn = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    types = _types(schema, with_ids=with_ids)
    try:
        if path.suffix.lower() == ".parquet":
            lines = unborn.with_name(f"{unborn.name}.jsonl")
            try:
                with lines.open("wb") as file:
                    yield _flat_lines(file)
                _to_parquet(lines, unborn, types)
            finally:
                lines.unlink(missing_ok=True)
        elif path.suffix.lower() == ".csv":
            with unborn.open("w", encoding="utf-8", newline="") as text:
                yield _csv(text, tuple(types))
        else:
            with unborn.open("wb") as file:
                yield _lines(file)
        unborn.replace(path)
    except OSError as error:
        raise TableError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        unborn.unlink(missing_ok=True)


@contextmanager
def predictions_stream(stream: IO[bytes]) -> Iterator[Write]:
    """Gives what takes rows; they are written to the stream when the block has ended, unless it has failed."""
    with tempfile.TemporaryFile() as file:
        yield _lines(file)
        file.seek(0)
        shutil.copyfileobj(file, stream)
        stream.flush()


def refuse_suffix(path: Path) -> None:
    """Returns if a file of this name can be written.

    Raises:
        TableError: Its name ends otherwise.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise TableError(f"{path} does not end in one of {', '.join(SUFFIXES)}")


def _types(schema: ModelSchema, *, with_ids: bool) -> dict[str, str]:
    """Returns the columns with their types as DuckDB calls them."""
    types = {REQUEST_ID: "VARCHAR"} if with_ids else {}
    match schema.output:
        case "binary":
            types[PROBABILITY] = "DOUBLE"
        case "multiclass":
            types |= {f"{PROBABILITIES}.{label}": "DOUBLE" for label in schema.classes}
        case "regression":
            types[PREDICTION] = "DOUBLE"
    if schema.classes:
        types[PREDICTED_CLASS] = "VARCHAR" if isinstance(schema.classes[0], str) else "BIGINT"
    return types


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{label}": each for label, each in value.items()}
        else:
            flat[name] = value
    return flat


def _lines(file: IO[bytes]) -> Write:
    encode = msgspec.json.Encoder().encode_lines

    def write(rows: Sequence[Mapping[str, Any]]) -> None:
        file.write(encode(rows))

    return write


def _flat_lines(file: IO[bytes]) -> Write:
    write = _lines(file)
    return lambda rows: write([_flat(row) for row in rows])


def _csv(text: io.TextIOBase, names: tuple[str, ...]) -> Write:
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)

    def write(rows: Sequence[Mapping[str, Any]]) -> None:
        for row in map(_flat, rows):
            writer.writerow([row[name] for name in names])

    return write


def _to_parquet(lines: Path, path: Path, types: Mapping[str, str]) -> None:
    import duckdb  # noqa: PLC0415 - slow to load, and only Parquet needs it

    columns = ", ".join(f"{_text(name)}: '{kind}'" for name, kind in types.items())
    source = f"read_json({literal(lines)}, format = 'newline_delimited', columns = {{{columns}}})"
    try:
        with duckdb.connect(config={"threads": 1, "preserve_insertion_order": True}) as connection:
            connection.execute(f"COPY (SELECT * FROM {source}) TO {_text(str(path))} (FORMAT parquet)")  # noqa: S608
    except duckdb.Error as error:
        raise TableError(f"cannot write Parquet: {str(error).splitlines()[0]}") from error


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
