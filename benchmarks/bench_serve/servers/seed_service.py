"""The service that Driftline grew out of, written anew from its report: FastAPI, pydantic, an event published to Redis.

For uvicorn, with ``REDIS_URL`` set.
"""

import math
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

from fastapi import FastAPI
from pydantic import BaseModel
from redis.asyncio import Redis

CHANNEL = "prediction_events"
BIAS, WEIGHTS = -0.3, {"feature_1": 0.8, "feature_2": -0.4}


class PredictRequest(BaseModel):
    """What is asked."""

    feature_1: float
    feature_2: float


class PredictResponse(BaseModel):
    """What is answered."""

    request_id: str
    probability: float
    predicted_class: int


class PredictionEvent(BaseModel):
    """What is published."""

    request_id: str
    features: dict[str, float]
    probability: float
    predicted_class: int
    timestamp: datetime


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Has one client of Redis."""
    async with Redis.from_url(os.environ["REDIS_URL"]) as redis:
        app.state.redis = redis
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/predict")
async def predict(request: PredictRequest) -> PredictResponse:
    """One prediction, with its event."""
    features = request.model_dump()
    probability = 1 / (1 + math.exp(-BIAS - sum(WEIGHTS[name] * features[name] for name in WEIGHTS)))
    event = PredictionEvent(
        request_id=str(uuid4()),
        features=features,
        probability=probability,
        predicted_class=int(probability >= 0.5),  # noqa: PLR2004
        timestamp=datetime.now(UTC),
    )
    await app.state.redis.publish(CHANNEL, event.model_dump_json())
    return PredictResponse(**event.model_dump(include=set(PredictResponse.model_fields)))
