"""A model as it is served: how its requests are read, its rows scored, and its scores told."""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, Final, NamedTuple, overload

from driftline.contract.columns import encoded
from driftline.contract.logged import logged_features
from driftline.contract.outputs import outputs_of
from driftline.contract.package import Package
from driftline.contract.problems import FieldError, InvalidFieldsError
from driftline.contract.request import Features, RequestDecoder
from driftline.contract.rows import RowsReader
from driftline.contract.schema import Column, Score
from driftline.errors import InputError, ScoringError
from driftline.scoring import AsyncModel, Model
from driftline.scoring.model import ScoresColumns
from driftline.scoring.together import Together, together_of

SLICE_VALUES: Final = 50_000
"""So many values are worked on in one go: a few milliseconds."""


class Scored(NamedTuple):
    """One row, and what the model gives for it.

    Attributes:
        features: What was sent.
        values: What is answered, in the order of the output's fields.
    """

    features: Features
    values: tuple[Any, ...]


class ScoredRows(Sequence[Scored]):
    """Rows, and what the model gives for them, which is kept in columns: of narrow rows that saves half of their time.

    Args:
        features: See the attribute.
        columns: See the attribute.

    Attributes:
        features: What was sent.
        columns: What is answered: for each of the output's fields, in their order, the values of all rows.
    """

    def __init__(self, features: Sequence[Features], columns: Sequence[Sequence[Any]]) -> None:
        self.features: Final = features
        self.columns: Final = columns

    def __len__(self) -> int:
        return len(self.features)

    @overload
    def __getitem__(self, at: int) -> Scored: ...

    @overload
    def __getitem__(self, at: slice) -> "ScoredRows": ...

    def __getitem__(self, at: int | slice) -> "Scored | ScoredRows":
        if isinstance(at, slice):
            return ScoredRows(self.features[at], [column[at] for column in self.columns])
        return Scored(self.features[at], tuple(column[at] for column in self.columns))

    def __iter__(self) -> Iterator[Scored]:
        return map(Scored, self.features, zip(*self.columns, strict=True))

    @cached_property
    def texts(self) -> list[list[bytes]]:
        """The columns, each value as JSON."""
        return [encoded(column) for column in self.columns]


class Served:
    """One version of a model.

    Args:
        package: What it says of itself.
        model: Gives the scores.
        hash_key: See :func:`~driftline.contract.logged.logged_features`.
        most_callers: So many requests at once may wait for a model that scores in other processes.

    Attributes:
        together: Where one row after the other is to be scored by :meth:`score_soon`; None where :meth:`score` is it.
    """

    def __init__(
        self, package: Package, model: Model, hash_key: bytes = b"", *, most_callers: int = sys.maxsize
    ) -> None:
        self.package: Final = package
        self.schema: Final = package.schema
        self.model: Final = model
        self.together: Final[Together | None] = together_of(package, model, most_callers)
        self.decoder: Final = RequestDecoder(package.schema)
        self.rows: Final = RowsReader(package.schema, self.decoder)
        self.outputs: Final = outputs_of(package.schema)
        self.logged: Final = logged_features(package.schema, hash_key)

    def score(self, features: Features) -> Scored:
        """Returns one row scored.

        Raises:
            InputError: The model has no score for these features.
            ScoringError: The model fails.
        """
        return Scored(features, self.outputs.of(self.model.score_row(self.decoder.inputs(features))))

    async def score_soon(self, features: Features) -> Scored:
        """Returns one row scored, together with those that are asked for meanwhile; raises what :meth:`score` does.

        Only where there is :attr:`together`, which may refuse with InputError ``overloaded``.
        """
        assert self.together is not None
        return Scored(features, self.outputs.of(await self.together.score_row(self.decoder.inputs(features))))

    def score_all(self, rows: Sequence[Features]) -> ScoredRows:
        """Returns rows scored in one go, in their order.

        Raises:
            InvalidFieldsError: The model has no score for one of them; ``path`` says which.
            ScoringError: The model fails.
        """
        return self._scored(rows, self.model.score(list(map(self.decoder.inputs, rows))), 0)

    async def score_many(self, rows: Sequence[Features], columns: Sequence[Column] | None = None) -> ScoredRows:
        """Returns rows scored as :meth:`score_all` does; others get their turn meanwhile.

        Args:
            rows: One or more.
            columns: What of them is scored, if it is there as columns, too; see :class:`~driftline.contract.rows.Rows`.

        Raises:
            InputError: Too many requests wait for the model: ``overloaded``; and as :meth:`score_all`.
            ScoringError: The model fails.
        """
        inputs, model = self.decoder.inputs, self.model
        by_columns = model if columns is not None and isinstance(model, ScoresColumns) else None
        if isinstance(model, AsyncModel):
            assert self.together is not None
            return self._scored(rows, await self.together.score_elsewhere(model, list(map(inputs, rows))), 0)
        part = max(1, SLICE_VALUES // len(self.schema.features))
        parts: list[ScoredRows] = []
        for start in range(0, len(rows), part):
            if start:
                await asyncio.sleep(0)
            some = rows[start : start + part]
            if by_columns is not None and columns is not None:
                scores = by_columns.score_columns([column[start : start + part] for column in columns])
            else:
                scores = model.score(list(map(inputs, some)))
            parts.append(self._scored(some, scores, start))
        if len(parts) == 1:
            return parts[0]
        told = zip(*(each.columns for each in parts), strict=True)
        return ScoredRows(rows, [list(chain.from_iterable(column)) for column in told])

    def _scored(self, rows: Sequence[Features], scores: Sequence[Score], start: int) -> ScoredRows:
        if len(scores) != len(rows):
            raise ScoringError(f"the model gives {len(scores)} scores for {len(rows)} rows")
        try:
            return ScoredRows(rows, self.outputs.of_all(scores))
        except InputError:
            of = self.outputs.of
            for at, score in enumerate(scores, start):  # once more, to find out which
                try:
                    of(score)
                except InputError as error:
                    detail = f"Row {at}: {error.message[0].lower()}{error.message[1:]}"
                    raise InvalidFieldsError([FieldError((at,), error.reason, detail)]) from error
            raise
