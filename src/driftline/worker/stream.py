"""Receives from Redis Streams through FastStream: plain XREAD, for the seq is the position.

A consumer group would add a second memory of what has been delivered, and every way in which it can disagree with the
log; see docs/adr/0003.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import structlog
from faststream.redis import RedisBroker, StreamSub
from faststream.redis.message import FAKE_CONSUMER, RedisBatchStreamMessage
from pydantic import BaseModel, Field
from redis.exceptions import ResponseError

from driftline.contract.metrics import REFUSED
from driftline.errors import BrokerError, LogError
from driftline.transport.batch import Batch
from driftline.transport.redis import STREAM, Acknowledgements, broker_errors, connect, decode_batch
from driftline.worker.scribe import FAILURES, Scribe

log = structlog.get_logger()

_FIRST = "0-0"
_BEAT_S = 1.0
_MAX_ENTRIES = 32
_BLOCK_MS = 500


class BatchEntry(BaseModel):
    """A stream entry: consecutive events of one producer, addressed to one log."""

    log: str = Field(description="Id of the log it is for; no other takes it.")
    producer: str = Field(description="Id of the outbox that the events come from.", pattern="^[0-9a-f]{32}$")
    base_seq: int = Field(ge=0, description="The oldest seq that this outbox still holds on disk.")
    first_seq: int = Field(ge=0, description="The seq of the first event.")
    count: int = Field(ge=0, description="How many events there are; 0 only tells base_seq.")
    payload: str = Field(
        description="The events, one JSON object a line; an empty line is an event that was damaged in its outbox.",
        json_schema_extra={"contentMediaType": "application/x-ndjson"},
    )


class Received(NamedTuple):
    """A stream entry as it came; the batch is None if it is none."""

    entry_id: bytes
    batch: Batch | None


Handler = Callable[[list[Received]], Awaitable[None]]


async def _parse(message: Any) -> RedisBatchStreamMessage:
    """Reads entries as they are: FastStream's own parser knows only its own envelope."""
    entries = zip(message["message_ids"], message["data"], strict=True)
    return RedisBatchStreamMessage(
        raw_message=message,
        body=[Received(entry_id, decode_batch(fields)) for entry_id, fields in entries],
        consumer=FAKE_CONSUMER,  # there is no group, so nothing to acknowledge to
        group=None,
    )


async def _decode(message: RedisBatchStreamMessage) -> Any:
    return message.body


def build(url: str, timeout_s: float, handler: Handler) -> tuple[RedisBroker, Any]:
    """Returns a FastStream broker and its one subscriber, which gives ``handler`` what it reads; nothing is opened."""
    broker = RedisBroker(
        url,
        socket_timeout=timeout_s + _BLOCK_MS / 1000,
        socket_connect_timeout=timeout_s,
        apply_types=False,
        logger=None,  # type: ignore[arg-type]  # the documented way to have none
    )
    subscriber = broker.subscriber(
        stream=StreamSub(STREAM, last_id=_FIRST, batch=True, max_records=_MAX_ENTRIES, polling_interval=_BLOCK_MS),
        parser=_parse,
        decoder=_decode,
        no_reply=True,
        title=STREAM,
        description="Predictions on their way to the log: an entry is a batch, and the log's seqs are the position.",
    )

    @subscriber
    async def write(entries: list[BatchEntry]) -> None:
        await handler(entries)  # type: ignore[arg-type]  # the annotation is the document's; the decoder gives Received

    return broker, subscriber


class StreamReceiver:
    """Brings what comes through the stream into the log, and publishes what is committed.

    Args:
        url: The Redis server.
        timeout_s: How long any answer of it may take.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self._redis = connect(url, timeout_s)
        self._broker, self._subscriber = build(url, timeout_s, self._receive)
        self._stop = asyncio.Event()
        self._failed: LogError | None = None
        self._scribe: Scribe | None = None
        self._acknowledgements: Acknowledgements | None = None
        self._run_id = ""
        self._unpublished = False
        self._away = ""

    async def run(self, scribe: Scribe) -> None:
        """Works until :meth:`stop`; Redis may come and go.

        Raises:
            LogDamagedError: The log was found damaged, or is gone.
        """
        self._scribe = scribe
        self._acknowledgements = Acknowledgements(self._redis, scribe.log_id, scribe.life, scribe.predecessors)
        try:
            while not self._stop.is_set() and self._failed is None:
                await scribe.check()
                try:
                    await self._beat(scribe, self._acknowledgements)
                except BrokerError as error:
                    await self._lost(scribe, error)
                await self._wait()
        finally:
            await self._broker.stop()
            await self._redis.aclose()
        if self._failed is not None:
            raise self._failed

    def stop(self) -> None:
        """Asks :meth:`run` to return after the commit under way; what is in the stream stays there."""
        self._stop.set()

    # -- what is read

    async def _receive(self, entries: list[Received]) -> None:
        scribe, acknowledgements = self._scribe, self._acknowledgements
        if scribe is None or acknowledgements is None or self._stop.is_set() or self._failed is not None:
            return
        mine = [entry for entry in entries if entry.batch is None or self._concerns(scribe, entry.batch)]
        batches = [entry.batch for entry in mine if entry.batch is not None and entry.batch.log == scribe.log_id]
        malformed = sum(entry.batch is None for entry in entries)
        if malformed:
            REFUSED.labels("malformed").inc(malformed)
            log.warning("stream.malformed", entries=malformed)
        try:
            await asyncio.shield(scribe.take(batches))
        except LogError as error:
            self._failed = error
            self._stop.set()
            return
        except Exception:  # an outermost loop: FastStream swallows it without a word; these batches will come again
            FAILURES.inc()
            log.exception("stream.failed")
            return
        touched = {batch.producer: scribe.committed.get(batch.producer, 0) for batch in batches}
        try:
            await acknowledgements.publish(touched)
            if mine:
                async with broker_errors():
                    await self._redis.xdel(STREAM, *(entry.entry_id for entry in mine))
        except BrokerError as error:
            log.debug("acknowledgement.failed", error=error.message)
            self._unpublished = True

    def _concerns(self, scribe: Scribe, batch: Batch) -> bool:
        """Whether nobody else will read it: it is for this log, or one that this log replaces."""
        return batch.log == scribe.log_id or batch.log in scribe.predecessors

    # -- once a second

    async def _beat(self, scribe: Scribe, acknowledgements: Acknowledgements) -> None:
        run_id, last_id = await self._look()
        known = run_id == self._run_id and not self._unpublished
        if not known or not await acknowledgements.complete(len(scribe.committed)):
            self._unpublished = False  # first, so that a failure meanwhile is not forgotten
            await self._publish_all(scribe, acknowledgements)
        await acknowledgements.announce()
        if not self._subscriber.running:
            async with broker_errors():
                await self._broker.start()
        if (run_id != self._run_id and self._run_id) or last_id < _number(self._subscriber.last_id):
            log.info("stream.restarted", run_id=run_id)
            self._subscriber.last_id = _FIRST
        self._run_id = run_id
        if self._away:
            self._away = ""
            log.info("broker.reached")
        scribe.source_away("")

    async def _publish_all(self, scribe: Scribe, acknowledgements: Acknowledgements) -> None:
        try:
            await acknowledgements.publish(scribe.committed)
        except BrokerError:
            self._unpublished = True
            raise

    async def _look(self) -> tuple[str, tuple[int, int]]:
        """Returns the server's run id, and the last id that its stream has given."""
        async with broker_errors():
            server = await self._redis.info("server")
            try:
                stream = await self._redis.xinfo_stream(STREAM)
            except ResponseError as error:
                if "no such key" not in str(error):
                    raise
                return str(server["run_id"]), (0, 0)
            return str(server["run_id"]), _number(stream["last-generated-id"].decode())

    async def _lost(self, scribe: Scribe, error: BrokerError) -> None:
        if error.message != self._away:  # such as a password that is wrong since it came back
            self._away = error.message
            log.warning("broker.lost", error=error.message)
        scribe.source_away(f"the broker is away: {error.message}")
        if self._subscriber.running:  # FastStream would go on trying, at once after some errors, after 5 s after others
            await self._broker.stop()

    async def _wait(self) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), _BEAT_S)
        except TimeoutError:
            return


def _number(entry_id: str) -> tuple[int, int]:
    milliseconds, _, count = entry_id.partition("-")
    return int(milliseconds), int(count or 0)
