"""A backup is the log of one moment: what was committed then, to the byte, and a worker goes on from it."""

import io
import subprocess
import threading
from pathlib import Path

import pytest

from driftline.errors import LogDamagedError, LogNotFoundError
from driftline.eventlog.backup import write_backup
from driftline.eventlog.reader import LogReader
from tests.eventlog.lines import append, check_whole, content, line, open_log, segments


def backed_up(log_dir: Path) -> bytes:
    out = io.BytesIO()
    write_backup(log_dir, out)
    return out.getvalue()


def unpack(archive: bytes, log_dir: Path) -> None:
    log_dir.mkdir()
    subprocess.run(["tar", "-x", "-C", str(log_dir)], input=archive, check=True)


def test_a_writer_goes_on_from_a_restored_backup(tmp_path: Path) -> None:
    writer = open_log(tmp_path / "logs", segment_max_bytes=7 * len(line(0)))
    append(writer, 0, 5)
    append(writer, 5, 12)
    archive = backed_up(writer.log_dir)
    append(writer, 12, 20)
    writer.close()

    unpack(archive, tmp_path / "restored")
    restored = open_log(tmp_path / "restored")
    assert restored.log_id == writer.log_id
    check_whole(tmp_path / "restored", 12)
    append(restored, 12, 30)
    check_whole(tmp_path / "restored", 30)
    restored.close()


def test_an_append_under_way_is_not_in_it(tmp_path: Path) -> None:
    writer = open_log(tmp_path / "logs")
    append(writer, 0, 3)
    with segments(writer.log_dir)[-1].open("ab") as segment:
        segment.write(b"not committed")
    unpack(backed_up(writer.log_dir), tmp_path / "restored")
    assert content(tmp_path / "restored") == content(writer.log_dir).removesuffix(b"not committed")
    writer.close()


def test_each_one_taken_while_the_log_is_written_is_whole(tmp_path: Path) -> None:
    writer = open_log(tmp_path / "logs", segment_max_bytes=40 * len(line(0)))
    append(writer, 0, 1)
    done = threading.Event()

    def write() -> None:
        for first in range(1, 1000, 3):
            append(writer, first, first + 3)
        done.set()

    writing = threading.Thread(target=write)
    writing.start()
    archives = [backed_up(writer.log_dir)]
    while not done.is_set():
        archives.append(backed_up(writer.log_dir))
    writing.join()
    writer.close()
    for number, archive in enumerate(archives[-20:]):
        unpack(archive, tmp_path / f"restored-{number}")
        with LogReader(tmp_path / f"restored-{number}") as log:
            rows = log.rows
        restored = open_log(tmp_path / f"restored-{number}")
        check_whole(tmp_path / f"restored-{number}", rows)
        restored.close()


def test_an_empty_log_has_one_too(tmp_path: Path) -> None:
    open_log(tmp_path / "logs").close()
    unpack(backed_up(tmp_path / "logs"), tmp_path / "restored")
    restored = open_log(tmp_path / "restored")
    check_whole(tmp_path / "restored", 0)
    restored.close()


@pytest.mark.timeout(20)  # nothing to wait a minute for
def test_no_log_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LogNotFoundError):
        backed_up(tmp_path)


@pytest.mark.parametrize(("harm", "said"), [("cut", "shorter than what was committed"), ("remove", "is missing")])
def test_a_segment_that_is_not_all_there_is_an_error_not_a_short_backup(tmp_path: Path, harm: str, said: str) -> None:
    writer = open_log(tmp_path / "logs")
    append(writer, 0, 3)
    writer.close()
    segment = segments(tmp_path / "logs")[-1]
    if harm == "cut":
        segment.write_bytes(segment.read_bytes()[:-1])
    else:
        segment.unlink()
    with pytest.raises(LogDamagedError, match=said):
        backed_up(tmp_path / "logs")
