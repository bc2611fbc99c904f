"""A record that is damaged or gone is rebuilt from the lines: none is lost, none doubled, no damaged one believed."""

import itertools
import json
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from driftline.errors import LogDamagedError, LogNotFoundError, LogUnavailableError
from driftline.eventlog.damage import QUARANTINE, lines_set_aside
from driftline.eventlog.reader import LogReader
from driftline.eventlog.record import Gap, Tombstone
from driftline.eventlog.repair import rebuild_record
from driftline.eventlog.store import FILE_NAME
from driftline.eventlog.writer import RESTORING, SEGMENTS, LogWriter
from tests.eventlog.lines import PRODUCER, append, check_whole, join, line, open_log, segments
from tests.processes import Script

OBEYED = "d" * 32


@pytest.fixture
def writer(tmp_path: Path) -> LogWriter:
    """Ten lines in two segments, at rest."""
    writer = open_log(tmp_path / "logs", segment_max_bytes=7 * len(line(0)))
    for first, stop in ((0, 3), (3, 8), (8, 10)):
        append(writer, first, stop)
    writer.close()
    return writer


def damage_record(log_dir: Path) -> None:
    """One producer's number is another one now."""
    with sqlite3.connect(log_dir / FILE_NAME) as connection:
        connection.execute("UPDATE producers SET committed = 1000")
    connection.close()


def seqs(log_dir: Path) -> list[int]:
    with LogReader(log_dir) as log:
        return [json.loads(one)["seq"] for one in log.lines()]


def test_a_damaged_record_is_rebuilt_and_the_log_goes_on_where_it_was(writer: LogWriter) -> None:
    damage_record(writer.log_dir)
    with pytest.raises(LogDamagedError):
        writer.try_open()
    rebuilt = rebuild_record(writer.log_dir, None)
    assert rebuilt is not None
    assert (rebuilt.lines, rebuilt.damaged_lines, rebuilt.cut_bytes) == (10, 0, 0)
    assert rebuilt.committed == {PRODUCER: 10}
    assert rebuilt.predecessors == (writer.log_id,)
    again = open_log(writer.log_dir)
    assert again.log_id == rebuilt.log_id != writer.log_id
    assert again.predecessors == {writer.log_id}
    append(again, 10, 12)
    again.close()
    check_whole(writer.log_dir, 12)


def test_a_sound_record_is_left_alone(writer: LogWriter) -> None:
    before = (writer.log_dir / FILE_NAME).read_bytes()
    assert rebuild_record(writer.log_dir, OBEYED) is None
    assert (writer.log_dir / FILE_NAME).read_bytes() == before


@pytest.mark.parametrize("content", [None, b"", b"no database at all" * 1000])
def test_a_record_that_is_gone_is_rebuilt_and_replaces_the_log_that_the_outboxes_obey(
    writer: LogWriter, content: bytes | None
) -> None:
    if content is None:
        (writer.log_dir / FILE_NAME).unlink()
    else:
        (writer.log_dir / FILE_NAME).write_bytes(content)
    rebuilt = rebuild_record(writer.log_dir, OBEYED)
    assert rebuilt is not None
    assert rebuilt.predecessors == (OBEYED,)
    again = open_log(writer.log_dir)
    again.close()
    check_whole(writer.log_dir, 10)


def test_the_damaged_record_is_kept_in_quarantine_with_all_that_belongs_to_it(writer: LogWriter) -> None:
    damage_record(writer.log_dir)
    before = (writer.log_dir / FILE_NAME).read_bytes()
    (writer.log_dir / f"{FILE_NAME}-wal").write_bytes(b"")
    rebuild_record(writer.log_dir, None)
    kept = sorted((writer.log_dir / QUARANTINE).glob(f"{FILE_NAME}-*"))
    assert kept[0].read_bytes() == before
    assert not (writer.log_dir / f"{FILE_NAME}-wal").exists()


def test_whole_lines_that_were_never_committed_are_taken_and_torn_ones_are_not(writer: LogWriter) -> None:
    """Their producer sends them again, and is told that they have been seen."""
    (writer.log_dir / FILE_NAME).unlink()
    with segments(writer.log_dir)[-1].open("ab") as file:
        file.write(join([line(10), line(11)]) + line(12)[:40])
    rebuilt = rebuild_record(writer.log_dir, None)
    assert rebuilt is not None
    assert (rebuilt.lines, rebuilt.cut_bytes, rebuilt.committed) == (12, 40, {PRODUCER: 12})
    again = open_log(writer.log_dir)
    append(again, 12, 13)
    again.close()
    check_whole(writer.log_dir, 13)
    assert [path.read_bytes() for path in (writer.log_dir / QUARANTINE).glob("*.bin")] == [line(12)[:40]]


@pytest.mark.parametrize("place", [7, line(0).rindex(b"crc32"), -3], ids=["value", "name of the checksum", "checksum"])
def test_a_damaged_line_is_not_believed_and_all_others_are(writer: LogWriter, place: int) -> None:
    damage_record(writer.log_dir)
    path = segments(writer.log_dir)[0]
    content = bytearray(path.read_bytes())
    begin = len(join([line(0), line(1)]))
    content[begin + place if place > 0 else begin + len(line(2)) + place] ^= 1
    path.write_bytes(content)
    rebuilt = rebuild_record(writer.log_dir, None)
    assert rebuilt is not None
    assert (rebuilt.lines, rebuilt.damaged_lines) == (9, 1)
    assert rebuilt.gaps == [Gap(PRODUCER, 2, 3)]
    open_log(writer.log_dir).close()
    assert seqs(writer.log_dir) == [0, 1, *range(3, 10)]
    with LogReader(writer.log_dir) as log:
        assert log.rows == 10
        assert [row for row, _ in log.numbered()] == [0, 1, *range(3, 10)]
        assert sum(damage.lines for damage in log.damaged) == 1
    assert lines_set_aside(writer.log_dir) == 1


def test_no_byte_of_the_segments_can_be_flipped_so_that_a_rebuilt_log_gives_out_what_was_not_written(
    writer: LogWriter,
) -> None:
    damage_record(writer.log_dir)
    path = segments(writer.log_dir)[1]
    content = path.read_bytes()
    written = {line(seq) for seq in range(10)}
    for place in range(0, len(content), 7):
        changed = bytearray(content)
        changed[place] ^= 4
        path.write_bytes(changed)
        (writer.log_dir / FILE_NAME).unlink()
        assert rebuild_record(writer.log_dir, OBEYED) is not None
        with LogReader(writer.log_dir) as log:
            read = list(log.lines())
        assert set(read) <= written
        assert 8 <= len(read) < 10


def test_lines_from_before_there_were_checksums_are_believed_if_they_can_be_read(tmp_path: Path) -> None:
    writer = open_log(tmp_path)
    writer.append(b'{"producer":"p","seq":0}\n{"producer":"p","seq":1,"client_request_id":"12345678"}\n', 2, {"p": 2})
    writer.close()
    (tmp_path / FILE_NAME).unlink()
    rebuilt = rebuild_record(tmp_path, None)
    assert rebuilt is not None
    assert (rebuilt.lines, rebuilt.committed) == (2, {"p": 2})


def test_a_segment_that_is_missing_is_asked_for_and_without_any_there_is_nothing_to_rebuild(
    writer: LogWriter, tmp_path: Path
) -> None:
    (writer.log_dir / FILE_NAME).unlink()
    segments(writer.log_dir)[0].unlink()
    with pytest.raises(LogDamagedError, match=r"00000001\.jsonl is missing: bring it back from a backup"):
        rebuild_record(writer.log_dir, None)
    with pytest.raises(LogNotFoundError):
        rebuild_record(tmp_path / "nowhere", None)


def test_where_a_restore_was_interrupted_it_is_named_as_the_remedy(writer: LogWriter) -> None:
    (writer.log_dir / FILE_NAME).unlink()
    (writer.log_dir / RESTORING).mkdir()
    with pytest.raises(LogDamagedError, match="driftline log restore"):
        rebuild_record(writer.log_dir, None)


def test_a_log_that_a_worker_has_is_not_touched(writer: LogWriter) -> None:
    assert writer.try_open()
    (writer.log_dir / FILE_NAME).unlink()
    with pytest.raises(LogUnavailableError, match="stop it first"):
        rebuild_record(writer.log_dir, None)
    assert not (writer.log_dir / FILE_NAME).exists()
    writer.close()


def test_what_root_repairs_still_belongs_to_whose_log_it_is(writer: LogWriter) -> None:
    owner = 65534 if os.geteuid() == 0 else os.geteuid()
    damage_record(writer.log_dir)
    for path in (writer.log_dir, *writer.log_dir.rglob("*")):
        os.chown(path, owner, -1, follow_symlinks=False)
    with segments(writer.log_dir)[-1].open("ab") as file:
        file.write(b"torn")
    rebuild_record(writer.log_dir, None)
    assert {path.lstat().st_uid for path in writer.log_dir.rglob("*")} == {owner}


# -- segments that are shorter than what was committed


def test_a_log_whose_end_is_lost_goes_on_without_it_and_says_what_it_lacks(writer: LogWriter) -> None:
    """What an outbox still holds is sent again: the log is as far as its lines."""
    last = segments(writer.log_dir)[-1]
    os.truncate(last, last.stat().st_size - len(line(9)) - 1 - 10)
    with pytest.raises(LogDamagedError, match="driftline log repair"):
        writer.try_open()
    rebuilt = rebuild_record(writer.log_dir, None)
    assert rebuilt is not None
    (lost,) = rebuilt.lost
    assert (lost.path, lost.lost_bytes, lost.first_row, lost.lines) == (last, len(line(9)) + 11, 8, 2)
    assert (rebuilt.lines, rebuilt.committed, rebuilt.gaps) == (8, {PRODUCER: 8}, [Gap(PRODUCER, 8, 10)])
    assert rebuilt.cut_bytes == len(line(8)) + 1 - 10
    assert rebuilt.predecessors == (writer.log_id,)
    again = open_log(writer.log_dir)
    append(again, 8, 12)
    again.close()
    check_whole(writer.log_dir, 12)


def test_lines_that_are_lost_in_the_middle_are_a_gap_and_those_behind_them_are_kept(writer: LogWriter) -> None:
    first = segments(writer.log_dir)[0]
    os.truncate(first, 10)
    open_log(writer.log_dir).close()
    with LogReader(writer.log_dir) as log, pytest.raises(LogDamagedError, match="driftline log repair"):
        list(log.lines())
    rebuilt = rebuild_record(writer.log_dir, None)
    assert rebuilt is not None
    assert (rebuilt.lost[0].first_row, rebuilt.lost[0].lines) == (0, 8)
    assert (rebuilt.gaps, rebuilt.committed) == ([Gap(PRODUCER, 0, 8)], {PRODUCER: 10})
    open_log(writer.log_dir).close()
    assert seqs(writer.log_dir) == [8, 9]
    assert rebuild_record(writer.log_dir, None) is None


def test_a_segment_that_is_gone_can_be_gone_on_without_when_somebody_says_so(writer: LogWriter) -> None:
    segments(writer.log_dir)[0].unlink()
    with pytest.raises(LogDamagedError, match="make an empty file of that name"):
        rebuild_record(writer.log_dir, None)
    (writer.log_dir / SEGMENTS / "00000001.jsonl").touch()
    rebuilt = rebuild_record(writer.log_dir, None)
    assert rebuilt is not None
    assert (rebuilt.lines, rebuilt.lost[0].lines) == (2, 8)
    open_log(writer.log_dir).close()
    assert seqs(writer.log_dir) == [8, 9]


def test_the_last_segment_is_asked_for_too(writer: LogWriter) -> None:
    segments(writer.log_dir)[-1].unlink()
    with pytest.raises(LogDamagedError, match=r"00000002\.jsonl is missing"):
        rebuild_record(writer.log_dir, None)


def test_events_that_came_damaged_stay_known_when_lines_are_lost(writer: LogWriter) -> None:
    writer = open_log(writer.log_dir)
    writer.append(join([line(11)]), 1, {PRODUCER: 12}, [], [Tombstone(PRODUCER, 10)])
    writer.append(b"", 0, {PRODUCER: 14}, [], [Tombstone(PRODUCER, 12), Tombstone(PRODUCER, 13)])
    writer.close()
    last = segments(writer.log_dir)[-1]
    os.truncate(last, len(line(8)) + 1)
    rebuilt = rebuild_record(writer.log_dir, None)
    assert rebuilt is not None
    assert rebuilt.gaps == [Gap(PRODUCER, 9, 10), Gap(PRODUCER, 11, 12)]
    with LogReader(writer.log_dir) as log:
        assert log.tombstones() == [Tombstone(PRODUCER, seq) for seq in (10, 12, 13)]


# -- killed

# For each line, a repair that dies before the step it is told; 0 when it was done before that, 9 when it died.
REPAIRS = """
import os
from pathlib import Path
from unittest.mock import patch
from driftline.eventlog import repair, store

steps = [
    (Path, "rename"), (Path, "unlink"), (repair, "give_to_owner"),
    (store.LogStore, "_create"), (store.LogStore, "fill"), (store.LogStore, "close"),
]

def run(log_dir, left):
    def before(step):
        def dying(*arguments, **options):
            nonlocal left
            left -= 1
            if left < 0:
                os._exit(9)
            return step(*arguments, **options)
        return dying
    for place, name in steps:
        patch.object(place, name, before(getattr(place, name))).start()
    repair.rebuild_record(Path(log_dir), None)

for line in sys.stdin:
    log_dir, left = line.split()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            run(log_dir, int(left))
            code = 0
        finally:
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[Path]:
    """A folder that syncs fast, where there is one: who is killed takes nothing with him that had to be synced."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as folder:
        yield Path(folder)


@pytest.mark.parametrize("harm", ["damaged", "short"])
def test_killed_twice_before_any_two_steps_it_knows_what_it_replaces_and_what_was_lost(
    writer: LogWriter, in_memory: Path, harm: str
) -> None:
    """Where the outboxes are on other machines nobody else knows the log's id."""
    if harm == "damaged":
        damage_record(writer.log_dir)
    else:
        os.truncate(segments(writer.log_dir)[-1], 10)
    with Script(REPAIRS) as repairs:

        def killed(log_dir: Path, step: int) -> bool:
            repairs.say(f"{log_dir} {step}")
            code = repairs.hear()
            assert code in {"0", "9"}
            return code == "9"

        met: list[set[str]] = []
        for step in itertools.count():
            once = Path(shutil.copytree(writer.log_dir, in_memory / f"{step}", symlinks=True))
            if not killed(once, step):
                break
            # What is unfinished is thrown away by the next run, and may look like anything.
            there = {re.sub(r"\d{9,}", "", path.name) for path in once.rglob("*") if "unfinished" not in path.name}
            if there in met:
                continue
            met.append(there)
            for again in itertools.count():
                twice = Path(shutil.copytree(once, in_memory / f"{step}-{again}", symlinks=True))
                went_on = killed(twice, again)
                if went_on:
                    rebuild_record(twice, None)
                with LogReader(twice) as log:
                    assert writer.log_id in log.predecessors
                    assert log.rows == (10 if harm == "damaged" else 8)
                    assert log.gaps() == ([] if harm == "damaged" else [Gap(PRODUCER, 8, 10)])
                if not went_on:
                    break
        assert len(met) > 2


def test_killed_half_way_it_is_repaired_by_another_run(writer: LogWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worst moment: the old record is set aside, and the new one has not got its name."""
    damage_record(writer.log_dir)
    real = Path.rename

    def die(path: Path, target: Path) -> Path:
        if path.name.endswith("rebuilt"):
            raise KeyboardInterrupt
        return real(path, target)

    monkeypatch.setattr(Path, "rename", die)
    with pytest.raises(KeyboardInterrupt):
        rebuild_record(writer.log_dir, None)
    monkeypatch.undo()
    with pytest.raises(LogDamagedError, match=r"no log\.sqlite"):
        LogWriter(writer.log_dir).try_open()
    rebuilt = rebuild_record(writer.log_dir, None)
    assert rebuilt is not None
    assert writer.log_id in rebuilt.predecessors
    open_log(writer.log_dir).close()
    check_whole(writer.log_dir, 10)
