"""Whatever byte of a committed segment changes: it is noticed, its line is set aside, and all others are read."""

import json
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline.errors import LogDamagedError, LogError, LogUnavailableError
from driftline.eventlog import writer as writer_module
from driftline.eventlog.damage import QUARANTINE, lines_set_aside
from driftline.eventlog.loss import Loss
from driftline.eventlog.reader import LogReader
from driftline.eventlog.store import FILE_NAME
from driftline.eventlog.verify import verify_log
from tests.eventlog.lines import PRODUCER, append, line, open_log, segments
from tests.mutations import MUTATIONS, Mutation, mutated

LINES = 6


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six lines in two segments, of which the first has two blocks."""
    log_dir = tmp_path_factory.mktemp("whole") / "logs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer_module, "BLOCK_BYTES", 200)
        writer = open_log(log_dir, segment_max_bytes=4 * len(line(0)))
        for first, stop in ((0, 2), (2, 4), (4, 6)):
            append(writer, first, stop)
        writer.close()
    assert len(segments(log_dir)) == 2
    return log_dir


@pytest.fixture
def log_dir(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "logs", symlinks=True))


def expected_without(content: bytes, changed: bytes) -> list[bytes]:
    """The lines that are the same in both."""
    return [one for one in content.split(b"\n")[:-1] if one in set(changed.split(b"\n"))]


def test_no_flipped_byte_goes_unnoticed_takes_another_line_with_it_or_is_given_to_a_reader(log_dir: Path) -> None:
    for path in segments(log_dir):
        content = path.read_bytes()
        others = [one for other in segments(log_dir) if other != path for one in other.read_bytes().splitlines()]
        for place in range(len(content)):
            changed = bytearray(content)
            changed[place] ^= 1
            path.write_bytes(changed)
            with LogReader(log_dir) as log:
                read = list(log.numbered())
                assert {one for _, one in read} >= set(expected_without(content, bytes(changed)) + others)
                assert {one for _, one in read} <= {*content.splitlines(), *others}
                assert [row for row, _ in read] == [json.loads(one)["seq"] for _, one in read]
                lost = LINES - len(read)
                assert sum(damage.lines for damage in log.damaged) == lost
                assert 1 <= lost <= 2, "a newline that is gone takes two lines with it"
                assert sum(len(found) for _, found in log.identities()) == len(read)
            path.write_bytes(content)


@settings(max_examples=60)
@given(
    which=st.integers(0, 1),
    place=st.integers(0, 10_000),
    damage=st.binary(min_size=1, max_size=400),
)
def test_whatever_a_disk_does_to_a_segment_no_line_is_read_that_was_not_written(
    whole: Path, which: int, place: int, damage: bytes
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        log_dir = Path(shutil.copytree(whole, Path(directory) / "logs", symlinks=True))
        written = b"".join(path.read_bytes() for path in segments(log_dir)).splitlines()
        path = segments(log_dir)[which]
        content = bytearray(path.read_bytes())
        place %= len(content)
        damage = damage[: len(content) - place]
        content[place : place + len(damage)] = damage
        path.write_bytes(content)
        with LogReader(log_dir) as log:
            rows = dict(log.numbered())
            assert list(rows) == sorted(rows)
            assert set(rows) <= set(range(LINES))
            assert all(one in written for one in rows.values())
            assert len(rows) + sum(stretch.lines for stretch in log.damaged) == LINES
        assert verify_log(log_dir).damaged_lines == LINES - len(rows)


def test_verifying_sets_the_damaged_bytes_aside_once_and_leaves_the_segment_as_it_is(log_dir: Path) -> None:
    path = segments(log_dir)[0]
    content = bytearray(path.read_bytes())
    content[content.index(b'"seq": 1') + 7] ^= 1
    path.write_bytes(content)
    found = verify_log(log_dir)
    assert (found.sound, found.lines, found.damaged_lines) == (False, LINES, 1)
    (aside,) = found.set_aside
    assert aside.parent == log_dir / QUARANTINE
    assert aside.read_bytes() == bytes(content[len(line(0)) + 1 : 2 * (len(line(0)) + 1)])
    assert lines_set_aside(log_dir) == 1
    again = verify_log(log_dir)
    assert (again.damaged, again.set_aside) == (found.damaged, [])
    assert lines_set_aside(log_dir) == 1
    assert path.read_bytes() == content


def test_a_sound_log_is_said_to_be_and_nothing_is_made(log_dir: Path) -> None:
    told: list[tuple[int, int]] = []
    found = verify_log(log_dir, lambda done, total: told.append((done, total)))
    size = sum(path.stat().st_size for path in segments(log_dir))
    assert (found.sound, found.lines, found.bytes, found.set_aside) == (True, LINES, size, [])
    assert told[-1] == (size, size)
    assert lines_set_aside(log_dir) == 0
    assert not (log_dir / QUARANTINE).exists()


def test_lines_from_before_there_were_checksums_go_all_together(tmp_path: Path) -> None:
    writer = open_log(tmp_path)
    writer.append(b'{"old":1}\n{"old":2}\n', 2, {})
    append(writer, 0, 2)
    writer.close()
    path = segments(tmp_path)[0]
    path.write_bytes(path.read_bytes().replace(b'{"old":2}', b'{"old":3}'))
    with LogReader(tmp_path) as log:
        assert [row for row, _ in log.numbered()] == [2, 3]
        assert sum(damage.lines for damage in log.damaged) == 2


def test_what_a_segment_lacks_is_counted_in_bytes_and_lines_and_the_others_are_still_verified(log_dir: Path) -> None:
    first, last = segments(log_dir)
    size = last.stat().st_size
    last.write_bytes(last.read_bytes()[:-1])
    content = bytearray(first.read_bytes())
    content[0] ^= 1
    first.write_bytes(content)
    found = verify_log(log_dir)
    assert (found.damaged_lines, found.problems, found.sound) == (1, [], False)
    assert found.lost == [Loss(last, size - 1, size, 5, 1)]
    assert str(found.lost[0]) == (
        f"{last} lacks 1 of the {size} bytes that were committed to it: 1 line, from row 5 on"
    )
    last.unlink()
    (lost,) = verify_log(log_dir).lost
    assert (lost.lost_bytes, lost.first_row, lost.lines) == (size, 4, 2)
    assert "all of the bytes" in str(lost)


def test_however_short_a_segment_becomes_what_is_lost_and_what_is_there_add_up(log_dir: Path) -> None:
    path = segments(log_dir)[0]
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        (lost,) = verify_log(log_dir).lost
        assert (lost.held_bytes, lost.lost_bytes) == (length, len(content) - length)
        assert lost.first_row == content[:length].count(b"\n")
        assert lost.first_row + lost.lines == content.count(b"\n")


def test_a_segment_that_cannot_be_read_is_a_problem(log_dir: Path) -> None:
    path = segments(log_dir)[0]
    path.unlink()
    path.mkdir()
    with suppress(LogUnavailableError):  # where a folder is no longer than what was committed
        assert verify_log(log_dir).problems == [f"{path} cannot be read: Is a directory"]


def test_a_quarantine_that_cannot_be_written_does_not_keep_the_rest_from_being_verified(log_dir: Path) -> None:
    (log_dir / QUARANTINE).write_text("a file")
    for path in segments(log_dir):
        content = bytearray(path.read_bytes())
        content[0] ^= 1
        path.write_bytes(content)
    found = verify_log(log_dir)
    assert (found.damaged_lines, found.set_aside) == (2, [])


@settings(max_examples=80)
@given(which=st.integers(0, 1), mutations=MUTATIONS, start=st.integers(-1, 8), stop=st.none() | st.integers(0, 8))
def test_mutated_segments_give_lines_that_were_written_or_the_declared_error(
    whole: Path, which: int, mutations: list[Mutation], start: int, stop: int | None
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        log_dir = Path(shutil.copytree(whole, Path(directory) / "logs", symlinks=True))
        path = segments(log_dir)[which]
        content = path.read_bytes()
        path.write_bytes(mutated(content, mutations))
        shorter = path.stat().st_size < len(content)
        written = dict(enumerate(b"".join(one.read_bytes() for one in segments(whole)).splitlines()))
        with LogReader(log_dir) as log:
            try:
                rows = list(log.numbered(start, stop))
            except LogDamagedError:
                assert shorter
                rows = []
        assert all(line in written.values() for _, line in rows)
        assert [row for row, _ in rows] == sorted({row for row, _ in rows})
        assert bool(verify_log(log_dir).lost) == shorter


@settings(max_examples=80)
@given(mutations=MUTATIONS)
def test_a_mutated_record_is_refused_or_says_what_it_said(whole: Path, mutations: list[Mutation]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        log_dir = Path(shutil.copytree(whole, Path(directory) / "logs", symlinks=True))
        path = log_dir / FILE_NAME
        path.write_bytes(mutated(path.read_bytes(), mutations))
        with suppress(LogError), LogReader(log_dir) as log:
            assert [json.loads(one)["seq"] for one in log.lines()] == list(range(LINES))
            assert log.committed() == {PRODUCER: LINES}
