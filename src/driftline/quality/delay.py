"""How late outcomes come, and what is known by then: a model that looks good may only be young."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftline.quality.interval import Interval, wilson

MINUTE_US: Final = 60 * 10**6
HOUR_US: Final = 60 * MINUTE_US
DAY_US: Final = 24 * HOUR_US
_SECONDS_US: Final = (10**6, 10 * 10**6)
_MINUTES_US: Final = (MINUTE_US, 5 * MINUTE_US, 15 * MINUTE_US)
_HOURS_US: Final = (HOUR_US, 3 * HOUR_US, 6 * HOUR_US, 12 * HOUR_US)
_DAYS_US: Final = tuple(days * DAY_US for days in (1, 2, 3, 5, 7, 10, 14, 21, 30, 45, 60, 90, 120, 180, 365))
MATURITIES_US: Final = (*_SECONDS_US, *_MINUTES_US, *_HOURS_US, *_DAYS_US)
"""Ages that can be asked for: an outcome that took at most so long is in the bin of that number, and one that took
longer than all in the last."""

DELAYS: Final = len(MATURITIES_US) + 1


def delay_bins(delays_us: NDArray[np.int64]) -> NDArray[np.intp]:
    """Returns the bin of each delay, in 0..DELAYS-1; an outcome from before its prediction took no time."""
    return np.searchsorted(np.asarray(MATURITIES_US), delays_us, side="left")


class Cohort(NamedTuple):
    """Predictions of one time.

    Attributes:
        age_us: How old the youngest of them is.
        rows: How many there are.
        labelled: How many of them have an outcome, by :func:`delay_bins`, shape ``(DELAYS,)``.
    """

    age_us: int
    rows: int
    labelled: NDArray[np.int64]


class Ripeness(NamedTuple):
    """One point of the label-delay curve.

    Attributes:
        age_us: An age.
        rows: Predictions that are at least so old.
        share: Share of them whose outcome was known at that age.
    """

    age_us: int
    rows: int
    share: Interval


def label_delays(cohorts: Sequence[Cohort]) -> list[Ripeness]:
    """Returns which share of predictions has its outcome by which age, for each age that any are old enough for.

    Only predictions that have reached an age count for it, so that the young ones, of which little can be known, do not
    make outcomes look later than they come. The curve may fall from one age to the next: they are of other predictions.
    """
    curve = []
    for delay, age_us in enumerate(MATURITIES_US):
        ripe = [cohort for cohort in cohorts if cohort.age_us >= age_us]
        rows = sum(cohort.rows for cohort in ripe)
        known = sum(int(cohort.labelled[: delay + 1].sum()) for cohort in ripe)
        share = wilson(min(known, rows), rows)
        if share is not None:
            curve.append(Ripeness(age_us, rows, share))
    return curve


def known_by(by_delay: NDArray[np.int64], maturity_us: int) -> NDArray[np.int64]:
    """Returns what was known when predictions had this age, which takes away that old ones have had more time.

    To compare windows "as of maturity", take those that have reached it, and of each only what this returns.

    Args:
        by_delay: Counts by delay bin, shape ``(DELAYS, size)``.
        maturity_us: One of :data:`MATURITIES_US`.

    Returns:
        Shape ``(size,)``.
    """
    summed: NDArray[np.int64] = by_delay[: MATURITIES_US.index(maturity_us) + 1].sum(axis=0)
    return summed
