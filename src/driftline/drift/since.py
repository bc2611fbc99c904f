"""Since when a change has been there, and whether it is over."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftline.drift.exam import Answer
from driftline.drift.questions import Questions

OVER: Final = math.log(1000)
"""So much likelier must what came last be without the change than with it."""


def change_point(excess: NDArray[np.float64], rows: NDArray[np.int64]) -> int:
    """Returns the first window of the run up to the last one that is farthest from what is expected.

    It is the maximum likelihood estimate of the time of a lasting change (Hinkley, "Inference about the change-point in
    a sequence of random variables", Biometrika 57, 1970), for a statistic that is a sum over rows.

    Args:
        excess: Of each window the statistic less its expectation, shape ``(windows,)``, ``windows >= 1``.
        rows: Rows of each window, shape ``(windows,)``.
    """
    later = np.cumsum(excess[::-1])
    held = np.maximum(np.cumsum(rows[::-1]), 1)
    return len(excess) - 1 - int(np.argmax(later**2 / held))


def excesses(questions: Questions, column: int, answer: Answer, windows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns by how much each window's statistic is over what is expected: the one that an answer is about.

    Args:
        questions: That were asked.
        column: Index of the column.
        answer: To which of them.
        windows: Counts of each window, by the layout of the columns, shape ``(windows, size)``.
    """
    start = int(questions.layout.starts[column])
    own = slice(start, start + questions.columns[column].bins.count)
    counts, shares = windows[:, own], questions.shares[own]
    weights = _weights(questions, column, answer, own)
    found: NDArray[np.float64] = counts @ weights - counts.sum(axis=1) * float(shares @ weights)
    return found


def is_over(questions: Questions, column: int, answer: Answer, windows: NDArray[np.int64]) -> bool:
    """Returns whether a change was there for a while, and is no more.

    Of all runs of windows the one that is farthest from what is expected is taken to be the change; what came after it
    is held against a change half as large and against none, by the ratio of their likelihoods: what was found for being
    farthest out is half as large or so, where it is small.

    Args:
        questions: That were asked.
        column: Index of the column.
        answer: To which of them.
        windows: Counts of each window, by the layout of the columns, shape ``(windows, size)``; not many.
    """
    start = int(questions.layout.starts[column])
    own = slice(start, start + questions.columns[column].bins.count)
    excess = excesses(questions, column, answer, windows)
    rows = windows[:, own].sum(axis=1)
    runs = [(first, last) for last in range(1, len(excess) + 1) for first in range(last)]
    first, last = max(runs, key=lambda run: excess[slice(*run)].sum() ** 2 / max(rows[slice(*run)].sum(), 1))
    size = float(excess[first:last].sum()) / max(int(rows[first:last].sum()), 1)
    shares, weights = questions.shares[own], _weights(questions, column, answer, own)
    variance = float(shares @ weights**2) - float(shares @ weights) ** 2
    variance *= questions.columns[column].factor(float(rows[last:].sum()))
    without = size / 2 * (size * float(rows[last:].sum()) / 4 - float(excess[last:].sum()))
    return without > OVER * variance


def _weights(questions: Questions, column: int, answer: Answer, own: slice) -> NDArray[np.float64]:
    """Returns what the answer's statistic weighs each bin by, shape ``(bins,)``."""
    if answer.question in {"location", "spread"}:
        scores: NDArray[np.float64] = questions.scores[int(answer.question == "spread"), own]
        return scores
    labels = questions.columns[column].bins.labels()
    weights = np.zeros(len(labels))
    weights[labels.index(answer.label.removeprefix("less "))] = 1
    return weights
