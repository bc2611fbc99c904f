"""Rebuilds the record of a log, ``log.sqlite``, from its segments, and says what these lack."""

import os
import re
import sqlite3
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import structlog

from driftline.durable import lock_directory, make_directory, sync_directory
from driftline.errors import LogDamagedError, LogNotFoundError, LogUnavailableError
from driftline.eventlog.damage import QUARANTINE, Damage, give_to_owner, set_aside
from driftline.eventlog.form_record import Forms
from driftline.eventlog.loss import Loss, find_losses
from driftline.eventlog.parquet_files import FORMS_WITHIN_S, days_on_disk, forms_locked, parquet_path
from driftline.eventlog.rebuilt import Earlier, Rebuilt, event_of
from driftline.eventlog.rebuilt_parquet import read_parquet
from driftline.eventlog.record import BLOCK_BYTES, Block, Contents, Gap
from driftline.eventlog.store import FILE_NAME, LogStore
from driftline.eventlog.writer import LOCK_WITHIN_S, PARQUET, RESTORING, SEGMENTS, segment_path

log = structlog.get_logger()

_UNFINISHED = f".{FILE_NAME}.unfinished"
_REBUILT = f".{FILE_NAME}.rebuilt"
"""Whole from the moment it has this name: the ids that it knows may be known from nowhere else."""
_LOG_ID = re.compile(r"[0-9a-f]{32}")
_SIDE_FILES = ("-wal", "-shm")


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
    if not (log_dir / SEGMENTS).is_dir():
        raise _nothing(log_dir)
    try:
        lock_fd = lock_directory(log_dir, within_s=LOCK_WITHIN_S)
        if lock_fd is None:
            raise LogUnavailableError(f"a worker has {log_dir}; stop it first")
        try:
            with forms_locked(log_dir, within_s=FORMS_WITHIN_S) as locked:
                if not locked:
                    raise LogUnavailableError(f"the log in {log_dir} is being compacted; try again in a moment")
                return _look_and_rebuild(log_dir, obeyed)
        finally:
            os.close(lock_fd)
    except OSError as error:
        raise LogUnavailableError(f"cannot use {log_dir}: {error.strerror}") from error


def _look_and_rebuild(log_dir: Path, obeyed: str | None) -> Rebuilt | None:
    earlier = Earlier()
    contents = earlier.believe(log_dir / FILE_NAME)
    lost = find_losses(log_dir, contents) if contents else []
    if contents is None or lost:
        earlier.believe(log_dir / _REBUILT)
    numbers = _numbers(log_dir, earlier, contents)
    if contents is not None and not lost:
        return None
    return _rebuild(log_dir, numbers, obeyed, earlier, lost)


def _nothing(log_dir: Path) -> LogNotFoundError:
    return LogNotFoundError(f"there are no segments in {log_dir / SEGMENTS} to rebuild a record from")


def _numbers(log_dir: Path, earlier: Earlier, contents: Contents | None) -> list[int]:
    """The numbers of the segments that there are, in either form.

    Raises:
        LogNotFoundError: There are none.
        LogDamagedError: One is missing that has not expired.
    """
    numbers = {int(path.stem) for path in (log_dir / SEGMENTS).glob("[0-9]*.jsonl")}
    numbers |= {int(path.stem) for path in (log_dir / PARQUET).glob("day=*/[0-9]*.parquet")}
    if not numbers:
        raise _nothing(log_dir)
    recorded = contents.segments() if contents else []
    last = max(*numbers, *(segment.number for segment in recorded), 0)
    expired = earlier.compacted.keys() - {segment for segment, _ in earlier.files}
    missing = sorted({*range(1, last + 1)} - numbers - expired)
    if missing:
        path = segment_path(log_dir, missing[0])
        raise LogDamagedError(
            f"{path} is missing: bring it back from a backup first; where there is none, make an empty file of that "
            "name, and what it held counts as lost"
        )
    return sorted(numbers)


def _rebuild(log_dir: Path, numbers: list[int], obeyed: str | None, earlier: Earlier, lost: list[Loss]) -> Rebuilt:
    rebuilt = Rebuilt(lost=lost)
    blocks: list[Block] = []
    forms = Forms([], [], sorted(earlier.expired))
    next_row, last_is_json = 0, True
    for number in numbers:
        next_row = max(next_row, earlier.rows_before(number))
        path = segment_path(log_dir, number)
        last_is_json = path.exists() and (path.stat().st_size > 0 or not days_on_disk(log_dir, number))
        if last_is_json:
            found = _read_segment(log_dir, number, next_row, rebuilt, last=number == numbers[-1])
            blocks += found
            next_row = found[-1].first_row + found[-1].lines if found else next_row
        else:
            next_row = max(next_row, read_parquet(log_dir, number, rebuilt, earlier, forms))
    forms.compacted.extend(entry for number, entry in earlier.compacted.items() if number not in numbers)
    rebuilt.reach(earlier.expired)
    known = {*_known_ids(log_dir / FILE_NAME), *_known_ids(log_dir / _REBUILT), *([obeyed] if obeyed else [])}
    rebuilt.predecessors = tuple(sorted(known))
    ends = [Gap(producer, rebuilt.committed.get(producer, 0), stop) for producer, stop in earlier.reached.items()]
    rebuilt.gaps = [gap for without_line in (*rebuilt.gaps, *ends) for gap in earlier.gaps(*without_line)]
    segments = [(number, _made_at(log_dir, number)) for number in numbers]
    if not last_is_json:  # nothing may be appended to a segment that is Parquet
        segments.append((numbers[-1] + 1, time.time()))
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
            forms=forms,
        )
        rebuilt.log_id = store.log_id()
    finally:
        store.close()
    _put_in_place(log_dir)
    log.info("log.rebuilt", log=rebuilt.log_id, lines=rebuilt.lines, damaged_lines=rebuilt.damaged_lines)
    return rebuilt


def _made_at(log_dir: Path, number: int) -> float:
    paths = [
        segment_path(log_dir, number),
        *(parquet_path(log_dir, number, day) for day in days_on_disk(log_dir, number)),
    ]
    return min(path.stat().st_ctime for path in paths if path.exists())


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
            event = event_of(line[:-1]) if line.endswith(b"\n") else None
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
            rebuilt.count(event)
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
