"""The competitors' defaults, written anew: against Evidently's own functions, SciPy's, and sums done by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from bench_drift.defaults import EMPTY_SHARE, Evidently, NannyML, Psi, counts, wasserstein
from bench_drift.detector import Rows

FLOATS = st.lists(st.integers(-40, 40).map(lambda tenths: tenths / 10), min_size=2, max_size=60).map(np.array)


def prefix_sums(ordered: Rows) -> Rows:
    return np.concatenate([[0.0], np.cumsum(ordered)])


@given(FLOATS, FLOATS)
def test_the_quick_wasserstein_distance_is_scipys(reference: Rows, window: Rows) -> None:
    ordered = np.sort(reference)

    assert wasserstein(ordered, prefix_sums(ordered), window) == pytest.approx(
        wasserstein_distance(reference, window), abs=1e-9
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:divide by zero:RuntimeWarning")
@pytest.mark.parametrize("reference_rows", [1000, 1500])
@pytest.mark.parametrize("kind", ["normal", "whole", "few", "category", "two"])
@pytest.mark.parametrize("shift", [0.0, 0.1, 0.15, 0.4])
def test_evidently_judges_as_its_own_functions_do(reference_rows: int, kind: str, shift: float) -> None:
    from evidently.legacy.calculations.stattests.registry import get_stattest

    rng = np.random.default_rng(3)
    verdicts = []
    for _ in range(10):
        reference, window = rng.standard_normal(reference_rows), rng.standard_normal(200) + shift
        if kind != "normal":
            step, low, high = {"whole": (0.5, -9, 9), "two": (1, 0, 1)}.get(kind, (1, -2, 2))
            reference, window = (np.clip(np.round(rows / step), low, high) for rows in (reference, window))
        categorical = kind in {"category", "two"}
        ours = Evidently()
        ours.fit(reference, 200, categorical=categorical)
        before, now, column = pd.Series(reference), pd.Series(window), "cat" if categorical else "num"
        theirs = get_stattest(before, now, column, None)(before, now, column, None)
        verdicts.append((ours.has_drifted(window), bool(theirs.drifted)))

    assert [one for one, _ in verdicts] == [other for _, other in verdicts]


def test_evidently_alarms_on_a_value_that_its_reference_lacks() -> None:
    detector = Evidently()
    detector.fit(np.tile([0.0, 1.0, 2.0], 100), 10, categorical=True)

    assert detector.observe(np.tile([0.0, 1.0, 2.0], 10)) == 0
    assert detector.observe(np.array([0.0, 1.0, 2.0, 3.0])) == 4


def test_nannyml_takes_its_thresholds_from_the_chunks_of_the_reference() -> None:
    detector = NannyML()
    # Four chunks of four: shares of the first category 1, 1/2, 1/2 and 0, against 1/2 in all.
    detector.fit(np.array([0, 0, 0, 0, 0, 1, 0, 1, 1, 0, 1, 0, 1, 1, 1, 1], dtype=float), 4, categorical=True)
    # Between (1, 0) and (1/2, 1/2), in bits: log2(4/3)/2 + log2(2/3)/4 + log2(2)/4, and the root of it.
    lone = math.sqrt(math.log2(4 / 3) / 2 + (math.log2(2 / 3) + math.log2(2)) / 4)

    assert detector.distance(np.zeros(4)) == pytest.approx(lone)
    assert detector.lower == 0
    assert detector.upper == pytest.approx(lone / 2 + 3 * lone / 2)


def test_nannyml_has_one_more_bin_for_what_is_outside_of_the_reference() -> None:
    detector = NannyML()
    detector.fit(np.linspace(0, 1, 100), 20, categorical=False)

    assert detector.distance(np.full(10, 7.0)) == pytest.approx(1)
    assert detector.observe(np.full(10, 7.0)) == 10


def test_nannyml_alarms_below_its_lower_threshold_as_well() -> None:
    rng = np.random.default_rng(1)
    detector = NannyML()
    detector.fit(rng.random(10_000), 20, categorical=False)
    assert detector.lower > 0

    assert detector.observe(np.linspace(0, 1, 5000)) == 5000


def test_psi_is_its_definition_over_ten_quantile_bins() -> None:
    detector = Psi()
    detector.fit(np.arange(100.0), 20, categorical=False)
    window = np.concatenate([np.arange(100.0), np.zeros(100)])

    shares = [0.55, *[0.05] * 9]
    by_hand = sum((share - 0.1) * math.log(share / 0.1) for share in shares)
    assert detector.index(np.arange(100.0)) == pytest.approx(0)
    assert detector.index(window) == pytest.approx(by_hand)
    assert detector.observe(window) == 200


def test_psi_counts_an_empty_bin_and_a_category_it_does_not_know() -> None:
    detector = Psi()
    detector.fit(np.array([0.0, 0.0, 1.0, 1.0]), 4, categorical=True)

    by_hand = 0.5 * math.log(1 / 0.5) + (EMPTY_SHARE - 0.5) * math.log(EMPTY_SHARE / 0.5)
    assert detector.index(np.zeros(3)) == pytest.approx(by_hand)
    assert detector.index(np.array([0.0, 1.0, 2.0, 2.0])) > 2


def test_counts_leave_out_values_that_are_not_asked_for() -> None:
    assert counts(np.array([1.0, 5.0, 1.0, 2.5, 9.0]), np.array([1.0, 2.0, 5.0])).tolist() == [2, 0, 1]
