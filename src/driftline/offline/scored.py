"""A file of rows scored as a server would, some thousand rows at a time."""

from collections.abc import Iterator
from typing import Final

from driftline.api.served import ScoredRows, Served
from driftline.contract.cells import features_of_cells
from driftline.contract.nearest import did_you_mean
from driftline.errors import InputError, ScoringError, TableError
from driftline.scoring.check import told
from driftline.tables import Progress, Table

MOST_NAMED: Final = 5


def scored_pieces(table: Table, served: Served, progress: Progress) -> Iterator[ScoredRows]:
    """Yields the rows of a table scored, in their order.

    Args:
        table: Has a column for each feature; others are left out.
        served: The model.
        progress: Told of what is read.

    Raises:
        TableError: The table cannot be read, lacks a feature, or has a row that the model does not take, or has no
            score for; the message names the row, from 1, and the field.
        ScoringError: The model fails.
    """
    refuse_missing(table, served)
    rows = 0
    for piece in table.pieces(progress=progress):
        try:
            features = features_of_cells(served.schema, served.decoder, piece, text=table.text)
            scored = served.score_all(features)
        except InputError as error:
            raise TableError(f"{table.path} is not scored: {told(error, rows)}") from error
        except ScoringError as error:
            raise ScoringError(f"rows {rows + 1:,} to {rows + len(features):,}: {error.message}") from error
        rows += len(scored)
        yield scored


def refuse_missing(table: Table, served: Served) -> None:
    """Returns if a table has a column for each feature.

    Raises:
        TableError: It lacks some; the message names them.
    """
    missing = [name for name in served.schema.names if name not in table.names]
    if missing:
        first = f"{missing[0]}{did_you_mean(missing[0], table.names)}" if len(missing) == 1 else ""
        named = first or ", ".join(missing[:MOST_NAMED]) + (" ..." if len(missing) > MOST_NAMED else "")
        raise TableError(f"{table.path} lacks {named}; it has {', '.join(table.names)}")
