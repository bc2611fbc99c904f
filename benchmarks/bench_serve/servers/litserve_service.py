"""LitServe: requests scored in batches by its one inference worker, their events sent to Redis in one pipeline.

``python -m bench_serve.servers.litserve_service PORT``, with ``REDIS_URL`` set.
"""

import os
import sys
from collections.abc import Sequence

import litserve
from redis import Redis

from bench_serve.servers.job import STREAM, Features, Prediction, entry, score

BATCH = 64
BATCH_WAIT_S = 0.002


class Scorer(litserve.LitAPI):
    """The model, beside its connection to Redis, in the process of the inference worker."""

    def setup(self, device: str) -> None:
        """Connects; ``device`` is the processor."""
        del device
        self.redis = Redis.from_url(os.environ["REDIS_URL"])

    def decode_request(self, request: Features) -> Features:
        """What was asked, which the annotation has FastAPI validate."""
        return request

    def batch(self, inputs: Sequence[Features]) -> Sequence[Features]:
        """The requests that are there."""
        return inputs

    def predict(self, x: Sequence[Features]) -> list[Prediction]:
        """Scores them all, sends their events together."""
        predictions = [score(features) for features in x]
        with self.redis.pipeline(transaction=False) as pipeline:
            for features, prediction in zip(x, predictions, strict=True):
                pipeline.xadd(STREAM, entry(features, prediction))
            pipeline.execute()
        return predictions

    def unbatch(self, output: list[Prediction]) -> list[Prediction]:
        """One for each request."""
        return output

    def encode_response(self, output: Prediction) -> Prediction:
        """What is answered, which FastAPI writes as JSON."""
        return output


if __name__ == "__main__":
    server = litserve.LitServer(
        Scorer(max_batch_size=BATCH, batch_timeout=BATCH_WAIT_S), accelerator="cpu", fast_queue=True
    )
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        api_server_worker_type="thread",
        log_level="warning",
        access_log=False,
        generate_client_file=False,
    )
