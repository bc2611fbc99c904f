"""Memory of the process that answers, after many predictions."""

from collections.abc import Callable
from typing import Any

from bench_serve.ours import held_bytes
from bench_serve.running import running
from bench_serve.stacks import Stack
from cores import Cores
from stack import wait_for

PIECE_S = 10
DRAIN_S = 120.0
MB = 1_000_000
# More than one segment, which stays until it is full.
LITTLE_BYTES = 64 * MB


def growth(stack: Stack, marks: tuple[int, ...], cores: Cores, tell: Callable[[str], None]) -> dict[str, Any]:
    """Megabytes of resident memory when so many predictions were answered, at saturation.

    Behind each piece of load the log worker is waited for, which has less than a core: the outbox does not grow.

    Raises:
        RuntimeError: An answer has no event.
    """
    found: dict[str, Any] = {"marks": [], "rss_mb": []}
    with running(stack, cores) as server:
        for mark in marks:
            while server.answers < mark:
                server.load(PIECE_S)
                wait_for("the outbox to drain", lambda: held_bytes(server.place) < LITTLE_BYTES, DRAIN_S)
            found["marks"].append(server.answers)
            found["rss_mb"].append(server.rss_bytes() / MB)
            tell(f"  {server.answers:,} predictions: {found['rss_mb'][-1]:.1f} MB")
        if lost := server.lost():
            raise RuntimeError(f"{lost} of {server.answers} answers have no event")
    return found
