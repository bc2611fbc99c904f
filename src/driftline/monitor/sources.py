"""Makes references: of rows of the log, or of a table in a file."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Final, Protocol

import numpy as np
from msgspec.structs import replace

from driftline.contract.outputs import PREDICTED_CLASS, PREDICTION, PROBABILITY
from driftline.contract.schema import Feature, ModelSchema
from driftline.drift.bins import CategoryBins, NumberBins
from driftline.drift.build import SAMPLE_ROWS, Named, ProfileBuilder, build_profile, cut
from driftline.drift.layout import Values
from driftline.drift.profile import FEWEST_ROWS, Column, Origin, Profile
from driftline.errors import ProfileError
from driftline.eventlog.reader import LogReader
from driftline.monitor.lines import MOST_CLASSES, OF_CLASS, LineReader, Rows
from driftline.monitor.table import LogTable, Table

CHUNK_ROWS: Final = 4096


class Lines(Protocol):
    """The committed lines of a log; :class:`~driftline.eventlog.reader.LogReader` is one."""

    @property
    def log_id(self) -> str:
        """Which log it is."""

    @property
    def rows(self) -> int:
        """How many there are now."""

    def numbered(self, start_row: int = 0, stop_row: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yields these rows, each with its number, without damaged ones. Raises LogDamagedError if it cannot go on."""


def columns_of(schema: ModelSchema) -> tuple[Named, ...]:
    """Returns what is watched of a model: what the log has of its features, those of the context too; then its outputs.

    A number that is logged as a hash is not watched: nearly every one would be new.

    Raises:
        ProfileError: A feature has the name of an output.
    """
    features = [named for feature in schema.features if (named := _watched(feature)) is not None]
    outputs = _outputs(schema)
    for taken in {it.name for it in features} & {it.name for it in outputs}:
        raise ProfileError(f"the feature {taken} has the name of what the model gives, so it cannot be watched")
    return (*features, *outputs)


def _watched(feature: Feature) -> Named | None:
    match feature.log, feature.type:
        case ("drop", _) | ("hash", "float"):
            return None
        case ("hash", _) | (_, "category"):
            return Named(feature.name, "feature", "text")
        case _, "bool":
            return Named(feature.name, "feature", "truth")
    return Named(feature.name, "feature", "number")


def _outputs(schema: ModelSchema) -> list[Named]:
    if schema.output == "regression":
        return [Named(PREDICTION, "prediction", "number")]
    text = isinstance(schema.classes[0], str)
    predicted = Named(PREDICTED_CLASS, "class", "text" if text else "category")
    if schema.output == "binary":
        return [Named(PROBABILITY, "probability", "number"), predicted]
    labels = schema.classes if len(schema.classes) <= MOST_CLASSES else ()
    return [*(Named(f"{OF_CLASS}{label}", "probability", "number") for label in labels), predicted]


def profile_of_log(lines: Lines, schema: ModelSchema, first_row: int, stop_row: int) -> Profile:
    """Returns the profile of the model's predictions among rows of the log, in constant memory.

    Args:
        lines: The log.
        schema: Whose predictions, and which columns.
        first_row: The first row.
        stop_row: The row behind the last one.

    Raises:
        ProfileError: There are too few.
        LogDamagedError: The log cannot be read.
    """
    named = columns_of(schema)
    reader = LineReader(schema.name, [_unbinned(it) for it in named])
    rows = stop_row - first_row
    if rows < FEWEST_ROWS:
        raise ProfileError(f"a reference needs {FEWEST_ROWS} rows or more, and there are {max(rows, 0):,}")
    chunks = range(first_row, stop_row, CHUNK_ROWS)
    step = max(1, rows // SAMPLE_ROWS)
    sampled = [_read(reader, lines, at, stop_row) for at in chunks[::step]]
    builder = ProfileBuilder(
        cut(named, [_concatenated([each.values[at] for each in sampled]) for at in range(len(named))]), in_order=True
    )
    versions: dict[str, None] = {}
    first_us = last_us = 0
    for read in sampled if step == 1 else _reads(reader, lines, first_row, stop_row):
        if len(read.times_us):
            builder.add(read.values)
            versions.update(dict.fromkeys(read.versions))
            first_us = first_us or int(read.times_us.min())
            last_us = max(last_us, int(read.times_us.max()))
    origin = _of_log(lines.log_id, (first_row, stop_row), (first_us, last_us), tuple(versions))
    return _of_model(builder.profile(schema.name, origin), schema)


def profile_of_rows(log: LogReader, schema: ModelSchema, first_row: int, stop_row: int) -> Profile:
    """Returns the same as :func:`profile_of_log`, by columns where all of the rows are Parquet: ten times as quick.

    Raises:
        ProfileError: There are too few.
        LogDamagedError: The log cannot be read.
    """
    paths = log.parquet_of(first_row, stop_row)
    if paths is None:
        return profile_of_log(log, schema, first_row, stop_row)
    with closing(LogTable(paths, schema.name, first_row, stop_row)) as table:
        named = columns_of(schema)
        if not {it.name for it in named} <= set(table.expressions):
            return profile_of_log(log, schema, first_row, stop_row)
        origin = _of_log(log.log_id, (first_row, stop_row), table.span_us(), table.versions())
        return _of_model(build_profile(schema.name, named, table.values(named), origin), schema)


def profile_of_file(table: Table, schema: ModelSchema, rows: int | None = None) -> Profile:
    """Returns the profile of a table: one column for each feature, or an object ``features`` as in the log.

    What the model gives, such as ``probability`` and ``predicted_class``, is profiled if it is there. What the log has
    as a hash is not, for the file has the values. One column at a time is in memory.

    Args:
        table: A file.
        schema: Whose features.
        rows: How many of the first rows; None for all.

    Raises:
        ProfileError: It cannot be read, lacks a feature, or has too few rows.
    """
    hashed = {feature.name for feature in schema.features if feature.log == "hash"}
    watched = [it for it in columns_of(schema) if it.name not in hashed]
    missing = [it.name for it in watched if it.role == "feature" and it.name not in table.expressions]
    if missing:
        has = ", ".join(table.expressions) or "no columns"
        raise ProfileError(f"{table.path} lacks {', '.join(missing)}; it has {has}")
    named = [it for it in watched if it.name in table.expressions]
    if not named:
        raise ProfileError(f"the model {schema.name} logs nothing that {table.path} could be a reference of")
    origin = Origin("file", path=str(table.path), in_order=table.in_order())
    return _of_model(build_profile(schema.name, named, table.values(named, rows), origin), schema)


def _of_model(profile: Profile, schema: ModelSchema) -> Profile:
    return replace(profile, output=schema.output, labels=schema.labels)


def _of_log(log_id: str, rows: tuple[int, int], span_us: tuple[int, int], versions: tuple[str, ...]) -> Origin:
    return Origin(
        "log",
        log_id=log_id,
        first_row=rows[0],
        stop_row=rows[1],
        first_timestamp=_timestamp(span_us[0]),
        last_timestamp=_timestamp(span_us[1]),
        in_order=True,
        model_versions=versions,
    )


def _unbinned(named: Named) -> Column:
    bins = NumberBins((0.0,)) if named.kind == "number" else CategoryBins(())
    return Column(named.name, named.role, bins, (0,) * bins.count)


def _read(reader: LineReader, lines: Lines, first_row: int, stop_row: int) -> Rows:
    return reader.read(lines.numbered(first_row, min(first_row + CHUNK_ROWS, stop_row))).rows


def _reads(reader: LineReader, lines: Lines, first_row: int, stop_row: int) -> Iterator[Rows]:
    numbered = lines.numbered(first_row, stop_row)
    while chunk := list(itertools.islice(numbered, CHUNK_ROWS)):
        yield reader.read(chunk).rows


def _concatenated(parts: Sequence[Values]) -> Values:
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate([np.asarray(part, np.float64) for part in parts])
    return [value for part in parts for value in part]


def _timestamp(us: int) -> str:
    return f"{np.datetime64(us, 'us')}Z"
