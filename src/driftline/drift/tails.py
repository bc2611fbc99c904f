"""How likely a window's counts are, far out in the tails, where simulation sees nothing any more.

The counts of a window over the reference's bins follow a Dirichlet-multinomial law (:mod:`driftline.drift.bins`). Of it
two things are asked: the tail of one bin's count, which is beta-binomial and summed term by term; and the tail of a
weighted sum of all counts, by Skovgaard's double saddlepoint ("Saddlepoint expansions for conditional distributions",
J. Appl. Prob. 24, 1987), whose relative error stays bounded however far out: a Dirichlet-multinomial is independent
negative binomials given their sum.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

_TERMS: Final = 4096
_NEGLIGIBLE: Final = 1e-13
_ROUNDING: Final = 1e-9
_NEWTON_STEPS: Final = 60
_SETTLED: Final = 1e-10
_SHORTEST_STEP: Final = 1e-12
_AT_THE_MEAN: Final = 1e-4


def log_beta_binomial_tail(count: float, rows: float, alpha: float, beta: float) -> float:
    """Returns the log of the probability of this count or more.

    Counts of fewer effective rows are no whole numbers; they are rounded so that what was seen is not made rarer.

    Args:
        count: In ``0..rows``.
        rows: How many rows there are, ``> 0``.
        alpha: Pseudo-rows of the reference in the bin, ``> 0``.
        beta: Pseudo-rows in all others, ``> 0``.
    """
    count, rows = math.floor(count + _ROUNDING), math.ceil(rows - _ROUNDING)
    if count <= 0:
        return 0.0
    lgamma = math.lgamma
    left = max(rows - count, 0)
    first = (
        lgamma(rows + 1) - lgamma(count + 1) - lgamma(left + 1)
        + lgamma(count + alpha) + lgamma(left + beta) - lgamma(rows + alpha + beta)
        + lgamma(alpha + beta) - lgamma(alpha) - lgamma(beta)
    )  # fmt: skip
    total, term, at = 1.0, 1.0, 0.0
    while left - at > 0:
        steps = np.arange(at, min(at + _TERMS, left))
        k = count + steps
        rest = left - steps
        with np.errstate(over="ignore"):  # of a count far below what is expected the tail is all there is
            terms = term * np.cumprod(rest / (k + 1) * (k + alpha) / (rest - 1 + beta))
            total += float(terms.sum())
        term = float(terms[-1])
        at = float(steps[-1]) + 1
        if term <= _NEGLIGIBLE * total:
            break
    return min(first + math.log(total), 0.0)


def log_score_tail(
    total: float, rows: float, alphas: NDArray[np.float64], scores: NDArray[np.float64], *, upper: bool
) -> float:
    """Returns the log of the probability that a weighted sum of counts is this far out, or farther.

    Args:
        total: The sum over the bins of score times count.
        rows: How many rows there are, ``> 0``.
        alphas: Pseudo-rows of the reference, shape ``(bins,)``, ``>= 0``.
        scores: The weights, shape ``(bins,)``.
        upper: Which tail.
    """
    held = alphas > 0
    alphas, scores = alphas[held], scores[held]
    if not upper:
        total, scores = -total, -scores
    mass = float(alphas.sum())
    shares = alphas / mass
    mean = float(shares @ scores)
    scores = scores - mean
    excess = total - rows * mean
    if excess <= 0:
        return math.log(0.5) if excess == 0 else 0.0
    if excess >= rows * float(scores.max()) * (1 - 1e-9):  # all rows in the outermost bin
        outermost = float(alphas[scores >= scores.max()].sum())
        return log_beta_binomial_tail(rows, rows, outermost, max(mass - outermost, 1e-12))
    w, v = _saddlepoint(excess, rows, alphas, scores)
    start = math.log(rows / (mass + rows))
    odds = np.exp(w + v * scores)
    growth = alphas * odds / (1 - odds) ** 2
    bending = float(growth.sum()) * float(growth @ scores**2) - float(growth @ scores) ** 2
    height = (w - start) * rows + v * excess + float(alphas @ np.log1p(-odds)) - mass * math.log1p(-math.exp(start))
    r = math.sqrt(max(2 * height, 0.0))
    start_bending = mass * math.exp(start) / (1 - math.exp(start)) ** 2
    u = v * math.sqrt(max(bending, 0.0) / start_bending)
    if r < _AT_THE_MEAN or u <= 0:
        return math.log(0.5)
    return log_normal_tail(r + math.log(u / r) / r)


def _saddlepoint(
    excess: float, rows: float, alphas: NDArray[np.float64], scores: NDArray[np.float64]
) -> tuple[float, float]:
    """Returns where the tilted law has this sum and this many rows: Newton's method on a convex function, damped."""
    mass = float(alphas.sum())
    w, v = math.log(rows / (mass + rows)), 0.0

    def height(w: float, v: float) -> float:
        exponents = w + v * scores
        if exponents.max() >= 0:
            return math.inf
        return -float(alphas @ np.log1p(-np.exp(exponents))) - w * rows - v * excess

    now = height(w, v)
    for _ in range(_NEWTON_STEPS):
        odds = np.exp(w + v * scores)
        expected = alphas * odds / (1 - odds)
        growth = expected / (1 - odds)
        slope_w, slope_v = float(expected.sum()) - rows, float(expected @ scores) - excess
        ww, wv, vv = float(growth.sum()), float(growth @ scores), float(growth @ scores**2)
        bending = ww * vv - wv * wv
        if bending <= 0:
            break
        step_w = -(vv * slope_w - wv * slope_v) / bending
        step_v = -(ww * slope_v - wv * slope_w) / bending
        decrement = -(slope_w * step_w + slope_v * step_v)
        if decrement < _SETTLED:
            break
        length = 1.0
        while (then := height(w + length * step_w, v + length * step_v)) > now - 1e-4 * length * decrement:
            length /= 2
            if length < _SHORTEST_STEP:
                return w, v
        w, v, now = w + length * step_w, v + length * step_v, then
    return w, v


def log_normal_tail(z: float) -> float:
    """Returns the log of the probability that a standard normal is above ``z``, without underflow."""
    if z < 30:  # noqa: PLR2004 - erfc underflows at 38
        return math.log(0.5 * math.erfc(z / math.sqrt(2)))
    return -z * z / 2 - math.log(z * math.sqrt(2 * math.pi)) + math.log1p(-1 / z**2)
