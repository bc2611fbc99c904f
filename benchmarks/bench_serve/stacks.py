"""What can be measured: a command that answers on a port, what it is asked, and how one tells that it did its work."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from redis import Redis

FEATURES = {"feature_1": 1.5, "feature_2": -0.7}
BODY = json.dumps(FEATURES).encode()
PROBABILITY = 0.7649478037637648
# Some models know fewer digits.
TOLERANCE = 1e-6
STREAM = "prediction_events"


class Place(NamedTuple):
    """Where one stack runs; nothing in it is shared with another.

    Attributes:
        directory: For its files; empty at first.
        port: Of 127.0.0.1, where it has to listen.
        redis_url: A Redis of its own, empty at first; started only if the stack says that it uses one.
    """

    directory: Path
    port: int
    redis_url: str


def says_the_probability(answer: bytes) -> bool:
    """Whether an answer in the form ``{"probability": ...}`` is right for :data:`FEATURES`."""
    return is_right(json.loads(answer)["probability"])


def is_right(probability: float) -> bool:
    """Whether this is the probability that the seed's model has for :data:`FEATURES`."""
    return abs(probability - PROBABILITY) < TOLERANCE


def stream_length(place: Place) -> int:
    """How many entries the stream has to which a stack adds one for each prediction."""
    with Redis.from_url(place.redis_url) as redis:
        length: int = redis.xlen(STREAM)
        return length


def published(place: Place) -> int:
    """How many messages were published, whether anybody listened or not."""
    with Redis.from_url(place.redis_url) as redis:
        return int(redis.info("commandstats").get("cmdstat_publish", {}).get("calls", 0))


def _nothing(_: Place) -> Mapping[str, str]:
    return {}


class Stack(NamedTuple):
    """One thing to measure.

    Attributes:
        name: As the page shows it.
        command: The server; what it starts counts as part of it. It ends on SIGTERM. It inherits its core.
        environment: What its environment has beyond ours.
        path: Where predictions are asked for, by POST with JSON.
        body: What is asked: :data:`FEATURES`, in the stack's own form.
        right: Whether an answer to that is right.
        redis: Whether it uses a Redis.
        events: How many events arrived since it started; it may wait for those on their way. None for a constant reply.
        answered: How many requests it says itself that it answered with 200, also those whose client did not wait.
        beside: A process that takes its events on, not part of the server and measured apart.
        connections: How many clients ask at once.
        version: What was measured, with its version, where it is not of this environment.
    """

    name: str
    command: Callable[[Place], Sequence[str]]
    environment: Callable[[Place], Mapping[str, str]] = _nothing
    path: str = "/predict"
    body: bytes = BODY
    right: Callable[[bytes], bool] = says_the_probability
    redis: bool = False
    events: Callable[[Place], int] | None = None
    answered: Callable[[Place], int] | None = None
    beside: Callable[[Place], Sequence[str]] | None = None
    connections: int = 64
    version: str = ""
