from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from driftline.outbox.outbox import Outbox, Sync
from driftline.outbox.root import OutboxRoot

MakeOutbox = Callable[..., Outbox]


@pytest.fixture
def root(tmp_path: Path) -> OutboxRoot:
    """An empty root."""
    root = OutboxRoot(tmp_path / "outbox")
    root.create()
    return root


@pytest.fixture
def make_outbox(root: OutboxRoot) -> Iterator[MakeOutbox]:
    """Makes outboxes; those still open at the end of the test die as with kill -9."""
    made: list[Outbox] = []

    def make(*, segment_max_bytes: int = 16 << 20, max_bytes: int = 1 << 30, sync: Sync = "os") -> Outbox:
        outbox = Outbox(root, segment_max_bytes=segment_max_bytes, max_bytes=max_bytes, sync=sync)
        made.append(outbox)
        return outbox

    yield make
    for outbox in made:
        outbox._give_up()
