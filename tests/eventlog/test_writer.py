"""What the log says is committed is there to the byte, or the log is refused and left as it is."""

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from driftline.errors import LogDamagedError, LogUnavailableError
from driftline.eventlog.record import Gap, Tombstone
from driftline.eventlog.store import FILE_NAME
from driftline.eventlog.writer import LINK_NAME, LogWriter
from tests.eventlog.lines import PRODUCER, append, check_whole, content, join, line, open_log, segments
from tests.processes import Script


def picture(log_dir: Path) -> dict[str, str]:
    """Every file that holds something of worth, and what is in it."""
    return {
        str(path.relative_to(log_dir)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(log_dir.rglob("*"))
        if path.is_file() and path.suffix in {".jsonl", ".sqlite"}
    }


def make_log(log_dir: Path, seqs: int = 10, segment_max_bytes: int = 256 << 20) -> None:
    """A log of one commit a line."""
    writer = open_log(log_dir, segment_max_bytes=segment_max_bytes)
    for seq in range(seqs):
        append(writer, seq, seq + 1)
    writer.close()


def test_what_was_appended_is_there_after_another_start(tmp_path: Path) -> None:
    make_log(tmp_path / "data" / "logs")
    writer = open_log(tmp_path / "data" / "logs")
    assert (writer.rows, writer.committed) == (10, {PRODUCER: 10})
    assert writer.size_bytes == len(content(writer.log_dir))
    check_whole(writer.log_dir, 10)
    writer.close()


def test_a_log_keeps_its_id_and_another_has_another(tmp_path: Path) -> None:
    ids = []
    for name in ("a", "a", "b"):
        writer = open_log(tmp_path / name)
        ids.append(writer.log_id)
        writer.close()
    assert ids[0] == ids[1] != ids[2]


def test_what_is_behind_the_committed_bytes_is_cut_at_the_next_start(tmp_path: Path) -> None:
    make_log(tmp_path)
    with segments(tmp_path)[-1].open("ab") as file:
        file.write(join([line(10), line(11)]) + b'{"half')
    writer = open_log(tmp_path)
    check_whole(tmp_path, 10)
    append(writer, 10, 12)
    check_whole(tmp_path, 12)
    writer.close()


def test_gaps_tombstones_and_predecessors_are_kept(tmp_path: Path) -> None:
    writer = open_log(tmp_path)
    writer.append(b"", 0, {PRODUCER: 7}, [Gap(PRODUCER, 0, 5)], [Tombstone(PRODUCER, 5), Tombstone(PRODUCER, 6)])
    writer.replace("lost")
    assert writer.predecessors == {"lost"}
    writer.close()
    writer = open_log(tmp_path)
    assert (writer.rows, writer.committed, set(writer.predecessors)) == (0, {PRODUCER: 7}, {"lost"})
    append(writer, 7, 9)
    assert writer.rows == 2
    writer.close()


# -- one writer


def test_a_second_writer_waits_and_touches_nothing(tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from driftline.eventlog.writer import LogWriter
        print(LogWriter(Path(sys.argv[1])).try_open(), flush=True)
        sys.stdin.read()
        """
    first = open_log(tmp_path)
    append(first, 0, 3)
    with segments(tmp_path)[-1].open("ab") as file:
        file.write(b"an append under way")
    before = content(tmp_path)
    with Script(code, tmp_path) as second:
        assert second.hear() == "False"
    assert not LogWriter(tmp_path).try_open()
    assert content(tmp_path) == before
    first.close()
    with Script(code, tmp_path) as second:
        assert second.hear() == "True"
        assert not LogWriter(tmp_path).try_open()
    check_whole(tmp_path, 3)


# -- rotation


def test_a_segment_that_is_large_enough_is_followed_by_another(tmp_path: Path) -> None:
    writer = open_log(tmp_path, segment_max_bytes=3 * len(line(0)))
    for seq in range(20):
        append(writer, seq, seq + 1)
        assert (tmp_path / LINK_NAME).resolve() == segments(tmp_path)[-1]
        assert (tmp_path / LINK_NAME).read_bytes().endswith(line(seq) + b"\n")
    assert len(segments(tmp_path)) == 7
    writer.close()
    check_whole(tmp_path, 20)


def test_a_segment_that_is_old_enough_is_followed_by_another_unless_it_is_empty(tmp_path: Path) -> None:
    for _ in range(2):
        writer = open_log(tmp_path, segment_max_age_s=0)
        writer.append(b"", 0, {})
        assert len(segments(tmp_path)) == 1
        writer.close()
    writer = open_log(tmp_path, segment_max_age_s=0)
    for seq in range(3):
        append(writer, seq, seq + 1)
    assert [path.read_bytes() for path in segments(tmp_path)] == [join([line(seq)]) for seq in range(3)]
    writer.close()


def test_the_age_of_a_segment_counts_over_starts(tmp_path: Path) -> None:
    make_log(tmp_path, seqs=1)
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("UPDATE segments SET created_at = created_at - 100")
        connection.execute("DELETE FROM seal")
    connection.close()
    writer = open_log(tmp_path, segment_max_age_s=90)
    append(writer, 1, 2)
    assert len(segments(tmp_path)) == 2
    writer.close()


def test_a_segment_that_was_born_and_never_recorded_is_removed(tmp_path: Path) -> None:
    make_log(tmp_path)
    (tmp_path / "segments" / "00000002.jsonl").write_bytes(b"")
    writer = open_log(tmp_path)
    check_whole(tmp_path, 10)
    assert len(segments(tmp_path)) == 1
    writer.close()


@pytest.mark.parametrize("broken", ["missing", "elsewhere", "dangling", "a file"])
def test_the_link_is_put_right_at_every_start(tmp_path: Path, broken: str) -> None:
    make_log(tmp_path, segment_max_bytes=1)
    link = tmp_path / LINK_NAME
    link.unlink()
    if broken == "elsewhere":
        link.symlink_to("segments/00000001.jsonl")
    elif broken == "dangling":
        link.symlink_to("nowhere")
    elif broken == "a file":
        link.write_bytes(b"")
    writer = open_log(tmp_path)
    check_whole(tmp_path, 10)
    writer.close()


# -- what is refused


def shorten(log_dir: Path) -> None:
    path = segments(log_dir)[-1]
    os.truncate(path, path.stat().st_size - 1)


def remove_segment(log_dir: Path) -> None:
    segments(log_dir)[-1].unlink()


def remove_record(log_dir: Path) -> None:
    for path in log_dir.glob(f"{FILE_NAME}*"):
        path.unlink()


def empty_record(log_dir: Path) -> None:
    remove_record(log_dir)
    (log_dir / FILE_NAME).touch()


def put_garbage(log_dir: Path) -> None:
    remove_record(log_dir)
    (log_dir / FILE_NAME).write_bytes(b"this is no database" * 1000)


def of_another_version(log_dir: Path) -> None:
    connection = sqlite3.connect(log_dir / FILE_NAME)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


@pytest.mark.parametrize(
    "spoil", [shorten, remove_segment, remove_record, empty_record, put_garbage, of_another_version]
)
def test_a_log_whose_files_contradict_each_other_is_refused_and_left_as_it_is(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    make_log(tmp_path, segment_max_bytes=4 * len(line(0)))
    spoil(tmp_path)
    before = picture(tmp_path)
    writer = LogWriter(tmp_path)
    with pytest.raises(LogDamagedError) as refused:
        writer.try_open()
    assert str(tmp_path) in refused.value.message
    assert picture(tmp_path) == before
    writer.close()


def test_a_log_that_was_never_written_to_may_begin_again_without_its_record(tmp_path: Path) -> None:
    open_log(tmp_path).close()
    remove_record(tmp_path)
    writer = open_log(tmp_path)
    append(writer, 0, 1)
    writer.close()
    check_whole(tmp_path, 1)


def test_a_directory_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LogUnavailableError, match="file/logs"):
        LogWriter(tmp_path / "file" / "logs").try_open()


# -- descriptors


def test_a_writer_that_is_closed_gives_up_everything(tmp_path: Path) -> None:
    before = len(os.listdir("/dev/fd"))
    writer = open_log(tmp_path, segment_max_bytes=1)
    for seq in range(5):
        append(writer, seq, seq + 1)
    writer.recover()
    writer.close()
    writer.close()
    assert len(os.listdir("/dev/fd")) == before
    with pytest.raises(LogUnavailableError, match="not open"):
        append(writer, 5, 6)
    with pytest.raises(LogUnavailableError, match="not open"):
        writer.replace("lost")


@pytest.mark.parametrize("spoil", [shorten, put_garbage, of_another_version])
def test_a_log_that_is_refused_leaves_no_descriptor_open(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    make_log(tmp_path)
    spoil(tmp_path)
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(LogDamagedError):
        LogWriter(tmp_path).try_open()
    assert len(os.listdir("/dev/fd")) == before


# -- files that are taken away under the writer


def everything(log_dir: Path) -> None:
    shutil.rmtree(log_dir)


def record(log_dir: Path) -> None:
    (log_dir / FILE_NAME).unlink()


def segment(log_dir: Path) -> None:
    segments(log_dir)[-1].unlink()


def replaced(log_dir: Path) -> None:
    log_dir.rename(log_dir.with_name("elsewhere"))
    make_log(log_dir, seqs=3)


@pytest.mark.parametrize("take_away", [everything, record, segment, replaced])
def test_what_nobody_would_find_is_not_committed(tmp_path: Path, take_away: Callable[[Path], None]) -> None:
    log_dir = tmp_path / "logs"
    writer = open_log(log_dir)
    append(writer, 0, 5)
    writer.check_in_place()
    take_away(log_dir)
    before = [path.read_bytes() for path in sorted(log_dir.glob("segments/*"))]
    with pytest.raises(LogDamagedError, match="was removed or replaced"):
        writer.check_in_place()
    with pytest.raises(LogDamagedError, match="was removed or replaced"):
        append(writer, 5, 6)
    assert writer.committed == {PRODUCER: 5}
    assert [path.read_bytes() for path in sorted(log_dir.glob("segments/*"))] == before
    writer.close()


def test_a_log_that_was_replaced_is_not_taken_for_the_one_that_was_opened(tmp_path: Path) -> None:
    log_dir = tmp_path / "logs"
    writer = open_log(log_dir)
    append(writer, 0, 5)
    replaced(log_dir)
    with pytest.raises(LogDamagedError, match="was removed or replaced"):
        writer.recover()
    writer.close()
