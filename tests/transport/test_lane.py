"""The relay's books of one producer."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from driftline.outbox.orphans import adopt_orphans
from driftline.outbox.outbox import Outbox
from driftline.outbox.root import OutboxRoot
from driftline.outbox.segments import segment_firsts
from driftline.transport.lane import Lane, Pace
from tests.transport.world import World
from tests.waiting import eventually

PACE = Pace(window_batches=4, batch_events=2, batch_bytes=1000)


@pytest.fixture
def root(tmp_path: Path) -> OutboxRoot:
    root = OutboxRoot(tmp_path / "outbox")
    root.create()
    return root


@pytest.fixture
def outbox(root: OutboxRoot) -> Iterator[Outbox]:
    """One event a segment."""
    outbox = Outbox(root, segment_max_bytes=1)
    yield outbox
    outbox._give_up()


def test_an_acknowledgement_of_a_retired_id_deletes_nothing_of_the_next_one(root: OutboxRoot, outbox: Outbox) -> None:
    for _ in range(5):
        outbox.append(b"committed")
    lane = Lane(root, outbox, PACE)
    outbox._retire("fdatasync failed")
    for _ in range(5):
        outbox.append(b"not committed")
    lane.acknowledge(5)
    assert segment_firsts(root.path / outbox.producer) == [0, 1, 2, 3, 4]
    lane.close()


def test_the_lane_of_a_retired_id_knows_no_end_and_is_never_drained(root: OutboxRoot, outbox: Outbox) -> None:
    """Its directory is an orphan's from now on, for whoever adopts it."""
    for _ in range(5):
        outbox.append(b"a")
    lane = Lane(root, outbox, PACE)
    outbox._retire("fdatasync failed")
    outbox.append(b"b")
    lane.acknowledge(1)
    assert lane.end is None
    assert not lane.drained()
    assert list(lane.next_batches("log")) == []
    lane.close()
    (orphan,) = adopt_orphans(root)
    adopted = Lane(root, orphan, PACE)
    adopted.find_end()
    assert adopted.end == 5
    adopted.close()


def test_the_first_batches_after_a_start_are_one_and_the_window_opens_with_progress(
    root: OutboxRoot, outbox: Outbox
) -> None:
    for number in range(40):
        outbox.append(b"%d" % number)
    lane = Lane(root, outbox, PACE)
    assert [batch.first_seq for batch in lane.next_batches("log")] == [0, 1]
    assert list(lane.next_batches("log")) == []
    lane.acknowledge(2)
    assert [batch.base_seq for batch in lane.next_batches("log")] == [2] * 8
    lane.restart()
    assert [batch.first_seq for batch in lane.next_batches("log")] == [2, 3]
    lane.close()


def test_the_latest_acknowledgement_is_believed_and_not_the_highest(root: OutboxRoot, outbox: Outbox) -> None:
    for number in range(10):
        outbox.append(b"%d" % number)
    lane = Lane(root, outbox, PACE)
    lane.acknowledge(3)
    lane.acknowledge(1)
    (batch, *_) = lane.next_batches("log")
    assert (batch.base_seq, batch.first_seq) == (3, 3), "0 to 2 are gone, and the log is told so by the base"
    lane.close()


def test_a_directory_that_has_nothing_left_tells_a_restored_log_so(root: OutboxRoot, outbox: Outbox) -> None:
    """A log that was restored would else wait for ever for what is gone."""
    for number in range(3):
        outbox.append(b"%d" % number)
    (root.path / outbox.producer / f"{3:020d}.seg").touch()
    lane = Lane(root, outbox, PACE)
    lane.acknowledge(3)
    lane.acknowledge(0)
    (batch,) = lane.next_batches("log")
    assert (batch.base_seq, batch.first_seq, batch.count) == (3, 3, 0)
    assert lane.outstanding
    assert list(lane.next_batches("log")) == []
    lane.close()


def test_what_a_retired_id_left_and_what_came_after_it_is_all_logged(world: World) -> None:
    async def story() -> None:
        worker, api = world.start_worker(), world.start_api(segment_max_bytes=1_000)
        for _ in range(3):
            api.append(300)
            await eventually(lambda: world.rows() > 0)
            api.outbox._retire("fdatasync failed")
        api.append(300)
        await world.drained()
        await eventually(lambda: world.root.producers() == [api.outbox.producer])
        await api.stop()
        await worker.stop()

    asyncio.run(asyncio.wait_for(story(), 60))
    assert world.ledger().balanced
