"""A write of many records that stops short: what was whole in the file may have been read, so its seqs are used.

The fault, by name: ``os.writev`` and ``os.write`` stop short, or fail though they wrote. Other disks are really full.
"""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from driftline.errors import OutboxUnavailableError
from driftline.outbox.outbox import Outbox
from driftline.outbox.reader import OutboxReader
from driftline.outbox.record import HEADER_BYTES
from driftline.outbox.root import OutboxRoot
from driftline.transport.local import LocalOutboxes
from tests.outbox.conftest import MakeOutbox
from tests.small_disk import CAPTURE_BYTES, KINDS, Kind, SmallDisk, small_disk

RECORD_BYTES = HEADER_BYTES + 5
MANY = 300
"""Records of two parts, so that they are written by writev."""

StopShort = Callable[[int], None]


def many(mark: bytes, count: int = MANY) -> list[bytes]:
    return [b"%s%04d" % (mark, number) for number in range(count)]


class Worker:
    """Reads the outboxes as an embedded worker does, and keeps the first event that it sees for each seq."""

    def __init__(self, root: OutboxRoot) -> None:
        self.log: dict[str, list[bytes]] = {}
        self._outboxes = LocalOutboxes(root)

    def work(self) -> None:
        committed = {producer: len(events) for producer, events in self.log.items()}
        for batch in self._outboxes.batches("log", committed):
            held = self.log.setdefault(batch.producer, [])
            held.extend(batch.events(len(held)))

    def close(self) -> None:
        self._outboxes.close()


@pytest.fixture
def worker(root: OutboxRoot) -> Iterator[Worker]:
    worker = Worker(root)
    yield worker
    worker.close()


@pytest.fixture(params=["short", "failed"])
def stop_short(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, worker: Worker) -> StopShort:
    """Stops the next write after so many bytes, and has the worker look before the outbox goes on."""

    def stop(stop_bytes: int) -> None:
        def write(fd: int, content: bytes) -> int:
            monkeypatch.undo()
            left = os.write(fd, content[:stop_bytes])
            worker.work()
            if request.param == "failed" or left in {0, len(content)}:
                raise OSError(errno.ENOSPC, "No space left on device")
            return left

        def writev(fd: int, parts: Sequence[bytes]) -> int:
            return write(fd, b"".join(parts))

        monkeypatch.setattr("driftline.outbox.outbox.os.write", write)
        monkeypatch.setattr("driftline.outbox.outbox.os.writev", writev)

    return stop


@pytest.mark.parametrize("count", [1, 3, MANY])
@pytest.mark.parametrize("cut", [0, 1, RECORD_BYTES - 1, RECORD_BYTES, 2 * RECORD_BYTES + 7, 260 * RECORD_BYTES + 1])
def test_a_worker_that_reads_before_the_cut_loses_no_event_that_follows(
    make_outbox: MakeOutbox, worker: Worker, stop_short: StopShort, count: int, cut: int
) -> None:
    outbox = make_outbox()
    outbox.append(b"first")
    whole = min(cut // RECORD_BYTES, count)
    stop_short(cut)
    with pytest.raises(OutboxUnavailableError, match="cannot be written"):
        outbox.append_all(many(b"a", count))
    assert worker.log == {outbox.producer: [b"first", *many(b"a", count)[:whole]]}
    assert outbox.append(b"alone") == 1 + whole
    assert outbox.append_all(many(b"b")) == 2 + whole
    worker.work()
    assert worker.log == {outbox.producer: [b"first", *many(b"a", count)[:whole], b"alone", *many(b"b")]}
    assert outbox.root.producers() == [outbox.producer]
    assert outbox.held_bytes == sum(path.stat().st_size for path in (outbox.root.path / outbox.producer).iterdir())


def test_the_first_append_of_all_may_stop_short(make_outbox: MakeOutbox, worker: Worker, stop_short: StopShort) -> None:
    outbox = make_outbox()
    stop_short(2 * RECORD_BYTES + 1)
    with pytest.raises(OutboxUnavailableError):
        outbox.append_all(many(b"a"))
    assert outbox.append(b"after") == 2
    worker.work()
    assert worker.log == {outbox.producer: [*many(b"a")[:2], b"after"]}


def test_what_cannot_be_cut_back_is_left_to_the_relay_with_all_that_is_whole(
    make_outbox: MakeOutbox, worker: Worker, stop_short: StopShort, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = make_outbox()
    producer = outbox.producer
    stop_short(2 * RECORD_BYTES + 1)

    def refuse(fd: int, length: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("driftline.outbox.outbox.os.ftruncate", refuse)
        with pytest.raises(OutboxUnavailableError):
            outbox.append_all(many(b"a"))
    assert outbox.append(b"after") == 0
    worker.work()
    assert worker.log == {producer: many(b"a")[:2], outbox.producer: [b"after"]}


@pytest.fixture(params=KINDS)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmallDisk]:
    kind: Kind = request.param
    with small_disk(tmp_path / "disk", kind) as disk:
        yield disk


def test_many_that_a_full_disk_refused_keep_the_seqs_of_those_that_fitted(disk: SmallDisk) -> None:
    root = OutboxRoot(disk.path)
    outbox = Outbox(root)
    outbox.append(b"a" * CAPTURE_BYTES)
    disk.fill()
    disk.leave(1)
    for _ in range(20):
        with pytest.raises(OutboxUnavailableError, match="cannot be written"):
            outbox.append_all([b"b" * 100] * 1000)
    fitted = outbox.next_seq - 1
    assert 0 < fitted < 100
    assert root.producers() == [outbox.producer], "each that failed has made a directory"
    disk.free()
    assert outbox.append(b"c") == 1 + fitted
    [segment] = (disk.path / outbox.producer).iterdir()
    assert outbox.held_bytes == segment.stat().st_size
    outbox._give_up()
    reader, found = OutboxReader(root, outbox.producer), list[bytes]()
    while chunk := reader.read(1000, 1 << 20).events:
        found += chunk
    assert found == [b"a" * CAPTURE_BYTES, *[b"b" * 100] * fitted, b"c"]
    assert reader.quarantine_unfinished() == 0
    reader.close()
