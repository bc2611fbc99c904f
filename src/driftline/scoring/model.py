"""The seam between what serves predictions and what computes them."""

from collections.abc import Sequence
from typing import Protocol


class Model(Protocol):
    """Gives the probability of class 1.

    Values come in the order of the schema's features, and are finite. A score is in 0..1, or NaN where the model has
    none. Nothing blocks, nothing is kept from one call to the next, and a row's score does not depend on the rows
    beside it: ``score([row])[0] == score_row(row)`` to the last bit.
    """

    def score(self, matrix: Sequence[Sequence[float]]) -> Sequence[float]:
        """Returns the score of each row.

        Args:
            matrix: Shape (rows, features).
        """

    def score_row(self, values: Sequence[float]) -> float:
        """Returns the score of one row; this is the one on the path of every request.

        Args:
            values: Shape (features,).
        """
