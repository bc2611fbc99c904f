"""What is shown to the detectors: a reference and the windows after it, without any change, or with one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from bench_drift.detector import Rows

PHI = 0.5
DAILY_SD = 0.15
WINDOWS_A_DAY = 5
CONSTANT_SHARE = 0.05

Rng = np.random.Generator


@dataclass(frozen=True)
class Size:
    """How many rows there are to compare, and with how many."""

    reference_rows: int
    window_rows: int

    def __str__(self) -> str:
        return f"{self.reference_rows:,} / {self.window_rows:,}"


SIZES = (Size(1000, 200), Size(10_000, 200), Size(10_000, 1000), Size(100_000, 10_000))


class Series(Protocol):
    """The rows of a real column; ``bench_drift.columns.Column`` is one."""

    @property
    def rows(self) -> Rows:
        """Its numbers, in their order."""

    @property
    def categorical(self) -> bool:
        """Whether they stand for categories."""


AnySeries = TypeVar("AnySeries", bound=Series)


@dataclass(frozen=True)
class Stream:
    """One repetition.

    Attributes:
        reference: The rows to compare with.
        windows: The windows after it, each of the same length; a copy may be changed.
        categorical: Whether the numbers stand for categories.
    """

    reference: Rows
    windows: Iterator[Rows]
    categorical: bool = False


Source = Callable[[Rng, Size], Stream]


def shuffled(column: Series) -> Source:
    """A real column in random order: exchangeable, whatever it holds. It ends with the column."""

    def stream(rng: Rng, size: Size) -> Stream:
        return in_own_order(column.rows[rng.permutation(len(column.rows))], size, categorical=column.categorical)

    return stream


def in_own_order(rows: Rows, size: Size, *, categorical: bool) -> Stream:
    """The reference from the beginning of the rows, and windows up to the last whole one."""
    starts = range(size.reference_rows, len(rows) - size.window_rows + 1, size.window_rows)
    windows = (rows[start : start + size.window_rows] for start in starts)
    return Stream(rows[: size.reference_rows], windows, categorical)


def normal(rng: Rng, size: Size) -> Stream:
    """Independent standard normal rows, without an end."""
    return endless(rng.standard_normal, size)


def autoregressive(rng: Rng, size: Size) -> Stream:
    """Rows of sd 1 of which each keeps half of the one before it, AR(1), without an end."""
    last = float(rng.standard_normal())

    def take(rows: int) -> Rows:
        nonlocal last
        noise = rng.standard_normal(rows) * np.sqrt(1 - PHI**2)
        noise[0] += PHI * last
        out = discounted(noise)
        last = float(out[-1])
        return out

    return endless(take, size)


def discounted(noise: Rows) -> Rows:
    """Each value plus half of the sum so far: y[i] = x[i] + y[i - 1] / 2, the sum's reach doubled each time."""
    out, reach = noise.copy(), 1
    while reach < len(out) and PHI**reach > np.finfo(np.float64).eps:
        out[reach:] += PHI**reach * out[:-reach].copy()
        reach *= 2
    return out


def day_rows(size: Size) -> int:
    """The rows of a day: five windows, or half of the reference if that is less. So the reference holds whole days."""
    return min(WINDOWS_A_DAY * size.window_rows, size.reference_rows // 2)


def seasonal(rng: Rng, size: Size) -> Stream:
    """Normal rows whose mean goes up and down by a sine every day, whose sd is 0.15, without an end."""
    day, at = day_rows(size), 0

    def take(rows: int) -> Rows:
        nonlocal at
        phase = 2 * np.pi * (np.arange(at, at + rows) % day) / day
        at += rows
        return np.asarray(rng.standard_normal(rows) + DAILY_SD * np.sqrt(2) * np.sin(phase))

    return endless(take, size)


def endless(take: Callable[[int], Rows], size: Size) -> Stream:
    """A stream of what ``take`` gives."""

    def windows() -> Iterator[Rows]:
        while True:
            yield take(size.window_rows)

    return Stream(take(size.reference_rows), windows())


Change = Callable[[Rows, int, Rng], Rows]
"""What becomes of the rows of a window after the change; windows are counted from there, from 1 on."""


def shift(by: float) -> Change:
    """The mean moves by so much."""
    return lambda rows, _window, _rng: rows + by


def scale(by: float, around: float) -> Change:
    """The distances from a centre grow by this factor."""
    return lambda rows, _window, _rng: around + (rows - around) * by


def constant(value: float) -> Change:
    """Five rows of a hundred have this value, whatever they had."""

    def change(rows: Rows, _window: int, rng: Rng) -> Rows:
        return np.where(rng.random(len(rows)) < CONSTANT_SHARE, value, rows)

    return change


def creep(by: float) -> Change:
    """The mean moves by so much more with each window."""
    return lambda rows, window, _rng: rows + by * window


def swap(one: float, other: float) -> Change:
    """Two categories exchange their shares."""

    def change(rows: Rows, _window: int, _rng: Rng) -> Rows:
        return np.where(rows == one, other, np.where(rows == other, one, rows))

    return change


def changed(stream: Stream, change: Change, quiet_windows: int, rng: Rng) -> Stream:
    """The stream, but changed after so many windows."""

    def windows() -> Iterator[Rows]:
        for number, rows in enumerate(stream.windows, start=1 - quiet_windows):
            yield change(rows, number, rng) if number >= 1 else rows

    return Stream(stream.reference, windows(), stream.categorical)


def long_enough(columns: Sequence[AnySeries], size: Size, windows: int) -> list[AnySeries]:
    """The columns with so many windows after the reference."""
    return [column for column in columns if len(column.rows) >= size.reference_rows + windows * size.window_rows]
