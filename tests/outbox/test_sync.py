"""With ``sync="always"`` an answer waits for the disk, many for one fdatasync, and a lie of the disk is never believed.

The fault, by name: ``sync_content`` raises, as fdatasync does once when the kernel has dropped what it could not write.
"""

import asyncio
import errno
import os
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from driftline.durable import lock_directory, sync_content
from driftline.errors import OutboxUnavailableError
from driftline.outbox.outbox import Outbox
from driftline.outbox.reader import OutboxReader
from driftline.outbox.root import OutboxRoot
from tests.outbox.conftest import MakeOutbox
from tests.waiting import eventually


class Disk:
    """Stands before ``sync_content``: counts, can be held up, can fail."""

    def __init__(self) -> None:
        self.synced: list[str] = []
        self.failing = False
        self.free = threading.Event()
        self.free.set()

    def sync(self, fd: int) -> None:
        self.synced.append(Path(f"/dev/fd/{fd}").readlink().name)
        self.free.wait(60)
        if self.failing:
            raise OSError(errno.EIO, "Input/output error")
        sync_content(fd)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr("driftline.outbox.outbox.sync_content", disk.sync)
    return disk


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 60))


def append(outbox: Outbox, event: bytes) -> asyncio.Task[None]:
    """As a request does, in the next turn of the loop: append, and in the same turn ask to be told."""

    async def request() -> None:
        outbox.append(event)
        await outbox.synced()

    return asyncio.create_task(request())


def open_fds() -> int:
    return len(os.listdir("/dev/fd"))


def test_with_sync_os_nothing_is_waited_for(make_outbox: MakeOutbox, disk: Disk) -> None:
    async def story() -> None:
        outbox = make_outbox(sync="os")
        outbox.append(b"a")
        await outbox.synced()
        assert disk.synced == []

    run(story)


def test_an_answer_waits_until_the_disk_has_it(make_outbox: MakeOutbox, disk: Disk) -> None:
    async def story() -> None:
        outbox = make_outbox(sync="always")
        disk.free.clear()
        waiting = append(outbox, b"a")
        await eventually(lambda: disk.synced)
        assert not waiting.done()
        disk.free.set()
        await waiting

    run(story)


def test_all_that_wait_at_a_time_are_served_by_one_fdatasync(make_outbox: MakeOutbox, disk: Disk) -> None:
    async def story() -> None:
        outbox = make_outbox(sync="always")
        disk.free.clear()
        first = append(outbox, b"first")
        await eventually(lambda: len(disk.synced) == 1)
        rest = [append(outbox, b"%d" % number) for number in range(100)]
        await asyncio.sleep(0)
        disk.free.set()
        await asyncio.gather(first, *rest)
        assert len(disk.synced) == 2

    run(story)


def test_an_event_appended_during_a_sync_is_not_served_by_it(make_outbox: MakeOutbox, disk: Disk) -> None:
    async def story() -> None:
        outbox = make_outbox(sync="always")
        disk.free.clear()
        first = append(outbox, b"first")
        await eventually(lambda: len(disk.synced) == 1)
        late = append(outbox, b"late")
        await asyncio.sleep(0)
        disk.free.set()
        await eventually(lambda: len(disk.synced) == 2)
        await asyncio.gather(first, late)

    run(story)


def test_a_segment_that_was_full_before_its_sync_is_synced_before_anyone_is_answered(
    make_outbox: MakeOutbox, disk: Disk
) -> None:
    async def story() -> None:
        outbox = make_outbox(sync="always", segment_max_bytes=1)
        await asyncio.gather(*[append(outbox, b"%d" % number) for number in range(3)])
        assert disk.synced == [f"{number:020d}.seg" for number in range(3)]

    run(story)


def test_a_failed_fdatasync_fails_all_that_wait_and_retires_the_id(
    make_outbox: MakeOutbox, disk: Disk, root: OutboxRoot
) -> None:
    async def story() -> None:
        outbox = make_outbox(sync="always")
        await append(outbox, b"safe")
        producer, disk.failing = outbox.producer, True
        disk.free.clear()
        served = append(outbox, b"a")
        await eventually(lambda: len(disk.synced) == 2)
        queued = append(outbox, b"b")
        await asyncio.sleep(0)
        disk.free.set()
        for failed in await asyncio.gather(served, queued, return_exceptions=True):
            assert isinstance(failed, OutboxUnavailableError)
        assert len(disk.synced) == 2, "an fdatasync after a failed one would lie"
        assert outbox.producer != producer
        assert (outbox.next_seq, outbox.held_bytes, outbox.started) == (0, 0, False)
        lock = lock_directory(root.path / producer)
        assert lock is not None, "the retired directory is still locked, so nobody can drain it"
        os.close(lock)
        reader = OutboxReader(root, producer)
        assert reader.read(10, 1000).events == [b"safe", b"a", b"b"]
        reader.close()
        disk.failing = False
        await append(outbox, b"c")
        assert outbox.next_seq == 1

    run(story)


def test_a_failure_that_comes_after_the_id_was_retired_does_not_retire_the_next_one(
    make_outbox: MakeOutbox, disk: Disk
) -> None:
    async def story() -> None:
        outbox = make_outbox(sync="always")
        disk.free.clear()
        disk.failing = True
        waiting = append(outbox, b"a")
        await eventually(lambda: len(disk.synced) == 1)
        outbox._retire("for another reason")
        producer = outbox.producer
        disk.free.set()
        with pytest.raises(OutboxUnavailableError):
            await waiting
        assert outbox.producer == producer

    run(story)


@pytest.mark.parametrize("failing", [False, True])
def test_a_client_that_goes_away_while_it_waits_disturbs_nobody(
    make_outbox: MakeOutbox, disk: Disk, failing: bool
) -> None:
    async def story() -> None:
        outbox = make_outbox(sync="always")
        disk.free.clear()
        disk.failing = failing
        gone, stays = append(outbox, b"a"), append(outbox, b"b")
        await eventually(lambda: len(disk.synced) == 1)
        gone.cancel()
        disk.free.set()
        await asyncio.wait([stays])
        assert gone.cancelled()
        assert isinstance(stays.exception(), OutboxUnavailableError if failing else type(None))

    run(story)


@pytest.mark.parametrize("failing", [False, True])
def test_no_descriptor_is_left_open(make_outbox: MakeOutbox, disk: Disk, failing: bool) -> None:
    async def story() -> None:
        await asyncio.to_thread(int)  # the loop's own thread and pipes
        before = open_fds()
        outbox = make_outbox(sync="always", segment_max_bytes=1)
        disk.failing = failing
        for _ in range(3):
            await asyncio.gather(*[append(outbox, b"a") for _ in range(3)], return_exceptions=True)
        await outbox.close()
        assert open_fds() == before

    run(story)


def test_without_descriptors_to_spare_the_waiting_fail_and_the_id_stays(
    make_outbox: MakeOutbox, disk: Disk, root: OutboxRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault: dup finds the process at its limit of open files, which says nothing of the disk."""

    async def story() -> None:
        await asyncio.to_thread(int)  # the loop's own thread and pipes
        before = open_fds()
        outbox = make_outbox(sync="always", segment_max_bytes=1)
        producer = outbox.producer

        def refuse(fd: int) -> int:
            raise OSError(errno.EMFILE, "Too many open files")

        monkeypatch.setattr("driftline.outbox.outbox.os.dup", refuse)
        for failed in await asyncio.gather(append(outbox, b"a"), append(outbox, b"b"), return_exceptions=True):
            assert isinstance(failed, OutboxUnavailableError)
        assert disk.synced == []
        monkeypatch.undo()
        monkeypatch.setattr("driftline.outbox.outbox.sync_content", disk.sync)
        await append(outbox, b"c")
        assert (outbox.producer, outbox.next_seq) == (producer, 3)
        assert disk.synced == [f"{number:020d}.seg" for number in range(3)], "what was full before is synced too"
        await outbox.close()
        assert open_fds() == before
        reader = OutboxReader(root, producer)
        assert [event for _ in range(3) for event in reader.read(10, 1000).events] == [b"a", b"b", b"c"]
        reader.close()

    run(story)


def test_nobody_is_told_of_events_whose_id_was_retired_behind_their_append(
    make_outbox: MakeOutbox, disk: Disk, root: OutboxRoot
) -> None:
    """The fault: the segment that follows a full one is there, left by an attempt that could not be undone."""

    async def story() -> None:
        outbox = make_outbox(sync="always", segment_max_bytes=100)
        await append(outbox, b"first")
        producer, synced = outbox.producer, len(disk.synced)
        (root.path / producer / f"{3:020d}.seg").touch()
        assert outbox.append_all([b"x" * 50] * 2) == 1
        with pytest.raises(OutboxUnavailableError):
            await outbox.synced()
        assert len(disk.synced) == synced
        assert outbox.producer != producer
        await append(outbox, b"after")

    run(story)


def test_close_waits_for_the_sync_under_way(make_outbox: MakeOutbox, disk: Disk) -> None:
    async def story() -> None:
        outbox = make_outbox(sync="always")
        disk.free.clear()
        waiting = append(outbox, b"a")
        await eventually(lambda: len(disk.synced) == 1)
        closing = asyncio.create_task(outbox.close())
        done, _ = await asyncio.wait([closing], timeout=0.1)
        assert not done
        disk.free.set()
        await closing
        await waiting

    run(story)
