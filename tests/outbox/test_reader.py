"""The reader tells what is whole from what is damaged and what is only unfinished."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from driftline.outbox.outbox import Outbox
from driftline.outbox.reader import TOMBSTONE, Chunk, OutboxReader
from driftline.outbox.record import HEADER_BYTES, MAGIC, encode
from driftline.outbox.root import OutboxRoot
from driftline.outbox.segments import segment_firsts, segment_name
from tests.outbox.conftest import MakeOutbox
from tests.outbox.segments_on_disk import append, flip, overwrite, places


def event(seq: int) -> bytes:
    return b'{"event":%d}' % seq


@pytest.fixture
def outbox(make_outbox: MakeOutbox) -> Outbox:
    """Ten events in one segment."""
    outbox = make_outbox()
    for seq in range(10):
        assert outbox.append(event(seq)) == seq
    return outbox


@pytest.fixture
def reader(root: OutboxRoot, outbox: Outbox) -> Iterator[OutboxReader]:
    reader = OutboxReader(root, outbox.producer)
    yield reader
    reader.close()


def directory(outbox: Outbox) -> Path:
    return outbox.root.path / outbox.producer


def last_segment(outbox: Outbox) -> Path:
    return directory(outbox) / segment_name(segment_firsts(directory(outbox))[-1])


def roll(outbox: Outbox) -> None:
    """Begins a new segment with the next append."""
    outbox._segment_max_bytes = 0


def read_all(reader: OutboxReader, max_events: int = 100, max_bytes: int = 1 << 20) -> list[bytes]:
    found: list[bytes] = []
    while chunk := reader.read(max_events, max_bytes).events:
        found += chunk
    return found


def quarantined(root: OutboxRoot) -> dict[str, bytes]:
    folder = root.path / "quarantine"
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def test_events_come_in_order_in_chunks_of_the_asked_size(reader: OutboxReader) -> None:
    assert reader.read(4, 1 << 20) == Chunk(0, [event(seq) for seq in range(4)])
    assert reader.read(100, 1 << 20) == Chunk(4, [event(seq) for seq in range(4, 10)])
    assert reader.read(100, 1 << 20) == Chunk(10, [])


@pytest.mark.parametrize("max_bytes", [1, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 1, 50])
def test_a_record_longer_than_the_asked_bytes_is_read_whole(reader: OutboxReader, max_bytes: int) -> None:
    assert read_all(reader, max_events=1, max_bytes=max_bytes) == [event(seq) for seq in range(10)]


def test_a_directory_that_is_not_there_has_nothing_to_read(root: OutboxRoot) -> None:
    reader = OutboxReader(root, "0" * 32)
    assert (reader.read(10, 100), reader.end(), reader.oldest()) == (Chunk(0, []), 0, None)


@pytest.mark.parametrize("cut", [1, 5, HEADER_BYTES, HEADER_BYTES + 3])
def test_an_unfinished_end_is_waited_for_and_read_once_it_is_whole(
    reader: OutboxReader, outbox: Outbox, root: OutboxRoot, cut: int
) -> None:
    record = encode(10, event(10))
    append(last_segment(outbox), record[:cut])
    assert len(read_all(reader)) == 10
    assert reader.read(10, 1 << 20) == Chunk(10, [])
    append(last_segment(outbox), record[cut:])
    assert reader.read(10, 1 << 20) == Chunk(10, [event(10)])
    assert quarantined(root) == {}


def test_a_failed_append_that_was_cut_back_leaves_no_trace_for_a_reader_that_saw_it(
    reader: OutboxReader, outbox: Outbox, root: OutboxRoot
) -> None:
    path = last_segment(outbox)
    size = path.stat().st_size
    append(path, encode(10, b"x" * 1000)[:700])
    assert len(read_all(reader)) == 10
    overwrite(path, 0, path.read_bytes()[:size])
    with path.open("r+b") as file:
        file.truncate(size)
    outbox.append(event(10))
    assert read_all(reader) == [event(10)]
    assert quarantined(root) == {}


@pytest.mark.parametrize("where", [0, 4, 8, 16, HEADER_BYTES], ids=["magic", "crc", "seq", "length", "payload"])
@pytest.mark.parametrize("damaged", [0, 4, 8])
def test_a_damaged_record_is_a_tombstone_and_its_bytes_go_to_quarantine(
    reader: OutboxReader, outbox: Outbox, root: OutboxRoot, damaged: int, where: int
) -> None:
    place = places(directory(outbox))[damaged]
    flip(place.path, place.start + where)
    expected = [event(seq) for seq in range(10)]
    expected[damaged] = TOMBSTONE
    assert read_all(reader) == expected
    (name, content), *others = quarantined(root).items()
    assert not others
    assert name == f"{outbox.producer}-{place.path.name}-{place.start}.bin"
    assert content == place.path.read_bytes()[place.start : place.end]


def test_a_record_that_was_read_before_it_was_damaged_is_a_tombstone_when_asked_for_again(
    reader: OutboxReader, outbox: Outbox
) -> None:
    assert len(read_all(reader)) == 10
    place = places(directory(outbox))[3]
    flip(place.path, place.start)
    reader.seek(2)
    assert read_all(reader)[:3] == [event(2), TOMBSTONE, event(4)]


def test_more_tombstones_than_asked_for_come_in_several_chunks(reader: OutboxReader, outbox: Outbox) -> None:
    found = places(directory(outbox))
    overwrite(found[1].path, found[1].start, b"\0" * (found[7].end - found[1].start))
    chunks = [reader.read(3, 1 << 20) for _ in range(4)]
    assert [chunk.first_seq for chunk in chunks] == [0, 1, 4, 7]
    assert [event for chunk in chunks for event in chunk.events] == [event(0), *[TOMBSTONE] * 7, event(8), event(9)]


def test_the_damaged_last_record_of_a_living_directory_is_only_unfinished(
    reader: OutboxReader, outbox: Outbox, root: OutboxRoot
) -> None:
    place = places(directory(outbox))[9]
    flip(place.path, place.end - 1)
    assert len(read_all(reader)) == 9
    assert quarantined(root) == {}
    outbox.append(event(10))
    assert read_all(reader) == [TOMBSTONE, event(10)]


def test_the_damaged_end_of_a_segment_is_settled_as_soon_as_the_next_segment_has_an_event(
    reader: OutboxReader, outbox: Outbox, root: OutboxRoot
) -> None:
    place = places(directory(outbox))[9]
    flip(place.path, place.end - 1)
    roll(outbox)
    outbox.append(event(10))
    assert read_all(reader) == [*(event(seq) for seq in range(9)), TOMBSTONE, event(10)]
    assert list(quarantined(root).values()) == [place.path.read_bytes()[place.start :]]


@pytest.mark.parametrize("lost", ["torn", "gone"])
def test_the_damaged_end_of_a_segment_is_settled_even_if_the_next_segment_is_empty(
    reader: OutboxReader, outbox: Outbox, lost: str
) -> None:
    """As after a power cut just behind a rollover: else an orphan would wait for these events for ever."""
    found = places(directory(outbox))
    (directory(outbox) / segment_name(10)).touch()
    cut = found[7].start + (5 if lost == "torn" else 0)
    with found[7].path.open("r+b") as file:
        file.truncate(cut)
    assert read_all(reader) == [*(event(seq) for seq in range(7)), *[TOMBSTONE] * 3]
    assert reader.end() == 10


def test_a_segment_that_is_damaged_all_through_is_stepped_over(reader: OutboxReader, outbox: Outbox) -> None:
    path = last_segment(outbox)
    overwrite(path, 0, b"\0" * path.stat().st_size)
    roll(outbox)
    outbox.append(event(10))
    assert read_all(reader) == [*[TOMBSTONE] * 10, event(10)]


def test_magic_in_damaged_bytes_leads_nobody_astray(reader: OutboxReader, outbox: Outbox) -> None:
    place = places(directory(outbox))[4]
    overwrite(place.path, place.start, (MAGIC * 20)[: place.end - place.start])
    assert read_all(reader) == [TOMBSTONE if seq == 4 else event(seq) for seq in range(10)]


def test_the_same_damage_is_set_aside_once(root: OutboxRoot, reader: OutboxReader, outbox: Outbox) -> None:
    place = places(directory(outbox))[4]
    flip(place.path, place.start)
    for _ in range(3):
        reader.seek(0)
        read_all(reader)
    assert len(quarantined(root)) == 1


@pytest.mark.parametrize("seq", range(11))
def test_a_seek_lands_on_the_event_from_anywhere(root: OutboxRoot, outbox: Outbox, seq: int) -> None:
    outbox._segment_max_bytes = 2 * (HEADER_BYTES + len(event(10)))
    for number in range(10, 20):
        outbox.append(event(number))
    expected = [event(number) for number in range(seq, 20)]
    for used in (False, True):
        reader = OutboxReader(root, outbox.producer)
        if used:
            read_all(reader, max_events=3)
        reader.seek(seq)
        assert read_all(reader, max_events=3) == expected
        reader.close()


def test_a_segment_deleted_under_the_reader_does_not_end_it(reader: OutboxReader, outbox: Outbox) -> None:
    roll(outbox)
    outbox.append(event(10))
    assert reader.read(2, 1 << 20).events == [event(0), event(1)]
    outbox.release(10)
    assert reader.oldest() == 10
    reader.seek(10)
    assert read_all(reader) == [event(10)]


def test_the_end_is_behind_the_last_whole_event_and_only_the_last_segment_is_read_for_it(
    root: OutboxRoot, reader: OutboxReader, outbox: Outbox
) -> None:
    damaged_earlier = places(directory(outbox))[2]
    flip(damaged_earlier.path, damaged_earlier.start)
    roll(outbox)
    outbox.append(event(10))
    append(last_segment(outbox), b"torn")
    assert reader.end() == 11
    assert quarantined(root) == {}


def test_what_an_orphan_left_unfinished_goes_to_quarantine_when_it_is_asked_to(
    root: OutboxRoot, reader: OutboxReader, outbox: Outbox
) -> None:
    append(last_segment(outbox), b"torn")
    reader.end()
    assert reader.quarantine_unfinished() == 4
    assert list(quarantined(root).values()) == [b"torn"]


def test_a_file_that_is_no_segment_is_let_be(reader: OutboxReader, outbox: Outbox) -> None:
    for name in ("copy.seg", "5.seg", f"{segment_name(0)}.bak", f".{segment_name(0)}", "notes.txt"):
        (directory(outbox) / name).write_bytes(b"not ours")
    assert len(read_all(reader)) == 10
    assert reader.oldest() == 0
