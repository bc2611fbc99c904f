"""What is asked: requests that differ from each other, each known again by its features alone."""

from collections.abc import Mapping
from typing import Final

import msgspec

from driftline.contract.schema import ModelSchema

_STEP: Final = 2.0**-20
_MULTIPLIER: Final = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio: neighbours end up far from each other
_MASK: Final = (1 << 64) - 1


class Requests:
    """The requests of a run, numbered from 0.

    The first feature is the number, in steps that a double holds exactly; the others follow from number and seed.

    Args:
        schema: What the model takes.
        seed: Of the run.
    """

    def __init__(self, schema: ModelSchema, seed: int) -> None:
        self._first, *self._others = schema.names
        self._seed = seed & _MASK

    def features(self, number: int) -> dict[str, float]:
        """Returns the features of a request."""
        found = {self._first: (number + 1) * _STEP}
        mixed = number ^ self._seed
        for name in self._others:
            mixed = (mixed * _MULTIPLIER + 1) & _MASK
            found[name] = ((mixed >> 11) * 2.0**-53 - 0.5) * 6.0
        return found

    def body(self, number: int) -> bytes:
        """Returns the body of a request."""
        return msgspec.json.encode(self.features(number))

    def number(self, features: Mapping[str, object]) -> int | None:
        """Returns which request these are the features of, all of them and exactly, or None if of none."""
        value = features.get(self._first)
        if not isinstance(value, float) or not 0 < value < 2.0**32:
            return None
        number = round(value / _STEP) - 1
        return number if features == self.features(number) else None
