"""A closed segment becomes Parquet; every reader gives out the same bytes at the same rows, whatever happens."""

import io
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from driftline.errors import LogDamagedError, LogUnavailableError
from driftline.eventlog.backup import write_backup
from driftline.eventlog.compaction import compact_log
from driftline.eventlog.damage import lines_set_aside
from driftline.eventlog.parquet_files import forms_locked
from driftline.eventlog.reader import LogReader
from driftline.eventlog.record import Gap
from driftline.eventlog.repair import rebuild_record
from driftline.eventlog.restore import restore_backup
from driftline.eventlog.store import FILE_NAME
from driftline.eventlog.verify import verify_log
from driftline.eventlog.writer import PARQUET, SEGMENTS, segment_path
from driftline.transport.ledger import take_ledger
from tests.eventlog.lines import PRODUCER, START, append, days_of_predictions, join, line, open_log, prediction
from tests.processes import Script

DAYS = 3


@pytest.fixture
def lines(tmp_path: Path) -> list[bytes]:
    """The lines of a log of three days, in several segments of which all but the last are closed."""
    return days_of_predictions(tmp_path / "logs", DAYS)


@pytest.fixture
def log_dir(tmp_path: Path, lines: list[bytes]) -> Path:
    return tmp_path / "logs"


def check(log_dir: Path, lines: list[bytes]) -> None:
    """The log is these lines, by every account of it."""
    numbered = list(enumerate(lines))
    with LogReader(log_dir) as log:
        assert log.rows == len(lines)
        assert list(log.numbered()) == numbered
        for start, stop in ((0, 1), (7, 23), (len(lines) - 3, None), (len(lines), None)):
            assert list(log.numbered(start, stop)) == numbered[start:stop]
        assert list(log.between(START, START + timedelta(days=1))) == [
            one
            for one in lines
            if START <= START.fromisoformat(json.loads(one)["timestamp"]) < START + timedelta(days=1)
        ]
        assert sum(len(found) for _, found in log.identities()) == len(lines)
        assert log.size_bytes == sum(size for size, _ in log.identities())
        assert not log.damaged
    assert verify_log(log_dir).sound
    ledger = take_ledger(log_dir / "no-outbox", log_dir)
    assert (ledger.accepted, ledger.logged, ledger.missing, ledger.duplicated) == (len(lines), len(lines), 0, 0)
    assert ledger.balanced


def stamped(one: bytes) -> datetime:
    return datetime.fromisoformat(json.loads(one)["timestamp"])


def parquet_files(log_dir: Path) -> list[str]:
    return sorted(str(path.relative_to(log_dir / PARQUET)) for path in (log_dir / PARQUET).rglob("*.parquet"))


# -- what becomes of a segment


def test_closed_segments_become_a_file_for_each_day_and_readers_see_no_difference(
    log_dir: Path, lines: list[bytes]
) -> None:
    check(log_dir, lines)
    closed = sorted(path.stem for path in (log_dir / SEGMENTS).iterdir())[:-1]
    done = compact_log(log_dir)
    assert (done.segments, done.left) == (len(closed), [])
    assert {Path(name).stem for name in parquet_files(log_dir)} == {*closed}
    assert {Path(name).parent.name for name in parquet_files(log_dir)} == {
        f"day=2026-11-{23 + day}" for day in range(DAYS)
    }
    assert len(parquet_files(log_dir)) > len(closed), "no segment was of two days"
    assert len(list((log_dir / SEGMENTS).iterdir())) == 1
    check(log_dir, lines)


def test_compacting_again_does_nothing_and_the_writer_goes_on(log_dir: Path, lines: list[bytes]) -> None:
    compact_log(log_dir)
    before = parquet_files(log_dir)
    assert compact_log(log_dir).segments == 0
    writer = open_log(log_dir, segment_max_bytes=2_000)
    assert writer.rows == len(lines)
    with LogReader(log_dir) as log:
        assert writer.size_bytes == log.size_bytes
    more = [prediction(seq, START + timedelta(days=DAYS)) for seq in range(len(lines), len(lines) + 20)]
    for seq, one in enumerate(more, len(lines)):
        writer.append(one + b"\n", 1, {PRODUCER: seq + 1})
    check(log_dir, lines + more)
    assert compact_log(log_dir).segments
    assert {*before} < {*parquet_files(log_dir)}
    check(log_dir, lines + more)
    writer.close()


def test_a_log_whose_active_segment_is_empty_still_knows_its_rows(log_dir: Path, lines: list[bytes]) -> None:
    writer = open_log(log_dir, segment_max_bytes=1)
    writer._rotate()
    writer.close()
    compact_log(log_dir)
    writer = open_log(log_dir)
    assert writer.rows == len(lines)
    check(log_dir, lines)
    writer.close()


def test_columns_have_types_and_features_are_columns(log_dir: Path, lines: list[bytes]) -> None:
    compact_log(log_dir)
    files = str(log_dir / PARQUET / "*" / "*.parquet")
    described = duckdb.execute(f"DESCRIBE SELECT * FROM read_parquet('{files}')").fetchall()
    types = {str(name): kind for name, kind, *_ in described}
    assert types["row"] == types["seq"] == types["predicted_class"] == "BIGINT"
    assert types["timestamp"] == "TIMESTAMP"
    assert types["probability"] == types["features.feature_1"] == types["features.feature_2"] == "DOUBLE"
    assert types["line"] == "BLOB"
    rows = duckdb.execute(f"SELECT row, line, seq, \"features.feature_1\" FROM read_parquet('{files}')").fetchall()
    assert {(row, one) for row, one, _, _ in rows} <= {*enumerate(lines)}
    assert all(feature == seq + 0.5 and row == seq for row, _, seq, feature in rows)


LINES = st.lists(
    st.dictionaries(
        st.sampled_from(["x", "X", "row", "line", "features", "timestamp", "é\"'\\", "a.b", "outcome"]),
        st.none()
        | st.booleans()
        | st.integers(-(2**70), 2**70)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text()
        | st.lists(st.integers(), max_size=2)
        | st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3) | st.none(), max_size=3)
        | st.datetimes().map(str),
        max_size=5,
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@example(events=[{"features": {"": None, "a": 1}, "": 2}], ascii_only=False)
@given(events=LINES, ascii_only=st.booleans())
def test_whatever_json_a_line_is_it_comes_back_to_the_byte(events: list[dict[str, object]], ascii_only: bool) -> None:
    lines = [json.dumps(event, ensure_ascii=ascii_only).encode(errors="replace") for event in events]
    with tempfile.TemporaryDirectory() as directory:
        writer = open_log(Path(directory), segment_max_bytes=1)
        writer.append(join(lines), len(lines), {})
        append(writer, 0, 1)
        writer.close()
        done = compact_log(Path(directory))
        assert done.segments == 1, done.left
        with LogReader(Path(directory)) as log:
            assert list(log.lines(0, len(lines))) == lines


def test_an_event_whose_time_is_none_goes_with_the_day_of_its_segment(tmp_path: Path) -> None:
    writer = open_log(tmp_path, segment_max_bytes=1)
    times = ["junk", "infinity", "0044-03-15 (BC)", "123456-01-01", 7, None, "2026-11-23T23:30:00-02:00"]
    lines = [json.dumps({"timestamp": at, "seq": seq}).encode() for seq, at in enumerate(times)]
    writer.append(join(lines), len(lines), {})
    writer.append(line(0) + b"\n", 1, {})
    writer.close()
    assert compact_log(tmp_path).left == []
    today = datetime.fromtimestamp(segment_path(tmp_path, 2).stat().st_mtime, UTC).date()
    assert parquet_files(tmp_path) == sorted(f"day={day}/00000001.parquet" for day in ("2026-11-24", today))
    with LogReader(tmp_path) as log:
        assert list(log.lines(0, len(lines))) == lines


def test_a_segment_with_a_line_that_is_no_event_stays_json(tmp_path: Path) -> None:
    writer = open_log(tmp_path, segment_max_bytes=1)
    for one in (b"no json", b"[1]", b'{"a":"\xff"}', b"", line(0)):
        writer.append(one + b"\n", 1, {})
    writer.close()
    done = compact_log(tmp_path)
    assert done.segments == 0
    assert [reason.partition(": ")[2].partition(":")[0] for reason in done.left] == [
        f"row {row} is no event" for row in range(4)
    ]
    with LogReader(tmp_path) as log:
        assert list(log.lines()) == [b"no json", b"[1]", b'{"a":"\xff"}', b"", line(0)]


def test_a_damaged_segment_stays_json_so_that_its_copy_from_a_backup_fits(log_dir: Path, lines: list[bytes]) -> None:
    path = segment_path(log_dir, 2)
    sound = path.read_bytes()
    path.write_bytes(sound.replace(b"seed", b"seeD", 1))
    done = compact_log(log_dir)
    assert [str(path) in reason for reason in done.left] == [True]
    assert path.exists()
    path.write_bytes(sound)
    assert compact_log(log_dir).segments == 1
    check(log_dir, lines)


# -- meanwhile


def test_a_reader_that_had_begun_goes_on_in_the_other_form(log_dir: Path, lines: list[bytes]) -> None:
    with LogReader(log_dir) as log, log.snapshot():
        reading = log.numbered()
        found = [next(reading) for _ in range(3)]
        compact_log(log_dir)
        assert [*found, *reading] == [*enumerate(lines)]
        assert [*log.numbered()] == [*enumerate(lines)]


def test_two_do_not_compact_at_once(log_dir: Path, lines: list[bytes]) -> None:
    with forms_locked(log_dir) as locked:
        assert locked
        done = compact_log(log_dir)
    assert (done.busy, done.segments) == (True, 0)
    check(log_dir, lines)


def test_a_segment_that_is_gone_is_missed_in_either_form(log_dir: Path) -> None:
    segment_path(log_dir, 1).unlink()
    with LogReader(log_dir) as log, pytest.raises(LogDamagedError, match=r"00000001\.jsonl is missing"):
        next(log.numbered())
    done = compact_log(log_dir)
    assert ["is missing" in reason for reason in done.left] == [True]
    path = log_dir / PARQUET / parquet_files(log_dir)[0]
    path.unlink()
    with LogReader(log_dir) as log, pytest.raises(LogDamagedError, match=rf"{path.name} is missing"):
        list(log.numbered(10))
    lost = verify_log(log_dir).lost
    assert {loss.path for loss in lost} == {segment_path(log_dir, 1), path}


# -- killed

POINTS = {
    "before anything is written": ("driftline.eventlog.parquet.days_of", "before"),
    "before the first file": ("driftline.eventlog.parquet.write_day", "before"),
    "behind the first file": ("driftline.eventlog.parquet.write_day", "behind"),
    "before the proof": ("driftline.eventlog.compaction._prove", "before"),
    "behind the proof": ("driftline.eventlog.compaction._prove", "behind"),
    "before a file has its name": ("pathlib.Path.rename", "before"),
    "behind a file has its name": ("pathlib.Path.rename", "behind"),
    "before the record": ("driftline.eventlog.store.LogStore.record_compaction", "before"),
    "behind the record": ("driftline.eventlog.store.LogStore.record_compaction", "behind"),
    "before the JSON goes": ("driftline.eventlog.compaction._drop_json", "before"),
    "behind the JSON goes": ("driftline.eventlog.compaction._drop_json", "behind"),
}

# For each line, a child that compacts and dies where it is told to; then it says how the child ended.
DEATHS = """
import os
from pathlib import Path
from unittest.mock import patch
from pkgutil import resolve_name
from driftline.eventlog.compaction import compact_log

def die(log_dir, point, when):
    real = resolve_name(point)
    def dying(*arguments, **named):
        if when == "behind":
            real(*arguments, **named)
        os._exit(9)
    with patch(point, dying):
        compact_log(log_dir)

for line in sys.stdin:
    log_dir, point, when = line.split()
    pid = os.fork()
    if pid == 0:
        try:
            die(Path(log_dir), point, when)
        finally:
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def deaths() -> Iterator[Script]:
    with Script(DEATHS) as script:
        yield script


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_step_each_event_is_there_once_and_the_next_run_ends_it(
    log_dir: Path, lines: list[bytes], deaths: Script, point: str
) -> None:
    deaths.say(f"{log_dir} {' '.join(POINTS[point])}")
    assert deaths.hear() == "9"
    check(log_dir, lines)
    writer = open_log(log_dir)
    assert writer.rows == len(lines)
    writer.close()
    check(log_dir, lines)
    compact_log(log_dir)
    assert len(list((log_dir / SEGMENTS).iterdir())) == 1
    assert not list((log_dir / PARQUET).glob(".*"))
    check(log_dir, lines)


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_step_the_record_can_be_rebuilt_from_what_is_there(
    log_dir: Path, lines: list[bytes], deaths: Script, point: str
) -> None:
    deaths.say(f"{log_dir} {' '.join(POINTS[point])}")
    assert deaths.hear() == "9"
    forget(log_dir)
    rebuilt = rebuild_record(log_dir, None)
    assert rebuilt is not None
    assert (rebuilt.lines, rebuilt.committed, rebuilt.gaps) == (len(lines), {PRODUCER: len(lines)}, [])
    check(log_dir, lines)
    compact_log(log_dir)
    check(log_dir, lines)


def test_a_disk_that_is_full_leaves_the_segment_as_it_is(
    log_dir: Path, lines: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("driftline.eventlog.compaction._sync_file", full)
        with pytest.raises(LogUnavailableError, match="No space left"):
            compact_log(log_dir)
    check(log_dir, lines)
    compact_log(log_dir)
    check(log_dir, lines)


def test_a_file_that_does_not_give_every_byte_back_is_not_used(
    log_dir: Path, lines: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("driftline.eventlog.columns.Columns.selection", lambda _: "row, encode(upper(line)) AS line")
        done = compact_log(log_dir)
    assert done.segments == 0
    assert all("as Parquet, row" in reason for reason in done.left)
    assert not parquet_files(log_dir)
    check(log_dir, lines)


# -- damage


def forget(log_dir: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{log_dir / FILE_NAME}{suffix}").unlink(missing_ok=True)


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0x55
    path.write_bytes(content)


@pytest.mark.long
def test_no_changed_byte_of_a_parquet_file_goes_unnoticed_or_is_given_to_a_reader(tmp_path: Path) -> None:
    lines = days_of_predictions(tmp_path / "logs", 1, a_day=40, segment_max_bytes=4_000)
    compact_log(tmp_path / "logs")
    path = tmp_path / "logs" / PARQUET / parquet_files(tmp_path / "logs")[0]
    sound, left_out = path.read_bytes(), 0
    for place in range(0, len(sound), 97):
        flip(path, place)
        with LogReader(tmp_path / "logs") as log:
            found = list(log.numbered())
            assert {*found} <= {*enumerate(lines)}, place
            (damage,) = log.damaged
            assert damage.lines == len(lines) - len(found), place
            assert str(damage) == f"day=2026-11-23/00000001:0-{len(sound)}"
            left_out += damage.lines
        path.write_bytes(sound)
    assert left_out
    check(tmp_path / "logs", lines)


def test_a_damaged_file_is_found_set_aside_counted_and_brought_back(log_dir: Path, lines: list[bytes]) -> None:
    compact_log(log_dir)
    path = log_dir / PARQUET / parquet_files(log_dir)[1]
    sound = path.read_bytes()
    path.write_bytes(sound[:-40] + bytes(40))  # where things are in it stands at its end
    found = verify_log(log_dir)
    assert not found.sound
    (damage,) = found.damaged
    (aside,) = found.set_aside
    assert aside.read_bytes() == path.read_bytes()
    assert damage.lines == lines_set_aside(log_dir) > 0
    ledger = take_ledger(log_dir / "no-outbox", log_dir)
    assert (ledger.quarantined, ledger.missing, ledger.logged) == (damage.lines, 0, len(lines) - damage.lines)
    assert verify_log(log_dir).set_aside == []
    path.write_bytes(sound)
    aside.unlink()
    check(log_dir, lines)


def test_the_record_speaks_of_forms_under_its_seal(log_dir: Path) -> None:
    compact_log(log_dir)
    for change in (
        "UPDATE parquet SET crc = crc + 1 WHERE segment = 1",
        "UPDATE compacted SET lines = lines + 1 WHERE segment = 1",
        "DELETE FROM parquet WHERE segment = 2",
        "INSERT INTO expired VALUES ('x', 0, 9)",
        "PRAGMA user_version = 1",
    ):
        copy = log_dir.parent / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(log_dir, copy, symlinks=True)
        with sqlite3.connect(copy / FILE_NAME) as connection:
            connection.execute(change)
        connection.close()
        with pytest.raises(LogDamagedError):
            LogReader(copy)


def test_parquet_without_a_record_is_no_empty_log(log_dir: Path, lines: list[bytes]) -> None:
    compact_log(log_dir)
    forget(log_dir)
    for path in (log_dir / SEGMENTS).iterdir():
        path.write_bytes(b"")
    with pytest.raises(LogDamagedError, match="driftline log repair"):
        open_log(log_dir)


def test_a_record_that_is_lost_is_rebuilt_and_rows_stay_what_they_were(log_dir: Path, lines: list[bytes]) -> None:
    compact_log(log_dir)
    forget(log_dir)
    rebuilt = rebuild_record(log_dir, None)
    assert rebuilt is not None
    assert (rebuilt.lines, rebuilt.gaps, rebuilt.damaged_lines) == (len(lines), [], 0)
    check(log_dir, lines)
    writer = open_log(log_dir)
    assert writer.committed == {PRODUCER: len(lines)}
    writer.close()


def test_nothing_is_appended_to_a_segment_that_is_parquet_when_the_active_one_is_lost_with_the_record(
    log_dir: Path, lines: list[bytes]
) -> None:
    compact_log(log_dir)
    forget(log_dir)
    (active,) = (log_dir / SEGMENTS).iterdir()
    active.unlink()
    rebuilt = rebuild_record(log_dir, None)
    assert rebuilt is not None
    writer = open_log(log_dir)
    assert writer.segment == int(active.stem)
    held = rebuilt.lines
    writer.append(lines[held] + b"\n", 1, {PRODUCER: held + 1})
    writer.close()
    check(log_dir, lines[: held + 1])


def test_a_damaged_file_stays_damaged_when_the_record_is_rebuilt(log_dir: Path, lines: list[bytes]) -> None:
    compact_log(log_dir)
    path = log_dir / PARQUET / parquet_files(log_dir)[0]
    path.write_bytes(path.read_bytes()[:-40] + bytes(40))
    forget(log_dir)
    rebuilt = rebuild_record(log_dir, None)
    assert rebuilt is not None
    lost = len(lines) - rebuilt.lines
    assert lost > 0
    with LogReader(log_dir) as log:
        assert [*log.numbered()] == [*enumerate(lines)][lost:]
    assert rebuilt.gaps == [Gap(PRODUCER, 0, lost)]
    assert take_ledger(log_dir / "no-outbox", log_dir).missing == lost


# -- backup


def test_a_backup_of_a_compacted_log_is_restored_whole(log_dir: Path, lines: list[bytes], tmp_path: Path) -> None:
    compact_log(log_dir)
    archive = io.BytesIO()
    write_backup(log_dir, archive)
    for target in (tmp_path / "empty", log_dir):
        archive.seek(0)
        restored = restore_backup(archive, target)
        assert restored is not None
        assert restored.rows == len(lines)
        check(target, lines)
        assert parquet_files(target) == parquet_files(log_dir)


def test_a_backup_from_before_the_compaction_takes_the_place_of_the_parquet_too(
    log_dir: Path, lines: list[bytes]
) -> None:
    archive = io.BytesIO()
    write_backup(log_dir, archive)
    compact_log(log_dir)
    archive.seek(0)
    assert restore_backup(archive, log_dir) is not None
    assert not parquet_files(log_dir)
    check(log_dir, lines)
    compact_log(log_dir)
    check(log_dir, lines)


def test_no_segment_changes_its_form_while_a_backup_is_written(log_dir: Path) -> None:
    class Watched(io.BytesIO):
        busy = True

        def write(self, content: object, /) -> int:
            self.busy = self.busy and compact_log(log_dir).busy
            return 1

    out = Watched()
    write_backup(log_dir, out)
    assert out.busy


# -- what it costs


def test_duckdb_is_not_loaded_where_there_is_no_parquet(log_dir: Path) -> None:
    code = """
        from pathlib import Path
        import driftline.worker.main, driftline.api.service, driftline.eventlog.restore, driftline.doctor.examine
        from driftline.eventlog.reader import LogReader
        from driftline.eventlog.verify import verify_log
        from driftline.worker.scrub import check_files
        from driftline.transport.ledger import take_ledger
        log_dir = Path(sys.argv[1])
        assert verify_log(log_dir).sound
        assert take_ledger(log_dir / "none", log_dir).balanced
        print("duckdb" in sys.modules, flush=True)
        """
    with Script(code, log_dir) as process:
        assert process.hear() == "False"


def test_a_worker_looks_for_damage_in_parquet_without_duckdb(log_dir: Path) -> None:
    compact_log(log_dir)
    code = """
        from pathlib import Path
        import driftline.worker.main
        from driftline.eventlog.loss import look
        from driftline.eventlog.verify import check_files
        _, contents, _ = look(Path(sys.argv[1]))
        print([found.damage for found in check_files(Path(sys.argv[1]), contents.files)].count([]), flush=True)
        print("duckdb" in sys.modules, flush=True)
        """
    with Script(code, log_dir) as process:
        assert process.hear() == str(len(parquet_files(log_dir)))
        assert process.hear() == "False"


def test_the_last_rows_are_had_without_reading_the_files_before(log_dir: Path, lines: list[bytes]) -> None:
    compact_log(log_dir)
    shutil.rmtree(log_dir / PARQUET / "day=2026-11-23")
    with LogReader(log_dir) as log:
        assert list(log.lines(len(lines) - 9)) == lines[-9:]
