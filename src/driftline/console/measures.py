"""The measures of quality that a page names, by what the model gives."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftline.drift.profile import Profile
from driftline.monitor.lines import MOST_CLASSES
from driftline.quality.calibration import Calibration
from driftline.quality.classes import ClassesQuality, LabelledClasses, quality_of_classes
from driftline.quality.estimate import Estimate, estimate
from driftline.quality.interval import Interval
from driftline.quality.metrics import Quality, quality
from driftline.quality.regression import Errors
from driftline.quality.tally import Labelled, Scored

Counts = NDArray[np.int64]


class Line(NamedTuple):
    """One measure: as it was, and as scores that are probabilities promise it.

    Attributes:
        name: What it is called.
        hint: What it is, in some words.
        measured: From outcomes.
        estimated: Without them; of models of two classes.
        share: Whether it is a share, which is told in per cent.
        brief: Whether it is shown where there is little room.
    """

    name: str
    hint: str
    measured: Interval | None
    estimated: Interval | None = None
    share: bool = False
    brief: bool = False


class Measures(NamedTuple):
    """How good some predictions were.

    Attributes:
        rows: Those whose outcomes are known.
        lines: The measures; the first one stands for all of them over time.
        calibration: Of two classes, whether scores are probabilities.
        classes: Of many classes, each of them.
    """

    rows: int
    lines: Sequence[Line]
    calibration: Calibration | None = None
    classes: ClassesQuality | None = None


def measures_of(profile: Profile, labelled: Counts, scored: Counts) -> Measures:
    """Returns how good predictions were, and seem to be.

    Args:
        profile: Of their model.
        labelled: The counts of those whose outcomes are known.
        scored: The counts of all.
    """
    match profile.output:
        case "binary":
            return _of_two(profile, quality(Labelled.of(labelled)), estimate(Scored.of(scored)))
        case "multiclass":
            probabilities = len(profile.classes) <= MOST_CLASSES
            return _of_many(quality_of_classes(LabelledClasses.of(labelled), probabilities=probabilities))
        case "regression":
            return _of_numbers(Errors.of(labelled))


def _of_two(profile: Profile, found: Quality, expected: Estimate) -> Measures:
    auc = found.ranking and found.ranking.auc
    error = found.calibration and found.calibration.error
    one = profile.classes[1]
    lines = [
        Line("Accuracy", "classes that came as predicted", found.accuracy, expected.accuracy, share=True, brief=True),
        Line("AUC", f"what is {one} has the higher score", auc, expected.ranking and expected.ranking.auc, brief=True),
        Line("Precision", f"of those called {one}, were {one}", found.precision, expected.precision, share=True),
        Line("Recall", f"of those that were {one}, called {one}", found.recall, expected.recall, share=True),
        Line("Positives", f"share of outcomes that are {one}", found.positives, expected.positives, share=True),
        Line("Log loss", "nats; lower is better", found.log_loss, brief=True),
        Line("Brier score", "0 to 1; lower is better", found.brier, expected.brier),
        Line("Calibration error", "score less share, mean", error),
    ]
    return Measures(found.rows, lines, calibration=found.calibration)


def _of_many(found: ClassesQuality) -> Measures:
    lines = [
        Line("Accuracy", "classes that came as predicted", found.accuracy, share=True, brief=True),
        Line("Balanced accuracy", "mean recall of the classes", found.balanced_accuracy, share=True, brief=True),
        Line("Log loss", "nats; lower is better", found.log_loss, brief=True),
        Line("Brier score", "0 to 2; lower is better", found.brier),
    ]
    return Measures(found.rows, lines, classes=found)


def _of_numbers(found: Errors) -> Measures:
    lines = [
        Line("Mean absolute error", "in the prediction's unit", found.mae, brief=True),
        Line("Root mean squared error", "large errors weigh more", found.rmse, brief=True),
        Line("Bias", "mean error; above 0: predicted too high", found.bias, brief=True),
    ]
    return Measures(found.rows, lines)
