"""What a Redis server says of itself, as far as it matters to Driftline."""

import time
from typing import NamedTuple, cast

from redis.exceptions import ResponseError

from driftline.errors import BrokerError
from driftline.transport.redis import LOGS, STREAM, broker_errors, connect, live_logs


class RedisFacts(NamedTuple):
    """What was asked.

    Attributes:
        version: Its version.
        append_only: Whether it keeps an append-only file.
        append_fsync: How often that is synced; None if it may not be asked.
        max_memory_bytes: Most that it may hold; 0 is no limit.
        used_memory_bytes: What it holds.
        policy: What it does when it is full.
        ahead_s: By how much its clock is ahead of ours, to half the time of the round trip.
        round_trip_s: How long an answer took.
        entries: Batches in the stream.
        logs: The logs that have been heard of in the last seconds.
    """

    version: str
    append_only: bool
    append_fsync: str | None
    max_memory_bytes: int
    used_memory_bytes: int
    policy: str
    ahead_s: float
    round_trip_s: float
    entries: int
    logs: frozenset[str]


async def redis_facts(url: str, timeout_s: float) -> RedisFacts:
    """Returns what the server says; nothing is written there.

    Raises:
        BrokerError: It is away, refuses, or the URL is not one of Redis.
    """
    redis = connect(url, timeout_s)
    try:
        async with broker_errors():
            info = await redis.info()
            began = time.time()
            seconds, micros = await redis.time()
            ended = time.time()
            now_s = seconds + micros / 1e6
            announced = cast("dict[bytes, bytes]", await redis.hgetall(LOGS))
            entries = await redis.xlen(STREAM) if await redis.type(STREAM) == b"stream" else 0
            try:
                config = await redis.config_get("appendfsync")
            except ResponseError:  # managed services do not let everybody ask
                config = {}
        try:
            return RedisFacts(
                version=str(info["redis_version"]),
                append_only=bool(info.get("aof_enabled")),
                append_fsync=config.get("appendfsync"),
                max_memory_bytes=int(info.get("maxmemory", 0)),
                used_memory_bytes=int(info.get("used_memory", 0)),
                policy=str(info.get("maxmemory_policy", "")),
                ahead_s=now_s - (began + ended) / 2,
                round_trip_s=ended - began,
                entries=entries,
                logs=live_logs(announced, round(now_s * 1000)),
            )
        except (KeyError, ValueError) as error:
            raise BrokerError(f"Redis: it does not say what it is: {error}") from error
    finally:
        await redis.aclose()
