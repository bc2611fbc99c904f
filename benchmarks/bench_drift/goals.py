"""What Driftline is to reach, and where it does."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench_drift.measure import Delays
from bench_drift.names import ADWIN, CREEPS, MATCHED, MEANS, NULLS, OTHERS, OURS, SHUFFLED
from bench_drift.streams import SIZES, Size


@dataclass(frozen=True)
class Goal:
    """One goal, looked at in all its cases.

    Attributes:
        text: What is to be reached.
        cases: In how many cases it was looked at.
        misses: Where it was missed, and by what.
    """

    text: str
    cases: int
    misses: tuple[str, ...]


def goals(results: Mapping[str, Any]) -> list[Goal]:
    """All goals, judged by the results."""
    means, others, creeping = (list(delays(results, names)) for names in (MEANS, OTHERS, tuple(CREEPS)))
    return [
        Goal(
            "No more false alarms than the budget, on every null",
            len(SIZES) * len(NULLS),
            tuple(over_budget(results, OURS, NULLS)),
        ),
        Goal(
            "At ADWIN's rate: no more false alarms than ADWIN, on shuffled columns",
            len(SIZES),
            tuple(over_budget(results, MATCHED, (SHUFFLED,))),
        ),
        Goal(
            "At ADWIN's rate: a shift of the mean is seen within one window, or no later than by ADWIN",
            len(means),
            tuple(miss(case) for case in means if case.ours > max(case.size.window_rows, case.adwin)),
        ),
        Goal(
            "At ADWIN's rate: another change is seen strictly sooner than by ADWIN",
            len(others),
            tuple(miss(case) for case in others if case.ours >= case.adwin),
        ),
        Goal(
            "At ADWIN's rate: a creeping mean is seen no later than by ADWIN",
            len(creeping),
            tuple(miss(case) for case in creeping if case.ours > case.adwin),
        ),
    ]


@dataclass(frozen=True)
class Case:
    """Median delays in rows after one change at one size."""

    size: Size
    name: str
    ours: float
    adwin: float


def delays(results: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[Case]:
    """The medians that are to be compared."""
    for size in SIZES:
        for name in names:
            found = results["changes"][str(size)][name]
            ours, adwin = (Delays(**found[detector]).median_rows() for detector in (MATCHED, ADWIN))
            yield Case(size, name, ours, adwin)


def over_budget(results: Mapping[str, Any], detector: str, nulls: tuple[str, ...]) -> Iterator[str]:
    """The nulls on which a detector alarmed more often than it was allowed to."""
    for size in SIZES:
        allowed = results["budgets"][detector][str(size)]
        for name in nulls:
            found = results["nulls"][str(size)][name][detector]
            if found["alarms"] > allowed * found["windows"]:
                rate = found["alarms"] / found["windows"]
                yield f"{size}, {name}: {per_1000(rate)} for {per_1000(allowed)} in 1,000 windows"


def per_1000(rate: float) -> str:
    """The rate in 1,000 windows, three digits of it."""
    return f"{rate * 1000:.3g}" if rate < 0.1 else f"{rate * 1000:,.0f}"  # noqa: PLR2004 (100 in 1,000)


def miss(case: Case) -> str:
    """A missed case in words."""
    sooner = ", within the first window" if case.adwin < case.size.window_rows else ""
    return f"{case.size}, {case.name}: {rows(case.ours)}, ADWIN {rows(case.adwin)}{sooner}"


def rows(median: float) -> str:
    """A median delay in words."""
    return "never" if median == float("inf") else f"{median:,.0f} rows"
