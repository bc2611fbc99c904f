"""What a budget buys: the smallest changes that the scan would see within a day, at this traffic.

Asked of the same questions with the same risks as :class:`driftline.drift.scan.Scan` asks, of the longest spans that
fit into a day wherever in it the change begins. The mean is moved by making the reference's high values more frequent,
or its low ones, which makes sense of whole numbers too and of a normal column is a shift but for some 4 %. Sums and
counts under the change are taken to be normal; the tails that they have to reach are not.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftline.drift.bins import MISSING, STRANGE, NumberBins
from driftline.drift.layout import Layout
from driftline.drift.profile import Column
from driftline.drift.questions import Questions
from driftline.drift.scan import LEVELS, LONG_SPANS, SHORT_SPANS, risks
from driftline.drift.tails import log_beta_binomial_tail, log_score_tail

STRONGEST_TILT: Final = 10.0
_SMALLEST_SOUGHT: Final = 1e-5
_HALVINGS: Final = 14


class Smallest(NamedTuple):
    """The smallest changes of a column that are seen within a day; None where no change of the kind is.

    Attributes:
        shift_sd: Of the mean, up or down whichever is harder, in standard deviations of the reference.
        share: Share of the rows that turn into one value, that which is hardest to see: the most frequent one, or for a
            number one in the fullest bin.
    """

    shift_sd: float | None
    share: float | None


def smallest_changes(
    columns: Sequence[Column],
    rows_a_day: float,
    windows_a_day: float,
    false_alarms_a_window: float,
    power: float = 0.8,
) -> list[Smallest]:
    """Returns for each column what is seen within a day with this probability; some 20 ms a column.

    Args:
        columns: The reference's.
        rows_a_day: The traffic, evenly over the day.
        windows_a_day: How many windows it falls into; where it is less than one, one window is looked at.
        false_alarms_a_window: The budget of the scan.
        power: Of how many such changes are seen, ``> 0`` and ``< 1``.
    """
    questions = Questions(columns, Layout(columns))
    traffic = _Traffic(rows_a_day / windows_a_day, windows_a_day, *risks(false_alarms_a_window, len(columns)))
    luck = NormalDist().inv_cdf(power)
    return [_smallest(_Sight(questions, at, traffic, luck)) for at in range(len(columns))]


def _smallest(sight: "_Sight") -> Smallest:
    column, shares = sight.column, sight.shares
    shift = None
    if isinstance(column.bins, NumberBins) and column.sd > 0:
        sides = [_least_shift(sight, column.bins, column.sd, side) for side in (-1, 1)]
        shift = max((side for side in sides if side is not None), default=None) if None not in sides else None
    inner = shares[STRANGE + 1 : len(shares) - isinstance(column.bins, NumberBins)]
    if not inner.size:
        return Smallest(shift, None)
    turned = np.zeros(len(shares))
    turned[STRANGE + 1 + int(np.argmax(inner))] = 1
    return Smallest(shift, _least(lambda share: sight.sees((1 - share) * shares + share * turned), 1.0))


class _Traffic(NamedTuple):
    rows_a_window: float
    windows_a_day: float
    sudden: float
    slow: float


class _Look(NamedTuple):
    """Rows of a span and of the reference, as independent ones; what they were divided by; what the look may cost."""

    rows: float
    mass: float
    factor: float
    risk: float


class _Sight:
    """What a day's windows show of one column."""

    def __init__(self, questions: Questions, at: int, traffic: "_Traffic", luck: float) -> None:
        layout = questions.layout
        own = slice(layout.starts[at], layout.starts[at] + questions.columns[at].bins.count)
        self.column = questions.columns[at]
        self.shares = questions.shares[own]
        self._alphas, self._scores = questions.alphas[own], questions.scores[:, own]
        self._others = questions.others[own]
        self._more, self._less, self._asked = questions.more[own], questions.less[own], questions.asked[:, at]
        self._luck = luck
        self._looks = [self._look(traffic.rows_a_window, traffic.sudden)]
        longer = [self._look(traffic.rows_a_window * span, traffic.slow) for span in _spans(traffic.windows_a_day)]
        if longer:
            self._looks.append(max(longer, key=lambda look: look.rows * look.mass / (look.rows + look.mass)))

    def _look(self, rows: float, risk: float) -> _Look:
        factor = self.column.factor(rows)
        return _Look(rows / factor, float(self._alphas.sum()) / factor, factor, risk)

    def tilted(self, tilt: float) -> NDArray[np.float64]:
        """Returns the shares when each value is ``exp(tilt * score of location)`` times as frequent as it was."""
        weights = self.shares * np.exp(tilt * self._scores[0])
        weights[MISSING] = 0
        missing = self.shares[MISSING]
        tilted: NDArray[np.float64] = weights / max(weights.sum(), 1e-300) * (1 - missing)
        tilted[MISSING] = missing
        return tilted

    def sees(self, changed: NDArray[np.float64]) -> bool:
        """Returns whether rows with these shares of the bins raise an alarm, with the luck that was asked for."""
        return any(
            self._sees_bin(changed, look) or any(self._sees_score(changed, kind, look) for kind in range(2))
            for look in self._looks
        )

    def _sees_score(self, changed: NDArray[np.float64], kind: int, look: _Look) -> bool:
        if not self._asked[kind]:
            return False
        rows, scores = look.rows, self._scores[kind]
        mean = float(changed @ scores)
        own, reference = (float(shares @ scores**2 - (shares @ scores) ** 2) for shares in (changed, self.shares))
        unlucky = rows * abs(mean) - self._luck * math.sqrt(max(rows * own + rows**2 / look.mass * reference, 0.0))
        if unlucky <= 0:
            return False
        total = math.copysign(unlucky, mean)
        log_p = log_score_tail(total, rows, self._alphas / look.factor, scores, upper=mean > 0)
        return log_p <= math.log(self._asked[kind] * look.risk)

    def _sees_bin(self, changed: NDArray[np.float64], look: _Look) -> bool:
        """Asks of the bin that stands out most, and of the outer ones, of which a few rows say much."""
        rows, mass, factor, risk = look
        variances = rows * changed * (1 - changed) + rows**2 / mass * self.shares * (1 - self.shares)
        excess = rows * (changed - self.shares)
        unlucky = np.abs(excess) - self._luck * np.sqrt(variances)
        weights = np.where(excess > 0, self._more, self._less)
        spread = np.sqrt(np.maximum(rows * (mass + rows) / (mass + 1) * self.shares * (1 - self.shares), 1e-300))
        strongest = int(np.argmax(np.where(weights > 0, unlucky / spread, -np.inf)))
        for at in {strongest, MISSING, STRANGE, len(changed) - 1}:
            if unlucky[at] <= 0 or not weights[at]:
                continue
            alpha = float(self._alphas[at]) / factor
            count = float(rows * self.shares[at] + math.copysign(unlucky[at], excess[at]))
            if excess[at] > 0:
                others = float(self._others[at]) / factor
                log_p = log_beta_binomial_tail(math.floor(count), rows, alpha, others) if others else 0.0
            else:
                log_p = log_beta_binomial_tail(rows - math.ceil(count), rows, mass - alpha, alpha)
            if log_p <= math.log(weights[at] * risk):
                return True
        return False


def _spans(windows_a_day: float) -> Iterator[int]:
    """Yields the spans of the slow detector that lie within a day after the change, whenever it begins."""
    yield from (span for span in SHORT_SPANS if span <= windows_a_day)
    for level in range(1, LEVELS):
        block = 1 << level
        yield from (span * block for span in LONG_SPANS if span * block + block - 1 <= windows_a_day)


def _least_shift(sight: "_Sight", bins: NumberBins, sd: float, side: int) -> float | None:
    """Returns by how many standard deviations the mean has moved when rows of higher, or lower, rank are seen to."""
    tilt = _least(lambda tilt: sight.sees(sight.tilted(side * tilt)), STRONGEST_TILT)
    if tilt is None:
        return None
    edges = np.asarray(bins.edges) / sd
    values = np.concatenate([[0], edges[:1], (edges[:-1] + edges[1:]) / 2, edges[-1:]])
    moved = sight.tilted(side * tilt) - sight.shares
    return abs(float(moved @ values)) / max(1 - float(sight.shares[MISSING]), 1e-300)


def _least(seen: Callable[[float], bool], most: float) -> float | None:
    """Returns the least size that is seen, rounded up to two digits or so."""
    if not seen(most):
        return None
    low, high = math.log(_SMALLEST_SOUGHT), math.log(most)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if seen(math.exp(middle)):
            high = middle
        else:
            low = middle
    return math.exp(high)
