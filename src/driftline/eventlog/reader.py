"""Reads committed events, by row or by time, in constant memory, while the log goes on growing."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from driftline.errors import LogDamagedError, LogUnavailableError
from driftline.eventlog.damage import Damage, Sifted, intact, sift, split
from driftline.eventlog.identity import LineId, identity_of
from driftline.eventlog.parquet_files import is_intact, path_of
from driftline.eventlog.record import Block, Expired, Gap, Lines, ParquetFile, Tombstone
from driftline.eventlog.store import FILE_NAME, LogStore
from driftline.eventlog.writer import LOSS_REMEDY, segment_path


class _Stamped(msgspec.Struct):
    timestamp: datetime


class LogReader:
    """The committed part of a log.

    What is behind it, an append under way, is never seen. Counts and iterations are of the moment of the call. A line
    that is not what was committed is never given out.

    Args:
        log_dir: The directory of the log.

    Attributes:
        log_id: The id of this log.
        damaged: The damaged stretches that were met, and left out, up to now.

    Raises:
        LogNotFoundError: There is no log in it.
        LogDamagedError: Its record of what is committed is damaged.
    """

    def __init__(self, log_dir: Path) -> None:
        self._log_dir = log_dir
        self.damaged: list[Damage] = []
        self._sound: set[ParquetFile] = set()
        self._suspects: set[ParquetFile] = set()
        self._store = LogStore(log_dir / FILE_NAME, at_rest=True)
        self.log_id = self._store.log_id()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Gives up the files."""
        self._store.close()

    def in_place(self) -> bool:
        """Whether this is what lies there now, and shows what is added; a log that was restored or replaced is not.

        Nor is one that was opened where nothing may be written, before its worker came. Open it again then.
        """
        return self._store.in_place()

    @property
    def rows(self) -> int:
        """Lines that are committed now."""
        last = self._last_block()
        return last.first_row + last.lines

    @property
    def size_bytes(self) -> int:
        """Bytes that what is committed now takes on disk, in all segments, whichever form they have."""
        return self._store.size_bytes()

    @property
    def predecessors(self) -> frozenset[str]:
        """Ids of the logs that this one replaces."""
        return self._store.predecessors()

    def committed(self) -> dict[str, int]:
        """Returns, for each producer, the next seq to expect."""
        return self._store.committed()

    def gaps(self) -> list[Gap]:
        """Returns the stretches of events that the log had to go on without."""
        return self._store.gaps()

    def expired(self) -> list[Expired]:
        """Returns the events that retention has deleted."""
        return self._store.expired()

    def tombstones(self) -> list[Tombstone]:
        """Returns the events that came damaged from their outbox."""
        return self._store.tombstones()

    def lines(self, start_row: int = 0, stop_row: int | None = None) -> Iterator[bytes]:
        """Yields the events of these rows, without their newline; ``stop_row`` is not among them.

        Costs a seek and at most a block (1 MiB) of reading before the first one; where they are in Parquet, a look at
        all bytes of a file and a row group (8 MiB of lines). Rows that have expired are left out.

        Raises:
            LogDamagedError: A segment is missing or shorter than what was committed to it.
        """
        for _, line in self.numbered(start_row, stop_row):
            yield line

    def numbered(self, start_row: int = 0, stop_row: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Yields the same, each with its row: those that are damaged are left out, and keep their numbers.

        Raises:
            LogDamagedError: As :meth:`lines`.
        """
        for _, lines in self._pieces(max(0, start_row), stop_row):
            for row, line in lines:
                if row >= start_row and (stop_row is None or row < stop_row):
                    yield row, line

    def parquet_of(self, start_row: int, stop_row: int) -> list[Path] | None:
        """Returns the Parquet files that hold all of these rows, in order; None if some are JSON, or a file is damaged.

        For who reads columns and not lines. The files have rows before and behind these, too, and a column ``row``.
        """
        contents = self._store.contents(max(0, start_row))
        files = [file for file in contents.files if file.first_row < stop_row]
        if not files or any(block.first_row < stop_row for block in contents.blocks):
            return None
        if not all(self._is_sound(file) for file in files):
            return None
        return [path_of(self._log_dir, file) for file in files]

    def between(self, start: datetime | None = None, stop: datetime | None = None) -> Iterator[bytes]:
        """Yields the events whose timestamp is in ``[start, stop)``, in the order of the log; reads all of it.

        The order of the log is that of arrival: an event that waited in an outbox stands behind younger ones.

        Raises:
            LogDamagedError: As :meth:`lines`; or a line is not an event.
        """
        begin = start or datetime.min.replace(tzinfo=UTC)
        end = stop or datetime.max.replace(tzinfo=UTC)
        decoder = msgspec.json.Decoder(_Stamped)
        for row, line in self.numbered():
            try:
                timestamp = decoder.decode(line).timestamp
            except msgspec.DecodeError as error:
                raise LogDamagedError(f"row {row} of the log is not an event: {error}") from error
            if begin <= timestamp < end:
                yield line

    def identities(self) -> Iterator[tuple[int, list[LineId]]]:
        """Yields, piece by piece, its bytes on disk and who is in it, from the lines themselves and nothing else."""
        for size_bytes, lines in self._pieces(0, None):
            found = (identity_of(line) for _, line in lines)
            yield size_bytes, [line_id for line_id in found if line_id is not None]

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Within it, everything that is asked is of one moment."""
        with self._store.snapshot():
            yield

    def _last_block(self) -> Block:
        return self._store.last_block(self._store.active_segment()[0])

    def _pieces(self, start_row: int, stop_row: int | None) -> Iterator[tuple[int, Lines]]:
        """Yields what there is of these rows, and a little around them, in order: bytes on disk, and good lines."""
        for segment in self._store.contents(start_row).segments():
            if stop_row is not None and segment.first_row >= stop_row:
                return
            if segment.files:
                yield from self._parquet(segment.files, start_row, stop_row)
                continue
            try:
                file = segment_path(self._log_dir, segment.number).open("rb")
            except FileNotFoundError as error:
                now = self._now(segment.number)
                if now is None:
                    raise self._missing(segment_path(self._log_dir, segment.number)) from error
                yield from self._parquet(now, start_row, stop_row)
            except OSError as error:
                raise self._unreadable(segment_path(self._log_dir, segment.number), error) from error
            else:
                with file:
                    yield from self._blocks(file, segment.blocks, stop_row)

    def _blocks(self, file: BinaryIO, blocks: Iterable[Block], stop_row: int | None) -> Iterator[tuple[int, Lines]]:
        for block in blocks:
            if stop_row is not None and block.first_row >= stop_row:
                return
            try:
                file.seek(block.start)
                content = file.read(block.length)
            except OSError as error:
                raise self._unreadable(Path(file.name), error) from error
            if len(content) != block.length:
                raise LogDamagedError(f"{file.name} is shorter than what was committed to it; {LOSS_REMEDY}")
            yield len(content), self._sifted(block, content).lines

    def _sifted(self, block: Block, content: bytes) -> Sifted:
        if intact(block, content):
            return Sifted(list(enumerate(split(content), block.first_row)), [])
        sifted = sift(block, content)
        self._met(sifted.damage)
        return sifted

    def _parquet(self, files: list[ParquetFile], start_row: int, stop_row: int | None) -> Iterator[tuple[int, Lines]]:
        """Yields what the files of a segment hold; one that retention deletes meanwhile is left out from then on."""
        if not files:
            return
        row = max(start_row, min(file.first_row for file in files))
        stop = max(file.stop_row for file in files)
        stop = stop if stop_row is None else min(stop, stop_row)
        size_bytes = sum(file.size_bytes for file in files)
        while files and row < stop:
            try:
                sound = [file for file in files if self._is_sound(file)]
                for lines in self._windows(sound, [file for file in files if file not in sound], row, stop):
                    yield size_bytes, lines
                    row, size_bytes = lines[-1][0] + 1 if lines else row, 0
            except (OSError, LogUnavailableError) as error:
                files = self._left(files, error)
            else:
                return

    def _windows(
        self, sound: list[ParquetFile], suspects: list[ParquetFile], start_row: int, stop_row: int
    ) -> Iterator[Lines]:
        from driftline.eventlog.parquet import salvaged, windows  # noqa: PLC0415 (DuckDB takes long to load)

        self._met([salvaged(self._log_dir, file) for file in suspects if file not in self._suspects])
        self._suspects.update(suspects)
        paths = [path_of(self._log_dir, file) for file in sound]
        yield from windows(paths, [path_of(self._log_dir, file) for file in suspects], start_row, stop_row)

    def _is_sound(self, file: ParquetFile) -> bool:
        if file not in self._sound and is_intact(self._log_dir, file):
            self._sound.add(file)
        return file in self._sound

    def _left(self, files: list[ParquetFile], error: Exception) -> list[ParquetFile]:
        """Those of a segment's files that are part of the log still, if one of them could not be read for its absence.

        Raises:
            LogDamagedError: They are all part of it.
        """
        now = self._now(files[0].segment) or []
        left = [file for file in files if file in now]
        if left == files:
            missing = [path for path in (path_of(self._log_dir, file) for file in files) if not path.exists()]
            if missing:
                raise self._missing(missing[0]) from error
            if isinstance(error, OSError):
                raise self._unreadable(Path(str(error.filename)), error) from error
            raise error
        return left

    def _now(self, segment: int) -> list[ParquetFile] | None:
        """The Parquet files of a segment by the record of this moment; None if it is not compacted."""
        store = LogStore(self._log_dir / FILE_NAME, at_rest=True)
        try:
            if segment not in store.compacted():
                return None
            return [file for file in store.parquet_files() if file.segment == segment]
        finally:
            store.close()

    def _met(self, damage: Iterable[Damage]) -> None:
        self.damaged += [it for it in damage if it not in self.damaged]

    def _missing(self, path: Path) -> LogDamagedError:
        return LogDamagedError(f"{path} is missing; {LOSS_REMEDY}")

    def _unreadable(self, path: Path, error: OSError) -> LogDamagedError:
        return LogDamagedError(f"{path} cannot be read: {error.strerror}")
