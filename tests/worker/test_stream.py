"""What Redis can do to the worker's end of the stream without ending the worker."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from redis import Redis

from driftline.transport.batch import Batch
from driftline.transport.redis import STREAM, encode_batch
from driftline.worker.stream import StreamReceiver
from tests.redis_server import StartRedis
from tests.transport.world import Worker, World
from tests.waiting import eventually


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 60))


@pytest.fixture
def world(tmp_path: Path, start_redis: StartRedis) -> World:
    return World(tmp_path, "redis", start_redis())


@pytest.fixture
def client(world: World) -> Iterator[Redis]:
    assert world.redis is not None
    with world.redis.client() as client:
        yield client


def receiver_of(worker: Worker) -> StreamReceiver:
    assert isinstance(worker.receiver, StreamReceiver)
    return worker.receiver


def failures() -> float:
    return REGISTRY.get_sample_value("driftline_log_failures_total") or 0.0


def test_a_redis_that_has_no_connection_to_spare_for_the_reading_is_waited_for(world: World, client: Redis) -> None:
    """Asked on one connection, read on another: the first can be had, and the second not."""
    client.config_set("maxclients", 2)

    async def story() -> None:
        worker = world.start_worker()
        await eventually(lambda: client.info("clients")["connected_clients"] == 2)
        await eventually(lambda: worker.task.done() or receiver_of(worker)._away)
        assert not worker.task.done()
        assert client.info("stats")["rejected_connections"] > 0
        client.config_set("maxclients", 100)
        await eventually(lambda: not worker.scribe.reason)
        api = world.start_api()
        api.append(100)
        await world.drained()
        await api.stop()
        await worker.stop()

    run(story)


def test_a_key_of_that_name_that_is_no_stream_is_a_reason_and_no_end(world: World, client: Redis) -> None:
    client.set(STREAM, "a string")

    async def story() -> None:
        worker, api = world.start_worker(), world.start_api()
        api.append(100)
        wrong = "the broker is away: Redis: WRONGTYPE"
        await eventually(lambda: worker.scribe.reason.startswith(wrong))
        await asyncio.sleep(1.2)  # a beat, at which it might have taken itself for ready
        assert worker.scribe.reason.startswith(wrong)
        client.delete(STREAM)
        await world.drained()
        assert not worker.scribe.reason
        await api.stop()
        await worker.stop()

    run(story)


def test_a_redis_that_comes_back_is_read_from_within_a_few_seconds(world: World) -> None:
    redis = world.redis
    assert redis is not None

    async def story() -> None:
        worker, api = world.start_worker(), world.start_api()
        api.append(10)
        await world.drained()
        await asyncio.to_thread(redis.kill)
        await eventually(lambda: worker.scribe.reason.startswith("the broker is away"))
        await asyncio.to_thread(redis.start)
        api.append(10)
        await world.drained(within_s=4)
        await api.stop()
        await worker.stop()

    run(story)


def test_an_entry_that_breaks_the_taking_is_counted_and_holds_up_nothing(
    world: World, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault: a defect of ours. FastStream says nothing of an error in a handler."""
    poison = Batch.of("the log", "f" * 32, 0, 0, [b"poison"])

    async def story() -> None:
        worker = world.start_worker()
        await eventually(lambda: worker.scribe.opened and not worker.scribe.reason)
        take = worker.scribe._take

        def defective(batches: list[Batch]) -> Any:
            if any(batch.producer == poison.producer for batch in batches):
                raise RuntimeError("a defect of ours")
            return take(batches)

        monkeypatch.setattr(worker.scribe, "_take", defective)
        entry = encode_batch(Batch.of(worker.scribe.log_id, poison.producer, 0, 0, [b"poison"]))
        client.xadd(STREAM, entry)
        await eventually(lambda: failures() > before)
        api = world.start_api()
        api.append(100)
        await world.drained()
        await api.stop()
        await worker.stop()

    before = failures()
    run(story)
    assert world.ledger().balanced
