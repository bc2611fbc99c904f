"""FastAPI: pydantic in and out, one XADD awaited in the endpoint.

For uvicorn and for Granian, with ``REDIS_URL`` set.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from redis.asyncio import Redis

from bench_serve.servers.job import CONNECTIONS, STREAM, Features, Prediction, entry, score


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Holds the connections to Redis."""
    async with Redis.from_url(os.environ["REDIS_URL"], max_connections=CONNECTIONS) as redis:
        app.state.redis = redis
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/predict")
async def predict(features: Features) -> Prediction:
    """Scores, sends the event, answers."""
    prediction = score(features)
    await app.state.redis.xadd(STREAM, entry(features, prediction))
    return prediction
