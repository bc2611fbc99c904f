"""The seam between what serves predictions and what computes them."""

from collections.abc import Sequence
from typing import Protocol

from driftline.contract.schema import Row, Score


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
