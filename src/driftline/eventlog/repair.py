"""Rebuilds the record of a log, ``log.sqlite``, from its segments, and says what these lack."""

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
from driftline.eventlog.loss import Loss, find_losses
from driftline.eventlog.record import BLOCK_BYTES, Block, Gap, Tombstone
from driftline.eventlog.store import FILE_NAME, LogStore
from driftline.eventlog.writer import LOCK_WITHIN_S, RESTORING, SEGMENTS, segment_path

log = structlog.get_logger()

_UNFINISHED = f".{FILE_NAME}.unfinished"
_REBUILT = f".{FILE_NAME}.rebuilt"
"""Whole from the moment it has this name: the ids that it knows may be known from nowhere else."""
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
        lost: What the segments lack of what the record says, if that could be believed.
        gaps: Events that no line is there for, though the log had them, or later ones.
    """

    log_id: str = ""
    predecessors: tuple[str, ...] = ()
    lines: int = 0
    damaged_lines: int = 0
    cut_bytes: int = 0
    committed: dict[str, int] = field(default_factory=dict)
    lost: list[Loss] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


class _Identified(msgspec.Struct):
    producer: str
    seq: int


_decoder = msgspec.json.Decoder(_Identified)


def rebuild_record(log_dir: Path, obeyed: str | None) -> Rebuilt | None:
    """Rebuilds a record that is damaged, gone, or says more than the segments hold; returns None if it is sound.

    A whole line was committed, or was about to be: either way it is an event that its producer was answered for, with
    its number, so taking it as committed neither doubles nor loses it. The log gets a new id and names the old one as
    replaced, so that nobody believes what the old one acknowledged. Of what the segments lack, outboxes that still hold
    it send it again; until then it is a gap. Killed at any moment, it is run again.

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
    try:
        lock_fd = lock_directory(log_dir, within_s=LOCK_WITHIN_S)
        if lock_fd is None:
            raise LogUnavailableError(f"a worker has {log_dir}; stop it first")
        try:
            earlier = _Earlier()
            blocks = earlier.believe(log_dir / FILE_NAME)
            _check_numbers(log_dir, numbers, blocks or [])
            lost = find_losses(log_dir, blocks or [])
            if blocks is not None and not lost:
                return None
            earlier.believe(log_dir / _REBUILT)
            return _rebuild(log_dir, numbers, obeyed, earlier, lost)
        finally:
            os.close(lock_fd)
    except OSError as error:
        raise LogUnavailableError(f"cannot use {log_dir}: {error.strerror}") from error


@dataclass
class _Earlier:
    """What can be believed of what a log had: by its record, and by one that an interrupted run has rebuilt."""

    reached: dict[str, int] = field(default_factory=dict)
    tombstones: set[Tombstone] = field(default_factory=set)

    def believe(self, path: Path) -> list[Block] | None:
        """Adds what a record says, and returns its blocks; None if it is not there, or not sound."""
        try:
            store = LogStore(path)
        except (LogDamagedError, LogNotFoundError):
            return None
        try:
            ends = [*store.committed().items(), *((gap.producer, gap.stop_seq) for gap in store.gaps())]
            for producer, stop in ends:
                self.reached[producer] = max(stop, self.reached.get(producer, 0))
            self.tombstones |= {*store.tombstones()}
            return store.blocks()
        finally:
            store.close()

    def gaps(self, producer: str, first_seq: int, stop_seq: int) -> Iterator[Gap]:
        """Yields what is missing of a stretch for which there is no line: what came damaged is known to have been."""
        for seq in sorted(seq for name, seq in self.tombstones if name == producer and first_seq <= seq < stop_seq):
            if first_seq < seq:
                yield Gap(producer, first_seq, seq)
            first_seq = seq + 1
        if first_seq < stop_seq:
            yield Gap(producer, first_seq, stop_seq)


def _check_numbers(log_dir: Path, numbers: list[int], blocks: list[Block]) -> None:
    last = max(numbers[-1], max((block.segment for block in blocks), default=0))
    missing = sorted({*range(1, last + 1)} - {*numbers})
    if missing:
        path = segment_path(log_dir, missing[0])
        raise LogDamagedError(
            f"{path} is missing: bring it back from a backup first; where there is none, make an empty file of that "
            "name, and what it held counts as lost"
        )


def _rebuild(log_dir: Path, numbers: list[int], obeyed: str | None, earlier: _Earlier, lost: list[Loss]) -> Rebuilt:
    rebuilt = Rebuilt(lost=lost)
    blocks: list[Block] = []
    for number in numbers:
        first_row = blocks[-1].first_row + blocks[-1].lines if blocks else 0
        blocks += _read_segment(log_dir, number, first_row, rebuilt, last=number == numbers[-1])
    known = {*_known_ids(log_dir / FILE_NAME), *_known_ids(log_dir / _REBUILT), *([obeyed] if obeyed else [])}
    rebuilt.predecessors = tuple(sorted(known))
    ends = [Gap(producer, rebuilt.committed.get(producer, 0), stop) for producer, stop in earlier.reached.items()]
    rebuilt.gaps = [gap for without_line in (*rebuilt.gaps, *ends) for gap in earlier.gaps(*without_line)]
    segments = [(number, segment_path(log_dir, number).stat().st_ctime) for number in numbers]
    _remove(log_dir / _UNFINISHED)
    store = LogStore(log_dir / _UNFINISHED, create=True)
    try:
        store.fill(
            segments=segments,
            blocks=blocks,
            committed=rebuilt.committed,
            gaps=rebuilt.gaps,
            tombstones=earlier.tombstones,
            predecessors=rebuilt.predecessors,
        )
        rebuilt.log_id = store.log_id()
    finally:
        store.close()
    _put_in_place(log_dir)
    log.info("log.rebuilt", log=rebuilt.log_id, lines=rebuilt.lines, damaged_lines=rebuilt.damaged_lines)
    return rebuilt


def _remove(path: Path) -> None:
    for leftover in (path, *(Path(f"{path}{suffix}") for suffix in _SIDE_FILES)):
        leftover.unlink(missing_ok=True)


def _put_in_place(log_dir: Path) -> None:
    """Swaps the records; at no moment is there one that could be taken for whole and is not, or none that is whole."""
    quarantine = log_dir / QUARANTINE
    make_directory(quarantine)
    fd = os.open(log_dir / _UNFINISHED, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    give_to_owner(log_dir, quarantine, log_dir / _UNFINISHED)
    for suffix in _SIDE_FILES:  # of an earlier one of that name, made by looking into it
        Path(f"{log_dir / _REBUILT}{suffix}").unlink(missing_ok=True)
    (log_dir / _UNFINISHED).rename(log_dir / _REBUILT)
    sync_directory(log_dir)
    at = time.time_ns()
    # The old one first: without it its write-ahead log means nothing, but beside a new one it would be played into it.
    for suffix in ("", *_SIDE_FILES):
        with suppress(FileNotFoundError):
            Path(f"{log_dir / FILE_NAME}{suffix}").rename(quarantine / f"{FILE_NAME}-{at}{suffix}")
        sync_directory(log_dir)
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
