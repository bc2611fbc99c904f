"""Lines of the log as what two models gave for the same rows, for :mod:`driftline.quality.versus`."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from driftline.contract.schema import ModelSchema
from driftline.eventlog.query import queried
from driftline.monitor.outcome_fold import outcome_of
from driftline.quality.versus import Numbers, Side

CHUNK_ROWS: Final = 10_000

_PAIRS: Final = """
    SELECT p.line, s.line, f.line
    FROM (SELECT request_id, line FROM events WHERE kind = 'prediction' AND model = {name} AND {champion}) p
    JOIN (SELECT request_id, line FROM events
          WHERE kind = 'shadow' AND model = {name} AND model_version = {challenger}) s
    USING (request_id) LEFT JOIN {feedback} f USING (request_id)
"""
_FEEDBACK: Final = """
    (SELECT request_id, arg_max(line, row("at", "row")) AS line FROM events WHERE kind = 'feedback' GROUP BY request_id)
"""


class Gave(msgspec.Struct, gc=False):
    """What a line says a model gave.

    Attributes:
        features: What is logged of what it was asked.
        model_version: Its version.
    """

    features: dict[str, Any] = {}
    model_version: str = ""
    probability: float | None = None
    probabilities: dict[str, float] | None = None
    predicted_class: str | int | None = None
    prediction: float | None = None


class Told(msgspec.Struct, gc=False):
    """What a line of feedback says came true."""

    outcome: str | int | float | bool | None = None


class Triple(NamedTuple):
    """One row: what the champion gave, what the challenger gave, and what came true, if that is known."""

    champion: Gave
    challenger: Gave
    outcome: object


class Version(NamedTuple):
    """How often a version of a model has answered, or has scored beside the answer."""

    kind: str
    version: str
    rows: int


_gave = msgspec.json.Decoder(Gave).decode
_told = msgspec.json.Decoder(Told).decode


def versions_of(log_dir: Path, model: str, memory_bytes: int) -> list[Version]:
    """Returns which versions of a model are in the log, the most frequent first.

    Raises:
        LogError: The log cannot be read.
    """
    sql = (
        f"SELECT kind, model_version, count(*) FROM events WHERE model = {_text(model)} "  # noqa: S608 (quoted)
        "AND kind IN ('prediction', 'shadow') GROUP BY ALL ORDER BY count(*) DESC, model_version"
    )
    with queried(log_dir, sql, memory_bytes) as table:
        return [Version(str(kind), str(version), int(rows)) for kind, version, rows in table.rows]


def models_of(log_dir: Path, memory_bytes: int) -> list[str]:
    """Returns the names of the models that have answered, the most frequent first.

    Raises:
        LogError: The log cannot be read.
    """
    sql = (
        "SELECT model FROM events WHERE kind = 'prediction' AND model IS NOT NULL "
        "GROUP BY model ORDER BY count(*) DESC, model"
    )
    with queried(log_dir, sql, memory_bytes) as table:
        return [str(model) for (model,) in table.rows]


def shadowed(
    log_dir: Path, model: str, champion: str | None, challenger: str, memory_bytes: int
) -> Iterator[Sequence[Triple]]:
    """Yields, in chunks, the predictions that a challenger has scored too.

    Args:
        log_dir: The log.
        model: The model's name.
        champion: The version that answered; None for any.
        challenger: The version that scored beside.
        memory_bytes: The most that finding them may take.

    Raises:
        LogError: The log cannot be read.
    """
    sql = _PAIRS.format(
        name=_text(model),
        champion="true" if champion is None else f"model_version = {_text(champion)}",
        challenger=_text(challenger),
        feedback=_FEEDBACK,
    )
    with queried(log_dir, sql, memory_bytes) as table:
        rows = iter(table.rows)
        while chunk := list(islice(rows, CHUNK_ROWS)):
            yield [Triple(_gave(ours), _gave(theirs), _outcome(told)) for ours, theirs, told in chunk]


def answered(log_dir: Path, model: str, version: str | None, memory_bytes: int) -> Iterator[list[tuple[Gave, object]]]:
    """Yields, in chunks, what was answered, with what came true.

    Args:
        log_dir: The log.
        model: The model's name.
        version: The version that answered; None for any.
        memory_bytes: The most that finding them may take.

    Raises:
        LogError: The log cannot be read.
    """
    chosen = "" if version is None else f"AND model_version = {_text(version)}"
    sql = (
        f"SELECT p.line, f.line FROM (SELECT request_id, row, line FROM events "  # noqa: S608 (quoted)
        f"WHERE kind = 'prediction' AND model = {_text(model)} {chosen}) p LEFT JOIN {_FEEDBACK} f USING (request_id)"
    )
    with queried(log_dir, sql, memory_bytes) as table:
        rows = iter(table.rows)
        while chunk := list(islice(rows, CHUNK_ROWS)):
            yield [(_gave(line), _outcome(told)) for line, told in chunk]


def side_of(gave: Iterable[Gave], schema: ModelSchema) -> Side:
    """Returns what a model gave, row by row; NaN and -1 where a line does not say it."""
    rows = list(gave)
    places = {str(label): at for at, label in enumerate(schema.classes)}
    classes = np.array([places.get(str(it.predicted_class), -1) for it in rows], np.int64)
    match schema.output:
        case "binary":
            return Side(_numbers([it.probability for it in rows]), classes)
        case "regression":
            return Side(_numbers([it.prediction for it in rows]), np.zeros(len(rows), np.int64))
    scores = [[(it.probabilities or {}).get(name) for name in places] for it in rows]
    return Side(_numbers(scores).reshape(len(rows), len(places)), classes)


def outcomes_of(outcomes: Iterable[Any], schema: ModelSchema) -> Numbers:
    """Returns what came true, as a place among the classes or a number; NaN where it is not known, or none of them."""
    return _numbers([None if it is None else outcome_of(it, schema.output, schema.classes) for it in outcomes])


def _numbers(values: Sequence[Any]) -> Numbers:
    return np.array(values, dtype=np.float64)


def _outcome(line: str | None) -> object:
    return None if line is None else _told(line).outcome


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
