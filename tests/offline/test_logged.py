"""Predictions of a file are kept as a server's are, and wait for room where there is none."""

from pathlib import Path

import pytest

from driftline.api.served import ScoredRows, Served
from driftline.contract.package import read_package, seed_package
from driftline.errors import OutboxFullError
from driftline.offline import logged
from driftline.offline.logged import Destination, keeping
from driftline.outbox.root import OutboxRoot
from driftline.scoring import load_model
from driftline.transport.local import LocalSender
from tests.transport.world import World, run
from tests.waiting import eventually

ROWS, PIECES = 1000, 10


def destination(world: World) -> Destination:
    """An outbox with room for a few of the pieces."""
    return Destination(world.root.path, LocalSender(world.log_dir), "os", 1_000_000, 100_000)


def piece() -> tuple[Served, ScoredRows]:
    package = read_package(seed_package())
    served = Served(package, load_model(package))
    return served, served.score_all([served.decoder.make(at / 100, 1.0) for at in range(ROWS)])


def test_a_full_outbox_is_said_with_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logged, "ROOM_WITHIN_S", 0.2)
    monkeypatch.setattr(logged, "FLUSH_S", 0.0)
    world = World(tmp_path, "local", None)
    served, rows = piece()

    async def story() -> None:
        async with keeping(served, destination(world)) as keep:
            for _ in range(PIECES):
                await keep(rows)

    with pytest.raises(OutboxFullError, match=r"the first [1-9],000 rows are kept, and the rest is not"):
        run(story())
    assert OutboxRoot(world.root.path).producers()


def test_it_waits_while_a_worker_makes_room(tmp_path: Path) -> None:
    world = World(tmp_path, "local", None)
    served, rows = piece()

    async def story() -> None:
        worker = world.start_worker()
        request_ids: list[str] = []
        async with keeping(served, destination(world)) as keep:
            for _ in range(PIECES):
                request_ids += await keep(rows)
        await eventually(lambda: world.rows() == PIECES * ROWS)
        assert len(set(request_ids)) == PIECES * ROWS
        await worker.stop()

    run(story())
