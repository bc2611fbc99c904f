"""What the API counts. Labels are closed sets: the routes there are, HTTP statuses, the codes of refusals."""

import asyncio
from bisect import bisect_left
from collections import Counter as Counted
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from prometheus_client import Counter, Histogram

from driftline.contract.metrics import REFUSED as EVENTS_REFUSED
from driftline.contract.problems import KEPT_CODES
from driftline.errors import PortError
from driftline.ports import Address
from driftline.probes import HealthServer

OTHER_ROUTE: Final = "other"
TAKE_OVER_S: Final = 0.5

REQUESTS: Final = Counter("driftline_requests_total", "Requests answered.", ["route", "status"])
DURATION: Final = Histogram(
    "driftline_request_duration_seconds",
    "From the head of a request for one prediction to the end of its answer.",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
ACCEPTED: Final = Counter(
    "driftline_events_accepted_total", "Predictions and outcomes answered with 200; each is in the outbox."
)
UNLOGGED_EVENTS: Final = Counter(
    "driftline_events_unlogged_total", "Predictions answered although they could not be kept.", ["reason"]
)
# Made at once, so that a counter that is missing means a name that is wrong and not "none yet".
REFUSED: Final = {code: EVENTS_REFUSED.labels(code) for code in KEPT_CODES}
UNLOGGED: Final = {code: UNLOGGED_EVENTS.labels(code) for code in ("outbox_full", "outbox_unavailable")}


def note_durations(durations_s: Sequence[float]) -> None:
    """Counts how long requests for one prediction took, as :data:`DURATION` would one by one.

    Each of its counts is a write into memory that the processes share; so each is made once.
    """
    bounds, buckets = DURATION._upper_bounds, DURATION._buckets  # noqa: SLF001 (there is no public way for many)
    for bucket, count in Counted(bisect_left(bounds, each) for each in durations_s).items():
        buckets[bucket].inc(count)
    DURATION._sum.inc(sum(durations_s))  # noqa: SLF001


@asynccontextmanager
async def serving_metrics(address: Address | None) -> AsyncIterator[None]:
    """Answers ``/metrics`` on a port apart, while inside; of several processes one does, until another takes over.

    Any of them answers for all. So none needs to be the one, and none that dies takes the port away for long.
    """
    if address is None:
        yield
        return
    serving = asyncio.create_task(_serve_metrics(address), name="metrics")
    try:
        yield
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def _serve_metrics(address: Address) -> None:
    while True:
        try:
            server = HealthServer(address.host, address.port, None)
            break
        except PortError:  # another process has it; whether anybody else has was asked before any was started
            await asyncio.sleep(TAKE_OVER_S)
    try:
        await asyncio.Event().wait()
    finally:
        server.close()
