"""What probes are told."""

from typing import Final

from driftline.api.predict import JSON_HEADERS
from driftline.contract.problems import Answer, problem

ALIVE: Final = Answer(200, JSON_HEADERS, b'{"status":"ok"}')

_DETAILS = {
    "starting": "The server is starting.",
    "stopping": "The server is stopping.",
    "outbox_full": "The outbox is full: the log has not taken its events for a while.",
    "outbox_unavailable": "The outbox cannot be written.",
}


def readiness(reason: str | None) -> Answer:
    """Returns the answer of a server that is ready, or is not for this reason."""
    if reason is None:
        return ALIVE
    return problem("not_ready", _DETAILS[reason], reason=reason)
