"""Makes a reference profile from rows: bins cut on a sample, then one pass that counts, in constant memory."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from driftline.drift.bins import CategoryBins, NumberBins, category_bins, number_bins
from driftline.drift.dispersion import FIRST_BLOCK_ROWS, BlockSums, dispersions
from driftline.drift.layout import Layout, Values
from driftline.drift.profile import FEWEST_ROWS, Column, Origin, Profile, Role, schema_hash
from driftline.drift.questions import rank_scores
from driftline.errors import ProfileError

SAMPLE_ROWS: Final = 65_536
"""Rows that bins are cut on; of a larger reference, drawn evenly from all of it."""


SLICE_ROWS: Final = 8192


class Named(NamedTuple):
    """A column to profile.

    Attributes:
        name: Its name.
        role: What it is.
        kind: ``number``; ``text`` for a category of texts, which stay as they are written; ``truth`` for one of truth
            values; ``category`` for one of whole numbers, of which 1, 1.0 and true are the same.
    """

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
        if kind != "number":
            counted: dict[str, int] = {}
            for value in values:
                if value is not None:
                    counted[str(value)] = counted.get(str(value), 0) + 1
            bins: NumberBins | CategoryBins = category_bins(counted)
            sd, cut_rows = 0.0, len(values)
        else:
            numbers = np.asarray(values, dtype=np.float64)
            bins = number_bins(numbers)
            sd, cut_rows = _deviation(numbers[np.isfinite(numbers)]), 0
        column = Column(name, role, bins, (0,) * bins.count, sd, cut_rows=cut_rows)
        counts = Layout([column]).count([values])
        columns.append(replace(column, counts=tuple(counts.tolist())))
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
        self._waiting: list[Values] = []

    @property
    def rows(self) -> int:
        """Rows that were counted."""
        return int(self._counts[: self._columns[0].bins.count].sum())

    def add(self, values: Sequence[Values]) -> None:
        """Takes rows: the values of each column, all of one length, some thousands at a time."""
        if not self._in_order:
            self._counts += self._layout.count(values)
            return
        values = [
            _joined(held, column) for held, column in zip(self._waiting or [()] * len(values), values, strict=True)
        ]
        whole = len(values[0]) // FIRST_BLOCK_ROWS * FIRST_BLOCK_ROWS
        self._waiting = [column[whole:] for column in values]
        if not whole:
            return
        codes = self._layout.codes([column[:whole] for column in values])
        self._counts += self._layout.tally(codes)
        blocks = [self._scores[:, own].reshape(len(self._scores), -1, FIRST_BLOCK_ROWS).sum(axis=2) for own in codes]
        self._sums.add(np.concatenate(blocks).T)

    def profile(self, model: str, origin: Origin, made_at: datetime | None = None) -> Profile:
        """Returns the profile of the rows that were added.

        Raises:
            ProfileError: They are too few.
        """
        if self._waiting:
            self._counts += self._layout.count(self._waiting)
            self._waiting = []
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
            found = dispersions(blocks[:, at * scores : (at + 1) * scores], self._sums.rows, variances)
            columns.append(replace(column, counts=tuple(counts.tolist()), dispersion=found))
        when = (made_at or datetime.now(UTC)).isoformat(timespec="seconds").replace("+00:00", "Z")
        return Profile(model, _hash(columns), self.rows, when, origin, tuple(columns))


def _deviation(values: NDArray[np.float64]) -> float:
    """Returns the standard deviation, without overflow on the way; 0 of nothing, and of a constant."""
    largest = float(np.abs(values).max(initial=0))
    if largest == 0 or values.min() == values.max():
        return 0.0
    return float((values / largest).std()) * largest


def _joined(held: Values, column: Values) -> Values:
    if not len(held):
        return column
    if isinstance(column, np.ndarray):
        return np.concatenate([np.asarray(held), column])
    return [*held, *column]


def _indicators(column: Column) -> NDArray[np.float64]:
    indicators = np.zeros((2, column.bins.count))
    indicators[0, 0] = 1
    if isinstance(column.bins, CategoryBins):
        indicators[1, 2:3] = 1
    return indicators


def build_profile(
    model: str, named: Sequence[Named], values: Mapping[str, Values], origin: Origin, made_at: datetime | None = None
) -> Profile:
    """Returns the profile of whole columns, which are taken one after the other: no two have to be in memory.

    Args:
        model: The model's name.
        named: Which columns.
        values: The values of each, by name, all of one length; each is asked for once.
        origin: Where they came from.
        made_at: When; now by default.

    Raises:
        ProfileError: There are too few rows.
    """
    profiles = [_column_profile(model, it, values[it.name], origin, made_at) for it in named]
    columns = tuple(profile.columns[0] for profile in profiles)
    return Profile(model, _hash(columns), profiles[0].rows, profiles[0].made_at, origin, columns)


def _column_profile(model: str, named: Named, values: Values, origin: Origin, made_at: datetime | None) -> Profile:
    step = max(1, -(-len(values) // SAMPLE_ROWS))
    builder = ProfileBuilder(cut([named], [values[::step]]), in_order=origin.in_order)
    for at in range(0, len(values), SLICE_ROWS):
        builder.add([values[at : at + SLICE_ROWS]])
    return builder.profile(model, origin, made_at)


def _hash(columns: Sequence[Column]) -> str:
    return schema_hash(
        [(it.name, it.role, "number" if isinstance(it.bins, NumberBins) else "category") for it in columns]
    )
