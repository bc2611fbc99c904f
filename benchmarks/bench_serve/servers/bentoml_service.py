"""BentoML: a service with one worker, one XADD awaited in its asynchronous endpoint.

For ``bentoml serve``, with ``REDIS_URL`` set.
"""

import os

import bentoml
from redis.asyncio import Redis

from bench_serve.servers.job import CONNECTIONS, STREAM, Features, Prediction, entry, score


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Scorer:
    """The model, beside its connections to Redis."""

    def __init__(self) -> None:
        self.redis = Redis.from_url(os.environ["REDIS_URL"], max_connections=CONNECTIONS)

    @bentoml.api
    async def predict(self, feature_1: float, feature_2: float) -> Prediction:
        """Scores, sends the event, answers."""
        features = Features(feature_1=feature_1, feature_2=feature_2)
        prediction = score(features)
        await self.redis.xadd(STREAM, entry(features, prediction))
        return prediction
