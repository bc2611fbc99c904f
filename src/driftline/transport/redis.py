"""Redis Streams as the way between outboxes and a log: one entry a batch, and a hash for what is committed.

    prediction_events                          stream; an entry is a batch
    prediction_events:logs                     hash; log id -> its life, its predecessors, when it last said so
    prediction_events:committed:{log}:{life}   hash; producer -> the seq below which everything is in the log

Redis may lose, repeat, reorder or forget any of it.
"""

import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import cast

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError
from redis.typing import EncodableT

from driftline.errors import BrokerError
from driftline.transport.batch import Batch
from driftline.transport.sender import LogInfo, Poll

STREAM = "prediction_events"
LOGS = f"{STREAM}:logs"
LIVE_FOR_MS = 5_000
"""A log that has not been heard of for so long is not live."""
COMMITTED_TTL_S = 86_400
"""A worker's life that is over leaves a hash behind, which goes after this time."""

_PAGE = 64

_SURVEY_S = 1.0

_StreamEntry = tuple[bytes, dict[bytes, bytes]]


def committed_key(log: str, life: str) -> str:
    """Returns the key of the hash in which a worker's life publishes what its log has committed."""
    return f"{STREAM}:committed:{log}:{life}"


class Announcement(msgspec.Struct, frozen=True):
    """What a log says of itself in ``prediction_events:logs``.

    Attributes:
        life: Id of the worker's life.
        predecessors: The logs that it replaces.
        at_ms: When, by the clock of Redis, in milliseconds since 1970.
    """

    life: str
    predecessors: list[str]
    at_ms: int


def encode_batch(batch: Batch) -> dict[EncodableT, EncodableT]:
    """Returns the fields of the stream entry for a batch."""
    return {
        "log": batch.log,
        "producer": batch.producer,
        "base_seq": batch.base_seq,
        "first_seq": batch.first_seq,
        "count": batch.count,
        "payload": batch.payload,
    }


def decode_batch(fields: Mapping[bytes, bytes]) -> Batch | None:
    """Returns the batch of a stream entry, or None if it is not one."""
    try:
        batch = Batch(
            fields[b"log"].decode("ascii"),
            fields[b"producer"].decode("ascii"),
            int(fields[b"base_seq"]),
            int(fields[b"first_seq"]),
            int(fields[b"count"]),
            fields[b"payload"],
        )
    except (KeyError, ValueError):
        return None
    return batch if batch.well_formed() else None


def connect(url: str, timeout_s: float) -> Redis:
    """Returns a client that answers, or fails, within ``timeout_s`` seconds; nothing is opened yet.

    Raises:
        BrokerError: The URL is not one of Redis.
    """
    try:
        client = Redis.from_url(
            url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, health_check_interval=15
        )
        # Opens nothing either, and refuses parameters that there are not.
        client.connection_pool.make_connection()  # type: ignore[no-untyped-call]  # the library leaves it untyped
    except (ValueError, TypeError) as error:
        raise BrokerError(f"the broker's URL is not one of Redis: {error}") from error
    return client


@asynccontextmanager
async def broker_errors() -> AsyncIterator[None]:
    """Lets nothing of redis-py out but a BrokerError."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise BrokerError(f"Redis: {str(error) or type(error).__name__}") from error


class RedisSender:
    """Sends batches as stream entries.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``, with the password if there is one.
        timeout_s: How long any answer may take.
    """

    window_batches = 8

    def __init__(self, url: str, timeout_s: float) -> None:
        self._redis = connect(url, timeout_s)
        self._sent: defaultdict[str, deque[tuple[int, bytes]]] = defaultdict(deque)
        self._searched: set[str] = set()
        self._run_id = ""
        self._logs: Mapping[str, LogInfo] = {}
        self._surveyed_at = -_SURVEY_S

    async def poll(self, log: str | None, producers: Collection[str]) -> Poll:
        """Returns what the obeyed log's latest life has published."""
        async with self._watched():
            if time.monotonic() - self._surveyed_at >= _SURVEY_S:
                await self._survey()
            committed = None if log is None else await self._committed(log, list(producers))
        return Poll(self._run_id, self._logs, committed)

    async def send(self, batch: Batch) -> None:
        """Adds the batch to the stream."""
        async with self._watched():
            entry_id = cast("bytes", await self._redis.xadd(STREAM, encode_batch(batch)))
            self._sent[batch.producer].append((batch.stop_seq, entry_id))

    async def withdraw(self, producer: str) -> None:
        """Deletes this producer's entries: those sent from here, and at first those of an earlier owner."""
        async with self._watched():
            ids = [entry_id for _, entry_id in self._sent.pop(producer, ())]
            if producer not in self._searched:
                ids = [entry_id async for entry_id in self._entries_of(producer)]
            if ids:
                await self._redis.xdel(STREAM, *ids)
            self._searched.add(producer)

    async def close(self) -> None:
        """Closes the connections."""
        await self._redis.aclose()

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        try:
            async with broker_errors():
                yield
        except BrokerError:
            self._surveyed_at = -_SURVEY_S  # whoever answers next may be another server
            self._searched.clear()  # and entries may lie there of which no answer told the id
            raise

    async def _survey(self) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.info("server")
        pipeline.time()
        pipeline.hgetall(LOGS)
        server, (seconds, micros), announced = await pipeline.execute()
        self._run_id = str(server["run_id"])
        self._logs = dict(_decode_logs(announced, seconds * 1000 + micros // 1000))
        self._surveyed_at = time.monotonic()

    async def _committed(self, log: str, producers: list[str]) -> dict[str, int] | None:
        """Asks for the log's life along with its numbers: those of a life that is over say nothing any more."""
        for _ in range(2):
            info = self._logs.get(log)
            if info is None:
                return None
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.hget(LOGS, log)
            if producers:
                pipeline.hmget(committed_key(log, info.life), producers)
            announced, *numbers = await pipeline.execute()
            announcement = _decode_announcement(announced)
            if announcement is not None and announcement.life == info.life:
                found = zip(producers, numbers[0] if numbers else (), strict=True)
                committed = {producer: int(number) for producer, number in found if number and number.isdigit()}
                self._forget_sent(committed)
                return committed
            await self._survey()
        return None

    def _forget_sent(self, committed: Mapping[str, int]) -> None:
        for producer, number in committed.items():
            sent = self._sent[producer]
            while sent and sent[0][0] <= number:
                sent.popleft()

    async def _entries_of(self, producer: str) -> AsyncIterator[bytes]:
        start = "-"
        while True:
            page = cast("list[_StreamEntry]", await self._redis.xrange(STREAM, start, count=_PAGE))
            if not page:
                return
            for entry_id, fields in page:
                if fields.get(b"producer") == producer.encode():
                    yield entry_id
            start = f"({page[-1][0].decode()}"


class Acknowledgements:
    """A worker's side of what a relay polls: says which life speaks for a log, and what it has committed.

    Args:
        client: The connection.
        log: The log's id.
        life: The worker's life.
        predecessors: The logs that this one replaces.
    """

    def __init__(self, client: Redis, log: str, life: str, predecessors: Collection[str]) -> None:
        self._redis = client
        self._log = log
        self._key = committed_key(log, life)
        self._life = life
        self._predecessors = sorted(predecessors)

    async def publish(self, committed: Mapping[str, int]) -> None:
        """Publishes these producers' numbers.

        Raises:
            BrokerError: Redis is away or refuses.
        """
        async with broker_errors():
            pipeline = self._redis.pipeline(transaction=False)
            if committed:
                pipeline.hset(self._key, mapping={producer: str(number) for producer, number in committed.items()})
                pipeline.expire(self._key, COMMITTED_TTL_S)
            await pipeline.execute()

    async def announce(self) -> None:
        """Says that this life speaks for the log, by the clock of Redis.

        Raises:
            BrokerError: Redis is away or refuses.
        """
        async with broker_errors():
            seconds, micros = await self._redis.time()
            announcement = Announcement(self._life, self._predecessors, seconds * 1000 + micros // 1000)
            await self._redis.hset(LOGS, self._log, msgspec.json.encode(announcement))

    async def complete(self, producers: int) -> bool:
        """Whether as many producers' numbers are published as there are; else Redis has forgotten some.

        Raises:
            BrokerError: Redis is away or refuses.
        """
        async with broker_errors():
            return await self._redis.hlen(self._key) >= producers


def live_logs(announced: Mapping[bytes, bytes], now_ms: int) -> frozenset[str]:
    """Returns the logs that are live, of what is in ``prediction_events:logs``."""
    return frozenset(log for log, info in _decode_logs(announced, now_ms) if info.live)


def _decode_announcement(announced: bytes | None) -> Announcement | None:
    try:
        return msgspec.json.decode(announced or b"", type=Announcement)
    except msgspec.DecodeError:
        return None


def _decode_logs(announced: Mapping[bytes, bytes], now_ms: int) -> Iterator[tuple[str, LogInfo]]:
    for log, value in announced.items():
        announcement = _decode_announcement(value)
        if announcement is not None:
            live = abs(now_ms - announcement.at_ms) < LIVE_FOR_MS
            yield log.decode(errors="replace"), LogInfo(announcement.life, frozenset(announcement.predecessors), live)
