"""A model as it is served: how its requests are read, its rows scored, and its scores told."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from driftline.contract.logged import logged_features
from driftline.contract.outputs import outputs_of
from driftline.contract.package import Package
from driftline.contract.request import Features, RequestDecoder
from driftline.errors import InputError, ScoringError
from driftline.scoring import Model


class Scored(NamedTuple):
    """One row, and what the model gives for it.

    Attributes:
        features: What was sent.
        values: What is answered, in the order of the output's fields.
    """

    features: Features
    values: tuple[Any, ...]


class Served:
    """One version of a model.

    Args:
        package: What it says of itself.
        model: Gives the scores.
        hash_key: See :func:`~driftline.contract.logged.logged_features`.
    """

    def __init__(self, package: Package, model: Model, hash_key: bytes = b"") -> None:
        self.package: Final = package
        self.schema: Final = package.schema
        self.model: Final = model
        self.decoder: Final = RequestDecoder(package.schema)
        self.outputs: Final = outputs_of(package.schema)
        self.logged: Final = logged_features(package.schema, hash_key)

    def score(self, features: Features) -> Scored:
        """Returns one row scored.

        Raises:
            InputError: The model has no score for these features.
            ScoringError: The model fails.
        """
        return Scored(features, self.outputs.of(self.model.score_row(self.decoder.inputs(features))))

    def score_all(self, rows: Sequence[Features]) -> list[Scored]:
        """Returns rows scored in one go, in their order.

        Raises:
            InputError: The model has no score for one of them; ``path`` says which.
            ScoringError: The model fails.
        """
        inputs = self.decoder.inputs
        scores = self.model.score([inputs(features) for features in rows])
        if len(scores) != len(rows):
            raise ScoringError(f"the model gives {len(scores)} scores for {len(rows)} rows")
        of = self.outputs.of
        scored = []
        for at, (features, score) in enumerate(zip(rows, scores, strict=True)):
            try:
                scored.append(Scored(features, of(score)))
            except InputError as error:
                raise InputError(error.reason, f"Row {at}: {error.message}", (at,)) from error
        return scored
