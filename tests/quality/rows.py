"""Predictions with outcomes, drawn; and the plain formulas that the counted ones are held against."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from driftline.quality.interval import Interval
from driftline.quality.tally import Labelled, Scored, tally_labelled, tally_scored

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]


def drawn(seed: int, count: int, spread: float = 1.5, bias: float = 0.0) -> tuple[Floats, Classes, Classes]:
    """Scores, predicted classes and outcomes; the scores are calibrated where there is no bias."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, spread, count)
    scores = 1 / (1 + np.exp(-logits))
    outcomes = random.random(count) < 1 / (1 + np.exp(-logits - bias))
    return scores, (scores >= 0.5).astype(np.int64), outcomes.astype(np.int64)


def labelled(scores: Floats, classes: Classes, outcomes: Classes) -> Labelled:
    return Labelled.of(tally_labelled(scores, classes, outcomes))


def scored(scores: Floats, classes: Classes) -> Scored:
    return Scored.of(tally_scored(scores, classes))


def plain_auc(scores: Floats, outcomes: Classes) -> float:
    """Every pair looked at."""
    positives, negatives = scores[outcomes == 1], scores[outcomes == 0]
    higher = (positives[:, None] > negatives).mean()
    return float(higher + (positives[:, None] == negatives).mean() / 2)


def covered(intervals: Sequence[Interval | None], truth: float) -> float:
    """Which share of intervals holds the truth."""
    held = [truth in interval for interval in intervals if interval is not None]
    assert len(held) == len(intervals)
    return sum(held) / len(held)
