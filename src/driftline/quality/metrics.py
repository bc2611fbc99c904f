"""How good predictions of two classes were."""

from typing import NamedTuple

from driftline.quality.calibration import Calibration, calibration
from driftline.quality.interval import Interval, mean, wilson
from driftline.quality.ranking import Ranking, rank
from driftline.quality.tally import Labelled


class Quality(NamedTuple):
    """What the outcomes say; what they cannot say is None, such as the recall where nothing was positive.

    Attributes:
        rows: Predictions whose outcomes are known.
        positives: Share of outcomes that are 1.
        accuracy: Share of predicted classes that came.
        precision: Of those predicted to be 1 the share that were.
        recall: Of those that were 1 the share that were predicted to be.
        ranking: The AUC.
        log_loss: Mean, in nats.
        brier: Mean, in 0..1. Its interval is from the sample of its parts: Bradley, Schwartz and Hashino, "Sampling
            uncertainty and confidence intervals for the Brier score and Brier skill score", Weather and Forecasting 23
            (2008).
        calibration: Whether scores are probabilities.
    """

    rows: int
    positives: Interval | None
    accuracy: Interval | None
    precision: Interval | None
    recall: Interval | None
    ranking: Ranking | None
    log_loss: Interval | None
    brier: Interval | None
    calibration: Calibration | None


def quality(labelled: Labelled) -> Quality:
    """Returns how good these predictions were."""
    (true_negatives, false_negatives), (false_positives, true_positives) = labelled.confusion.tolist()
    rows = labelled.rows
    positives = true_positives + false_negatives
    return Quality(
        rows,
        wilson(positives, rows),
        wilson(true_negatives + true_positives, rows),
        wilson(true_positives, true_positives + false_positives),
        wilson(true_positives, positives),
        rank(labelled.negatives, labelled.positives),
        mean(labelled.log_loss, labelled.log_loss_squares, rows),
        mean(labelled.brier, labelled.brier_squares, rows),
        calibration(labelled),
    )
