"""The reader gives committed lines, by row and by time, without ever holding more than a little of them."""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline.errors import LogDamagedError, LogNotFoundError
from driftline.eventlog import writer as writer_module
from driftline.eventlog.identity import LineId
from driftline.eventlog.reader import LogReader
from driftline.eventlog.record import Gap
from driftline.eventlog.store import FILE_NAME, LogStore
from driftline.eventlog.writer import LogWriter
from tests.eventlog.lines import PRODUCER, START, append, join, line, open_log, segments
from tests.processes import Script

# No newline in them; a carriage return is none.
LINES = st.lists(st.binary(min_size=1, max_size=30).map(lambda line: line.replace(b"\n", b"\r")), max_size=6)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[LogWriter]:
    """Ten lines, in three commits and two segments."""
    writer = open_log(tmp_path / "logs", segment_max_bytes=7 * len(line(0)))
    for first, stop in ((0, 3), (3, 8), (8, 10)):
        append(writer, first, stop)
    assert len(segments(writer.log_dir)) == 2
    yield writer
    writer.close()


@pytest.fixture
def log(writer: LogWriter) -> Iterator[LogReader]:
    with LogReader(writer.log_dir) as log:
        yield log


def seqs(lines: Iterator[bytes]) -> list[int]:
    return [json.loads(line)["seq"] for line in lines]


# -- by row


@settings(max_examples=25)
@given(
    commits=st.lists(LINES, max_size=8),
    segment_max_bytes=st.integers(1, 200),
    block_bytes=st.integers(1, 100),
    asked=st.lists(st.tuples(st.integers(-3, 50), st.none() | st.integers(-3, 50)), min_size=1, max_size=8),
)
def test_rows_are_those_of_a_list(
    commits: list[list[bytes]], segment_max_bytes: int, block_bytes: int, asked: list[tuple[int, int | None]]
) -> None:
    expected = [line for lines in commits for line in lines]
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as directory:
        patch.setattr(writer_module, "BLOCK_BYTES", block_bytes)
        writer = open_log(Path(directory), segment_max_bytes=segment_max_bytes)
        for lines in commits:
            writer.append(join(lines), len(lines), {})
        writer.close()
        with LogReader(Path(directory)) as log:
            assert log.rows == len(expected)
            assert list(log.lines()) == expected
            for start, stop in asked:
                rows = slice(max(0, start), None if stop is None else max(0, stop))
                assert list(log.lines(start, stop)) == expected[rows], (start, stop)


def test_the_last_rows_are_had_without_reading_the_first(log: LogReader, writer: LogWriter) -> None:
    segments(writer.log_dir)[0].unlink()
    assert seqs(log.lines(log.rows - 2)) == [8, 9]
    with pytest.raises(LogDamagedError, match=r"00000001\.jsonl is missing; bring it back"):
        list(log.lines())


def test_what_is_appended_and_not_committed_is_never_seen(log: LogReader, writer: LogWriter) -> None:
    with segments(writer.log_dir)[-1].open("ab") as file:
        file.write(join([line(10)]))
    assert log.rows == 10
    assert seqs(log.lines()) == list(range(10))


def test_a_log_is_read_while_it_grows_and_each_call_sees_more(log: LogReader, writer: LogWriter) -> None:
    reading = log.lines()
    assert json.loads(next(reading))["seq"] == 0
    append(writer, 10, 12)
    assert seqs(reading) == list(range(1, 10))
    assert log.rows == 12
    assert seqs(log.lines(9)) == [9, 10, 11]


def test_within_a_snapshot_everything_is_of_one_moment(log: LogReader, writer: LogWriter) -> None:
    with log.snapshot():
        assert log.rows == 10
        append(writer, 10, 12)
        assert (log.rows, log.committed()) == (10, {PRODUCER: 10})
        assert seqs(log.lines()) == list(range(10))
    assert (log.rows, log.committed()) == (12, {PRODUCER: 12})


def test_an_empty_log_has_no_rows(tmp_path: Path) -> None:
    writer = open_log(tmp_path)
    with LogReader(tmp_path) as log:
        assert (log.rows, log.size_bytes, list(log.lines()), list(log.between())) == (0, 0, [], [])
    writer.close()


def test_the_first_line_after_a_rotation_is_the_next_row(writer: LogWriter, log: LogReader) -> None:
    assert [block.first_row for block in log._store.blocks()] == [0, 8]
    assert seqs(log.lines(8, 9)) == [8]


# -- by time


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        (None, None, range(10)),
        (at(3), None, range(3, 10)),
        (None, at(3), range(3)),
        (at(3), at(7), range(3, 7)),
        (at(3.5), at(6.5), range(4, 7)),
        (at(3), at(3), []),
        (at(100), None, []),
        (at(3).astimezone(timezone(timedelta(hours=5))), at(5), [3, 4]),
    ],
)
def test_a_time_range_holds_its_start_and_not_its_stop(
    log: LogReader, start: datetime | None, stop: datetime | None, expected: list[int]
) -> None:
    assert seqs(log.between(start, stop)) == list(expected)


def test_events_that_came_late_stand_where_they_arrived(log: LogReader, writer: LogWriter) -> None:
    writer.append(join([line(2)]), 1, {})
    assert seqs(log.between(at(2), at(4))) == [2, 3, 2]


def test_a_line_that_is_no_event_is_damage_with_its_row(log: LogReader, writer: LogWriter) -> None:
    writer.append(b'{"no":"time"}\n', 1, {})
    with pytest.raises(LogDamagedError, match="row 10"):
        list(log.between())


# -- who is in it


def test_every_line_says_whose_it_is_and_a_line_that_cannot_is_left_out(log: LogReader, writer: LogWriter) -> None:
    writer.append(b"not json\n\xff\n" + join([line(10)]), 3, {})
    found = list(log.identities())
    assert [who for _, lines in found for who in lines] == [LineId(PRODUCER, seq) for seq in range(11)]
    assert sum(size for size, _ in found) == log.size_bytes
    assert log.damaged == []


@pytest.mark.parametrize("row", [0, 5, 9])
def test_a_flipped_byte_damages_its_line_and_no_other(log: LogReader, writer: LogWriter, row: int) -> None:
    segment = segments(writer.log_dir)[0 if row < 8 else 1]
    content = bytearray(segment.read_bytes())
    place = content.index(b'"seq": %d' % row) + 7
    content[place] ^= 1
    segment.write_bytes(content)
    rest = [seq for seq in range(10) if seq != row]
    assert seqs(log.lines()) == [row for row, _ in log.numbered()] == rest
    assert [who.seq for _, lines in log.identities() for who in lines] == rest
    (damage,) = log.damaged
    assert damage.lines == 1
    start = damage.start - segment.read_bytes()[: damage.start].rfind(b"\n") - 1
    assert (start, damage.length) == (0, len(line(row)) + 1)


def test_a_segment_that_lost_its_end_is_damage_that_names_it(log: LogReader, writer: LogWriter) -> None:
    with segments(writer.log_dir)[0].open("r+b") as file:
        file.truncate(100)
    with pytest.raises(LogDamagedError, match=r"00000001\.jsonl is shorter"):
        list(log.lines())
    with pytest.raises(LogDamagedError, match="shorter"):
        list(log.identities())


def test_gaps_are_told_in_the_order_they_were_met(log: LogReader, writer: LogWriter) -> None:
    gaps = [Gap("b" * 32, 0, 5), Gap(PRODUCER, 10, 12)]
    for gap in gaps:
        writer.append(b"", 0, {}, [gap])
    assert log.gaps() == gaps


# -- what is no log


def test_a_directory_without_a_log_is_not_found(tmp_path: Path) -> None:
    for log_dir in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(LogNotFoundError, match="nothing has been committed"):
            LogReader(log_dir)
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_is_being_made_is_not_found_yet(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).touch()
    with pytest.raises(LogNotFoundError):
        LogReader(tmp_path)


def test_a_file_that_is_no_database_is_damage(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"this is no database" * 1000)
    with pytest.raises(LogDamagedError):
        LogReader(tmp_path)


def test_a_log_of_a_newer_version_is_refused_with_both_versions(tmp_path: Path) -> None:
    open_log(tmp_path).close()
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(LogDamagedError, match=r"99.* reads 2"):
        LogReader(tmp_path)


def test_committed_numbers_of_some_producers_leave_out_the_others_and_the_unknown(tmp_path: Path) -> None:
    writer = open_log(tmp_path)
    writer.append(b"", 0, {"a": 1, "b": 2})
    store = LogStore(tmp_path / FILE_NAME)
    assert store.committed_of(["b", "c"]) == {"b": 2}
    assert store.committed_of([]) == {}
    assert store.committed_of([f"{number}" for number in range(5000)] + ["a"]) == {"a": 1}
    store.close()
    writer.close()


# -- where nothing may be written


@contextmanager
def write_protected(directory: Path) -> Iterator[None]:
    """Nobody may write there, not even root."""
    if os.geteuid():
        directory.chmod(0o555)
        yield
        directory.chmod(0o755)
        return
    if subprocess.run(["mount", "--bind", directory, directory], check=False, capture_output=True).returncode:
        pytest.skip("root may not mount here, and nothing else keeps root from writing")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", directory], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


def test_a_log_at_rest_is_read_where_nothing_may_be_written(writer: LogWriter) -> None:
    writer.close()
    with write_protected(writer.log_dir), LogReader(writer.log_dir) as log:
        assert seqs(log.lines()) == list(range(10))


def test_a_log_that_is_being_written_is_read_where_nothing_may_be_written(writer: LogWriter) -> None:
    with write_protected(writer.log_dir), LogReader(writer.log_dir) as log:
        assert seqs(log.lines()) == list(range(10))


@contextmanager
def read_only_view(directory: Path, at: Path) -> Iterator[Path]:
    """The directory at another place, where nobody may write: what a container has of another one's volume."""
    at.mkdir()
    if subprocess.run(["mount", "--bind", directory, at], check=False, capture_output=True).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", at], check=True)
        yield at
    finally:
        subprocess.run(["umount", "--lazy", at], check=True)


def test_one_that_came_before_the_worker_is_to_be_opened_again_and_then_sees_all(
    writer: LogWriter, tmp_path: Path
) -> None:
    writer.close()
    with read_only_view(writer.log_dir, tmp_path / "view") as view:
        with LogReader(view) as early:
            assert early.in_place()
            writer = open_log(writer.log_dir)
            append(writer, 10, 12)
            assert (early.in_place(), early.rows) == (False, 10)
        with LogReader(view) as log:
            for first in range(12, 42, 3):
                append(writer, first, first + 2)
                assert log.in_place()
                assert log.rows == first + 2
                writer.close()
                assert (log.in_place(), log.rows) == (True, first + 2)
                writer = open_log(writer.log_dir)
                append(writer, first + 2, first + 3)
                assert (log.in_place(), log.rows) == (True, first + 3)
            assert seqs(log.lines()) == list(range(42))
        writer.close()
        with LogReader(view) as early:
            open_log(writer.log_dir).close()
            writer = open_log(writer.log_dir)
            append(writer, 42, 43)
            writer.close()
            assert not early.in_place()


# -- memory


def test_a_large_log_is_read_in_little_memory(tmp_path: Path) -> None:
    """220 MB of log; what the process needs more for reading all of it is counted by the kernel."""
    log_dir = tmp_path / "logs"
    writer = open_log(log_dir)
    payload = join(line(seq, size=500) for seq in range(1750))
    for number in range(220):
        writer.append(payload, 1750, {PRODUCER: 1750 * (number + 1)})
    size = writer.size_bytes
    writer.close()
    code = """
        import resource, sys
        from datetime import UTC, datetime
        from pathlib import Path
        from driftline.eventlog.reader import LogReader
        with LogReader(Path(sys.argv[1])) as log:
            sum(1 for line in log.lines(0, 1))
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            print(sum(1 for line in log.lines()), sum(1 for line in log.between(datetime.now(UTC))))
            print(sum(len(lines) for _, lines in log.identities()))
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        """
    with Script(code, log_dir) as reading:
        assert reading.hear() == f"{220 * 1750} 0"
        assert reading.hear() == f"{220 * 1750}"
        grown = int(reading.hear()) * (1 if sys.platform == "darwin" else 1024)  # the unit of ru_maxrss
    for path in segments(log_dir):
        path.unlink()
    assert size > 210 << 20
    assert grown < 20 << 20
