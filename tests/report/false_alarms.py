"""How often a report is wrong: prints the table in docs/report.md.

    python tests/report/false_alarms.py

Windows of the seed model's predictions on inputs uniform in -5..5 are compared by the method that Evidently chooses for
each column; half of the columns or more is drift. Everything is seeded. A shift is one of ``feature_1`` in the current
window, in standard deviations. Drawing its page would make each comparison a hundred times slower, so Evidently's
methods are called by themselves; before each row of the table a whole report must agree with them.
"""

import random
import sys
from collections.abc import Iterator, Sequence

import pandas as pd

from driftline.report.columns import Column, columns_of
from driftline.report.evidently import compare
from driftline.report.windows import Prediction, Window, Windows
from driftline.scoring import load_package, seed_package

SIZES = ((200, 200), (1000, 200), (1000, 1000), (2000, 200), (2000, 2000))
SHIFTS = {0.0: 2000, 0.1: 400, 0.25: 400, 0.5: 400}
"""How many comparisons each shift gets."""

SD = 10 / 12**0.5


def predictions(chance: random.Random, count: int, shift: float) -> tuple[Prediction, ...]:
    """What the seed's model says of so many rows."""
    schema, model = load_package(seed_package())
    rows = []
    for _ in range(count):
        values = [chance.uniform(-5, 5) for _ in schema.names]
        values[0] += shift * SD
        score = model.score_row(values)
        assert isinstance(score, float)
        rows.append(Prediction(dict(zip(schema.names, values, strict=True)), score, int(score >= schema.threshold)))
    return tuple(rows)


def drawn(chance: random.Random, size: tuple[int, int], shift: float) -> list[Column]:
    """The columns of two windows of these sizes."""
    reference = Window("reference", predictions(chance, size[0], 0.0), "first")
    return columns_of(Windows(reference, Window("current", predictions(chance, size[1], shift), "last")))


def drifted(columns: Sequence[Column]) -> list[bool]:
    """What Evidently's methods say of each column."""
    from evidently.legacy.calculations.stattests.registry import get_stattest

    found = []
    for column in columns:
        windows = pd.Series(column.reference.values), pd.Series(column.current.values)
        kind = {"numerical": "num", "categorical": "cat"}[column.type]
        method = get_stattest(*windows, kind, None)
        found.append(bool(method(*windows, kind, None).drifted))
    return found


def rates(size: tuple[int, int], shift: float) -> tuple[float, float]:
    """The share of comparisons in which one feature has drifted that has not moved, and of those that say drift."""
    chance = random.Random(f"{size} {shift}")
    found = [drifted(drawn(chance, size, shift)) for _ in range(SHIFTS[shift])]
    alarms = [sum(columns) >= len(columns) / 2 for columns in found]
    return sum(columns[1] for columns in found) / len(found), sum(alarms) / len(found)


def check(size: tuple[int, int]) -> None:
    """Ends the program if a whole report says something else than the methods by themselves."""
    columns = drawn(random.Random(1), size, 0.25)
    whole = compare(columns)
    found = drifted(columns)
    if found != [score.drifted for score in whole.scores] or whole.drift != (sum(found) >= len(found) / 2):
        sys.exit(f"Evidently's report and its methods disagree at {size}")


def table() -> Iterator[str]:
    """The lines of the table, one for each pair of window sizes."""
    yield row(
        "reference / current", "one column, no shift", *(f"{shift} sd" if shift else "no shift" for shift in SHIFTS)
    )
    yield row(*["---"] * (len(SHIFTS) + 2))
    for size in SIZES:
        check(size)
        found = [rates(size, shift) for shift in SHIFTS]
        yield row(
            f"{size[0]:,} / {size[1]:,}", *(f"{rate:.1%}" for rate in (found[0][0], *(alarm for _, alarm in found)))
        )


def row(*cells: str) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    for line in table():
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
