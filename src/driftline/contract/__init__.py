"""What crosses a border: requests, responses, events, the schema they are made from, and the codes of refusals."""

from collections.abc import Callable

from pydantic import BaseModel

from driftline.contract.feedback import Outcomes
from driftline.contract.messages import event_class, feedback_event_class, request_class, response_class
from driftline.contract.package import seed_schema
from driftline.contract.schema import Feature, ModelSchema

__all__ = [
    "Feature",
    "FeedbackEvent",
    "ModelSchema",
    "PredictRequest",
    "PredictResponse",
    "PredictionEvent",
    "event_class",
    "request_class",
    "response_class",
]

_SEED_CLASSES: dict[str, Callable[[ModelSchema], type[BaseModel]]] = {
    "PredictRequest": request_class,
    "PredictResponse": response_class,
    "PredictionEvent": event_class,
    "FeedbackEvent": lambda schema: feedback_event_class(Outcomes.of([schema])),
}


def __getattr__(name: str) -> type[BaseModel]:
    """Makes the classes of the seed's model when they are first asked for: importing reads no file."""
    if name not in _SEED_CLASSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _SEED_CLASSES[name](seed_schema())
