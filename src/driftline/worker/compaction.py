"""Has closed segments compacted, by a process of its own: this one stays small, and its loop free."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress

import structlog

from driftline.supervisor import Child

log = structlog.get_logger()

_POLL_S = 1.0
_AGAIN_S = 3600.0
"""Days become too old also while nothing is rotated."""
_SETTLE_S = 60.0
"""Who follows the log has read a segment by then, and need not load what reads Parquet."""
_NICE = 10
"""Predictions come first."""
_GRACE_S = 5.0


async def compact_closed(
    child: Child,
    segment: Callable[[], int],
    *,
    settle_s: float = _SETTLE_S,
    poll_s: float = _POLL_S,
    again_s: float = _AGAIN_S,
) -> None:
    """Runs the process a minute after the start and after each rotation, and once an hour, until it is cancelled.

    What it cannot finish, because it is killed or the disk is full, the next run takes up again.

    Args:
        child: The process that compacts.
        segment: Returns the number of the segment that is being written.
        settle_s: How long a segment has been closed, at least.
        poll_s: How often it is looked for a new one.
        again_s: The longest time between two runs.
    """
    while True:
        await asyncio.sleep(settle_s)
        written = segment()
        if written > 1:
            await _run(child)
        waited_s = 0.0
        while segment() == written and waited_s < again_s:
            await asyncio.sleep(poll_s)
            waited_s += poll_s


async def _run(child: Child) -> None:
    try:
        process = await asyncio.create_subprocess_exec(
            *child.command,
            env=child.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,  # what it has done it logs, too
        )
    except OSError as error:
        log.warning("log.not_compacted", reason=f"the process cannot be started: {error.strerror}")
        return
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process.pid, _NICE)
    try:
        code = await process.wait()
    except asyncio.CancelledError:
        await _end(process)
        raise
    if code:
        log.warning("log.not_compacted", reason=f"the process ended with {code}")


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _GRACE_S)
        except TimeoutError:
            process.kill()
            await process.wait()
