"""Reads a reference window from a CSV, Parquet or JSONL file, in constant memory."""

import csv
import io
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from driftline.contract.event import KEYS
from driftline.errors import ReferenceFileError, ReportError
from driftline.report.columns import OF_CLASS, PREDICTED, is_number
from driftline.report.sample import Drawn
from driftline.report.windows import Prediction, Progress, Window

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})
BATCH_ROWS = 1000

Row = Mapping[str, Any]


class Wanted(NamedTuple):
    """What is read of a file.

    Attributes:
        numbers: Columns of numbers.
        texts: Columns whose texts stay as they are written: in the log they are texts, too.
        truths: Columns of truth values.
    """

    numbers: Collection[str]
    texts: Collection[str]
    truths: Collection[str]

    @property
    def names(self) -> set[str]:
        """All of them."""
        return {*self.numbers, *self.texts, *self.truths}


Read = Callable[[Path, Wanted, dict[str, None], Progress], Iterator[Row]]


def read_reference_file(path: Path, current: Window, drawn: Drawn[Prediction], progress: Progress) -> Window:
    """Returns the reference window of a file.

    A row has a column for each feature or, as in the log, an object ``features``. What the model gave is taken if it
    is there; other columns are named in the window, and ignored.

    Args:
        path: Ends in ``.csv``, ``.parquet``, ``.jsonl`` or ``.ndjson``.
        current: What it will be compared with, which says what there is, and of which type.
        drawn: Takes the rows; empty.
        progress: Told of the bytes, or of a Parquet file's rows.

    Raises:
        ReferenceFileError: It cannot be read, or has no column for some features; names them.
        ReportError: Parquet cannot be read, since the report's extra is not installed.
    """
    read = READERS.get(path.suffix.lower())
    if read is None:
        raise ReferenceFileError(f"the reference file {path} does not end in one of {', '.join(READERS)}")
    names: dict[str, None] = {}
    features, labels = current.features, current.labels
    wanted = _wanted(current)
    try:
        for row in read(path, wanted, names, progress):
            # Only a row shaped as in the log has a kind in the log's sense.
            if not isinstance(row.get("features"), Mapping) or row.get("kind", "prediction") == "prediction":
                drawn.append(_prediction(row, features, labels))
    except OSError as error:
        raise ReferenceFileError(f"the reference file {path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ReferenceFileError(f"the reference file {path} cannot be read: {error}") from error
    missing = [name for name in features if name not in names]
    if missing and names:
        raise ReferenceFileError(f"the reference file {path} lacks {', '.join(missing)}; it has {', '.join(names)}")
    predictions = tuple(drawn.items())
    for name in set(features) & set(wanted.numbers):
        _check_numbers(path, name, [row.features[name] for row in predictions])
    known = {*wanted.names, *KEYS}
    return Window(
        "reference",
        predictions,
        drawn.chosen,
        out_of=drawn.seen,
        file=str(path),
        ignored_columns=tuple(name for name in names if name not in known),
    )


def _check_numbers(path: Path, name: str, values: Sequence[Any]) -> None:
    """A feature of which no value is a number was written by other rules than ours, such as with decimal commas."""
    held = [value for value in values if value is not None]
    if held and not any(is_number(value) for value in held):
        raise ReferenceFileError(
            f"the reference file {path} has no number in {name}; its first value is {str(held[0])[:40]!r}"
        )


def _wanted(current: Window) -> Wanted:
    """What to read, by what the values are in the log."""
    of_names = [(name, [row.features.get(name) for row in current.predictions]) for name in current.features]
    of_names.append(("predicted_class", [row.predicted_class for row in current.predictions]))
    kinds = {name: {type(value) for value in values if value is not None} for name, values in of_names}
    texts = {name for name, found in kinds.items() if found == {str}}
    truths = {name for name, found in kinds.items() if found == {bool}} | {"predicted_class"} - texts
    shares = [f"{OF_CLASS}{label}" for label in current.labels]
    numbers = {*current.features, *PREDICTED, *shares, "probabilities", "features", "kind"} - texts - truths
    return Wanted(numbers, texts, truths)


def _prediction(row: Row, features: tuple[str, ...], labels: tuple[str, ...]) -> Prediction:
    values = _values(row)
    shares = row.get("probabilities") or {label: row.get(f"{OF_CLASS}{label}") for label in labels} or None
    given = {name: values.get(name) for name in features}
    return Prediction(given, row.get("probability"), row.get("predicted_class"), shares, row.get("prediction"))


def _values(row: Row) -> Row:
    nested = row.get("features")
    return nested if isinstance(nested, Mapping) else row


# -- one function for each format: yields the rows, and notes the names of the columns as they are met


def _csv(path: Path, wanted: Wanted, names: dict[str, None], progress: Progress) -> Iterator[Row]:
    size = path.stat().st_size
    with path.open("rb") as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, strict=True)
        try:
            header = next(reader, [])
            names.update(dict.fromkeys(header))
            if len(names) < len(header):
                raise ValueError("its header has a name twice")
            read_as = [_parser(name, wanted) for name in header]
            for number, fields in enumerate(reader):
                if not fields:
                    continue
                if len(fields) != len(header):
                    raise ValueError(f"line {reader.line_num} has {len(fields)} fields, its header {len(header)}")
                yield {name: parse(field) for name, parse, field in zip(header, read_as, fields, strict=True)}
                if number % BATCH_ROWS == 0:
                    progress(file.tell(), size)
        except csv.Error as error:
            raise ValueError(f"line {reader.line_num}: {error}") from error


def _parser(name: str, wanted: Wanted) -> Callable[[str], float | str | bool | None]:
    if name in wanted.truths:
        return _parsed_truth
    return _parsed if name in wanted.numbers else _parsed_text


def _parsed_text(field: str) -> str | None:
    """Only an empty field is a missing one: a text may well be ``NA``."""
    return field or None


def _parsed_truth(field: str) -> float | str | bool | None:
    """CSV has no booleans, so here these words stand for them, as Python and pandas write them."""
    boolean = {"true": True, "false": False}.get(field.strip().lower())
    return _parsed(field) if boolean is None else boolean


def _parsed(field: str) -> float | str | None:
    if field.strip().lower() in MISSING:
        return None
    try:
        return float(field)
    except ValueError:
        return field


def _jsonl(path: Path, _wanted: Wanted, names: dict[str, None], progress: Progress) -> Iterator[Row]:
    size = path.stat().st_size
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                # Not msgspec: what Python and pandas write may have NaN in it.
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"line {number} is not JSON: {error}") from error
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is not an object")  # noqa: TRY004 - of the file, not of the caller
            names.update(dict.fromkeys(_values(row)))
            yield row
            if number % BATCH_ROWS == 0:
                progress(file.tell(), size)


def _parquet(path: Path, wanted: Wanted, names: dict[str, None], progress: Progress) -> Iterator[Row]:
    try:
        import pyarrow as pa  # noqa: PLC0415 - of an extra, and slow to load
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise ReportError("Parquet needs the report's extra: pip install 'driftline[report]'") from error
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            for field in schema:
                nested = field.name == "features" and pa.types.is_struct(field.type)
                names.update(dict.fromkeys([part.name for part in field.type] if nested else [field.name]))
            columns = [name for name in schema.names if name in wanted.names]
            done = 0
            for batch in file.iter_batches(BATCH_ROWS, columns=columns):
                yield from batch.to_pylist()
                done += batch.num_rows
                progress(done, file.metadata.num_rows)
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error


READERS: dict[str, Read] = {".csv": _csv, ".jsonl": _jsonl, ".ndjson": _jsonl, ".parquet": _parquet}
