"""Since when a change has been there: the split at which what came after it speaks most against the reference."""

import numpy as np
from numpy.typing import NDArray

from driftline.drift.exam import Answer
from driftline.drift.questions import Questions


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
    if answer.question in {"location", "spread"}:
        weights = questions.scores[int(answer.question == "spread"), own]
    else:
        labels = questions.columns[column].bins.labels()
        weights = np.zeros(len(labels))
        weights[labels.index(answer.label.removeprefix("less "))] = 1
    found: NDArray[np.float64] = counts @ weights - counts.sum(axis=1) * float(shares @ weights)
    return found
