"""MLServer: a runtime of one's own with an endpoint of its own, one XADD awaited in it.

Its standard endpoint takes tensors; this one takes and gives the JSON that the others do, and costs less.
For ``mlserver start``, with ``REDIS_URL`` set.
"""

import os

from mlserver import MLModel
from mlserver.handlers import custom_handler
from redis.asyncio import Redis

from bench_serve.servers.job import CONNECTIONS, STREAM, Features, Prediction, entry, score


class Scorer(MLModel):
    """The model, beside its connections to Redis."""

    async def load(self) -> bool:
        """True: it is ready."""
        self.redis = Redis.from_url(os.environ["REDIS_URL"], max_connections=CONNECTIONS)
        return True

    @custom_handler(rest_path="/predict")
    async def answer(self, features: Features) -> Prediction:
        """Scores, sends the event, answers."""
        prediction = score(features)
        await self.redis.xadd(STREAM, entry(features, prediction))
        return prediction
