"""Deletes whole days of the log, oldest first, when they are too old or the log is too big."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import structlog

from driftline.errors import LogUnavailableError
from driftline.eventlog.compaction import remove_file, tidy
from driftline.eventlog.identity import identity_of
from driftline.eventlog.parquet import windows
from driftline.eventlog.parquet_files import forms_locked, is_intact, path_of
from driftline.eventlog.record import Expired, ParquetFile
from driftline.eventlog.store import FILE_NAME, LogStore
from driftline.eventlog.writer import segment_path

log = structlog.get_logger()


@dataclass
class Retention:
    """What retention has done.

    Attributes:
        days: The days that it deleted.
        events: Events that they had.
        bytes: Bytes that this has freed.
        kept: Why a day that was due is still there.
        busy: Whether another process was changing the log's form, and this one left it at that.
    """

    days: list[str] = field(default_factory=list)
    events: int = 0
    bytes: int = 0
    kept: list[str] = field(default_factory=list)
    busy: bool = False

    def keep(self, day: str, reason: str) -> None:
        """Says why a day is still there."""
        self.kept.append(f"{day}: {reason}")
        log.warning("log.not_expired", day=day, reason=reason)


def expire(
    log_dir: Path, *, keep_days: int | None, keep_bytes: int | None, monitor: Path, today: date | None = None
) -> Retention:
    """Deletes the days that are due; the ledger counts their events as expired from then on.

    A day is all Parquet files of that day. It is due when it is older than ``keep_days``, or while the log, in either
    form, takes more than ``keep_bytes``. Today is never due, nor is what is still JSON. A day stays, and those after it
    too, if the monitor has not read all of it. A day of which a file is damaged stays as well, since nobody could say
    which events it had. May be killed at any moment: what is recorded as expired is removed by the next run.

    Args:
        log_dir: The directory of the log; its worker may be writing.
        keep_days: Days to keep before today; None for all.
        keep_bytes: Bytes that the log may take; None for as many as it likes.
        monitor: The monitor's store; where there is none, nothing has to be waited for.
        today: The UTC day of now, unless it is another.

    Raises:
        LogNotFoundError: There is no log in the directory.
        LogDamagedError: Its record is damaged.
        LogUnavailableError: The disk refuses.
    """
    done = Retention()
    store = LogStore(log_dir / FILE_NAME)
    try:
        with forms_locked(log_dir) as locked:
            if not locked:
                done.busy = True
                return done
            tidy(log_dir, store)
            now = today or datetime.now(UTC).date()
            oldest = "" if keep_days is None else (now - timedelta(days=keep_days)).isoformat()
            position = position_row(monitor)
            files = sorted(store.parquet_files(), key=attrgetter("day", "segment"))
            for day, group in groupby(files, attrgetter("day")):
                too_big = keep_bytes is not None and store.size_bytes() > keep_bytes
                if day >= now.isoformat() or not (too_big or day < oldest):
                    break
                of_day = [*group]
                if position is not None and any(file.stop_row > position for file in of_day):
                    done.keep(day, "the monitor has not read all of it")
                    break
                _expire_day(log_dir, store, of_day, done)
    except OSError as error:
        raise LogUnavailableError(f"cannot expire days of the log in {log_dir}: {error.strerror or error}") from error
    finally:
        store.close()
    return done


def _expire_day(log_dir: Path, store: LogStore, files: Sequence[ParquetFile], done: Retention) -> None:
    day = files[0].day
    if any(segment_path(log_dir, file.segment).exists() or not is_intact(log_dir, file) for file in files):
        done.keep(day, "a file of it is damaged")
        return
    store.record_expiry(files, merged([*store.expired(), *_events(log_dir, files)]))
    for file in files:
        remove_file(path_of(log_dir, file))
    events, freed_bytes = sum(file.lines for file in files), sum(file.size_bytes for file in files)
    done.days.append(day)
    done.events += events
    done.bytes += freed_bytes
    log.info("log.expired", day=day, events=events, bytes=freed_bytes)


def _events(log_dir: Path, files: Iterable[ParquetFile]) -> Iterator[Expired]:
    """Who is in these files, counted line by line, in stretches of one producer."""
    for file in files:
        stretches: dict[str, Expired] = {}
        for lines in windows([path_of(log_dir, file)], [], file.first_row, file.stop_row):
            for _, line in lines:
                event = identity_of(line)
                if event is None:
                    continue
                stretch = stretches.get(event.producer)
                if stretch is not None and stretch.stop_seq == event.seq:
                    stretches[event.producer] = stretch._replace(stop_seq=event.seq + 1)
                    continue
                if stretch is not None:
                    yield stretch
                stretches[event.producer] = Expired(event.producer, event.seq, event.seq + 1)
        yield from stretches.values()


def merged(stretches: Iterable[Expired]) -> list[Expired]:
    """Returns the same events in as few stretches as there can be, in order."""
    result: list[Expired] = []
    for stretch in sorted(stretches):
        last = result[-1] if result else None
        if last is not None and last.producer == stretch.producer and stretch.first_seq <= last.stop_seq:
            result[-1] = last._replace(stop_seq=max(last.stop_seq, stretch.stop_seq))
        else:
            result.append(stretch)
    return result


def position_row(monitor: Path) -> int | None:
    """Returns the row that the monitor reads next: all before it are folded. None where there is no monitor.

    A store that cannot be read, or does not say it, is that of a monitor that has read nothing.
    """
    if not monitor.exists():
        return None
    try:
        connection = sqlite3.connect(f"{monitor.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)
        try:
            row = connection.execute("SELECT value FROM meta WHERE key = 'position_row'").fetchone()
        finally:
            connection.close()
        return int(row[0]) if row else 0
    except (sqlite3.Error, ValueError, TypeError):
        return 0
