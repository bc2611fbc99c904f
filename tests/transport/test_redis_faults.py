"""What only a broker can do to us: go away, forget, freeze, fill up, hold what is not ours."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.typing import EncodableT

from driftline.transport.redis import LOGS, STREAM
from tests.redis_server import StartRedis
from tests.transport.world import World, run
from tests.waiting import eventually


@pytest.fixture
def client(redis_world: World) -> Iterator[Redis]:
    assert redis_world.url is not None
    with Redis.from_url(redis_world.url) as client:
        yield client


def test_a_redis_killed_without_a_memory_loses_nothing(redis_world: World) -> None:
    world, redis = redis_world, redis_world.redis
    assert redis is not None

    async def story() -> None:
        worker, api = world.start_worker(), world.start_api()
        for turn in range(40):
            api.append(20)
            await asyncio.sleep(0.01)
            if turn in {10, 25}:
                await asyncio.to_thread(redis.kill)
            if turn in {20, 35}:
                await asyncio.to_thread(redis.start)
        await world.drained(60)
        await api.stop()
        await worker.stop()

    run(story())
    assert world.ledger().balanced


def test_a_redis_that_is_away_at_the_start_is_waited_for(redis_world: World) -> None:
    world, redis = redis_world, redis_world.redis
    assert redis is not None
    redis.stop()

    async def story() -> None:
        worker, api = world.start_worker(), world.start_api()
        api.append(300)
        await eventually(lambda: worker.scribe.reason.startswith("the broker is away"))
        await asyncio.to_thread(redis.start)
        await world.drained()
        assert not worker.scribe.reason
        await api.stop()
        await worker.stop()

    run(story())


def test_a_flushed_redis_loses_nothing_and_keeps_no_stale_position(redis_world: World, client: Redis) -> None:
    world = redis_world

    async def story() -> None:
        worker, api = world.start_worker(), world.start_api()
        for turn in range(40):
            api.append(20)
            await asyncio.sleep(0.01)
            if turn % 10 == 5:
                await asyncio.to_thread(client.flushall)
        await world.drained(60)
        await api.stop()
        await worker.stop()

    run(story())
    assert world.ledger().balanced


def test_a_stream_whose_ids_went_back_is_read_from_its_beginning(redis_world: World, client: Redis) -> None:
    """After a wipe and a step of the clock, new ids are lower than the last one seen."""
    world = redis_world

    async def story() -> None:
        worker, api = world.start_worker(), world.start_api()
        api.append(10)
        await world.drained()
        await asyncio.to_thread(client.flushall)
        worker.receiver._subscriber.last_id = "99999999999999-0"  # type: ignore[attr-defined]
        api.append(10)
        await world.drained()
        await api.stop()
        await worker.stop()

    run(story())


def test_a_frozen_redis_delays_and_loses_nothing(redis_world: World) -> None:
    world, redis = redis_world, redis_world.redis
    assert redis is not None

    async def story() -> None:
        worker, api = world.start_worker(), world.start_api()
        api.append(100)
        redis.freeze()
        api.append(100)
        await asyncio.sleep(3)  # longer than the client waits for an answer
        api.append(100)
        redis.thaw()
        await world.drained()
        await api.stop()
        await worker.stop()

    run(story())


def test_a_full_redis_is_waited_for(redis_world: World, client: Redis) -> None:
    world = redis_world
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", 1)

    async def story() -> None:
        worker, api = world.start_worker(), world.start_api()
        api.append(500)
        await asyncio.sleep(1)
        assert world.rows() == 0
        await asyncio.to_thread(client.config_set, "maxmemory", 0)
        await world.drained()
        await api.stop()
        await worker.stop()

    run(story())


@pytest.mark.long
def test_what_is_in_the_stream_stays_bounded_while_no_worker_reads(redis_world: World, client: Redis) -> None:
    world = redis_world

    async def story() -> None:
        worker = world.start_worker()
        first = world.start_api()
        first.append(1)
        await world.drained()
        await worker.crash()
        first.append(30_000)
        await asyncio.sleep(1.5)
        assert client.xlen(STREAM) <= 17
        await first.crash()
        second = world.start_api()
        second.append(30_000)
        await asyncio.sleep(1.5)
        assert client.xlen(STREAM) <= 34
        worker = world.start_worker()
        await world.drained(60)
        await eventually(lambda: client.xlen(STREAM) == 0)
        await second.stop()
        await worker.stop()

    run(story())
    assert world.ledger().balanced


def test_entries_that_are_no_batches_block_nothing(redis_world: World, client: Redis) -> None:
    world = redis_world
    broken: dict[EncodableT, EncodableT] = {
        b"log": b"\xff",
        b"producer": b"p",
        b"base_seq": b"0",
        b"first_seq": b"0",
        b"count": b"1",
        b"payload": b"x",
    }
    foreign: dict[EncodableT, EncodableT] = {b"x": b"y"}
    for fields in (foreign, broken, {**broken, b"log": b"l", b"count": b"7"}, {**broken, b"base_seq": b"-1"}):
        client.xadd(STREAM, fields)
    client.hset(LOGS, "garbage", "not json")

    async def story() -> None:
        worker, api = world.start_worker(), world.start_api()
        api.append(100)
        await world.drained()
        await api.stop()
        await worker.stop()

    run(story())
    assert client.xlen(STREAM) == 0


@pytest.mark.parametrize("secured", [{"password": "s3cret-word"}, {"tls": True}])
def test_password_and_tls_urls_work(
    tmp_path: Path, start_redis: StartRedis, secured: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path, "redis", start_redis(**secured))

    async def story() -> None:
        worker, api = world.start_worker(), world.start_api()
        api.append(100)
        await world.drained()
        await api.stop()
        await worker.stop()

    run(story())
    assert "s3cret-word" not in "".join(capfd.readouterr())


@pytest.mark.long
def test_two_live_logs_are_a_question_that_is_not_guessed(redis_world: World, tmp_path: Path) -> None:
    world = redis_world

    async def story() -> None:
        other = world.start_worker(tmp_path / "other")
        worker = world.start_worker()
        await eventually(lambda: bool(worker.scribe.log_id and other.scribe.log_id))
        await asyncio.sleep(1.5)
        api = world.start_api()
        api.append(10)
        await asyncio.sleep(1.5)
        assert world.root.log_id() is None
        await other.stop()
        await world.drained()  # the other is forgotten once it has been silent for five seconds
        assert world.root.log_id() == worker.scribe.log_id
        await api.stop()
        await worker.stop()

    run(story())
