"""Embedded, the first contact with the outboxes may have to wait too."""

import asyncio
import errno
from pathlib import Path

import pytest

from driftline.outbox.root import OutboxRoot
from tests.transport.world import World
from tests.waiting import eventually


def test_a_disk_too_full_to_say_which_log_is_obeyed_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault: the small file that holds the log's id cannot be written."""
    world = World(tmp_path, "local", None)
    tried: list[str] = []

    def refuse(root: OutboxRoot, log_id: str) -> str:
        tried.append(log_id)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(OutboxRoot, "obey", refuse)

    async def story() -> None:
        worker, api = world.start_worker(), world.start_api()
        api.append(100)
        await eventually(lambda: len(tried) > 1 or worker.task.done())
        assert not worker.task.done()
        assert world.rows() == 0, "events were taken before the outboxes obey the log"
        monkeypatch.undo()
        await world.drained()
        await api.stop()
        await worker.stop()

    asyncio.run(asyncio.wait_for(story(), 60))
