"""Reads committed events, by row or by time, in constant memory, while the log goes on growing."""

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import msgspec

from driftline.errors import LogDamagedError
from driftline.eventlog.damage import Damage, Sifted, intact, sift, split
from driftline.eventlog.record import Block, Gap, Tombstone
from driftline.eventlog.store import FILE_NAME, LogStore
from driftline.eventlog.writer import LOSS_REMEDY, segment_path


class LineId(NamedTuple):
    """What identifies a line of the log: every event of a producer has its own seq."""

    producer: str
    seq: int


class _Stamped(msgspec.Struct):
    timestamp: datetime


class _Identified(msgspec.Struct):
    producer: str
    seq: int


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
        self._store = LogStore(log_dir / FILE_NAME, at_rest=True)
        self.log_id = self._store.log_id()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Gives up the files."""
        self._store.close()

    @property
    def rows(self) -> int:
        """Lines that are committed now."""
        last = self._last_block()
        return last.first_row + last.lines

    @property
    def size_bytes(self) -> int:
        """Bytes that are committed now, in all segments."""
        return sum(block.length for block in self._store.blocks())

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

    def tombstones(self) -> list[Tombstone]:
        """Returns the events that came damaged from their outbox."""
        return self._store.tombstones()

    def lines(self, start_row: int = 0, stop_row: int | None = None) -> Iterator[bytes]:
        """Yields the events of these rows, without their newline; ``stop_row`` is not among them.

        Costs a seek and at most a block (1 MiB) of reading before the first one.

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
        blocks = self._store.blocks(max(0, start_row))
        for block, content in zip(blocks, self._contents(blocks), strict=False):
            if stop_row is not None and block.first_row >= stop_row:
                return
            for row, line in self._sifted(block, content).lines:
                if row >= start_row and (stop_row is None or row < stop_row):
                    yield row, line

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
        """Yields, for each block, its bytes' count and who is in it, from the bytes themselves and nothing else."""
        decoder = msgspec.json.Decoder(_Identified)
        blocks = self._store.blocks()
        for block, content in zip(blocks, self._contents(blocks), strict=True):
            found = []
            for _, line in self._sifted(block, content).lines:
                try:
                    event = decoder.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    continue
                found.append(LineId(event.producer, event.seq))
            yield len(content), found

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Within it, everything that is asked is of one moment."""
        with self._store.snapshot():
            yield

    def _sifted(self, block: Block, content: bytes) -> Sifted:
        if intact(block, content):
            return Sifted(list(enumerate(split(content), block.first_row)), [])
        sifted = sift(block, content)
        self.damaged += [damage for damage in sifted.damage if damage not in self.damaged]
        return sifted

    def _last_block(self) -> Block:
        return self._store.last_block(self._store.active_segment()[0])

    def _contents(self, blocks: Iterable[Block]) -> Iterator[bytes]:
        for number, group in itertools.groupby(blocks, lambda block: block.segment):
            path = segment_path(self._log_dir, number)
            try:
                with path.open("rb") as file:
                    for block in group:
                        file.seek(block.start)
                        content = file.read(block.length)
                        if len(content) != block.length:
                            raise LogDamagedError(f"{path} is shorter than what was committed to it; {LOSS_REMEDY}")
                        yield content
            except FileNotFoundError as error:
                raise LogDamagedError(f"{path} is missing; {LOSS_REMEDY}") from error
            except OSError as error:
                raise LogDamagedError(f"{path} cannot be read: {error.strerror}") from error
