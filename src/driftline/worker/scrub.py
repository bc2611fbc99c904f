"""Reads the log again and again while it is written, so that damage is found before somebody needs what is damaged."""

import asyncio
import time
from pathlib import Path

import structlog
from prometheus_client import Gauge

from driftline.errors import LogDamagedError, LogError
from driftline.eventlog.damage import lines_set_aside
from driftline.eventlog.store import Block
from driftline.eventlog.verify import Found, check_blocks, committed_blocks

log = structlog.get_logger()

DAMAGED_LINES = Gauge("driftline_log_damaged_lines", "Lines of the log that were found damaged, and are set aside.")

_BLOCK_EVERY_S = 1.0
_PASS_EVERY_S = 60.0


async def scrub(log_dir: Path, *, block_every_s: float = _BLOCK_EVERY_S, pass_every_s: float = _PASS_EVERY_S) -> None:
    """Works until it is cancelled: a block a second, of at most a MiB or so, and at most one pass a minute.

    Args:
        log_dir: The log.
        block_every_s: How long it rests after each block.
        pass_every_s: How long from the beginning of one pass to that of the next, at least.
    """
    told: set[str] = set()
    while True:
        began = time.monotonic()
        try:
            await _pass(log_dir, block_every_s, told)
        except LogDamagedError as error:  # its writer, who knows by heart what is in it, may not meet this for long
            if error.message not in told:
                told.add(error.message)
                log.error("log.record_damaged", error=error.message)
        except LogError as error:
            log.debug("log.not_scrubbed", error=error.message)
        except OSError as error:
            log.warning("log.not_scrubbed", error=str(error))
        await asyncio.sleep(max(0.0, began + pass_every_s - time.monotonic()))


async def _pass(log_dir: Path, rest_s: float, told: set[str]) -> None:
    DAMAGED_LINES.set(await asyncio.to_thread(lines_set_aside, log_dir))
    _, blocks = await asyncio.to_thread(committed_blocks, log_dir)
    for block in blocks:
        for found in await asyncio.to_thread(_check, log_dir, block):
            if found.set_aside:
                DAMAGED_LINES.set(await asyncio.to_thread(lines_set_aside, log_dir))
            if found.problem and found.problem not in told:
                told.add(found.problem)
                log.error("log.incomplete", error=found.problem)
        await asyncio.sleep(rest_s)


def _check(log_dir: Path, block: Block) -> list[Found]:
    return list(check_blocks(log_dir, [block]))
