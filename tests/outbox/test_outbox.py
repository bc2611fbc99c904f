"""An append is on disk when it returns; one that failed leaves nothing that is not whole."""

import asyncio
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from driftline.durable import lock_directory
from driftline.errors import OutboxError, OutboxFullError, OutboxUnavailableError
from driftline.outbox.outbox import Outbox
from driftline.outbox.reader import OutboxReader
from driftline.outbox.record import HEADER_BYTES, PAYLOAD_MAX_BYTES
from driftline.outbox.root import OutboxRoot
from driftline.outbox.segments import segment_firsts
from tests.outbox.conftest import MakeOutbox
from tests.processes import Script
from tests.small_disk import CAPTURE_BYTES, KINDS, Kind, SmallDisk, small_disk
from tests.waiting import wait_until


def events(outbox_root: OutboxRoot, producer: str) -> list[bytes]:
    reader, found = OutboxReader(outbox_root, producer), list[bytes]()
    while chunk := reader.read(1000, 1 << 20).events:
        found += chunk
    assert reader.quarantine_unfinished() == 0, "there is more than whole events"
    reader.close()
    return found


def bytes_on_disk(outbox: Outbox) -> int:
    return sum(path.stat().st_size for path in (outbox.root.path / outbox.producer).iterdir())


def directory(outbox: Outbox) -> Path:
    return outbox.root.path / outbox.producer


# -- appending


@pytest.mark.parametrize("cut", [0, 1, HEADER_BYTES, 2 * HEADER_BYTES + 5, 3 * (HEADER_BYTES + 5) - 1])
def test_a_batch_that_was_torn_leaves_its_first_events_whole_and_nothing_of_the_next(
    make_outbox: MakeOutbox, root: OutboxRoot, cut: int
) -> None:
    outbox = make_outbox()
    outbox.append(b"alone")
    outbox.append_all([b"one__", b"two__", b"three"])
    [segment] = [path for path in directory(outbox).iterdir() if path.stat().st_size]
    os.truncate(segment, HEADER_BYTES + 5 + cut)
    reader = OutboxReader(root, outbox.producer)
    reader.seek(0)
    whole = [b"alone", b"one__", b"two__"][: 1 + cut // (HEADER_BYTES + 5)]
    assert reader.read(1000, 1 << 20).events == whole
    reader.close()


def gone(outbox: Outbox) -> None:
    """What was true of its directory a moment ago has to be looked up again."""
    outbox._looked_at = 0.0


@pytest.mark.parametrize("what", ["all outboxes", "directory", "segment", "moved"])
def test_what_nobody_would_find_is_refused_and_the_next_life_begins(
    make_outbox: MakeOutbox, root: OutboxRoot, what: str
) -> None:
    outbox = make_outbox()
    outbox.append(b"before")
    before, path = outbox.producer, directory(outbox)
    if what == "all outboxes":
        shutil.rmtree(root.path)
    elif what == "directory":
        shutil.rmtree(path)
    elif what == "segment":
        next(path.iterdir()).unlink()
    else:
        path.rename(root.path / "elsewhere")
    gone(outbox)
    with pytest.raises(OutboxUnavailableError):
        outbox.append(b"lost")
    if what == "all outboxes":
        with pytest.raises(OutboxUnavailableError):
            outbox.append(b"lost")
        root.create()
    assert outbox.append(b"after") == 0
    assert outbox.producer != before
    assert events(root, outbox.producer) == [b"after"]
    if what == "moved":
        moved = root.path / ("f" * 32)
        (root.path / "elsewhere").rename(moved)
        assert events(root, moved.name) == [b"before"]


def test_a_removed_outbox_is_noticed_within_a_tenth_of_a_second(make_outbox: MakeOutbox, root: OutboxRoot) -> None:
    outbox = make_outbox()
    outbox.append(b"before")
    shutil.rmtree(root.path)

    def refused() -> bool:
        try:
            outbox.append(b"lost")
        except OutboxUnavailableError:
            return True
        return False

    wait_until(refused)
    assert not outbox.started


def test_seqs_count_from_0_and_next_seq_is_known_before_the_append(make_outbox: MakeOutbox) -> None:
    outbox = make_outbox()
    for seq in range(5):
        assert outbox.next_seq == seq
        assert outbox.append(b"%d" % seq) == seq
    assert events(outbox.root, outbox.producer) == [b"0", b"1", b"2", b"3", b"4"]


def test_nothing_is_made_before_the_first_append(make_outbox: MakeOutbox, root: OutboxRoot) -> None:
    outbox = make_outbox()
    outbox.check()
    outbox.release(5)
    outbox.discard()
    assert not outbox.started
    assert list(root.path.iterdir()) == []


def test_a_life_that_never_appended_closes_without_a_trace(make_outbox: MakeOutbox, root: OutboxRoot) -> None:
    asyncio.run(make_outbox().close())
    assert list(root.path.iterdir()) == []


def test_every_life_has_an_id_of_its_own(make_outbox: MakeOutbox) -> None:
    assert len({make_outbox().producer for _ in range(10)}) == 10


def test_an_append_outlives_a_kill_9_the_moment_it_has_returned(root: OutboxRoot) -> None:
    code = """
        import sys
        from pathlib import Path
        from driftline.outbox.outbox import Outbox
        from driftline.outbox.root import OutboxRoot
        outbox = Outbox(OutboxRoot(Path(sys.argv[1])))
        for line in sys.stdin:
            outbox.append(line.strip().encode())
            print(outbox.producer, flush=True)
        """
    with Script(code, root.path) as process:
        for number in range(20):
            process.say(number)
            producer = process.hear()
    assert events(root, producer) == [b"%d" % number for number in range(20)]


def test_a_full_segment_is_followed_by_one_named_after_its_first_event(make_outbox: MakeOutbox) -> None:
    outbox = make_outbox(segment_max_bytes=2 * (HEADER_BYTES + 10))
    for _ in range(7):
        outbox.append(b"x" * 10)
    assert segment_firsts(directory(outbox)) == [0, 2, 4, 6]


def test_an_event_that_is_too_long_to_be_read_back_is_refused(make_outbox: MakeOutbox) -> None:
    outbox = make_outbox()
    too_long = bytes(PAYLOAD_MAX_BYTES + 1)
    with pytest.raises(OutboxUnavailableError, match="too long"):
        outbox.append(too_long)
    with pytest.raises(OutboxUnavailableError, match="too long"):
        outbox.append_all([b"one of many", too_long])
    assert outbox.append(b"next") == 0
    assert events(outbox.root, outbox.producer) == [b"next"]


@pytest.mark.parametrize("count", [0, 1, 256, 257, 1000])
def test_many_are_appended_in_their_order_whatever_they_come_as(make_outbox: MakeOutbox, count: int) -> None:
    outbox = make_outbox()
    payloads = [b"%d" % number for number in range(count)]
    assert outbox.append(b"before") == 0
    assert outbox.append_all(iter(payloads)) == 1
    assert outbox.append(b"after") == 1 + count
    assert events(outbox.root, outbox.producer) == [b"before", *payloads, b"after"]
    assert bytes_on_disk(outbox) == outbox.held_bytes


def test_a_closed_outbox_takes_nothing_and_says_so(make_outbox: MakeOutbox) -> None:
    outbox = make_outbox()
    outbox.append(b"a")
    asyncio.run(outbox.close())
    for refused in (lambda: outbox.append(b"b"), outbox.check):
        with pytest.raises(OutboxUnavailableError, match="closed"):
            refused()
    assert events(outbox.root, outbox.producer) == [b"a"]


def test_a_living_outbox_is_locked_and_a_closed_one_is_anybodys(make_outbox: MakeOutbox) -> None:
    outbox = make_outbox()
    outbox.append(b"a")
    assert lock_directory(directory(outbox)) is None
    asyncio.run(outbox.close())
    lock = lock_directory(directory(outbox))
    assert lock is not None
    os.close(lock)


# -- full


def test_a_full_outbox_refuses_with_the_reason_and_accepts_again_when_the_log_has_taken_some(
    make_outbox: MakeOutbox,
) -> None:
    outbox = make_outbox(max_bytes=1000, segment_max_bytes=300)
    for accepted in range(10):
        assert outbox.append(b"x" * 80) == accepted
    with pytest.raises(OutboxFullError, match="of 1,000 bytes"):
        outbox.append(b"x" * 80)
    assert outbox.next_seq == 10
    assert bytes_on_disk(outbox) == outbox.held_bytes <= 1000
    with pytest.raises(OutboxFullError):
        outbox.check()
    outbox.release(10)
    outbox.check()
    assert outbox.append(b"x" * 80) == 10
    assert bytes_on_disk(outbox) == outbox.held_bytes


def test_what_orphans_hold_counts_too(make_outbox: MakeOutbox) -> None:
    outbox = make_outbox(max_bytes=1000)
    outbox.adopted_bytes = 1000
    with pytest.raises(OutboxFullError):
        outbox.append(b"")
    outbox.adopted_bytes = 0
    outbox.append(b"a")


def test_only_segments_that_are_wholly_committed_are_released_and_never_the_last(make_outbox: MakeOutbox) -> None:
    outbox = make_outbox(segment_max_bytes=2 * (HEADER_BYTES + 1))
    for _ in range(6):
        outbox.append(b"x")
    for committed, left in [(0, [0, 2, 4]), (1, [0, 2, 4]), (2, [2, 4]), (5, [4]), (6, [4]), (60, [4])]:
        outbox.release(committed)
        assert segment_firsts(directory(outbox)) == left
        assert outbox.held_bytes == bytes_on_disk(outbox)


def test_a_drained_outbox_is_discarded_and_its_count_is_kept(make_outbox: MakeOutbox, root: OutboxRoot) -> None:
    outbox = make_outbox()
    for _ in range(3):
        outbox.append(b"x")
    outbox.discard()
    assert root.closed() == {outbox.producer: 3}
    assert root.producers() == []
    with pytest.raises(OutboxUnavailableError):
        outbox.append(b"y")


# -- disks that refuse


@pytest.fixture(params=KINDS)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmallDisk]:
    kind: Kind = request.param
    with small_disk(tmp_path / "disk", kind) as disk:
        yield disk


def test_an_append_that_a_full_disk_refused_is_cut_back_and_its_seq_used_by_the_next(disk: SmallDisk) -> None:
    outbox = Outbox(OutboxRoot(disk.path))
    outbox.append(b"a" * CAPTURE_BYTES)
    disk.fill()
    before = bytes_on_disk(outbox)
    for _ in range(3):
        with pytest.raises(OutboxUnavailableError, match="cannot be written"):
            outbox.append(b"b" * 20_000)
    assert outbox.next_seq == 1
    assert outbox.held_bytes == bytes_on_disk(outbox) == before
    disk.free()
    assert outbox.append(b"c") == 1
    outbox._give_up()
    assert events(outbox.root, outbox.producer) == [b"a" * CAPTURE_BYTES, b"c"]


def test_a_segment_that_a_full_disk_refused_is_begun_again_when_there_is_room(disk: SmallDisk) -> None:
    outbox = Outbox(OutboxRoot(disk.path), segment_max_bytes=1)
    outbox.append(b"a" * CAPTURE_BYTES)
    disk.fill()
    for _ in range(3):
        with pytest.raises(OutboxUnavailableError):
            outbox.append(b"b" * 2 * CAPTURE_BYTES)
    disk.free()
    assert outbox.append(b"c") == 1
    outbox._give_up()
    assert events(outbox.root, outbox.producer) == [b"a" * CAPTURE_BYTES, b"c"]


def test_a_refused_first_append_leaves_no_half_made_directory_in_use(root: OutboxRoot, make_outbox: MakeOutbox) -> None:
    outbox = make_outbox()
    root.path.rename(root.path.with_name("away"))
    with pytest.raises(OutboxUnavailableError):
        outbox.append(b"a")
    root.path.with_name("away").rename(root.path)
    assert outbox.append(b"a") == 0
    assert root.producers() == [outbox.producer]


def test_what_a_failed_first_append_left_half_made_is_never_taken_up_again(
    make_outbox: MakeOutbox, root: OutboxRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault: the directory can be made, and the segment in it cannot."""
    outbox = make_outbox()
    half_made = outbox.producer

    def refuse(path: Path) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("driftline.outbox.root.open_segment", refuse)
    with pytest.raises(OutboxUnavailableError, match="No space left"):
        outbox.append(b"a")
    monkeypatch.undo()
    assert outbox.append(b"a") == 0
    assert outbox.producer != half_made
    assert root.producers() == [outbox.producer]


def test_check_says_why_an_append_would_be_refused(make_outbox: MakeOutbox, root: OutboxRoot) -> None:
    outbox = make_outbox()
    root.path.rename(root.path.with_name("away"))
    with pytest.raises(OutboxError, match="No such file"):
        outbox.check()
    root.path.with_name("away").rename(root.path)
    outbox.check()
    assert list(root.path.iterdir()) == [], "the probe is left behind"


def test_check_notices_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "tmpfs") as disk:
        outbox = Outbox(OutboxRoot(disk.path))
        outbox.append(b"a" * CAPTURE_BYTES)
        disk.fill()
        if disk.path.is_mount():
            with pytest.raises(OutboxUnavailableError, match="No space left"):
                outbox.check()
        else:  # a limit on files is no full disk, and a new file has room
            outbox.check()
        disk.free()
        outbox.check()
        outbox._give_up()


def test_a_failed_append_that_cannot_be_cut_back_retires_the_id(
    disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault: ftruncate fails. The torn end stays behind for the relay; nothing is written after it."""
    root = OutboxRoot(disk.path)
    outbox = Outbox(root)
    outbox.append(b"a" * CAPTURE_BYTES)
    torn, producer = directory(outbox), outbox.producer
    disk.fill()

    def refuse(fd: int, length: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("driftline.outbox.outbox.os.ftruncate", refuse)
    with pytest.raises(OutboxUnavailableError):
        outbox.append(b"b" * 20_000)
    monkeypatch.undo()
    disk.free()
    assert outbox.producer != producer
    assert outbox.next_seq == 0
    assert outbox.append(b"c") == 0
    lock = lock_directory(torn)
    assert lock is not None, "the retired directory is still locked"
    os.close(lock)
    outbox._give_up()
    assert events(root, outbox.producer) == [b"c"]


def test_a_segment_name_that_is_taken_retires_the_id(make_outbox: MakeOutbox) -> None:
    """Left by a rollover that failed and could not be undone: a seq is never used twice."""
    outbox = make_outbox(segment_max_bytes=1)
    outbox.append(b"a")
    producer = outbox.producer
    (directory(outbox) / f"{1:020d}.seg").touch()
    with pytest.raises(OutboxUnavailableError, match="starts anew"):
        outbox.append(b"b")
    assert outbox.producer != producer
    assert outbox.append(b"b") == 0
