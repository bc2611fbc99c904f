"""Whole days are deleted, oldest first, and the ledger still knows every event that there was."""

import io
import sqlite3
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from driftline.eventlog.backup import write_backup
from driftline.eventlog.compaction import compact_log
from driftline.eventlog.parquet_files import forms_locked
from driftline.eventlog.reader import LogReader
from driftline.eventlog.record import Expired
from driftline.eventlog.repair import rebuild_record
from driftline.eventlog.restore import restore_backup
from driftline.eventlog.retention import Retention, expire, merged, position_row
from driftline.eventlog.store import FILE_NAME
from driftline.eventlog.verify import verify_log
from driftline.eventlog.writer import PARQUET, SEGMENTS, segment_path
from driftline.transport.ledger import take_ledger
from tests.eventlog.lines import PRODUCER, append, days_of_predictions, open_log
from tests.processes import Script

DAYS, A_DAY = 4, 10
TODAY = date(2026, 11, 26)
LATE = 1
"""The first event of a day but the first is stamped with the day before."""


@pytest.fixture
def lines(tmp_path: Path) -> list[bytes]:
    lines = days_of_predictions(tmp_path / "logs", DAYS, a_day=A_DAY)
    compact_log(tmp_path / "logs")
    return lines


@pytest.fixture
def log_dir(tmp_path: Path, lines: list[bytes]) -> Path:
    return tmp_path / "logs"


def days(log_dir: Path) -> list[str]:
    return sorted(path.name.removeprefix("day=") for path in (log_dir / PARQUET).glob("day=*"))


def keep(log_dir: Path, days: int | None = None, *, size: int | None = None, today: date = TODAY) -> Retention:
    monitor = log_dir.parent / "monitor.sqlite"
    return expire(log_dir, keep_days=days, keep_bytes=size, monitor=monitor, today=today)


def monitor_at(log_dir: Path, row: object) -> None:
    with sqlite3.connect(log_dir.parent / "monitor.sqlite") as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value ANY)")
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('position_row', ?)", (row,))
    connection.close()


def check(log_dir: Path, lines: list[bytes], expired: int) -> None:
    """The first so many events have expired, and all others are at their rows."""
    with LogReader(log_dir) as log:
        assert log.rows == len(lines)
        assert list(log.numbered()) == list(enumerate(lines))[expired:]
        assert list(log.lines(0, expired)) == []
        assert list(log.lines(0, expired + 2)) == lines[expired : expired + 2]
        assert log.expired() == ([Expired(PRODUCER, 0, expired)] if expired else [])
    assert verify_log(log_dir).sound
    ledger = take_ledger(log_dir / "no-outbox", log_dir)
    assert (ledger.accepted, ledger.logged, ledger.expired) == (len(lines), len(lines) - expired, expired)
    assert (ledger.missing, ledger.duplicated, ledger.quarantined) == (0, 0, 0)
    assert ledger.balanced


def test_days_that_are_too_old_are_deleted_and_rows_keep_their_numbers(log_dir: Path, lines: list[bytes]) -> None:
    assert days(log_dir) == ["2026-11-23", "2026-11-24", "2026-11-25", "2026-11-26"]
    done = keep(log_dir, 2)
    assert (done.days, done.events, done.kept) == (["2026-11-23"], A_DAY + LATE, [])
    assert days(log_dir) == ["2026-11-24", "2026-11-25", "2026-11-26"]
    check(log_dir, lines, A_DAY + LATE)
    assert keep(log_dir, 2).days == []
    assert keep(log_dir, 1).days == ["2026-11-24"]
    check(log_dir, lines, 2 * A_DAY + LATE)
    writer = open_log(log_dir)
    assert (writer.rows, writer.committed) == (len(lines), {PRODUCER: len(lines)})
    writer.close()
    check(log_dir, lines, 2 * A_DAY + LATE)


def test_the_oldest_days_go_until_the_log_is_small_enough_and_today_stays(log_dir: Path, lines: list[bytes]) -> None:
    with LogReader(log_dir) as log:
        size = log.size_bytes
    assert keep(log_dir, size=size).days == []
    assert keep(log_dir, size=size - 1).days == ["2026-11-23"]
    check(log_dir, lines, A_DAY + LATE)
    assert keep(log_dir, size=1).days == ["2026-11-24", "2026-11-25"]
    assert days(log_dir) == ["2026-11-26"]
    check(log_dir, lines, 3 * A_DAY + LATE)


def test_what_is_still_json_does_not_expire(log_dir: Path, lines: list[bytes]) -> None:
    (active,) = (log_dir / SEGMENTS).iterdir()
    done = keep(log_dir, 1, today=date(2027, 1, 1))
    assert done.events == len(lines) - active.read_bytes().count(b"\n")
    check(log_dir, lines, done.events)


@pytest.mark.parametrize("row", ["text", None, 0, A_DAY + LATE - 1])
def test_a_day_that_the_monitor_has_not_read_to_its_end_stays_and_those_behind_it_too(
    log_dir: Path, lines: list[bytes], row: object
) -> None:
    monitor_at(log_dir, row)
    done = keep(log_dir, 1)
    assert done.days == []
    assert done.kept == ["2026-11-23: the monitor has not read all of it"]
    check(log_dir, lines, 0)
    monitor_at(log_dir, A_DAY + LATE)
    assert keep(log_dir, 1).days == ["2026-11-23"]
    check(log_dir, lines, A_DAY + LATE)


def test_where_there_is_no_monitor_nothing_is_waited_for_and_one_that_cannot_be_read_has_read_nothing(
    tmp_path: Path,
) -> None:
    monitor = tmp_path / "monitor.sqlite"
    assert position_row(monitor) is None
    monitor.write_bytes(b"no database")
    assert position_row(monitor) == 0


def test_a_day_of_which_a_file_is_damaged_stays_and_others_go(log_dir: Path) -> None:
    path = next((log_dir / PARQUET / "day=2026-11-23").iterdir())
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    done = keep(log_dir, 1)
    assert (done.days, done.kept) == (["2026-11-24"], ["2026-11-23: a file of it is damaged"])
    assert "2026-11-23" in days(log_dir)


def test_while_another_changes_the_log_nothing_expires(log_dir: Path, lines: list[bytes]) -> None:
    with forms_locked(log_dir):
        assert keep(log_dir, 1).busy
    check(log_dir, lines, 0)


def test_a_reader_that_had_begun_leaves_out_what_expires_meanwhile(
    log_dir: Path, lines: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with LogReader(log_dir) as log:
        reading = log.numbered()
        first = next(reading)
        keep(log_dir, 2)
        assert [first, *reading][-1] == (len(lines) - 1, lines[-1])
        assert not log.damaged
    with LogReader(log_dir) as log:
        contents = log._store.contents()
        monkeypatch.setattr(log._store, "contents", lambda _: contents)  # what it has just read
        keep(log_dir, 1)
        assert list(log.numbered()) == list(enumerate(lines))[2 * A_DAY + LATE :]


def test_a_ledger_that_is_being_taken_while_days_expire_is_of_one_moment(
    log_dir: Path, lines: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    identities = LogReader.identities

    def meanwhile(log: LogReader) -> Iterator[object]:
        keep(log_dir, 1)
        return identities(log)

    monkeypatch.setattr(LogReader, "identities", meanwhile)
    ledger = take_ledger(log_dir / "no-outbox", log_dir)
    assert (ledger.logged, ledger.expired, ledger.missing) == (len(lines) - 2 * A_DAY - LATE, 2 * A_DAY + LATE, 0)


POINTS = {
    "before the record": ("driftline.eventlog.store.LogStore.record_expiry", "before"),
    "behind the record": ("driftline.eventlog.store.LogStore.record_expiry", "behind"),
    "behind the first file": ("driftline.eventlog.retention.remove_file", "behind"),
}

DEATH = """
import os
from datetime import date
from pathlib import Path
from pkgutil import resolve_name
from unittest.mock import patch
from driftline.eventlog.retention import expire

log_dir, point, when = sys.argv[1:]
real = resolve_name(point)
def dying(*arguments, **named):
    if when == "behind":
        real(*arguments, **named)
    os._exit(9)
with patch(point, dying):
    expire(Path(log_dir), keep_days=2, keep_bytes=None, monitor=Path("nowhere"), today=date(2026, 11, 26))
"""


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_step_a_day_is_there_or_has_expired(log_dir: Path, lines: list[bytes], point: str) -> None:
    with Script(DEATH, log_dir, *POINTS[point]) as process:
        assert process.end() == 9
    check(log_dir, lines, 0 if point == "before the record" else A_DAY + LATE)
    keep(log_dir, 2)
    assert "2026-11-23" not in days(log_dir)
    check(log_dir, lines, A_DAY + LATE)


def test_a_late_event_of_a_day_that_has_expired_is_logged_and_expires_next_time(
    log_dir: Path, lines: list[bytes]
) -> None:
    keep(log_dir, 1)
    writer = open_log(log_dir, segment_max_bytes=1)
    for seq in range(2):
        writer.append(lines[seq].replace(PRODUCER.encode(), b"b" * 32) + b"\n", 1, {"b" * 32: seq + 1})
    append(writer, len(lines), len(lines) + 1)
    writer.close()
    compact_log(log_dir)
    assert take_ledger(log_dir / "no-outbox", log_dir).balanced
    assert keep(log_dir, 1).days == ["2026-11-23"]
    ledger = take_ledger(log_dir / "no-outbox", log_dir)
    assert (ledger.accepted, ledger.expired, ledger.missing) == (len(lines) + 3, 2 * A_DAY + LATE + 2, 0)


def test_an_event_that_has_expired_and_is_logged_again_is_a_duplicate(log_dir: Path, lines: list[bytes]) -> None:
    keep(log_dir, 2)
    writer = open_log(log_dir)
    writer.append(lines[0] + b"\n", 1, {})
    writer.close()
    assert take_ledger(log_dir / "no-outbox", log_dir).duplicated == 1


def test_a_backup_and_a_repair_know_what_has_expired(log_dir: Path, lines: list[bytes], tmp_path: Path) -> None:
    keep(log_dir, 1)
    archive = io.BytesIO()
    write_backup(log_dir, archive)
    archive.seek(0)
    restored = restore_backup(archive, tmp_path / "restored")
    assert restored is not None
    check(tmp_path / "restored", lines, 2 * A_DAY + LATE)

    with segment_path(log_dir, max(int(path.stem) for path in (log_dir / SEGMENTS).iterdir())).open("r+b") as active:
        active.truncate(0)
    rebuilt = rebuild_record(log_dir, None)
    assert rebuilt is not None
    (lost,) = rebuilt.lost
    with LogReader(log_dir) as log:
        kept = len(lines) - lost.lines
        assert list(log.numbered()) == list(enumerate(lines))[2 * A_DAY + LATE : kept]
    ledger = take_ledger(log_dir / "no-outbox", log_dir)
    assert (ledger.expired, ledger.missing, ledger.duplicated) == (2 * A_DAY + LATE, lost.lines, 0)


def test_a_producer_all_of_whose_events_have_expired_is_not_forgotten_by_a_repair(
    log_dir: Path, lines: list[bytes]
) -> None:
    """Its outbox may still hold what was acknowledged; taken again, an expired event would be there twice."""
    keep(log_dir, 1, today=date(2027, 1, 1))
    (active,) = (log_dir / SEGMENTS).iterdir()
    active.write_bytes(b"")
    rebuilt = rebuild_record(log_dir, None)
    assert rebuilt is not None
    assert rebuilt.committed == {PRODUCER: len(lines) - rebuilt.lost[0].lines}
    assert (log_dir / FILE_NAME).exists()


def test_stretches_are_joined_where_they_touch() -> None:
    a, b = "a", "b"
    stretches = [Expired(a, 4, 6), Expired(b, 0, 1), Expired(a, 0, 2), Expired(a, 2, 3), Expired(a, 5, 9)]
    assert merged(stretches) == [Expired(a, 0, 3), Expired(a, 4, 9), Expired(b, 0, 1)]
