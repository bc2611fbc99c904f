"""However a writer ends, what it had said is committed is in the log, to the byte, and nothing else is."""

import os
import random
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from driftline.eventlog.reader import LogReader
from driftline.eventlog.store import FILE_NAME, LogStore
from driftline.eventlog.writer import LogWriter
from tests.eventlog.lines import PRODUCER, append, check_whole, content, line, open_log, segments
from tests.processes import Script

SEGMENT_MAX_BYTES = 2_000

# Each line it is told begins a life: a child that goes on from where the log is, and prints what is committed.
LIVES = f"""
import json, os, random
from pathlib import Path
from driftline.eventlog.writer import LogWriter

def live(log_dir):
    producer = {PRODUCER!r}
    writer = LogWriter(log_dir, segment_max_bytes={SEGMENT_MAX_BYTES})
    assert writer.try_open()
    os.write(1, b"open\\n")
    while True:
        first = writer.committed.get(producer, 0)
        stop = first + random.randint(1, 8)
        events = [dict(producer=producer, seq=seq, timestamp="2026-11-23T21:00:00Z") for seq in range(first, stop)]
        writer.append("".join(json.dumps(event) + "\\n" for event in events).encode(), stop - first, {{producer: stop}})
        os.write(1, b"%d\\n" % stop)

for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        try:
            live(Path(sys.argv[1]))
        finally:
            os._exit(1)
    os.write(1, b"life %d\\n" % pid)
    os.waitpid(pid, 0)
    os.write(1, b"over\\n")
"""


def live_and_be_killed(lives: Script, chance: random.Random) -> int:
    """One life of a writer, killed at some moment of it; returns what it last said is committed."""
    lives.say()
    said, pid, most = 0, 0, chance.randint(0, 12)
    heard: list[str] = []
    while not pid or (len(heard) < most):
        word = lives.hear()
        if word.startswith("life "):
            pid = int(word.split()[1])
        else:
            heard.append(word)
    spin_until = chance.random() * 3e-3
    _spin(spin_until)
    os.kill(pid, signal.SIGKILL)
    while (word := lives.hear()) != "over":
        heard.append(word)
    for word in heard:
        said = int(word) if word.isdigit() else said
    return said


def _spin(seconds: float) -> None:
    """Lets some microseconds go by, so that the kill comes anywhere in a commit; nothing depends on how many."""
    end = os.times().elapsed + seconds
    while os.times().elapsed < end:
        pass


def test_a_writer_killed_at_any_moment_loses_and_invents_nothing(tmp_path: Path) -> None:
    chance, committed = random.Random(7), 0
    with Script(LIVES, tmp_path) as lives:
        for _ in range(20):
            said = live_and_be_killed(lives, chance)
            writer = open_log(tmp_path, segment_max_bytes=SEGMENT_MAX_BYTES)
            assert writer.rows >= max(said, committed), "what was committed is gone"
            committed = writer.rows
            check_whole(tmp_path, committed)
            writer.close()
    assert committed > 20
    assert len(segments(tmp_path)) > 1


POINTS = {
    "before the append": "driftline.eventlog.writer._write_all",
    "between the append and its sync": "driftline.eventlog.writer.sync_content",
    "between the sync and the commit": "driftline.eventlog.store.LogStore.commit",
    "between the birth of a segment and its sync": "driftline.eventlog.writer.sync_directory",
    "between the birth of a segment and its record": "driftline.eventlog.store.LogStore.start_segment",
    "between the record of a segment and the link": "driftline.eventlog.writer.LogWriter._point_link",
}


# For each line, a child that dies where it is told to; then it says how the child ended.
DEATHS = """
import os
from pathlib import Path
from unittest.mock import patch
from tests.eventlog.lines import append, open_log

def die(log_dir, point):
    writer = open_log(log_dir, segment_max_bytes=1)
    append(writer, 0, 5)
    with patch(point, lambda *arguments: os._exit(9)):
        append(writer, 5, 8)

for line in sys.stdin:
    log_dir, point = line.split()
    pid = os.fork()
    if pid == 0:
        try:
            die(Path(log_dir), point)
        finally:
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def deaths() -> Iterator[Script]:
    with Script(DEATHS) as script:
        yield script


@pytest.mark.parametrize("point", POINTS)
def test_a_writer_that_dies_at_a_named_point_leaves_what_was_committed(
    tmp_path: Path, deaths: Script, point: str
) -> None:
    deaths.say(f"{tmp_path} {POINTS[point]}")
    assert deaths.hear() == "9"
    writer = open_log(tmp_path, segment_max_bytes=1)
    check_whole(tmp_path, 5)
    append(writer, 5, 8)
    writer.close()
    check_whole(tmp_path, 8)


def test_a_writer_that_dies_after_the_commit_and_before_it_says_so_has_committed(tmp_path: Path) -> None:
    code = """
        import os, sys
        from pathlib import Path
        from tests.eventlog.lines import append, open_log
        writer = open_log(Path(sys.argv[1]))
        commit = writer._store.commit
        writer._store.commit = lambda what: (commit(what), os._exit(9))
        append(writer, 0, 5)
        """
    with Script(code, tmp_path) as process:
        assert process.end() == 9
    writer = open_log(tmp_path)
    check_whole(tmp_path, 5)
    writer.close()


def test_a_first_start_that_was_interrupted_is_made_good_by_the_next(tmp_path: Path) -> None:
    code = """
        import os, sqlite3, sys
        from pathlib import Path
        from unittest.mock import patch
        from tests.eventlog.lines import open_log
        with patch("driftline.eventlog.record_file.uuid.uuid4", lambda: os._exit(9)):
            open_log(Path(sys.argv[1]))
        """
    with Script(code, tmp_path) as process:
        assert process.end() == 9
    writer = open_log(tmp_path)
    append(writer, 0, 3)
    writer.close()
    check_whole(tmp_path, 3)


def test_a_commit_that_was_interrupted_does_not_come_to_life_after_its_lines_were_cut_away(tmp_path: Path) -> None:
    """Killed within COMMIT: its frames are in the write-ahead log, and the shared index does not know of them yet.

    A relay of the same machine has the file open, so nothing is recovered when the next worker starts: it finds the
    state before, and cuts the lines. Then everything dies at once. The next start recovers the write-ahead log.
    """
    log_dir = tmp_path / "logs"
    worker = open_log(log_dir)
    append(worker, 0, 5)
    relay = LogStore(log_dir / FILE_NAME)
    assert relay.committed() == {PRODUCER: 5}
    index = log_dir / f"{FILE_NAME}-shm"
    before = index.read_bytes()
    append(worker, 5, 8)
    with index.open("r+b") as file:
        file.write(before)
    worker.close()
    assert relay.committed() == {PRODUCER: 5}, "the fault was not brought about"
    worker = open_log(log_dir)
    check_whole(log_dir, 5)

    after = tmp_path / "after"
    shutil.copytree(log_dir, after, symlinks=True)
    (after / index.name).unlink()
    worker.close()
    relay.close()
    writer = open_log(after)
    check_whole(after, 5)
    writer.close()


# -- backup


def test_a_backup_record_first_then_the_files_opens_while_a_writer_is_writing(tmp_path: Path) -> None:
    log_dir, rows = tmp_path / "logs", []
    with Script(LIVES, log_dir) as lives:
        lives.say()
        pid = int(lives.hear().removeprefix("life "))
        for number in range(6):
            while lives.hear() != "open" and number == 0:
                pass
            for _ in range(5):
                lives.hear()
            copy = tmp_path / f"copy-{number}"
            copy.mkdir()
            source, target = sqlite3.connect(log_dir / FILE_NAME), sqlite3.connect(copy / FILE_NAME)
            source.backup(target)
            source.close()
            target.close()
            shutil.copytree(log_dir / "segments", copy / "segments")
            with LogReader(copy) as log:
                assert len(list(log.lines())) == log.rows
            writer = LogWriter(copy, segment_max_bytes=SEGMENT_MAX_BYTES)
            assert writer.try_open()
            check_whole(copy, writer.rows)
            rows.append(writer.rows)
            append(writer, writer.rows, writer.rows + 1)
            writer.close()
        os.kill(pid, signal.SIGKILL)
    assert rows == sorted(rows)
    assert rows[-1] > rows[0] > 0


def test_what_was_appended_before_the_kill_is_read_by_the_next_writer_byte_for_byte(tmp_path: Path) -> None:
    writer = open_log(tmp_path)
    append(writer, 0, 3)
    before = content(tmp_path)
    writer.close()
    open_log(tmp_path).close()
    assert content(tmp_path) == before == b"".join(line(seq) + b"\n" for seq in range(3))
