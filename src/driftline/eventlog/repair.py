"""Rebuilds the record of a log, ``log.sqlite``, from its segments."""

import os
import re
import sqlite3
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import structlog

from driftline.contract.checksum import claims_checksum, vouched
from driftline.durable import lock_directory, make_directory, sync_directory
from driftline.errors import LogDamagedError, LogNotFoundError, LogUnavailableError
from driftline.eventlog.damage import QUARANTINE, Damage, give_to_owner, set_aside
from driftline.eventlog.store import BLOCK_BYTES, FILE_NAME, Block, Gap, LogStore
from driftline.eventlog.writer import RESTORING, SEGMENTS, segment_path

log = structlog.get_logger()

_REBUILT = f".{FILE_NAME}.rebuilt"
_LOG_ID = re.compile(r"[0-9a-f]{32}")
_SIDE_FILES = ("-wal", "-shm")


@dataclass
class Rebuilt:
    """What a rebuilt record says.

    Attributes:
        log_id: The id of the log, a new one.
        predecessors: The logs that it replaces: what it was before is one.
        lines: Good lines.
        damaged_lines: Lines that do not vouch for themselves; they are set aside.
        cut_bytes: Bytes at the very end that are no whole line; they are set aside, and the worker cuts them.
        committed: The next seq to expect, by producer.
        gaps: Events that no line is there for, though there are later ones.
    """

    log_id: str = ""
    predecessors: tuple[str, ...] = ()
    lines: int = 0
    damaged_lines: int = 0
    cut_bytes: int = 0
    committed: dict[str, int] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)


class _Identified(msgspec.Struct):
    producer: str
    seq: int


_decoder = msgspec.json.Decoder(_Identified)


def rebuild_record(log_dir: Path, obeyed: str | None) -> Rebuilt | None:
    """Rebuilds a record that is damaged or gone, from the lines themselves; returns None if it is neither.

    A whole line was committed, or was about to be: either way it is an event that its producer was answered for, with
    its number, so taking it as committed neither doubles nor loses it. The log gets a new id and names the old one as
    replaced, so that nobody believes what the old one acknowledged.

    Args:
        log_dir: The directory of the log; its worker must be stopped.
        obeyed: The log that the outboxes obey, if that is known.

    Raises:
        LogNotFoundError: There are no segments.
        LogDamagedError: A segment is missing, or a restore was interrupted.
        LogUnavailableError: A worker has the log, or the disk refuses.
    """
    if (log_dir / RESTORING).exists():
        raise LogDamagedError(f"a restore of {log_dir} was interrupted: run it again (driftline log restore)")
    numbers = sorted(int(path.stem) for path in (log_dir / SEGMENTS).glob("[0-9]*.jsonl"))
    if not numbers:
        raise LogNotFoundError(f"there are no segments in {log_dir / SEGMENTS} to rebuild a record from")
    if numbers != list(range(1, numbers[-1] + 1)):
        missing = min(set(range(1, numbers[-1] + 1)) - set(numbers))
        raise LogDamagedError(f"{segment_path(log_dir, missing)} is missing: bring it back from a backup first")
    try:
        lock_fd = lock_directory(log_dir)
        if lock_fd is None:
            raise LogUnavailableError(f"a worker has {log_dir}; stop it first")
        try:
            return None if _sound(log_dir / FILE_NAME) else _rebuild(log_dir, numbers, obeyed)
        finally:
            os.close(lock_fd)
    except OSError as error:
        raise LogUnavailableError(f"cannot use {log_dir}: {error.strerror}") from error


def _sound(path: Path) -> bool:
    try:
        LogStore(path).close()
    except (LogDamagedError, LogNotFoundError):
        return False
    return True


def _rebuild(log_dir: Path, numbers: list[int], obeyed: str | None) -> Rebuilt:
    rebuilt = Rebuilt()
    blocks: list[Block] = []
    for number in numbers:
        first_row = blocks[-1].first_row + blocks[-1].lines if blocks else 0
        blocks += _read_segment(log_dir, number, first_row, rebuilt, last=number == numbers[-1])
    known = {*_known_ids(log_dir / FILE_NAME), *_known_ids(log_dir / _REBUILT), *([obeyed] if obeyed else [])}
    rebuilt.predecessors = tuple(sorted(known))
    path = log_dir / _REBUILT
    for leftover in (path, *(Path(f"{path}{suffix}") for suffix in _SIDE_FILES)):
        leftover.unlink(missing_ok=True)
    segments = [(number, segment_path(log_dir, number).stat().st_ctime) for number in numbers]
    store = LogStore(path, create=True)
    try:
        store.fill(segments, blocks, rebuilt.committed, rebuilt.gaps, rebuilt.predecessors)
        rebuilt.log_id = store.log_id()
    finally:
        store.close()
    _put_in_place(log_dir)
    log.info("log.rebuilt", log=rebuilt.log_id, lines=rebuilt.lines, damaged_lines=rebuilt.damaged_lines)
    return rebuilt


def _put_in_place(log_dir: Path) -> None:
    """Swaps the records; at no moment is there one that could be taken for whole and is not."""
    quarantine = log_dir / QUARANTINE
    make_directory(quarantine)
    at = time.time_ns()
    # The old one first: without it its write-ahead log means nothing, but beside a new one it would be played into it.
    for suffix in ("", *_SIDE_FILES):
        with suppress(FileNotFoundError):
            Path(f"{log_dir / FILE_NAME}{suffix}").rename(quarantine / f"{FILE_NAME}-{at}{suffix}")
        sync_directory(log_dir)
    fd = os.open(log_dir / _REBUILT, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    give_to_owner(log_dir, quarantine, log_dir / _REBUILT)
    (log_dir / _REBUILT).rename(log_dir / FILE_NAME)
    sync_directory(log_dir)


def _known_ids(path: Path) -> Iterator[str]:
    """What can still be read of the ids that a log had; a wrong one among them is one that nobody obeys."""
    with suppress(sqlite3.Error, UnicodeDecodeError):
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            for table in ("identity", "predecessors"):
                with suppress(sqlite3.Error, UnicodeDecodeError):
                    for (log_id,) in connection.execute(f"SELECT log_id FROM {table}"):  # noqa: S608
                        if isinstance(log_id, str) and _LOG_ID.fullmatch(log_id):
                            yield log_id
        finally:
            connection.close()


def _read_segment(log_dir: Path, number: int, first_row: int, rebuilt: Rebuilt, *, last: bool) -> list[Block]:
    """Returns the blocks of a segment; a damaged stretch is one of its own, with a checksum that it does not have."""
    blocks: list[Block] = []
    current = Block(number, 0, 0, first_row, 0, 0)
    bad = current
    with segment_path(log_dir, number).open("rb") as segment:
        for line in segment:
            event = _event(line)
            if event is None:
                bad = bad.extended(line, 1)
                continue
            if bad.length:
                blocks += [current] if current.length else []
                blocks.append(_known_bad(log_dir, segment.fileno(), bad, rebuilt))
            if bad.length or current.length >= BLOCK_BYTES:
                blocks += [] if bad.length else [current]
                before = bad if bad.length else current
                current = _following(before)
            current = current.extended(line, 1)
            bad = _following(current)
            rebuilt.lines += 1
            _count(rebuilt, event)
        blocks += [current] if current.length else []
        if bad.length and last:
            content = os.pread(segment.fileno(), bad.length, bad.start)
            set_aside(log_dir, Damage(number, bad.start, bad.length, 0), content)
            rebuilt.cut_bytes = bad.length
        elif bad.length:
            blocks.append(_known_bad(log_dir, segment.fileno(), bad, rebuilt))
        os.fsync(segment.fileno())
    return blocks


def _following(block: Block) -> Block:
    """An empty block behind this one."""
    return Block(block.segment, block.start + block.length, 0, block.first_row + block.lines, 0, 0)


def _known_bad(log_dir: Path, segment_fd: int, bad: Block, rebuilt: Rebuilt) -> Block:
    content = os.pread(segment_fd, bad.length, bad.start)
    set_aside(log_dir, Damage(bad.segment, bad.start, bad.length, bad.lines), content)
    rebuilt.damaged_lines += bad.lines
    return bad._replace(crc=zlib.crc32(content) ^ 1)


def _event(line: bytes) -> _Identified | None:
    """Who a line is from, if it can be believed: it vouches for itself, or is from before lines did."""
    if not line.endswith(b"\n"):
        return None
    try:
        event = _decoder.decode(line[:-1])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return event if vouched(line[:-1]) or not claims_checksum(line[:-1]) else None


def _count(rebuilt: Rebuilt, event: _Identified) -> None:
    expected = rebuilt.committed.get(event.producer, 0)
    if event.seq > expected:
        rebuilt.gaps.append(Gap(event.producer, expected, event.seq))
    rebuilt.committed[event.producer] = max(expected, event.seq + 1)
