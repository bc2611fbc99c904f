"""What the client gives back, and how it is read."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple, TypeAlias, TypeVar

import msgspec

from driftline.errors import AnswerError

Read = TypeVar("Read")


class BinaryPrediction(NamedTuple):
    """What a model of two classes gives.

    Attributes:
        request_id: For feedback, and to be found by in the log.
        probability: Of the second class.
        predicted_class: Its label, or 0 or 1.
        logged: False if the server could not keep it, and answered all the same (``outbox_full_policy = serve``).
    """

    request_id: str
    probability: float
    predicted_class: str | int
    logged: bool = True


class MulticlassPrediction(NamedTuple):
    """What a model of several classes gives.

    Attributes:
        request_id: As above.
        probabilities: Of each class, by its label as a text.
        predicted_class: The label of the most probable.
        logged: As above.
    """

    request_id: str
    probabilities: Mapping[str, float]
    predicted_class: str | int
    logged: bool = True


class RegressionPrediction(NamedTuple):
    """What a model of a number gives.

    Attributes:
        request_id: As above.
        prediction: The number.
        logged: As above.
    """

    request_id: str
    prediction: float
    logged: bool = True


Prediction: TypeAlias = BinaryPrediction | MulticlassPrediction | RegressionPrediction


class Outcome(NamedTuple):
    """What became of a prediction.

    Attributes:
        request_id: The prediction's.
        outcome: The true class, or the true number.
        at: When that became known, with a time zone; None for now. Of several outcomes the latest counts.
    """

    request_id: str
    outcome: str | float | bool
    at: datetime | None = None


class Model(msgspec.Struct, frozen=True):
    """A model that is served.

    Attributes:
        name: Its name.
        default: Whether it answers where none is named.
        output: ``binary``, ``multiclass`` or ``regression``.
        serving: The version that answers where none is named.
        versions: All that can be named.
    """

    name: str
    default: bool
    output: str
    serving: str
    versions: tuple[str, ...]


class Health(NamedTuple):
    """Whether a server is to be asked.

    Attributes:
        ready: Whether requests are welcome.
        reason: Why not, or why what is answered is not kept; None if all is well.
    """

    ready: bool
    reason: str | None = None


class Models(msgspec.Struct, frozen=True):
    """The answer of ``/models``."""

    models: tuple[Model, ...]


class Record(msgspec.Struct, frozen=True):
    """A prediction of any model, as it is answered."""

    request_id: str
    probability: float | None = None
    probabilities: dict[str, float] | None = None
    predicted_class: str | int | None = None
    prediction: float | None = None

    def typed(self, *, logged: bool) -> Prediction:
        """Returns it as what its fields say it is."""
        if self.prediction is not None:
            return RegressionPrediction(self.request_id, self.prediction, logged)
        if self.predicted_class is not None:
            if self.probabilities is not None:
                return MulticlassPrediction(self.request_id, self.probabilities, self.predicted_class, logged)
            if self.probability is not None:
                return BinaryPrediction(self.request_id, self.probability, self.predicted_class, logged)
        raise AnswerError("the answer is no prediction", 200)


def read(body: bytes, kind: type[Read]) -> Read:
    """Returns an answer as what it should be.

    Raises:
        AnswerError: It is something else.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise AnswerError(f"the answer is not what it should be: {error}", 200) from error
