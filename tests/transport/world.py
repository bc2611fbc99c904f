"""API lives, workers and what is between them, on real files and a real Redis, to be crashed and started again."""

import asyncio
import gc
import json
import warnings
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Literal

from driftline.errors import LogNotFoundError
from driftline.eventlog.reader import LogReader
from driftline.eventlog.writer import LogWriter
from driftline.outbox.outbox import Outbox, Sync
from driftline.outbox.root import OutboxRoot
from driftline.transport.ledger import Ledger, take_ledger
from driftline.transport.local import LocalSender
from driftline.transport.redis import RedisSender
from driftline.transport.relay import Relay
from driftline.transport.sender import Sender
from driftline.worker.main import make_receiver
from driftline.worker.scribe import Scribe
from tests.redis_server import RedisServer
from tests.waiting import cancelled, eventually

Transport = Literal["local", "redis"]


def run(story: Coroutine[Any, Any, None]) -> None:
    """Runs a story in an event loop of its own, for a minute and a half at most."""

    async def to_its_end() -> None:
        try:
            await asyncio.wait_for(story, 90)
        finally:  # asyncio.run cancels what is left once, which may not be enough, and waits for ever
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                await cancelled(task)

    asyncio.run(to_its_end())


def collect_remains() -> None:
    """Collects what a crash left open, such as a connection that was being made, before another test is told of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


class Api:
    """One life of an API process: an outbox and its relay."""

    def __init__(self, root: OutboxRoot, sender: Sender, *, sync: Sync, segment_max_bytes: int) -> None:
        self.outbox = Outbox(root, sync=sync, segment_max_bytes=segment_max_bytes)
        self.sender = sender
        self.relay = Relay(root, self.outbox, sender, resend_after_s=0.3)
        self.task = asyncio.create_task(self.relay.run())
        self.answered: list[tuple[str, int]] = []

    def append(self, count: int) -> None:
        for _ in range(count):
            producer, seq = self.outbox.producer, self.outbox.next_seq
            line = {"producer": producer, "seq": seq, "timestamp": "2026-11-23T21:00:00Z", "value": "x" * 100}
            self.outbox.append(json.dumps(line).encode())
            self.answered.append((producer, seq))

    async def stop(self) -> None:
        await self.relay.stop(flush_s=5)
        await self.outbox.close()
        await self._close()

    async def crash(self) -> None:
        """Ends as kill -9 would: nothing is flushed, the kernel takes the locks away."""
        await cancelled(self.task)
        self.outbox._give_up()
        await self._close()
        collect_remains()

    async def _close(self) -> None:
        if isinstance(self.sender, RedisSender):
            await self.sender.close()


class Worker:
    """One life of a worker."""

    def __init__(self, log_dir: Path, root: Path, url: str | None, segment_max_bytes: int) -> None:
        self.scribe = Scribe(LogWriter(log_dir, segment_max_bytes=segment_max_bytes))
        self.receiver = make_receiver(root, url, 2.0)
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        await self.scribe.open()
        await self.receiver.run(self.scribe)

    async def stop(self) -> None:
        self.receiver.stop()
        await self.task
        await self.scribe.close()

    async def crash(self) -> None:
        """Ends between two commits, without a word to anyone."""
        async with self.scribe._busy:
            await cancelled(self.task)
        await self.scribe.close()
        collect_remains()


class World:
    """A data directory, and everything that was answered."""

    def __init__(self, directory: Path, transport: Transport, redis: RedisServer | None) -> None:
        self.transport = transport
        self.redis = redis
        self.url = redis.url if redis is not None else None
        self.root = OutboxRoot(directory / "outbox")
        self.root.create()
        self.log_dir = directory / "logs"
        self.apis: list[Api] = []

    def start_api(self, *, sync: Sync = "os", segment_max_bytes: int = 20_000) -> Api:
        sender: Sender = LocalSender(self.log_dir) if self.url is None else RedisSender(self.url, 2.0)
        api = Api(self.root, sender, sync=sync, segment_max_bytes=segment_max_bytes)
        self.apis.append(api)
        return api

    def start_worker(self, log_dir: Path | None = None, segment_max_bytes: int = 40_000) -> Worker:
        return Worker(log_dir or self.log_dir, self.root.path, self.url, segment_max_bytes)

    @property
    def answered(self) -> list[tuple[str, int]]:
        return [event for api in self.apis for event in api.answered]

    def rows(self) -> int:
        try:
            with LogReader(self.log_dir) as log:
                return log.rows
        except LogNotFoundError:
            return 0

    def logged(self) -> list[tuple[str, int]]:
        with LogReader(self.log_dir) as log:
            return [(event["producer"], event["seq"]) for event in map(json.loads, log.lines())]

    def ledger(self) -> Ledger:
        return take_ledger(self.root.path, self.log_dir)

    async def drained(self, within_s: float = 30) -> None:
        """Waits until the log has as many lines as events were answered, and checks that they are those, each once."""

        await eventually(lambda: self.rows() >= len(self.answered), within_s)
        counts = Counter(self.logged())
        assert set(counts.values()) <= {1}, "an event is logged twice"
        assert counts.keys() == set(self.answered)
