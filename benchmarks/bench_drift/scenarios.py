"""The nulls and the changes by their names, on rows made at random and on real columns."""

from collections.abc import Iterator

import numpy as np

from bench_drift.columns import Column, real_columns
from bench_drift.names import (
    AUTOREGRESSIVE,
    CONSTANT,
    CREEPS,
    REAL_CONSTANT,
    REAL_SCALE,
    REAL_SHIFT,
    SCALE,
    SHIFTS,
    SHUFFLED,
    SWAP,
)
from bench_drift.streams import (
    Change,
    Size,
    Source,
    autoregressive,
    constant,
    creep,
    long_enough,
    normal,
    scale,
    seasonal,
    shift,
    shuffled,
    swap,
)

LEAST_WINDOWS = 4


def null_source(name: str, size: Size, repetition: int) -> Source:
    """The source of this repetition of a null: real columns take turns."""
    if name == SHUFFLED:
        columns = long_enough(real_columns(), size, LEAST_WINDOWS)
        return shuffled(columns[repetition % len(columns)])
    return autoregressive if name == AUTOREGRESSIVE else seasonal


def changed_source(name: str, size: Size, repetition: int) -> tuple[Source, Change]:
    """Source and change of this repetition: real columns take turns."""
    synthetic: dict[str, Change] = {
        **{shifted: shift(by) for shifted, by in SHIFTS.items()},
        **{creeping: creep(by) for creeping, by in CREEPS.items()},
        SCALE: scale(1.2, around=0.0),
        CONSTANT: constant(0.0),
    }
    if name in synthetic:
        return normal, synthetic[name]
    columns = list(candidates(name, size))
    column = columns[repetition % len(columns)]
    mean, sd = float(np.mean(column.rows)), float(np.std(column.rows))
    if name == SWAP and column.pair:
        return shuffled(column), swap(*column.pair)
    real = {REAL_SHIFT: shift(0.25 * sd), REAL_SCALE: scale(1.2, around=mean), REAL_CONSTANT: constant(0.0)}
    return shuffled(column), real[name]


def candidates(name: str, size: Size) -> Iterator[Column]:
    """The real columns that a change can be made in."""
    for column in long_enough(real_columns(), size, 2 * LEAST_WINDOWS + 2):
        if (column.pair is not None) if name == SWAP else column.continuous:
            yield column
