"""One outbox directory that cannot be read or removed holds up no other, and never the living one."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from driftline.outbox.segments import segment_firsts, segment_name
from tests.transport.world import World
from tests.waiting import eventually


def put_a_strange_file(directory: Path) -> None:
    """As a file manager does that shows the directory to somebody."""
    (directory / ".DS_Store").write_bytes(b"theirs")


def make_it_unreadable(directory: Path) -> None:
    """What cannot be read for whatever reason; a directory in the segment's place cannot even by root."""
    (directory / segment_name(0)).unlink()
    (directory / segment_name(0)).mkdir()


def orphan_of(world: World, spoil: Callable[[Path], None]) -> Path:
    """An orphan of ten events, and what was done to it; it stands before the others in every list."""

    async def story() -> Path:
        api = world.start_api()
        api.append(10)
        await api.crash()
        return world.root.path / api.outbox.producer

    directory = asyncio.run(story())
    spoil(directory)
    return directory


def drain_another(world: World) -> None:
    async def story() -> None:
        worker, api = world.start_worker(), world.start_api()
        api.append(3000)
        await world.drained()
        await eventually(lambda: len(segment_firsts(world.root.path / api.outbox.producer)) == 1)
        await api.stop()
        await worker.stop()

    asyncio.run(asyncio.wait_for(story(), 60))


def test_a_strange_file_in_a_drained_directory_goes_to_quarantine_with_it(world: World) -> None:
    directory = orphan_of(world, put_a_strange_file)
    drain_another(world)
    assert world.root.producers() == []
    kept = world.root.path / "quarantine" / directory.name
    assert [(path.name, path.read_bytes()) for path in kept.iterdir()] == [(".DS_Store", b"theirs")]
    assert (world.root.path / "closed").read_text().count(directory.name) == 1
    assert world.ledger().balanced


def test_a_directory_that_cannot_be_read_holds_up_no_other(world: World) -> None:
    directory = orphan_of(world, make_it_unreadable)
    world.apis.clear()
    drain_another(world)
    assert world.root.producers() == [directory.name]


def test_a_directory_that_cannot_be_removed_holds_up_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault: its parent belongs to somebody else."""
    directory = orphan_of(world, lambda directory: None)
    rmdir = Path.rmdir

    def refuse(path: Path) -> None:
        if path == directory:
            raise PermissionError(1, "Operation not permitted")
        rmdir(path)

    monkeypatch.setattr(Path, "rmdir", refuse)
    drain_another(world)
    assert world.root.producers() == [directory.name]
    assert (world.root.path / "closed").read_text().count(directory.name) == 1
    assert world.ledger().balanced
