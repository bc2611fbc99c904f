"""What a detector costs: CPU time for a row, and bytes that it keeps for a column."""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy.stats import ks_2samp, wasserstein_distance

from bench_drift.defaults import SMALL_REFERENCE, Evidently
from bench_drift.detector import Detector, Rows
from bench_drift.measure import PIECE_ROWS
from bench_drift.streams import Size

LEAST_S = 0.05
ROUNDS = 3


def cost(make: Callable[[], Detector], size: Size) -> dict[str, float]:
    """Nanoseconds of CPU for a row, the median of some rounds, and bytes of state, both on normal rows."""
    rng = np.random.default_rng(1)
    reference, windows = rng.standard_normal(size.reference_rows), rng.standard_normal((8, size.window_rows))
    detector = make()
    detector.fit(reference, size.window_rows, categorical=False)
    if detector.by_row:
        windows = windows[:, :PIECE_ROWS]
    observe = scipy_verdict(reference) if isinstance(detector, Evidently) else detector.observe
    rounds = [ns_a_row(observe, windows) for _ in range(ROUNDS)]
    return {"ns_a_row": statistics.median(rounds), "state_bytes": detector.state_bytes()}


def scipy_verdict(reference: Rows) -> Callable[[Rows], Any]:
    """What Evidently calls for a number; ours is quicker, which would do it a favour that its users do not have."""
    compare: Any = ks_2samp if len(reference) <= SMALL_REFERENCE else wasserstein_distance
    return partial(compare, reference)


def ns_a_row(observe: Callable[[Rows], Any], windows: Rows) -> float:
    """CPU time for a row of windows that are seen again and again."""
    rows, began = 0, time.process_time_ns()
    while (spent := time.process_time_ns() - began) < LEAST_S * 1e9:
        observe(windows[rows // windows.shape[1] % len(windows)])
        rows += windows.shape[1]
    return spent / rows
