"""A byte that changes in the log's record is noticed when it is opened, or means nothing."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from driftline.errors import LogDamagedError, LogError
from driftline.eventlog.reader import LogReader
from driftline.eventlog.record import Gap, Tombstone
from driftline.eventlog.store import FILE_NAME, LogStore
from driftline.eventlog.writer import LogWriter
from tests.eventlog.lines import PRODUCER, append, check_whole, open_log

EVERY = 61
"""Not each of the 40,000 bytes in every run: this many apart, beginning at another place for each kind of change."""


@pytest.fixture
def log_dir(tmp_path: Path) -> Path:
    """A log that has something in each of its tables."""
    writer = open_log(tmp_path / "logs", segment_max_bytes=1)
    for seq in range(5):
        append(writer, seq, seq + 1)
    writer.append(b"", 0, {"b" * 32: 9}, [Gap("b" * 32, 2, 4)], [Tombstone("b" * 32, 5), Tombstone("b" * 32, 6)])
    writer.replace("c" * 32)
    writer.close()
    return tmp_path / "logs"


def everything(log_dir: Path) -> object:
    """All that a record says."""
    with LogReader(log_dir) as log:
        return (
            log.log_id,
            log.predecessors,
            log.committed(),
            log.gaps(),
            sorted(log.tombstones()),
            list(log.numbered()),
            log._store.active_segment(),
            log._store.blocks(),
        )


@pytest.mark.parametrize(
    ("start", "change"),
    [(0, lambda byte: byte ^ 1), (17, lambda byte: byte ^ 0x80), (31, lambda _: 0), (43, lambda _: 255)],
    ids=["low bit", "high bit", "zero", "ones"],
)
def test_no_changed_byte_of_the_record_makes_it_say_something_else(
    log_dir: Path, start: int, change: Callable[[int], int]
) -> None:
    path = log_dir / FILE_NAME
    content, said = path.read_bytes(), everything(log_dir)
    noticed = 0
    for place in range(start, len(content), EVERY):
        changed = bytearray(content)
        changed[place] = change(changed[place])
        if changed == content:
            continue
        path.write_bytes(changed)
        try:
            assert everything(log_dir) == said, place
        except LogError:
            noticed += 1
        for side in ("-wal", "-shm", "-journal"):
            Path(f"{path}{side}").unlink(missing_ok=True)
    assert noticed > 20


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE producers SET committed = committed + 1",
        "UPDATE producers SET producer = upper(producer)",
        "UPDATE blocks SET length = length - 1 WHERE segment = 2",
        "UPDATE blocks SET crc = 0 WHERE segment = 1",
        "UPDATE identity SET log_id = 'x'",
        "DELETE FROM gaps",
        "DELETE FROM tombstones WHERE seq = 5",
        "INSERT INTO predecessors VALUES ('x')",
        "UPDATE segments SET number = 7 WHERE number = 5",
        "UPDATE seal SET digest = '0000000000000000'",
    ],
)
def test_rows_that_are_not_those_that_were_written_are_refused_and_the_remedy_is_named(
    log_dir: Path, statement: str
) -> None:
    with sqlite3.connect(log_dir / FILE_NAME) as connection:
        connection.execute(statement)
    connection.close()
    for opens in (lambda: LogReader(log_dir), LogWriter(log_dir).try_open):
        with pytest.raises(LogDamagedError, match=r"not those that were written.*driftline log repair"):
            opens()


def test_a_record_that_an_older_driftline_wrote_on_is_believed_and_sealed_again(log_dir: Path) -> None:
    """It knows of no seal, but counts its openings, as any does."""
    with sqlite3.connect(log_dir / FILE_NAME) as connection:
        connection.execute("UPDATE identity SET openings = openings + 1")
        connection.execute("UPDATE producers SET committed = 6 WHERE producer = ?", (PRODUCER,))
    connection.close()
    with LogReader(log_dir) as log:
        assert log.committed()[PRODUCER] == 6
    open_log(log_dir).close()
    with sqlite3.connect(log_dir / FILE_NAME) as connection:
        connection.execute("UPDATE producers SET committed = 7 WHERE producer = ?", (PRODUCER,))
    connection.close()
    with pytest.raises(LogDamagedError):
        LogReader(log_dir)


def test_a_record_from_before_there_was_a_seal_gets_one(tmp_path: Path) -> None:
    writer = open_log(tmp_path)
    append(writer, 0, 3)
    writer.close()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("DROP TABLE seal")
    connection.close()
    writer = open_log(tmp_path)
    append(writer, 3, 5)
    writer.close()
    check_whole(tmp_path, 5)
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        assert connection.execute("SELECT count(*) FROM seal").fetchone() == (1,)
    connection.close()


def test_a_commit_that_is_rolled_back_leaves_the_seal_as_it_was(log_dir: Path) -> None:
    writer = open_log(log_dir)
    with pytest.raises(OverflowError):
        writer.append(b"", 0, {PRODUCER: 6, "b" * 32: 1 << 70})
    writer.recover()
    append(writer, 5, 6)
    writer.close()
    store = LogStore(log_dir / FILE_NAME)
    assert store.committed()[PRODUCER] == 6
    store.close()
