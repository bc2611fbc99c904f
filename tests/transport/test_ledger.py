"""The ledger counts the log itself, and finds whatever is not where it should be."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from driftline.contract.checksum import with_checksum
from driftline.errors import LogDamagedError, LogNotFoundError
from driftline.eventlog.reader import LogReader
from driftline.eventlog.record import Gap, Tombstone
from driftline.eventlog.repair import rebuild_record
from driftline.eventlog.writer import LogWriter
from driftline.outbox.outbox import Outbox
from driftline.outbox.root import OutboxRoot
from driftline.outbox.segments import segment_firsts, segment_name
from driftline.transport.ledger import Ledger, take_ledger
from tests.outbox.segments_on_disk import append, flip, places

GONE = "c" * 32
"""A producer whose directory was removed."""


def line(producer: str, seq: int) -> bytes:
    return with_checksum(json.dumps({"producer": producer, "seq": seq, "timestamp": "2026-11-23T21:00:00Z"}).encode())


class Books:
    """An outbox and a log, each filled as a test likes."""

    def __init__(self, directory: Path) -> None:
        self.root = OutboxRoot(directory / "outbox")
        self.root.create()
        self.outbox = Outbox(self.root, segment_max_bytes=500)
        self.log = LogWriter(directory / "logs")

    def accept(self, count: int) -> None:
        for _ in range(count):
            self.outbox.append(line(self.outbox.producer, self.outbox.next_seq))

    def commit(
        self,
        seqs: Iterable[int],
        stop: int,
        *,
        producer: str = "",
        gaps: Iterable[tuple[int, int]] = (),
        damaged: Iterable[int] = (),
    ) -> None:
        """Writes these seqs, and records that everything below ``stop`` is committed."""
        producer = producer or self.outbox.producer
        if not self.log.log_id:
            assert self.log.try_open()
        lines = [line(producer, seq) + b"\n" for seq in seqs]
        self.log.append(
            b"".join(lines),
            len(lines),
            {producer: stop},
            [Gap(producer, first, stop) for first, stop in gaps],
            [Tombstone(producer, seq) for seq in damaged],
        )

    def take(self) -> Ledger:
        return take_ledger(self.root.path, self.log.log_dir)


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    books = Books(tmp_path)
    yield books
    books.outbox._give_up()
    books.log.close()


def balance(ledger: Ledger) -> tuple[int, int, int, int, int]:
    """Accepted, and where they are: logged, in flight, quarantined, missing."""
    where = (ledger.logged, ledger.in_flight, ledger.quarantined, ledger.missing)
    assert ledger.accepted == sum(where)
    assert ledger.balanced == (not (ledger.missing or ledger.duplicated or ledger.damaged or ledger.quarantined))
    return (ledger.accepted, *where)


def test_where_nothing_ever_was_there_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(LogNotFoundError):
        take_ledger(tmp_path / "outbox", tmp_path / "logs")
    assert list(tmp_path.iterdir()) == []


def test_events_that_no_worker_has_taken_yet_are_in_flight(books: Books) -> None:
    books.accept(10)
    assert balance(books.take()) == (10, 0, 10, 0, 0)


def test_events_are_logged_or_in_flight_while_they_are_on_their_way(books: Books) -> None:
    books.accept(10)
    books.commit(range(4), 4)
    assert balance(books.take()) == (10, 4, 6, 0, 0)
    books.commit(range(4, 10), 10)
    assert balance(books.take()) == (10, 10, 0, 0, 0)


def test_what_is_committed_and_deleted_from_the_outbox_is_still_accepted(books: Books) -> None:
    books.accept(20)
    books.commit(range(15), 15)
    books.outbox.release(15)
    assert segment_firsts(books.root.path / books.outbox.producer)[0] > 0
    assert balance(books.take()) == (20, 15, 5, 0, 0)
    books.commit(range(15, 20), 20)
    books.outbox.discard()
    assert balance(books.take()) == (20, 20, 0, 0, 0)


def test_what_a_removed_outbox_had_and_the_log_has_not_is_missing(books: Books) -> None:
    books.root.record_closed(GONE, 10)
    books.commit(range(7), 7, producer=GONE)
    assert balance(books.take()) == (10, 7, 0, 0, 3)


def test_a_line_that_the_log_says_it_has_and_has_not_is_missing(books: Books) -> None:
    """Counters would not notice: the log claims ten, and nine lines are there."""
    books.accept(10)
    books.commit([0, 1, 2, 3, 5, 6, 7, 8, 9], 10)
    ledger = books.take()
    assert balance(ledger) == (10, 9, 0, 0, 1)
    assert not ledger.balanced


def test_a_line_that_is_there_twice_is_duplicated_and_counts_once(books: Books) -> None:
    books.accept(10)
    books.commit([0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 0], 10)
    ledger = books.take()
    assert balance(ledger) == (10, 10, 0, 0, 0)
    assert ledger.duplicated == 2
    assert not ledger.balanced


def test_a_doubled_line_does_not_make_up_for_a_missing_one(books: Books) -> None:
    books.accept(3)
    books.commit([0, 0, 2], 3)
    ledger = books.take()
    assert (balance(ledger), ledger.duplicated) == ((3, 2, 0, 0, 1), 1)


def test_a_damaged_event_is_quarantined_and_not_missing(books: Books) -> None:
    books.accept(5)
    books.commit([0, 1, 3, 4], 5, damaged=[2])
    ledger = books.take()
    assert balance(ledger) == (5, 4, 0, 1, 0)
    assert not ledger.balanced, "an answered prediction is not in the log, whosever fault that is"


def test_a_gap_is_told_and_what_is_in_it_is_missing(books: Books) -> None:
    books.accept(10)
    books.commit([0, 1, 6, 7], 8, gaps=[(2, 6)])
    ledger = books.take()
    assert balance(ledger) == (10, 4, 2, 0, 4)
    assert ledger.gaps == (Gap(books.outbox.producer, 2, 6),)


@pytest.mark.parametrize("held", [True, False], ids=["held by the outbox", "held by nobody"])
def test_after_the_repair_of_a_log_that_lost_its_end_what_is_gone_is_missing_until_it_comes_again(
    books: Books, held: bool
) -> None:
    if held:
        books.accept(5)
    producer = books.outbox.producer
    books.commit(range(5), 5)
    books.log.close()
    path = books.log.log_dir / "segments" / "00000001.jsonl"
    os.truncate(path, path.stat().st_size * 3 // 5 + 10)
    assert rebuild_record(books.log.log_dir, None) is not None
    ledger = books.take()
    assert balance(ledger) == ((5, 3, 2, 0, 0) if held else (5, 3, 0, 0, 2))
    assert ledger.gaps == (() if held else (Gap(producer, 3, 5),))
    assert books.log.try_open()
    books.commit([3], 4)
    assert books.take().missing == (0 if held else 1)
    books.commit([4], 5)
    ledger = books.take()
    assert (balance(ledger), ledger.gaps) == ((5, 5, 0, 0, 0), ())


@pytest.mark.parametrize("place", [0, line("x" * 32, 0).index(b"21:00") + 1], ids=["unreadable", "readable"])
def test_a_flipped_byte_in_the_log_takes_its_line_and_the_rest_still_counts(books: Books, place: int) -> None:
    books.accept(3)
    books.commit(range(3), 3)
    flip(books.log.log_dir / "segments" / "00000001.jsonl", place)
    ledger = books.take()
    assert balance(ledger) == (3, 2, 0, 1, 0)
    assert ledger.damaged == (f"00000001:0-{books.log.size_bytes // 3}",)
    assert not ledger.balanced


def test_a_damaged_line_whose_event_came_again_is_told_and_not_counted_twice(books: Books) -> None:
    books.accept(3)
    books.commit([0, 1, 2, 2], 3)
    path = books.log.log_dir / "segments" / "00000001.jsonl"
    flip(path, 2 * path.stat().st_size // 4 + 5)
    ledger = books.take()
    assert balance(ledger) == (3, 3, 0, 0, 0)
    assert (ledger.duplicated, len(ledger.damaged), ledger.balanced) == (0, 1, False)


def test_a_lost_log_is_no_balance_its_events_are_missing(books: Books) -> None:
    """The outboxes know what they have deleted because a log had it."""
    books.root.record_closed(GONE, 100)
    books.accept(20)
    books.outbox.release(15)
    held_from = segment_firsts(books.root.path / books.outbox.producer)[0]
    ledger = books.take()
    assert balance(ledger) == (120, 0, 20 - held_from, 0, 100 + held_from)
    assert not ledger.balanced


def test_a_restored_log_lacks_what_no_outbox_holds_even_before_the_worker_has_met_the_gap(books: Books) -> None:
    books.accept(20)
    books.commit(range(5), 5)
    books.outbox.release(15)
    held_from = segment_firsts(books.root.path / books.outbox.producer)[0]
    assert balance(books.take()) == (20, 5, 20 - held_from, 0, held_from - 5)


def test_several_producers_are_counted_apart(books: Books) -> None:
    books.accept(5)
    books.root.record_closed(GONE, 3)
    books.commit(range(3), 3, producer=GONE)
    books.commit(range(5), 5)
    books.commit(range(2), 2, producer="d" * 32)
    assert balance(books.take()) == (10, 10, 0, 0, 0)


def test_an_unfinished_append_does_not_count(books: Books) -> None:
    books.accept(5)
    append(places(books.root.path / books.outbox.producer)[4].path, b"torn")
    assert balance(books.take()) == (5, 0, 5, 0, 0)


def test_taking_it_changes_nothing_on_disk(books: Books) -> None:
    """It may be taken by another user than the one who serves."""
    books.accept(8)
    last_segment = segment_firsts(books.root.path / books.outbox.producer)[-1]
    place = places(books.root.path / books.outbox.producer)[last_segment]
    flip(place.path, place.start)
    before = sorted(books.root.path.rglob("*"))
    books.take()
    assert sorted(books.root.path.rglob("*")) == before


def test_a_segment_of_the_log_that_is_gone_is_an_error(books: Books) -> None:
    books.accept(3)
    books.commit(range(3), 3)
    (books.log.log_dir / "segments" / "00000001.jsonl").unlink()
    with pytest.raises(LogDamagedError):
        books.take()


def test_progress_is_told_in_bytes_up_to_all_of_them(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("driftline.eventlog.writer.BLOCK_BYTES", 1)
    for seq in range(5):
        books.commit([seq], seq + 1)
    told: list[tuple[int, int]] = []
    take_ledger(books.root.path, books.log.log_dir, lambda done, total: told.append((done, total)))
    size = books.log.size_bytes
    assert told == [(size * turn // 5, size) for turn in range(1, 6)]


def test_as_json_it_says_everything_and_whether_it_balances(books: Books) -> None:
    books.accept(3)
    books.commit([0, 2], 3, gaps=[(1, 2)])
    assert json.loads(json.dumps(books.take().as_dict())) == {
        "accepted": 3,
        "logged": 2,
        "in_flight": 0,
        "quarantined": 0,
        "expired": 0,
        "missing": 1,
        "duplicated": 0,
        "gaps": [{"producer": books.outbox.producer, "first_seq": 1, "stop_seq": 2}],
        "damaged": [],
        "balanced": False,
    }


def test_it_is_of_one_moment_while_the_log_grows(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit between the reading of the record and the counting of the lines would look like an imbalance."""
    books.accept(10)
    books.commit(range(5), 5)
    gaps = LogReader.gaps

    def meanwhile(log: LogReader) -> list[Gap]:
        books.commit(range(books.log.rows, books.log.rows + 1), books.log.rows + 1)
        return gaps(log)

    monkeypatch.setattr(LogReader, "gaps", meanwhile)
    assert balance(books.take()) == (10, 5, 5, 0, 0)
    assert balance(books.take()) == (10, 6, 4, 0, 0)


def test_an_orphan_that_has_lost_its_segments_holds_nothing(books: Books) -> None:
    """Killed while it was removed: its count is in the books already."""
    books.accept(1)
    (books.root.path / books.outbox.producer / segment_name(0)).unlink()
    books.root.record_closed(books.outbox.producer, 1)
    books.commit([], 0)
    assert balance(books.take()) == (1, 0, 0, 0, 1)
