"""Reads the log again and again while it is written, so that damage is found before somebody needs what is damaged."""

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path

import structlog
from prometheus_client import Gauge

from driftline.errors import LogDamagedError, LogError
from driftline.eventlog.damage import lines_set_aside
from driftline.eventlog.loss import look
from driftline.eventlog.record import Block, ParquetFile
from driftline.eventlog.verify import Found, check_blocks, check_files

log = structlog.get_logger()

DAMAGED_LINES = Gauge("driftline_log_damaged_lines", "Lines of the log that were found damaged, and are set aside.")
LOST_LINES = Gauge("driftline_log_lost_lines", "Lines that were committed and that no segment of the log holds.")
RECORD_DAMAGED = Gauge("driftline_log_record_damaged", "1 while the log cannot be opened for damage, else 0.")

_BLOCK_EVERY_S = 1.0
_PASS_EVERY_S = 60.0


async def scrub(log_dir: Path, *, block_every_s: float = _BLOCK_EVERY_S, pass_every_s: float = _PASS_EVERY_S) -> None:
    """Works until it is cancelled: a MiB or so a second, and at most one pass a minute.

    Args:
        log_dir: The log.
        block_every_s: How long it rests after each block, and for each MiB of a Parquet file.
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
    _, contents, losses = await asyncio.to_thread(look, log_dir)
    RECORD_DAMAGED.set(0)
    LOST_LINES.set(sum(loss.lines for loss in losses))
    _tell(map(str, losses), told)
    entries: list[Block | ParquetFile] = [*contents.blocks, *contents.files]
    for entry in entries:
        for found in await asyncio.to_thread(_check, log_dir, entry):
            if found.set_aside:
                DAMAGED_LINES.set(await asyncio.to_thread(lines_set_aside, log_dir))
            _tell(filter(None, [found.problem]), told)
        await asyncio.sleep(rest_s if isinstance(entry, Block) else rest_s * max(1, entry.size_bytes >> 20))


def _tell(problems: Iterable[str], told: set[str]) -> None:
    for problem in problems:
        if problem not in told:
            told.add(problem)
            log.error("log.incomplete", error=problem)


def _check(log_dir: Path, entry: Block | ParquetFile) -> list[Found]:
    return list(check_blocks(log_dir, [entry]) if isinstance(entry, Block) else check_files(log_dir, [entry]))
