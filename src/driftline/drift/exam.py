"""Asks all questions of one set of counts, and gives the answer that speaks most against each column."""

import math
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftline.drift.questions import Question, Questions
from driftline.drift.tails import log_beta_binomial_tail, log_normal_tail, log_score_tail

SCREENING: Final = 30.0
"""The exact law is asked wherever by the normal law a count is at most so many times likelier than the risk allows."""
_SCORES: Final[dict[tuple[int, bool], tuple[Question, str]]] = {
    (0, True): ("location", "up"),
    (0, False): ("location", "down"),
    (1, True): ("spread", "wider"),
    (1, False): ("spread", "narrower"),
}


class Answer(NamedTuple):
    """How likely what was seen is where nothing has changed.

    Attributes:
        question: What was asked.
        label: The bin, for a question about one; else ``up`` or ``down``, ``wider`` or ``narrower``.
        log_p: Log of the probability of this or more.
        log_risk: Log of the probability from which on it is an alarm.
    """

    question: Question
    label: str
    log_p: float
    log_risk: float

    @property
    def strength(self) -> float:
        """How much of what an alarm takes is there; 1 or more is an alarm."""
        return self.log_p / self.log_risk


class Exam:
    """The questions with the risk of a false alarm that each may run.

    Args:
        questions: What is asked.
        risk: Expected false alarms of one column each time, over all of its questions.
    """

    def __init__(self, questions: Questions, risk: float) -> None:
        self._questions = questions
        self._starts = questions.layout.starts
        self._lengths = np.diff(np.append(self._starts, questions.layout.size))
        self._score_variances = np.add.reduceat(questions.scores**2 * questions.shares, self._starts, axis=1)
        with np.errstate(divide="ignore"):
            self._more = np.log(questions.more * risk)
            self._less = np.log(questions.less * risk)
            self._score = np.log(questions.asked * risk)
        self._more_from = _screen(self._more)
        self._less_from = -_screen(self._less)
        self._score_from = _screen(self._score)

    def take(self, counts: NDArray[np.int64]) -> list[Answer]:
        """Returns for each column the answer that speaks most against it.

        Args:
            counts: Of any span of rows, by the layout of the columns; a column without rows has nothing against it.
        """
        sight = self._look(counts)
        answers = [self._mildest(at, sight) for at in range(len(self._lengths))]
        for index in np.flatnonzero((sight.z > self._more_from) | (sight.z < self._less_from)).tolist():
            at, answer = self._of_bin(index, counts, sight)
            if answer.strength > answers[at].strength:
                answers[at] = answer
        for kind, at in np.argwhere(np.abs(sight.score_z) > self._score_from).tolist():
            answer = self._of_score(kind, at, sight)
            if answer.strength > answers[at].strength:
                answers[at] = answer
        return answers

    def _look(self, counts: NDArray[np.int64]) -> "_Sight":
        questions, starts = self._questions, self._starts
        rows = np.add.reduceat(counts, starts)
        pairs = zip(questions.columns, rows.tolist(), strict=True)
        factors = np.array([column.factor(count) for column, count in pairs])
        effective, masses = rows / factors, questions.masses / factors
        overdispersed = effective * (masses + effective) / (masses + 1)
        excess = counts / np.repeat(factors, self._lengths) - np.repeat(effective, self._lengths) * questions.shares
        variances = np.repeat(overdispersed, self._lengths) * questions.shares * (1 - questions.shares)
        sums = np.stack([np.add.reduceat(counts * scores, starts) for scores in questions.scores]) / factors
        return _Sight(
            factors,
            effective,
            masses,
            excess / np.sqrt(np.maximum(variances, 1e-300)),
            sums,
            sums / np.sqrt(np.maximum(overdispersed * self._score_variances, 1e-300)),
        )

    def _of_bin(self, index: int, counts: NDArray[np.int64], sight: "_Sight") -> tuple[int, Answer]:
        at, question, label = self._questions.name(index)
        count = float(counts[index] / sight.factors[at])
        alpha = float(self._questions.alphas[index] / sight.factors[at])
        rows, rest = float(sight.effective[at]), float(sight.masses[at]) - alpha
        if sight.z[index] > 0:
            others = float(self._questions.others[index] / sight.factors[at])
            log_p = log_beta_binomial_tail(count, rows, alpha, others) if others else 0.0
            return at, Answer(question, label, log_p, float(self._more[index]))
        log_p = log_beta_binomial_tail(rows - count, rows, rest, alpha)
        return at, Answer(question, f"less {label}", log_p, float(self._less[index]))

    def _of_score(self, kind: int, at: int, sight: "_Sight") -> Answer:
        own = slice(self._starts[at], self._starts[at] + self._lengths[at])
        upper = bool(sight.score_z[kind, at] > 0)
        log_p = log_score_tail(
            float(sight.sums[kind, at]),
            float(sight.effective[at]),
            self._questions.alphas[own] / sight.factors[at],
            self._questions.scores[kind, own],
            upper=upper,
        )
        return Answer(*_SCORES[kind, upper], log_p, float(self._score[kind, at]))

    def _mildest(self, at: int, sight: "_Sight") -> Answer:
        """What there is to say where nothing stands out: of location, or of the fullest bin, by the normal law."""
        if math.isfinite(self._score[0, at]):
            z = float(sight.score_z[0, at])
            (question, label), log_risk = _SCORES[0, z > 0], float(self._score[0, at])
        else:
            start = int(self._starts[at])
            own = slice(start, start + int(self._lengths[at]))
            index = start + int(np.argmax(np.where(np.isfinite(self._more[own]), sight.z[own], -np.inf)))
            z = float(sight.z[index])
            _, question, label = self._questions.name(index)
            log_risk = float(self._more[index])
        # An alarm is for the exact law to raise.
        return Answer(question, label, max(log_normal_tail(abs(z)), 0.99 * log_risk), log_risk)


class _Sight(NamedTuple):
    """Counts in effective rows, and how far they are from what is expected, in standard deviations."""

    factors: NDArray[np.float64]
    effective: NDArray[np.float64]
    masses: NDArray[np.float64]
    z: NDArray[np.float64]
    sums: NDArray[np.float64]
    score_z: NDArray[np.float64]


def _screen(log_risks: NDArray[np.float64]) -> NDArray[np.float64]:
    known: dict[float, float] = {-math.inf: math.inf}
    for log_risk in np.unique(log_risks[np.isfinite(log_risks)]).tolist():
        known[log_risk] = -NormalDist().inv_cdf(min(0.2, SCREENING * math.exp(log_risk)))
    return np.array([known[each] for each in log_risks.ravel().tolist()]).reshape(log_risks.shape)
