"""Many classes: the measures are those of the rows, and of counts that were added up."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from driftline.quality.classes import ClassesQuality, LabelledClasses, labelled_size, quality_of_classes, tally_classes
from driftline.quality.counting import counting_of
from tests.quality.rows import covered

K = 3


def drawn(seed: int, rows: int) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Probabilities of three classes, which was predicted, and which came, by these probabilities."""
    random = np.random.default_rng(seed)
    scores = random.dirichlet([1.0, 2.0, 0.5], rows)
    outcomes = (random.random((rows, 1)) > scores.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return scores, scores.argmax(axis=1), outcomes


def measured(seed: int, rows: int) -> ClassesQuality:
    return quality_of_classes(LabelledClasses.of(tally_classes(*drawn(seed, rows), K)), probabilities=True)


def test_the_measures_are_those_of_the_rows() -> None:
    scores, predicted, outcomes = drawn(1, 800)
    parts = [tally_classes(scores[own], predicted[own], outcomes[own], K) for own in (slice(0, 300), slice(300, None))]
    found = quality_of_classes(LabelledClasses.of(parts[0] + parts[1]), probabilities=True)
    hits = predicted == outcomes
    came = np.eye(K)[outcomes]
    assert found.rows == 800
    assert found.accuracy is not None
    assert found.balanced_accuracy is not None
    assert found.log_loss is not None
    assert found.brier is not None
    assert found.accuracy.value == hits.mean()
    assert found.balanced_accuracy.value == pytest.approx(np.mean([hits[outcomes == at].mean() for at in range(K)]))
    assert found.log_loss.value == pytest.approx(-np.log(scores[np.arange(800), outcomes]).mean(), abs=1e-6)
    assert found.brier.value == pytest.approx(((scores - came) ** 2).sum(axis=1).mean(), abs=1e-6)
    f1 = []
    for at, each in enumerate(found.classes):
        both = int((hits & (outcomes == at)).sum())
        assert each.precision is not None
        assert each.recall is not None
        assert each.precision.value == both / (predicted == at).sum()
        assert each.recall.value == both / (outcomes == at).sum()
        f1.append(2 / (1 / each.precision.value + 1 / each.recall.value))
        assert each.f1 == pytest.approx(f1[-1])
        assert found.confusion[at].tolist() == [int((outcomes[predicted == at] == other).sum()) for other in range(K)]
    assert found.macro_f1 == pytest.approx(np.mean(f1))


def test_without_rows_and_without_probabilities_there_is_nothing_to_say() -> None:
    empty = quality_of_classes(LabelledClasses.of(np.zeros(labelled_size(K), np.int64)), probabilities=True)
    assert (empty.rows, empty.accuracy, empty.balanced_accuracy, empty.macro_f1, empty.brier) == (0, *[None] * 4)
    _, predicted, outcomes = drawn(1, 50)
    counts = tally_classes(np.zeros((50, 0)), predicted, outcomes, K)
    found = quality_of_classes(LabelledClasses.of(counts), probabilities=False)
    assert (found.log_loss, found.brier) == (None, None)
    assert found.accuracy is not None


def test_a_class_that_never_came_does_not_count_in_the_means() -> None:
    predicted, outcomes = np.array([0, 0, 1, 2]), np.array([0, 0, 1, 1])
    found = quality_of_classes(
        LabelledClasses.of(tally_classes(np.eye(K)[predicted], predicted, outcomes, K)), probabilities=True
    )
    assert found.classes[2].recall is None
    assert found.balanced_accuracy is not None
    assert found.balanced_accuracy.value == 0.75
    assert found.macro_f1 == pytest.approx((1 + 2 / 3) / 2)
    assert found.log_loss is not None
    assert math.isfinite(found.log_loss.value), "a probability of 0 for what came"


def test_the_interval_of_the_balanced_accuracy_holds_the_truth() -> None:
    truth = measured(99, 400_000).balanced_accuracy
    assert truth is not None
    intervals = [found for seed in range(400) if (found := measured(seed, 300).balanced_accuracy) is not None]
    assert 0.92 < covered(intervals, truth.value) < 0.99


def test_each_output_has_its_own_way_to_be_counted() -> None:
    scores, predicted, outcomes = drawn(2, 10)
    many = counting_of("multiclass", ("a", "b", "c"))
    scores[3, 1], predicted[4] = np.nan, -1
    assert many.usable(scores, predicted).tolist() == [at not in (3, 4) for at in range(10)]
    own = many.usable(scores, predicted)
    assert many.labelled_rows(many.labelled(scores[own], predicted[own], outcomes[own].astype(float))) == 8
    assert many.scored_rows(many.scored(scores[own], predicted[own])) == 8
    numbers = counting_of("regression", ())
    values, nothing = np.array([1.0, np.nan, np.inf, -2.0]), np.full(4, -1)
    assert numbers.usable(values, nothing).tolist() == [True, False, False, True]
    assert numbers.scored_rows(numbers.scored(values[:1], nothing[:1])) == 1
    assert numbers.labelled_rows(numbers.labelled(values[:1], nothing[:1], values[:1])) == 1
