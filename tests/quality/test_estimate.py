"""What is estimated without outcomes, against NannyML's published formulas computed plainly, and against outcomes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.quality.estimate import Estimate, estimate
from driftline.quality.metrics import quality
from tests.quality.rows import Classes, Floats, drawn, labelled, scored


def cbpe(scores: Floats, classes: Classes) -> dict[str, float]:
    """The published method: each score is the probability that the row is a hit, where it was called positive."""
    hits, false_alarms = scores[classes == 1].sum(), (1 - scores[classes == 1]).sum()
    misses, rejections = scores[classes == 0].sum(), (1 - scores[classes == 0]).sum()
    descending = np.sort(scores)[::-1]
    hit_rates = np.r_[0, np.cumsum(descending)] / descending.sum()
    alarm_rates = np.r_[0, np.cumsum(1 - descending)] / (1 - descending).sum()
    return {
        "accuracy": (hits + rejections) / len(scores),
        "precision": hits / (hits + false_alarms),
        "recall": hits / (hits + misses),
        "auc": float(np.trapezoid(hit_rates, alarm_rates)),
    }


def values(estimated: Estimate) -> dict[str, float]:
    assert estimated.accuracy is not None
    assert estimated.precision is not None
    assert estimated.recall is not None
    assert estimated.ranking is not None
    return {
        "accuracy": estimated.accuracy.value,
        "precision": estimated.precision.value,
        "recall": estimated.recall.value,
        "auc": estimated.ranking.auc.value,
    }


@pytest.mark.parametrize("spread", [0.3, 1.5, 6.0])
def test_it_agrees_with_the_published_method(spread: float) -> None:
    scores, classes, _ = drawn(1, 5000, spread)
    found, published = values(estimate(scored(scores, classes))), cbpe(scores, classes)
    assert found == pytest.approx(published, abs=1e-4)
    for name in ("accuracy", "precision", "recall"):
        assert found[name] == pytest.approx(published[name], abs=1e-9), "sums are exact; only ranks are blurred"


@given(st.lists(st.floats(0.001, 0.999), min_size=2, max_size=50))
def test_the_published_auc_is_higher_by_no_more_than_is_said(some: list[float]) -> None:
    scores = np.array([*some, 0.2, 0.8])
    classes = (scores >= 0.5).astype(np.int64)
    ranking = estimate(scored(scores, classes)).ranking
    assert ranking is not None
    assert -1e-6 <= cbpe(scores, classes)["auc"] - ranking.auc.value <= ranking.blurred + 1e-6


@pytest.mark.parametrize("name", ["positives", "accuracy", "precision", "recall", "auc", "brier"])
def test_the_intervals_hold_what_the_outcomes_give_as_often_as_they_say(name: str) -> None:
    held = []
    for seed in range(600):
        scores, classes, outcomes = drawn(seed, 300)
        estimated, realised = estimate(scored(scores, classes)), quality(labelled(scores, classes, outcomes))
        if name == "auc":
            assert estimated.ranking is not None
            assert realised.ranking is not None
            held.append(realised.ranking.auc.value in estimated.ranking.auc)
        else:
            held.append(getattr(realised, name).value in getattr(estimated, name))
    assert 0.92 < np.mean(held) < 0.98


def test_scores_that_promise_too_much_are_believed_and_outcomes_tell() -> None:
    scores, classes, outcomes = drawn(1, 5000, spread=3.0, bias=-2.0)
    estimated, realised = estimate(scored(scores, classes)), quality(labelled(scores, classes, outcomes))
    assert estimated.accuracy is not None
    assert realised.accuracy is not None
    assert realised.accuracy.high < estimated.accuracy.low


def test_of_no_rows_nothing_is_estimated() -> None:
    assert set(estimate(scored(*drawn(1, 0)[:2]))[1:]) == {None}
    certain = estimate(scored(np.array([0.0, 0.0]), np.array([0, 0])))
    assert (certain.precision, certain.recall, certain.ranking) == (None, None, None)
    assert certain.accuracy == (1.0, 1.0, 1.0)
