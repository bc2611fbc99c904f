"""Makes a reference profile from rows: bins cut on a sample, then one pass that counts, in constant memory."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from driftline.drift.bins import CategoryBins, NumberBins, category_bins, number_bins
from driftline.drift.dispersion import FIRST_BLOCK_ROWS, BlockSums, dispersions
from driftline.drift.layout import Layout, Values
from driftline.drift.profile import FEWEST_ROWS, Column, Origin, Profile, Role, schema_hash
from driftline.drift.questions import rank_scores
from driftline.errors import ProfileError

SAMPLE_ROWS: Final = 65_536
"""Rows that bins are cut on; of a larger reference, drawn evenly from all of it."""


class Named(NamedTuple):
    """A column to profile."""

    name: str
    role: Role
    kind: str


def cut(named: Sequence[Named], sample: Sequence[Values]) -> tuple[Column, ...]:
    """Returns columns with their bins, cut on a sample of the reference, and its counts.

    Args:
        named: Which columns.
        sample: The values of each, all of one length.
    """
    columns = []
    for (name, role, kind), values in zip(named, sample, strict=True):
        if kind == "category":
            counted: dict[str, int] = {}
            for value in values:
                if value is not None:
                    counted[str(value)] = counted.get(str(value), 0) + 1
            bins: NumberBins | CategoryBins = category_bins(counted)
            sd = 0.0
        else:
            numbers = np.asarray(values, dtype=np.float64)
            bins = number_bins(numbers)
            held = numbers[~np.isnan(numbers)]
            sd = float(held.std()) if len(held) else 0.0
        column = Column(name, role, bins, (0,) * bins.count, sd)
        counts = Layout([column]).count([values])
        columns.append(Column(name, role, bins, tuple(counts.tolist()), sd))
    return tuple(columns)


class ProfileBuilder:
    """Counts the rows of a reference over bins that were cut before.

    Args:
        columns: As :func:`cut` gives them; their counts, of the sample, give the ranks that dependence is judged by.
        in_order: Whether rows come in the order of time.
    """

    def __init__(self, columns: Sequence[Column], *, in_order: bool) -> None:
        self._columns = tuple(columns)
        self._layout = Layout(columns)
        self._counts = np.zeros(self._layout.size, np.int64)
        self._in_order = in_order
        alphas = [column.alphas() for column in columns]
        numbers = [isinstance(column.bins, NumberBins) for column in columns]
        ranks = [
            rank_scores(each) if number else np.zeros((2, len(each)))
            for each, number in zip(alphas, numbers, strict=True)
        ]
        # Of a category, and of any column's missing rows: the share of the fullest bin, and that of missing ones.
        self._scores = np.concatenate(
            [np.concatenate([rank, _indicators(column)]) for rank, column in zip(ranks, columns, strict=True)], axis=1
        )
        self._sums = BlockSums(self._scores.shape[0] * len(columns))
        self._waiting: list[list[object]] = [[] for _ in columns]

    @property
    def rows(self) -> int:
        """Rows that were counted."""
        return int(self._counts[: self._columns[0].bins.count].sum())

    def add(self, values: Sequence[Values]) -> None:
        """Takes rows: the values of each column, all of one length."""
        if not self._in_order:
            self._counts += self._layout.count(values)
            return
        length = len(values[0])
        begin = 0
        held = len(self._waiting[0])
        if held:
            begin = min(FIRST_BLOCK_ROWS - held, length)
            for waiting, column in zip(self._waiting, values, strict=True):
                waiting.extend(column[:begin])
            if held + begin == FIRST_BLOCK_ROWS:
                self._take(self._waiting)
                self._waiting = [[] for _ in self._columns]
        while begin + FIRST_BLOCK_ROWS <= length:
            self._take([column[begin : begin + FIRST_BLOCK_ROWS] for column in values])
            begin += FIRST_BLOCK_ROWS
        for waiting, column in zip(self._waiting, values, strict=True):
            waiting.extend(column[begin:])

    def _take(self, values: Sequence[Values]) -> None:
        counts = self._layout.count(values)
        self._counts += counts
        self._sums.add(np.add.reduceat(counts * self._scores, self._layout.starts, axis=1).T.ravel())

    def profile(self, model: str, origin: Origin, made_at: datetime | None = None) -> Profile:
        """Returns the profile of the rows that were added.

        Raises:
            ProfileError: They are too few.
        """
        if self._waiting[0]:
            self._counts += self._layout.count(self._waiting)
            self._waiting = [[] for _ in self._columns]
        if self.rows < FEWEST_ROWS:
            raise ProfileError(f"a reference needs {FEWEST_ROWS} rows or more, and there are {self.rows:,}")
        blocks = self._sums.blocks()
        scores = self._scores.shape[0]
        columns = []
        for at, (column, counts) in enumerate(zip(self._columns, self._layout.split(self._counts), strict=True)):
            own = slice(self._layout.starts[at], self._layout.starts[at] + len(counts))
            shares = counts / counts.sum()
            means = self._scores[:, own] @ shares
            variances = np.maximum(self._scores[:, own] ** 2 @ shares - means**2, 0)
            variances[variances < 1e-6] = 0  # noqa: PLR2004 - an indicator of a bin with next to no rows
            columns.append(
                Column(
                    column.name,
                    column.role,
                    column.bins,
                    tuple(counts.tolist()),
                    column.sd,
                    dispersions(blocks[:, at * scores : (at + 1) * scores], self._sums.rows, variances),
                )
            )
        named = [(it.name, it.role, "number" if isinstance(it.bins, NumberBins) else "category") for it in columns]
        when = (made_at or datetime.now(UTC)).isoformat(timespec="seconds").replace("+00:00", "Z")
        return Profile(model, schema_hash(named), self.rows, when, origin, tuple(columns))


def _indicators(column: Column) -> NDArray[np.float64]:
    indicators = np.zeros((2, column.bins.count))
    indicators[0, 0] = 1
    if isinstance(column.bins, CategoryBins):
        indicators[1, 2:3] = 1
    return indicators


def build_profile(
    model: str, named: Sequence[Named], values: Mapping[str, Values], origin: Origin, made_at: datetime | None = None
) -> Profile:
    """Returns the profile of rows that are all in memory.

    Args:
        model: The model's name.
        named: Which columns.
        values: The values of each, by name, all of one length.
        origin: Where they came from.
        made_at: When; now by default.

    Raises:
        ProfileError: There are too few rows.
    """
    columns = [values[it.name] for it in named]
    rows = len(columns[0])
    step = max(1, -(-rows // SAMPLE_ROWS))
    builder = ProfileBuilder(cut(named, [column[::step] for column in columns]), in_order=origin.in_order)
    builder.add(columns)
    return builder.profile(model, origin, made_at)
