"""What is asked and told: requests that differ from each other, each known again by what the log has of it."""

import uuid
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from driftline.contract.event import timestamp
from driftline.contract.schema import ModelSchema

_STEP: Final = 2.0**-20
_MULTIPLIER: Final = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio: neighbours end up far from each other
_MASK: Final = (1 << 64) - 1
_FEEDBACK_EVERY: Final = 8
_UUID_7: Final = 0x7000_8000 << 48
_NUMBER_MASK: Final = (1 << 48) - 1


class Told(NamedTuple):
    """An outcome, as a client tells it and as the log has it."""

    request_id: str
    outcome: int
    at: str


class Requests:
    """The requests of a run, numbered from 0.

    One in eight is feedback, the others ask for a prediction. Of a prediction the first feature is the number, in steps
    that a double holds exactly; the others follow from number and seed. Of feedback the number ends the request
    id, which is that of no prediction: whether there is one makes no difference to what is promised.

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

    def told(self, number: int) -> Told | None:
        """Returns the feedback that a request gives; None for one that asks for a prediction."""
        if number % _FEEDBACK_EVERY != _FEEDBACK_EVERY - 1 or number > _NUMBER_MASK:
            return None
        mixed = ((number ^ self._seed) * _MULTIPLIER + 1) & _MASK
        request_id = (mixed >> 16) << 80 | _UUID_7 | number
        return Told(str(uuid.UUID(int=request_id)), mixed >> 63, timestamp(number * 1000))

    def body(self, number: int) -> bytes:
        """Returns the body of a request."""
        told = self.told(number)
        return msgspec.json.encode(self.features(number) if told is None else told._asdict())

    def told_number(self, request_id: uuid.UUID) -> int | None:
        """Returns which request gives feedback on this id, or None if none does."""
        number = request_id.int & _NUMBER_MASK
        told = self.told(number)
        return number if told is not None and told.request_id == str(request_id) else None

    def number(self, features: Mapping[str, object]) -> int | None:
        """Returns which request these are the features of, all of them and exactly, or None if of none."""
        value = features.get(self._first)
        if not isinstance(value, float) or not 0 < value < 2.0**32:
            return None
        number = round(value / _STEP) - 1
        return number if features == self.features(number) and self.told(number) is None else None
