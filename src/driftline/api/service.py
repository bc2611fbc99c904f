"""What lives as long as an API process serves: the outbox, the relay behind it, and whether requests are welcome."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, Literal

import structlog

from driftline.api.config import ApiConfig
from driftline.api.feedback import FeedbackTaker
from driftline.api.keeper import Keeper
from driftline.api.predict import Predictor
from driftline.api.roster import Roster
from driftline.api.shadow import Shadows
from driftline.contract.feedback import Outcomes
from driftline.errors import OutboxError
from driftline.outbox.outbox import Outbox
from driftline.outbox.root import OutboxRoot
from driftline.transport.local import LocalSender
from driftline.transport.relay import Relay
from driftline.transport.sender import Sender

log = structlog.get_logger()

_DRAIN_POLL_S: Final = 0.05


def make_sender(config: ApiConfig) -> Sender:
    """Returns what brings batches towards the log: through Redis, or not at all where the worker reads the outboxes.

    Raises:
        BrokerError: The broker's URL is not one of Redis.
    """
    if config.broker_url is None:
        return LocalSender(config.log_dir)
    from driftline.transport.redis import RedisSender  # noqa: PLC0415 (a third of a second that embedded saves)

    return RedisSender(config.broker_url, config.broker_timeout_s)


class Service:
    """One API process.

    Args:
        config: See :class:`ApiConfig`.
        roster: The models.

    Attributes:
        in_flight: Requests that have come and are not answered yet; kept by the middleware.
        parting: Whether each answer is to be the last on its connection.
        reading: The timeouts of bodies that are on their way.
        roster: The models.
        keeper: Keeps what they predict; None before the start.
        predict: Decides ``/predict``; None before the start.
        take_feedback: Decides ``/feedback``; None before the start.
    """

    def __init__(self, config: ApiConfig, roster: Roster) -> None:
        self.in_flight = 0
        self.parting = False
        self.reading: set[asyncio.Timeout] = set()
        self.predict: Predictor | None = None
        self.take_feedback: FeedbackTaker | None = None
        self._config = config
        self.roster: Final = roster
        self.keeper: Keeper | None = None
        self._outbox: Outbox | None = None
        self._phase: Literal["starting", "serving", "stopping"] = "starting"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Opens the outbox and relays from it; on the way out gives its events a while to be committed.

        Raises:
            OutboxUnavailableError: The directory of the outboxes cannot be made.
        """
        config = self._config
        root = OutboxRoot(config.outbox_dir)
        root.create()
        outbox = self._outbox = Outbox(
            root,
            segment_max_bytes=config.outbox_segment_max_bytes,
            max_bytes=config.outbox_max_bytes,
            sync=config.outbox_sync,
        )
        sender = make_sender(config)
        relay = Relay(root, outbox, sender)
        relaying = asyncio.create_task(relay.run(), name="relay")
        durable = config.outbox_sync == "always"
        shadows = Shadows(self.roster)
        keeper = self.keeper = Keeper(
            outbox, durable=durable, serve_unlogged=self.serves_unlogged, beside=shadows.offer
        )
        shadowing = asyncio.create_task(shadows.run(keeper), name="shadows")
        self.predict = Predictor(
            self.roster.default, keeper, max_body_bytes=config.max_body_bytes, chosen=self.roster.chosen
        )
        self.take_feedback = FeedbackTaker(outbox, self.outcomes, durable=durable, max_body_bytes=config.max_body_bytes)
        self._phase = "serving"
        schema = self.roster.default().schema
        log.info("api.started", model=schema.name, model_version=schema.version)
        try:
            yield
        finally:
            self.stop_soon()
            await shadows.stop()
            shadowing.cancel()
            await relay.stop(config.flush_s)
            await asyncio.gather(relaying, shadowing, return_exceptions=True)
            await outbox.close()
            await sender.close()
            log.info("api.stopped")

    def outcomes(self) -> Outcomes:
        """Returns what an outcome may be, of the models that are served now."""
        return Outcomes.of(served.schema for served in self.roster.all())

    def stop_soon(self) -> None:
        """Makes the service not ready; requests that come all the same are answered."""
        self._phase = "stopping"

    def part_with_clients(self) -> None:
        """Makes each answer the last on its connection, so that its client goes elsewhere with the next request."""
        self.parting = True

    async def drain(self, count_connections: Callable[[], int], at_most_s: float) -> None:
        """Returns when no client is connected any more, or the time is up.

        A body that was on its way all that time is given up.

        Args:
            count_connections: Returns how many are.
            at_most_s: A client that sends nothing for so long is not going to learn that it better went.
        """
        deadline = time.monotonic() + at_most_s
        slow = set(self.reading)
        while (self.in_flight or count_connections()) and time.monotonic() < deadline:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(_DRAIN_POLL_S)
        for timeout in slow & self.reading:
            timeout.reschedule(asyncio.get_running_loop().time())

    @property
    def serves_unlogged(self) -> bool:
        """Whether predictions that cannot be kept are answered all the same."""
        return self._config.outbox_full_policy == "serve"

    def not_ready_reason(self) -> str | None:
        """Returns why requests should go elsewhere, as a code, or None if they are welcome."""
        if self._phase != "serving" or self._outbox is None:
            return self._phase
        try:
            self._outbox.check()
        except OutboxError as error:
            return error.code
        return None
