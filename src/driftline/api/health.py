"""What probes are told."""

from typing import Final

from driftline.api.predict import JSON_HEADERS
from driftline.contract.openapi import UNLOGGED_REASONS
from driftline.contract.problems import Answer, problem

ALIVE: Final = Answer(200, JSON_HEADERS, b'{"status":"ok"}')

_DETAILS = {
    "starting": "The server is starting.",
    "stopping": "The server is stopping.",
    "outbox_full": "The outbox is full: the log has not taken its events for a while.",
    "outbox_unavailable": "The outbox cannot be written.",
}


UNLOGGED: Final = {
    reason: Answer(200, JSON_HEADERS, b'{"status":"unlogged","reason":"%s"}' % reason.encode())
    for reason in UNLOGGED_REASONS
}


def readiness(reason: str | None, *, serves_unlogged: bool) -> Answer:
    """Returns the answer of a server that is ready, or is not for this reason.

    One that answers what it cannot keep stays ready: were all of them taken out for one full log, nothing would be
    answered any more, which is what ``outbox_full_policy = serve`` is there to prevent.
    """
    if reason is None:
        return ALIVE
    if serves_unlogged and reason in UNLOGGED:
        return UNLOGGED[reason]
    return problem("not_ready", _DETAILS[reason], reason=reason)
