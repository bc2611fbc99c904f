"""Ray Serve: one replica on a Ray of its own, one XADD awaited in it.

``python -m bench_serve.servers.ray_service PORT DIRECTORY``, with ``REDIS_URL`` set; Ray's files go into the directory.
"""

import os
import sys
from typing import Any

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own
import ray
from ray import serve
from ray.serve.config import HTTPOptions
from ray.serve.schema import LoggingConfig
from redis.asyncio import Redis
from starlette.requests import Request

from bench_serve.servers.job import CONNECTIONS, STREAM, Features, entry, score


class Scorer:
    """The model, beside its connections to Redis, in the process of a replica."""

    def __init__(self, redis_url: str) -> None:
        self.redis = Redis.from_url(redis_url, max_connections=CONNECTIONS)

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Scores, sends the event, answers."""
        features = Features.model_validate_json(await request.body())
        prediction = score(features)
        await self.redis.xadd(STREAM, entry(features, prediction))
        return prediction.model_dump()


def start(directory: str) -> None:
    """Starts Ray, on all cores: its processes give each other 15 s, which one core alone can be too slow for."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    ray.init(num_cpus=1, include_dashboard=False, _temp_dir=directory)
    this = psutil.Process()
    for process in (this, *this.children(recursive=True)):
        for thread in process.threads():
            os.sched_setaffinity(thread.id, own)


def answer(port: int) -> None:
    """Answers until it is ended."""
    quiet = LoggingConfig(log_level="ERROR", enable_access_log=False)
    serve.start(http_options=HTTPOptions(host="127.0.0.1", port=port), logging_config=quiet)
    scorer = serve.deployment(Scorer, num_replicas=1, max_ongoing_requests=CONNECTIONS, logging_config=quiet)
    serve.run(scorer.bind(os.environ["REDIS_URL"]), route_prefix="/predict", blocking=True)


if __name__ == "__main__":
    start(sys.argv[2])
    answer(int(sys.argv[1]))
