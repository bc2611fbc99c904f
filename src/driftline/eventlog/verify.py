"""Reads the whole log, and sets aside what is not what was committed."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from driftline.errors import LogUnavailableError
from driftline.eventlog.damage import Damage, intact, set_aside, sift
from driftline.eventlog.loss import Loss, look
from driftline.eventlog.parquet_files import damage_of, is_intact, path_of, set_file_aside
from driftline.eventlog.record import Block, ParquetFile
from driftline.eventlog.writer import segment_path

log = structlog.get_logger()

Progress = Callable[[int, int], None]


class Found(NamedTuple):
    """What was found in one block, or one Parquet file.

    Attributes:
        block: The block, or the file.
        damage: Stretches that are not what was committed.
        problem: Why it could not be read; empty if it could, or if it is not there: ``find_losses`` tells that.
        set_aside: Files that were written to quarantine.
    """

    block: Block | ParquetFile
    damage: list[Damage]
    problem: str
    set_aside: list[Path]


@dataclass
class Verification:
    """What a log was found to be.

    Attributes:
        log: The log's id.
        lines: Committed lines, damaged or not.
        bytes: Committed bytes.
        damaged: Stretches that are not what was committed.
        lost: Segments that are missing, or shorter than what was committed to them.
        problems: Segments that cannot be read.
        set_aside: Files that this verification has written to quarantine.
    """

    log: str
    lines: int = 0
    bytes: int = 0
    damaged: list[Damage] = field(default_factory=list)
    lost: list[Loss] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    set_aside: list[Path] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether the log is, to the byte, what was committed."""
        return not (self.damaged or self.lost or self.problems)

    @property
    def damaged_lines(self) -> int:
        """Lines that are lost to damage."""
        return sum(damage.lines for damage in self.damaged)

    @property
    def lost_lines(self) -> int:
        """Lines that no segment holds any more."""
        return sum(loss.lines for loss in self.lost)

    def as_dict(self) -> dict[str, Any]:
        """Returns it as what JSON knows."""
        return {
            "log": self.log,
            "lines": self.lines,
            "bytes": self.bytes,
            "damaged_lines": self.damaged_lines,
            "damaged": [str(damage) for damage in self.damaged],
            "lost_lines": self.lost_lines,
            "lost_bytes": sum(loss.lost_bytes for loss in self.lost),
            "lost": [str(loss) for loss in self.lost],
            "problems": self.problems,
            "set_aside": [str(path) for path in self.set_aside],
            "sound": self.sound,
        }


def verify_log(log_dir: Path, progress: Progress = lambda _done, _total: None) -> Verification:
    """Returns what the log is found to be; damaged lines are copied to quarantine, the segments stay as they are.

    It may be written meanwhile: what is looked at is what was committed at the beginning. Memory is constant.

    Args:
        log_dir: The directory of the log.
        progress: Is told, again and again, how many bytes of how many have been read.

    Raises:
        LogNotFoundError: There is no log in it.
        LogDamagedError: Its record of what is committed is damaged itself.
        LogUnavailableError: The directory cannot be read.
    """
    try:
        log_id, contents, lost = look(log_dir)
    except OSError as error:
        raise LogUnavailableError(f"cannot read {error.filename}: {error.strerror}") from error
    verification = Verification(log_id, lost=lost)
    read_bytes = 0
    for found in itertools.chain(check_blocks(log_dir, contents.blocks), check_files(log_dir, contents.files)):
        verification.lines += found.block.lines
        verification.bytes += _size(found.block)
        verification.damaged += [_exactly(log_dir, found.block, damage) for damage in found.damage]
        verification.set_aside += found.set_aside
        if found.problem and found.problem not in verification.problems:
            verification.problems.append(found.problem)
        read_bytes += _size(found.block)
        progress(read_bytes, contents.size_bytes)
    return verification


def _size(entry: Block | ParquetFile) -> int:
    return entry.length if isinstance(entry, Block) else entry.size_bytes


def _exactly(log_dir: Path, entry: Block | ParquetFile, damage: Damage) -> Damage:
    """The same damage, with those lines only that cannot be read any more."""
    if isinstance(entry, Block):
        return damage
    from driftline.eventlog.parquet import salvaged  # noqa: PLC0415 (DuckDB takes long to load)

    return salvaged(log_dir, entry)


def check_blocks(log_dir: Path, blocks: list[Block]) -> Iterator[Found]:
    """Yields what is found in each block, whose damaged lines have been set aside by then; see also ``find_losses``."""
    for block in blocks:
        path = segment_path(log_dir, block.segment)
        try:
            with path.open("rb") as segment:
                segment.seek(block.start)
                content = segment.read(block.length)
        except FileNotFoundError:
            content = b""
        except OSError as error:
            yield Found(block, [], f"{path} cannot be read: {error.strerror}", [])
            continue
        lost = len(content) < block.length
        damage = [] if lost or intact(block, content) else sift(block, content).damage
        yield Found(block, damage, "", [*_set_aside(log_dir, block, content, damage)])


def check_files(log_dir: Path, files: list[ParquetFile]) -> Iterator[Found]:
    """Yields what is found of each Parquet file; a damaged one has been set aside by then, and all its lines count.

    One that is not all there is passed over: ``find_losses`` tells that.
    """
    for file in files:
        path = path_of(log_dir, file)
        try:
            if path.stat().st_size < file.size_bytes or is_intact(log_dir, file):
                yield Found(file, [], "", [])
                continue
            aside = set_file_aside(log_dir, file)
        except FileNotFoundError:
            yield Found(file, [], "", [])
        except OSError as error:
            yield Found(file, [], f"{path} cannot be read, or not be set aside: {error.strerror}", [])
        else:
            if aside is not None:
                log.error("log.damaged", segment=file.segment, day=file.day, lines=file.lines, quarantined=True)
            yield Found(file, [damage_of(file, file.lines)], "", [aside] if aside else [])


def _set_aside(log_dir: Path, block: Block, content: bytes, damage: list[Damage]) -> Iterator[Path]:
    for stretch in damage:
        begin = stretch.start - block.start
        where = {"segment": stretch.segment, "start": stretch.start, "bytes": stretch.length, "lines": stretch.lines}
        try:
            path = set_aside(log_dir, stretch, content[begin : begin + stretch.length])
        except OSError as error:
            log.error("log.damaged", **where, quarantined=False, error=error.strerror)
            continue
        if path is not None:
            log.error("log.damaged", **where, quarantined=True)
            yield path
