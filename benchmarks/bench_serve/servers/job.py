"""The job that other stacks do: two numbers are validated and scored, an event is sent, the answer is JSON.

Each of their environments has pydantic, so what is asked, answered and sent is written once.
"""

import math
from datetime import UTC, datetime
from uuid import uuid4

from pydantic import BaseModel
from redis.typing import EncodableT, FieldT

STREAM = "prediction_events"
BIAS, WEIGHTS = -0.3, (0.8, -0.4)
THRESHOLD = 0.5
# One for each request that waits for Redis; redis-py's own limit of 100 fails the others.
CONNECTIONS = 1024


class Features(BaseModel):
    """What is asked."""

    feature_1: float
    feature_2: float


class Prediction(BaseModel):
    """What is answered."""

    request_id: str
    probability: float
    predicted_class: int


class Event(BaseModel):
    """What is sent."""

    request_id: str
    features: Features
    probability: float
    predicted_class: int
    timestamp: datetime


def score(features: Features) -> Prediction:
    """The prediction of the model that Driftline serves unless it is given another one."""
    odds = math.exp(BIAS + WEIGHTS[0] * features.feature_1 + WEIGHTS[1] * features.feature_2)
    probability = odds / (1 + odds)
    return Prediction(
        request_id=str(uuid4()),
        probability=probability,
        predicted_class=int(probability >= THRESHOLD),
    )


def entry(features: Features, prediction: Prediction) -> dict[FieldT, EncodableT]:
    """The fields of the stream's entry: the event as JSON."""
    event = Event(
        request_id=prediction.request_id,
        features=features,
        probability=prediction.probability,
        predicted_class=prediction.predicted_class,
        timestamp=datetime.now(UTC),
    )
    return {"event": event.model_dump_json()}
