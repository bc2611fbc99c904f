"""Makes Parquet of closed segments, by UTC day, and deletes their JSON once every byte of it is proven to be there."""

import itertools
import os
import re
import shutil
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import structlog

from driftline.durable import make_directory, sync_directory
from driftline.errors import LogDamagedError, LogUnavailableError
from driftline.eventlog import parquet
from driftline.eventlog.columns import Columns
from driftline.eventlog.damage import give_to_owner, intact, split
from driftline.eventlog.form_record import Compacted
from driftline.eventlog.parquet_files import (
    UNFINISHED,
    checksum_of,
    forms_locked,
    is_intact,
    parquet_path,
    remove_empty,
)
from driftline.eventlog.record import Block, ParquetFile
from driftline.eventlog.store import FILE_NAME, LogStore
from driftline.eventlog.writer import PARQUET, SEGMENTS, segment_path

log = structlog.get_logger()

Progress = Callable[[int, int], None]

_SEGMENT = re.compile(r"(\d{8})\.jsonl")
_FILE = re.compile(r"(\d{8})\.parquet")
_PAUSE_S = 0.05
"""Between two segments, so that a backup, which wants the same lock, is not kept waiting for all of them."""


@dataclass
class Compaction:
    """What a compaction has done.

    Attributes:
        segments: Segments that it made Parquet of.
        lines: Lines in them.
        json_bytes: Bytes that they had.
        parquet_bytes: Bytes that they have now.
        left: Why a segment was left as it is.
        busy: Whether another process was at it, and this one left it at that.
    """

    segments: int = 0
    lines: int = 0
    json_bytes: int = 0
    parquet_bytes: int = 0
    left: list[str] = field(default_factory=list)
    busy: bool = False


def compact_log(log_dir: Path, progress: Progress = lambda _done, _total: None) -> Compaction:
    """Compacts every segment that is closed; the one that is being written is not looked at.

    It may be killed at any moment: until a segment's new form is recorded its JSON is the log, from then on its Parquet
    is, and what is left over of the other is removed by the next run. A segment that is damaged, or has lines that are
    not JSON, is left as it is, for a copy from a backup must still fit.

    Args:
        log_dir: The directory of the log; its worker may be writing.
        progress: Is told how many bytes of how many have been compacted.

    Raises:
        LogNotFoundError: There is no log in it.
        LogDamagedError: Its record is damaged, or the log was replaced meanwhile.
        LogUnavailableError: The disk refuses, or is full.
    """
    done = Compaction()
    store = LogStore(log_dir / FILE_NAME)
    try:
        _work(log_dir, store, done, progress)
    except OSError as error:
        raise LogUnavailableError(f"cannot compact the log in {log_dir}: {error.strerror or error}") from error
    finally:
        store.close()
    return done


def _work(log_dir: Path, store: LogStore, done: Compaction, progress: Progress) -> None:
    lengths: dict[int, int] | None = None
    while lengths is None or lengths:
        with forms_locked(log_dir) as locked:
            if not locked:
                done.busy = True
                return
            if not store.in_place():
                raise LogDamagedError(f"the log in {log_dir} was replaced while it was being compacted")
            if lengths is None:
                tidy(log_dir, store)
                active, _ = store.active_segment()
                lengths = {number: size for number, size in store.json_lengths().items() if number < active and size}
                total = sum(lengths.values())
                continue
            number = next(iter(lengths))
            size = lengths.pop(number)
            try:
                _compact(log_dir, store, number, done)
            except LogDamagedError as error:
                done.left.append(error.message)
                log.warning("log.not_compacted", segment=number, reason=error.message)
        progress(total - sum(lengths.values()), total)
        done.json_bytes += size
        time.sleep(_PAUSE_S)


def tidy(log_dir: Path, store: LogStore) -> None:
    """Removes what an interrupted run has left: unfinished files, JSON that is Parquet, Parquet that has expired.

    The lock on the form of segments must be held.

    Raises:
        OSError: The disk refuses.
    """
    shutil.rmtree(log_dir / PARQUET / UNFINISHED, ignore_errors=True)
    compacted = store.compacted()
    if not compacted:
        return
    store.sync_record()
    files: dict[int, list[ParquetFile]] = {}
    for file in store.parquet_files():
        files.setdefault(file.segment, []).append(file)
    for name in sorted(os.listdir(log_dir / SEGMENTS)):
        found = _SEGMENT.fullmatch(name)
        if found and int(found[1]) in compacted:
            _drop_json(log_dir, int(found[1]), files.get(int(found[1]), []))
    known = {(file.segment, file.day) for some in files.values() for file in some}
    for directory in sorted((log_dir / PARQUET).glob("day=*")):
        for name in os.listdir(directory):
            found = _FILE.fullmatch(name)
            key = (int(found[1]), directory.name.removeprefix("day=")) if found else None
            if key and key[0] in compacted and key not in known:
                remove_file(directory / name)


def remove_file(path: Path) -> None:
    """Removes a Parquet file, durably, and its day's folder when that is empty."""
    path.unlink()
    sync_directory(path.parent)
    remove_empty(path.parent)


def _drop_json(log_dir: Path, number: int, files: Sequence[ParquetFile]) -> None:
    """Removes the JSON of a segment that is recorded as Parquet; whoever reads it at this moment can go on."""
    if not all(is_intact(log_dir, file) for file in files):
        log.error("log.json_kept", segment=number, reason="its Parquet is damaged")
        return
    segment_path(log_dir, number).unlink()
    sync_directory(log_dir / SEGMENTS)


def _compact(log_dir: Path, store: LogStore, number: int, done: Compaction) -> None:
    began = time.monotonic()
    source, blocks = segment_path(log_dir, number), store.blocks_of(number)
    first_row, lines = blocks[0].first_row, sum(block.lines for block in blocks)
    try:
        files = _write(log_dir, store, number, _columns(source, blocks), blocks)
    finally:
        shutil.rmtree(log_dir / PARQUET / UNFINISHED, ignore_errors=True)
    store.record_compaction(Compacted(number, first_row, lines), files)
    _drop_json(log_dir, number, files)
    size_bytes = sum(file.size_bytes for file in files)
    done.segments += 1
    done.lines += lines
    done.parquet_bytes += size_bytes
    log.info(
        "log.compacted",
        segment=number,
        lines=lines,
        json_bytes=sum(block.length for block in blocks),
        parquet_bytes=size_bytes,
        seconds=round(time.monotonic() - began, 2),
    )


def _columns(source: Path, blocks: Sequence[Block]) -> Columns:
    columns = Columns()
    decoder = msgspec.json.Decoder(dict[str, Any])
    try:
        with source.open("rb") as segment:
            for block in blocks:
                segment.seek(block.start)
                content = segment.read(block.length)
                if not intact(block, content):
                    raise LogDamagedError(f"{source} is not what was committed; bring it back from a backup")
                for row, line in enumerate(split(content), block.first_row):
                    try:
                        columns.add(line, decoder.decode(line))
                    except (msgspec.DecodeError, UnicodeDecodeError) as error:
                        raise LogDamagedError(f"{source} stays JSON: row {row} is no event: {error}") from error
    except FileNotFoundError as error:
        raise LogDamagedError(f"{source} is missing; bring it back from a backup") from error
    return columns


def _write(log_dir: Path, store: LogStore, number: int, columns: Columns, blocks: Sequence[Block]) -> list[ParquetFile]:
    """Returns the segment's files, which are in place, durable, and give back every byte of it."""
    source, unfinished = segment_path(log_dir, number), log_dir / PARQUET / UNFINISHED
    make_directory(unfinished)
    fallback = _utc_day(store.created_at(number))
    days = parquet.days_of(source, columns, fallback)
    written = {day: unfinished / f"{day}.parquet" for day in days}
    for day, path in written.items():
        parquet.write_day(source, path, columns, first_row=blocks[0].first_row, day=day, fallback=fallback)
        _sync_file(path)
    _prove(source, [*written.values()], blocks)
    files = []
    for day, path in written.items():
        files.append(ParquetFile(number, day, *parquet.rows_of(path), *checksum_of(path)))
        target = parquet_path(log_dir, number, day)
        make_directory(target.parent)
        give_to_owner(log_dir, log_dir / PARQUET, target.parent, path)
        path.rename(target)
        sync_directory(target.parent)
    return files


def _sync_file(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _prove(source: Path, paths: Sequence[Path], blocks: Sequence[Block]) -> None:
    """Returns if the files hold the lines of these blocks, at their rows, to the byte, and nothing else.

    Raises:
        LogDamagedError: They do not; nothing of them may be used.
    """
    stop_row = blocks[-1].first_row + blocks[-1].lines
    found = itertools.chain.from_iterable(parquet.windows(paths, [], blocks[0].first_row, stop_row))
    for block in blocks:
        length = crc = 0
        for row, (at, line) in zip(range(block.first_row, block.first_row + block.lines), found, strict=False):
            if at != row or line is None:
                raise LogDamagedError(f"{source} stays JSON: as Parquet it has no row {row}")
            length += len(line) + 1
            crc = zlib.crc32(b"\n", zlib.crc32(line, crc))
        if (length, crc) != (block.length, block.crc):
            raise LogDamagedError(f"{source} stays JSON: as Parquet, row {block.first_row} and those behind it differ")
    rows = sum(parquet.rows_of(path)[2] for path in paths)
    if rows != sum(block.lines for block in blocks):
        raise LogDamagedError(f"{source} stays JSON: as Parquet it has {rows:,} rows")


def _utc_day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()
