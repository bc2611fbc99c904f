"""Predictions that were made of a file, kept as a server keeps its own: in an outbox, on their way to the log."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from driftline.api.keeper import Keeper, Origin
from driftline.api.served import ScoredRows, Served
from driftline.errors import OutboxError
from driftline.outbox.outbox import Outbox, Sync
from driftline.outbox.root import OutboxRoot
from driftline.transport.relay import Relay
from driftline.transport.sender import Sender

ROOM_WITHIN_S: Final = 30.0
"""So long room in the outbox is waited for, before what is left of it is used up."""
MOST_FILLED: Final = 0.5
"""Share of the outbox that is filled before it is waited for the log to take some of it."""
_LOOK_EVERY_S: Final = 0.1
FLUSH_S: Final = 1.0

Keep = Callable[[ScoredRows], Awaitable[list[str]]]


class Destination(NamedTuple):
    """Where predictions are kept.

    Attributes:
        outbox_dir: The directory of all outboxes.
        sender: Brings them towards the log.
        sync: What they have survived when they are told.
        max_bytes: Most bytes that the outbox may hold.
        segment_max_bytes: Size of one file of it.
    """

    outbox_dir: Path
    sender: Sender
    sync: Sync
    max_bytes: int
    segment_max_bytes: int


@asynccontextmanager
async def keeping(served: Served, to: Destination) -> AsyncIterator[Keep]:
    """Gives what keeps predictions, and returns their request ids when their events are in the outbox.

    What is not in the log at the end stays in the outbox, for the worker to find.

    Raises:
        OutboxUnavailableError: The outbox cannot be written.
        OutboxFullError: It is full, and nobody takes from it.
    """
    root = OutboxRoot(to.outbox_dir)
    root.create()
    outbox = Outbox(root, segment_max_bytes=to.segment_max_bytes, max_bytes=to.max_bytes, sync=to.sync)
    relay = Relay(root, outbox, to.sender)
    relaying = asyncio.create_task(relay.run(), name="relay")
    keeper = Keeper(outbox, durable=to.sync == "always")
    rows = 0

    async def keep(scored: ScoredRows) -> list[str]:
        nonlocal rows
        give_up_at = time.monotonic() + ROOM_WITHIN_S
        while outbox.fill_ratio > MOST_FILLED and time.monotonic() < give_up_at:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(_LOOK_EVERY_S)
        try:
            kept = await keeper.keep_all(served, scored, Origin())
        except OutboxError as error:
            raise type(error)(f"{error.message}; the first {rows:,} rows are kept, and the rest is not") from error
        rows += len(scored)
        await asyncio.sleep(0)  # the relay's turn
        return list(kept.request_ids)

    try:
        yield keep
    finally:
        await relay.stop(FLUSH_S)
        await asyncio.gather(relaying, return_exceptions=True)
        await outbox.close()
        await to.sender.close()
