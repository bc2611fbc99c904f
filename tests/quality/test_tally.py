import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.quality.tally import (
    BINS,
    EDGES,
    LABELLED_SIZE,
    SCORED_SIZE,
    Labelled,
    Scored,
    bins_of,
    tally_labelled,
    tally_scored,
)
from tests.quality.rows import drawn, labelled

rows = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1), st.integers(0, 1)), max_size=60)


def columns(
    drawn_rows: list[tuple[float, int, int]],
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], list[np.ndarray[tuple[int], np.dtype[np.int64]]]]:
    scores, classes, outcomes = (list(column) for column in zip(*drawn_rows, strict=True)) if drawn_rows else ([],) * 3
    return np.array(scores, np.float64), [np.array(classes, np.int64), np.array(outcomes, np.int64)]


@given(rows, rows)
def test_sums_of_counts_are_the_counts_of_all_rows_to_the_last_bit_and_back(
    first: list[tuple[float, int, int]], second: list[tuple[float, int, int]]
) -> None:
    for tally, taken in ((tally_labelled, 2), (tally_scored, 1)):
        parts = [columns(each) for each in (first, second, [*second, *first])]
        one, other, both = (tally(scores, *rest[:taken]) for scores, rest in parts)
        assert (one + other == both).all()
        assert (both - other == one).all()


@given(rows)
def test_nothing_is_left_out(drawn_rows: list[tuple[float, int, int]]) -> None:
    scores, (classes, outcomes) = columns(drawn_rows)
    counts = tally_labelled(scores, classes, outcomes)
    assert counts.shape == (LABELLED_SIZE,)
    assert counts.dtype == np.int64
    found = Labelled.of(counts)
    assert found.rows == len(drawn_rows) == found.negatives.sum() + found.positives.sum()
    assert found.positives.sum() == outcomes.sum()
    assert found.scores.sum() == pytest.approx(scores.sum(), abs=1e-9 * max(1, len(scores)))
    assert tally_scored(scores, classes).shape == (SCORED_SIZE,)
    assert Scored.of(tally_scored(scores, classes)).rows == len(drawn_rows)


def test_sums_are_those_of_the_rows_themselves() -> None:
    scores, classes, outcomes = drawn(1, 5000)
    found = labelled(scores, classes, outcomes)
    given_to_what_came = np.where(outcomes == 1, scores, 1 - scores)
    assert found.log_loss == pytest.approx(-np.log(given_to_what_came).sum(), abs=5000 * 2**-25)
    assert found.brier == pytest.approx(((scores - outcomes) ** 2).sum(), abs=5000 * 2**-25)
    assert found.confusion.tolist() == [
        [int(((classes == said) & (outcomes == came)).sum()) for came in (0, 1)] for said in (0, 1)
    ]


def test_a_certain_score_that_was_wrong_is_a_large_loss_and_no_infinite_one() -> None:
    found = labelled(np.array([0.0, 1.0]), np.array([0, 1]), np.array([1, 0]))
    assert found.log_loss == pytest.approx(-2 * np.log(1e-15), rel=1e-6)
    assert found.brier == 2


def test_bins_are_in_order_and_a_score_on_an_edge_begins_one() -> None:
    assert (np.diff(EDGES) > 1e-9).all()
    assert bins_of(np.array([0.0, 1.0])).tolist() == [0, BINS - 1]
    assert (bins_of(EDGES) == np.arange(1, BINS)).all()
    assert (bins_of(np.nextafter(EDGES, 0)) == np.arange(BINS - 1)).all()
    assert {0.1, 0.25, 0.5, 0.995, 1e-6} <= set(EDGES.tolist())
