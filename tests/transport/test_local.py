"""What the worker reads of the outboxes beside it: as much in one commit as pays, and no more."""

from pathlib import Path

from driftline.outbox.outbox import Outbox
from driftline.outbox.root import OutboxRoot
from driftline.transport.batch import Batch
from driftline.transport.local import LocalOutboxes

LOG = "the-log"
EVENT = b"x" * 100


def outboxes(directory: Path, *counts: int) -> tuple[OutboxRoot, list[Outbox]]:
    """Outboxes with so many events each; they hold their locks until the test ends."""
    root = OutboxRoot(directory)
    root.create()
    made = [Outbox(root, segment_max_bytes=36_000) for _ in counts]
    for outbox, count in zip(made, counts, strict=True):
        for first in range(0, count, 100):
            outbox.append_all([EVENT] * min(100, count - first))
    return root, made


def told(batches: list[Batch], producer: str) -> list[tuple[int, int]]:
    return [(batch.first_seq, batch.stop_seq) for batch in batches if batch.producer == producer]


def test_batches_of_one_producer_follow_one_another_to_the_end_of_a_segment(tmp_path: Path) -> None:
    root, [outbox] = outboxes(tmp_path, 1000)
    local = LocalOutboxes(root, batch_events=150, batch_bytes=1 << 20)
    batches = local.batches(LOG, {outbox.producer: 40})
    spans = told(batches, outbox.producer)
    assert spans == [(40, 190), (190, 300)]
    assert told(local.batches(LOG, {outbox.producer: 300}), outbox.producer)[:2] == [(300, 450), (450, 600)]
    assert all(batch.payload.split(b"\n") == [EVENT] * batch.count for batch in batches)
    local.close()
    outbox._give_up()


def test_whoever_is_far_behind_leaves_room_for_the_others(tmp_path: Path) -> None:
    root, made = outboxes(tmp_path, 4000, 100, 100, 100)
    local = LocalOutboxes(root, batch_events=100, batch_bytes=1 << 20)
    batches = local.batches(LOG, {})
    assert told(batches, made[0].producer) == [(0, 100), (100, 200), (200, 300), (300, 400)]
    assert [told(batches, outbox.producer) for outbox in made[1:]] == [[(0, 100)]] * 3
    local.close()
    for outbox in made:
        outbox._give_up()


def test_what_is_deleted_while_it_is_read_is_not_told_of(tmp_path: Path) -> None:
    root, [outbox] = outboxes(tmp_path, 1000)
    local = LocalOutboxes(root, batch_events=100, batch_bytes=1 << 20)
    assert told(local.batches(LOG, {}), outbox.producer)[0] == (0, 100)
    outbox.release(1000)  # all but the last segment
    [base] = {batch.base_seq for batch in local.batches(LOG, {outbox.producer: 200})}
    assert base > 200
    assert told(local.batches(LOG, {outbox.producer: 200}), outbox.producer)[0][0] == base
    local.close()
    outbox._give_up()
