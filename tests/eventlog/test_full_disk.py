"""A disk that refuses: nothing counts as logged, and the log goes on as if nothing had been when there is room."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from driftline.errors import LogUnavailableError
from driftline.eventlog.writer import LogWriter
from tests.eventlog.lines import PRODUCER, append, check_whole, content, open_log, segments
from tests.small_disk import CAPTURE_BYTES, KINDS, SmallDisk, small_disk


@pytest.fixture(params=KINDS)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", request.param) as disk:
        yield disk


def test_a_full_disk_is_unavailable_and_when_there_is_room_nothing_is_lost_or_doubled(disk: SmallDisk) -> None:
    writer = open_log(disk.path / "logs")
    append(writer, 0, 2, size=CAPTURE_BYTES)
    disk.fill()
    refusals = []
    for _ in range(3):
        with pytest.raises(LogUnavailableError):
            append(writer, 2, 5, size=CAPTURE_BYTES)
        with pytest.raises(LogUnavailableError, match="not open"):
            append(writer, 2, 5)
        try:
            writer.recover()
        except LogUnavailableError as error:
            refusals.append(str(error))
    assert disk.path.is_mount() or not refusals, "a limit on files leaves room for what a recovery needs"
    assert [refusal for refusal in refusals if "No space left on device" not in refusal] == []
    assert (writer.rows, writer.committed) == (2, {PRODUCER: 2})
    disk.free()
    writer.recover()
    check_whole(disk.path / "logs", 2)
    append(writer, 2, 5)
    check_whole(disk.path / "logs", 5)
    writer.close()


def test_a_disk_too_full_to_begin_the_next_segment_is_waited_for(disk: SmallDisk) -> None:
    writer = open_log(disk.path / "logs", segment_max_bytes=1)
    append(writer, 0, 1, size=CAPTURE_BYTES)
    disk.fill()
    with pytest.raises(LogUnavailableError):
        append(writer, 1, 2, size=2 * CAPTURE_BYTES)
    disk.free()
    writer.recover()
    append(writer, 1, 2)
    writer.close()
    check_whole(disk.path / "logs", 2)


def test_a_disk_that_is_full_at_the_start_is_unavailable_and_not_damaged(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "tmpfs") as disk:
        (disk.path / "other").write_bytes(b"x" * CAPTURE_BYTES)
        disk.fill()
        if disk.path.is_mount():
            with pytest.raises(LogUnavailableError, match="No space left on device"):
                LogWriter(disk.path / "logs").try_open()
        disk.free()
        writer = open_log(disk.path / "logs")
        append(writer, 0, 1)
        writer.close()
        check_whole(disk.path / "logs", 1)


@pytest.mark.parametrize("segment_max_bytes", [256 << 20, 1], ids=["appending", "rotating"])
def test_wherever_the_room_ends_in_the_segment_or_in_the_record_the_log_is_what_was_committed(
    tmp_path: Path, segment_max_bytes: int
) -> None:
    """A page more each time: it ends in the append, in SQLite's write-ahead log, in the new segment, in its record."""
    taken, refused, seqs = 0, 0, 1
    with small_disk(tmp_path / "disk", "tmpfs") as disk:
        writer = open_log(disk.path / "logs", segment_max_bytes=segment_max_bytes)
        append(writer, 0, 1, size=CAPTURE_BYTES)
        for pages in range(40):
            disk.fill()
            disk.leave(pages)
            try:
                append(writer, seqs, seqs + 1, size=9_000)
                seqs += 1
                taken += 1
            except LogUnavailableError:
                refused += 1
                disk.free()
                writer.recover()
            disk.free()
            assert (writer.rows, writer.committed) == (seqs, {PRODUCER: seqs})
        writer.close()
        check_whole_segments(disk.path / "logs", seqs)
    assert taken > 5
    assert refused > 2


def check_whole_segments(log_dir: Path, seqs: int) -> None:
    open_log(log_dir).close()
    check_whole(log_dir, seqs)


def refuse(*arguments: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_a_sync_that_failed_is_not_tried_again_on_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault: fdatasync fails. The lines are cut away, and come again from whoever sent them."""
    writer = open_log(tmp_path)
    append(writer, 0, 3)
    monkeypatch.setattr("driftline.eventlog.writer.sync_content", refuse)
    with pytest.raises(LogUnavailableError, match="Input/output"):
        append(writer, 3, 6)
    monkeypatch.undo()
    with pytest.raises(LogUnavailableError, match="not open"):
        append(writer, 3, 6)
    writer.recover()
    check_whole(tmp_path, 3)
    append(writer, 3, 6)
    writer.close()
    check_whole(tmp_path, 6)


def test_a_commit_that_failed_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault: another program holds the record locked for longer than is waited."""
    writer = open_log(tmp_path)
    append(writer, 0, 3)
    assert writer._store is not None
    writer._store._connection.execute("PRAGMA busy_timeout = 1")
    with sqlite3.connect(tmp_path / "log.sqlite", isolation_level=None) as intruder:
        intruder.execute("BEGIN IMMEDIATE")
        with pytest.raises(LogUnavailableError, match="locked"):
            append(writer, 3, 6)
        intruder.execute("COMMIT")
    intruder.close()
    writer.recover()
    check_whole(tmp_path, 3)
    writer.close()


def test_an_error_that_nobody_foresaw_leaves_the_log_as_it_was_committed(tmp_path: Path) -> None:
    """A number that SQLite cannot hold: the lines are in the file by then, and nothing may be appended behind them."""
    writer = open_log(tmp_path)
    append(writer, 0, 3)
    with pytest.raises(OverflowError):
        writer.append(b'{"not":"committed"}\n', 1, {PRODUCER: 1 << 70})
    with pytest.raises(LogUnavailableError, match="not open"):
        append(writer, 3, 6)
    writer.recover()
    append(writer, 3, 6)
    writer.close()
    check_whole(tmp_path, 6)


def test_a_recovery_that_failed_half_way_lets_nothing_be_appended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault: the cutting back fails. What was not cut would shift every line behind it."""
    writer = open_log(tmp_path)
    append(writer, 0, 3)
    with segments(tmp_path)[-1].open("ab") as file:
        file.write(b'{"never":"committed"}\n')
    before = content(tmp_path)
    monkeypatch.setattr("driftline.eventlog.writer.os.ftruncate", refuse)
    with pytest.raises(LogUnavailableError):
        writer.recover()
    monkeypatch.undo()
    with pytest.raises(LogUnavailableError, match="not open"):
        append(writer, 3, 6)
    assert content(tmp_path) == before
    writer.recover()
    append(writer, 3, 6)
    writer.close()
    check_whole(tmp_path, 6)


def test_failures_leak_no_descriptors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(os.listdir("/dev/fd"))
    writer = open_log(tmp_path)
    append(writer, 0, 1)
    for target in ("sync_content", "sync_directory", "os.ftruncate"):
        for _ in range(3):
            monkeypatch.setattr(f"driftline.eventlog.writer.{target}", refuse)
            if target == "sync_content":
                with pytest.raises(LogUnavailableError):
                    append(writer, 1, 2)
            else:
                with pytest.raises(LogUnavailableError):
                    writer.recover()
            monkeypatch.undo()
            with pytest.raises(LogUnavailableError, match="not open"):
                append(writer, 1, 2)
            writer.recover()
    writer.close()
    assert len(os.listdir("/dev/fd")) == before
