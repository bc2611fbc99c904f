"""What the API counts. Labels are closed sets: the routes there are, HTTP statuses, the codes of refusals."""

import os
from pathlib import Path
from typing import Final

from prometheus_client import Counter, Histogram, multiprocess

from driftline.contract.metrics import REFUSED as EVENTS_REFUSED
from driftline.contract.problems import PREDICT_CODES
from driftline.telemetry import METRICS_VARIABLE

OTHER_ROUTE: Final = "other"

REQUESTS: Final = Counter("driftline_requests_total", "Requests answered.", ["route", "status"])
DURATION: Final = Histogram(
    "driftline_request_duration_seconds",
    "From the head of a request to /predict to the end of its answer.",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
ACCEPTED: Final = Counter("driftline_events_accepted_total", "Predictions answered with 200; each is in the outbox.")
UNLOGGED_EVENTS: Final = Counter(
    "driftline_events_unlogged_total", "Predictions answered although they could not be kept.", ["reason"]
)
# Made at once, so that a counter that is missing means a name that is wrong and not "none yet".
REFUSED: Final = {code: EVENTS_REFUSED.labels(code) for code in PREDICT_CODES}
UNLOGGED: Final = {code: UNLOGGED_EVENTS.labels(code) for code in ("outbox_full", "outbox_unavailable")}


def forget_dead_processes() -> None:
    """Removes the gauges of processes that have died, which would be added up with the living ones for ever."""
    directory = os.environ.get(METRICS_VARIABLE)
    for path in Path(directory).glob("gauge_live*_*.db") if directory else ():
        pid = int(path.stem.rpartition("_")[2])
        if not _is_alive(pid):
            multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]  # the library leaves it untyped


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
