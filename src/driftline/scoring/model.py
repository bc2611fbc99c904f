"""The seam between what serves predictions and what computes them."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from driftline.contract.schema import Column, Row, Score


class Model(Protocol):
    """Gives scores.

    A row has the values of the schema's inputs in their order, each valid. A score is the probability of the second
    class where there are two, the probabilities of all classes in the order of the labels where there are more, and a
    number for a regression; NaN where the model has none. Nothing is kept from one call to the next, and a row's score
    does not depend on the rows beside it: ``score([row])[0] == score_row(row)`` to the last bit.

    A model that cannot score what it is given raises :class:`~driftline.errors.ScoringError`.
    """

    def score(self, rows: Sequence[Row]) -> Sequence[Score]:
        """Returns the score of each row.

        Args:
            rows: One or more, each of shape ``(inputs,)``.
        """

    def score_row(self, row: Row) -> Score:
        """Returns the score of one row; this is the one on the path of every request."""


@runtime_checkable
class GainsTogether(Model, Protocol):
    """Scores many rows in little more time than one, so that rows which are asked for at the same time go together.

    Attributes:
        max_batch_size: Of so many rows it is no longer true, or it takes too long for those who wait.
    """

    max_batch_size: int


@runtime_checkable
class ScoresColumns(Model, Protocol):
    """Scores rows that come as columns of an array library's, which spares them a Python object for each value."""

    def score_columns(self, columns: Sequence[Column]) -> Sequence[Score]:
        """Returns what ``score`` gives for the rows, to the last bit.

        Args:
            columns: The schema's inputs in their order, all of them numbers or booleans.
        """


@runtime_checkable
class AsyncModel(Model, Protocol):
    """Gives scores that are computed in other processes, so that whoever waits for them can do something else.

    What :class:`Model` promises holds here too. ``score`` and ``score_row`` wait without letting anything else run:
    they are for a process that has nothing else to do, and never for one with an event loop.
    """

    @property
    def processes(self) -> int:
        """How many calls it works on at once; others wait for their turn."""

    async def score_async(self, rows: Sequence[Row]) -> Sequence[Score]:
        """Returns the score of each row; it may be cancelled, and is called by any number of tasks at once.

        Raises:
            ScoringError: The model fails, or has been closed.
        """

    def close(self) -> None:
        """Ends the processes; what still waits for a score fails. Closing twice is closing once."""
