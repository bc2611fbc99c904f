"""What must be on disk before anything is deleted on the strength of it, when another process may have died midway."""

import asyncio
import os
from pathlib import Path

import pytest

from driftline.eventlog.writer import LogWriter
from driftline.outbox.outbox import Outbox
from driftline.outbox.root import OutboxRoot
from driftline.transport.lane import Lane, Pace
from driftline.transport.local import LocalSender
from tests.transport.world import World, run
from tests.waiting import eventually


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were fsynced, in order."""
    names: list[str] = []
    fsync = os.fsync

    def note(fd: int) -> None:
        names.append(
            Path(f"/proc/self/fd/{fd}").readlink().name if Path("/proc/self/fd").exists() else "log.sqlite-wal"
        )
        fsync(fd)

    monkeypatch.setattr(os, "fsync", note)
    return names


def test_a_commit_that_may_not_be_synced_is_synced_before_it_is_believed(tmp_path: Path, synced: list[str]) -> None:
    writer = LogWriter(tmp_path / "logs")
    assert writer.try_open()
    writer.append(b"{}\n", 1, {"a" * 32: 1})
    synced.clear()
    sender = LocalSender(tmp_path / "logs")
    poll = asyncio.run(sender.poll(writer.log_id, ["a" * 32]))
    assert poll.committed == {"a" * 32: 1}
    assert synced == ["log.sqlite-wal"]
    asyncio.run(sender.close())
    writer.close()


def test_the_log_that_another_process_chose_is_made_durable_before_it_is_obeyed(
    tmp_path: Path, synced: list[str]
) -> None:
    root = OutboxRoot(tmp_path / "outbox")
    root.create()
    (root.path / "log-id").write_text("f" * 32)
    synced.clear()
    assert root.log_id_durably(None) == "f" * 32
    assert synced == ["outbox"]
    assert root.log_id_durably("f" * 32) == "f" * 32
    assert synced == ["outbox"]


def test_a_log_id_that_is_empty_is_an_error_and_not_a_first_contact(tmp_path: Path) -> None:
    root = OutboxRoot(tmp_path / "outbox")
    root.create()
    (root.path / "log-id").touch()
    with pytest.raises(OSError, match="no id"):
        root.obey("f" * 32)


def test_what_another_log_has_committed_does_not_count_for_its_successor(tmp_path: Path) -> None:
    root = OutboxRoot(tmp_path / "outbox")
    root.create()
    outbox = Outbox(root)
    outbox.append(b"{}")
    lane = Lane(root, outbox, Pace(window_batches=1))
    lane.acknowledge(1)
    assert lane.drained()
    lane.begin_anew()
    assert not lane.drained()
    lane.close()
    asyncio.run(outbox.close())


def test_a_stop_just_after_the_log_was_replaced_keeps_what_the_new_log_lacks(
    redis_world: World, tmp_path: Path
) -> None:
    world = redis_world

    async def story() -> None:
        worker, api = world.start_worker(), world.start_api()
        api.append(50)
        await world.drained()
        await worker.stop()
        old, world.log_dir = world.root.log_id() or "", tmp_path / "new"
        writer = LogWriter(world.log_dir)
        assert writer.try_open()
        writer.replace(old)
        writer.close()
        worker = world.start_worker()
        await eventually(lambda: world.root.log_id() != old)
        await api.stop()
        await worker.stop()

    run(story())
    assert world.ledger().logged == 50
