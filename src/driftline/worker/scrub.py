"""Reads the log again and again while it is written, so that damage is found before somebody needs what is damaged."""

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path

import structlog
from prometheus_client import Gauge

from driftline.errors import LogDamagedError, LogError
from driftline.eventlog.damage import lines_set_aside
from driftline.eventlog.loss import find_losses
from driftline.eventlog.record import Block
from driftline.eventlog.verify import Found, check_blocks, committed_blocks

log = structlog.get_logger()

DAMAGED_LINES = Gauge("driftline_log_damaged_lines", "Lines of the log that were found damaged, and are set aside.")
LOST_LINES = Gauge("driftline_log_lost_lines", "Lines that were committed and that no segment of the log holds.")
RECORD_DAMAGED = Gauge("driftline_log_record_damaged", "1 while the log cannot be opened for damage, else 0.")

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
            RECORD_DAMAGED.set(1)
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
    RECORD_DAMAGED.set(0)
    losses = await asyncio.to_thread(find_losses, log_dir, blocks)
    LOST_LINES.set(sum(loss.lines for loss in losses))
    _tell(map(str, losses), told)
    for block in blocks:
        for found in await asyncio.to_thread(_check, log_dir, block):
            if found.set_aside:
                DAMAGED_LINES.set(await asyncio.to_thread(lines_set_aside, log_dir))
            _tell(filter(None, [found.problem]), told)
        await asyncio.sleep(rest_s)


def _tell(problems: Iterable[str], told: set[str]) -> None:
    for problem in problems:
        if problem not in told:
            told.add(problem)
            log.error("log.incomplete", error=problem)


def _check(log_dir: Path, block: Block) -> list[Found]:
    return list(check_blocks(log_dir, [block]))
