"""A directory without a living owner is adopted by one process; one with a living owner by nobody. Real processes."""

import os
import shutil
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from driftline.outbox.orphans import Orphan, adopt_orphans
from driftline.outbox.outbox import Outbox
from driftline.outbox.reader import OutboxReader
from driftline.outbox.root import OutboxRoot
from driftline.outbox.segments import segment_firsts, segment_name
from tests.outbox.conftest import MakeOutbox
from tests.outbox.segments_on_disk import append
from tests.processes import Script

ADOPTER = """
import sys
from pathlib import Path
from driftline.outbox.orphans import adopt_orphans
from driftline.outbox.root import OutboxRoot
root = OutboxRoot(Path(sys.argv[1]))
print("ready", flush=True)
for line in sys.stdin:
    adopted = [orphan.producer for orphan in adopt_orphans(root)]
    print(*adopted, flush=True)
"""

TIGHT_LOOP = """
import sys
from pathlib import Path
from driftline.outbox.orphans import adopt_orphans
from driftline.outbox.root import OutboxRoot
root = OutboxRoot(Path(sys.argv[1]))
print("ready", flush=True)
while not (root.path / "enough").exists():
    for orphan in adopt_orphans(root):
        print(orphan.producer, flush=True)
"""


def orphan_of(root: OutboxRoot, events: int = 1) -> str:
    """A directory as a killed process leaves it."""
    outbox = Outbox(root)
    for number in range(events):
        outbox.append(b"%d" % number)
    outbox._give_up()
    return outbox.producer


def make_unborn(root: OutboxRoot, age_s: float) -> Path:
    unborn = root.path / f".new-{'a' * 32}"
    unborn.mkdir()
    make_old(unborn, age_s)
    return unborn


def make_old(path: Path, age_s: float) -> None:
    os.utime(path, (time.time() - age_s,) * 2)


def adopt(root: OutboxRoot) -> list[Orphan]:
    return list(adopt_orphans(root))


def test_an_adopter_in_a_tight_loop_never_gets_a_living_directory_and_never_disturbs_its_making(
    root: OutboxRoot,
) -> None:
    with Script(TIGHT_LOOP, root.path) as one, Script(TIGHT_LOOP, root.path) as another:
        assert {one.hear(), another.hear()} == {"ready"}
        outboxes = [Outbox(root) for _ in range(150)]
        for outbox in outboxes:
            assert outbox.append(b"a") == 0
        (root.path / "enough").touch()
        assert (one.rest(), another.rest()) == ([], [])
    assert len(root.producers()) == 150
    for outbox in outboxes:
        outbox._give_up()


def test_of_several_processes_that_adopt_at_once_one_wins_each_orphan(root: OutboxRoot) -> None:
    with ExitStack() as stack:
        processes = [stack.enter_context(Script(ADOPTER, root.path)) for _ in range(3)]
        for process in processes:
            assert process.hear() == "ready"
        known: set[str] = set()
        for _ in range(8):
            orphans = {orphan_of(root) for _ in range(10)}
            for process in processes:
                process.say()
            adopted = [producer for process in processes for producer in process.hear().split()]
            assert sorted(adopted) == sorted(set(adopted)), "two processes adopted the same"
            assert known.isdisjoint(adopted)
            known |= set(adopted)
            assert orphans <= known


def test_what_an_adopter_that_was_killed_had_is_adopted_by_the_next(root: OutboxRoot) -> None:
    producer = orphan_of(root)
    with Script(ADOPTER, root.path) as process:
        process.say()
        assert (process.hear(), process.hear()) == ("ready", producer)
        assert adopt(root) == []
    (orphan,) = adopt(root)
    assert orphan.producer == producer
    orphan.let_go()


def test_an_orphan_that_was_drained_and_removed_meanwhile_is_not_adopted(
    root: OutboxRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the listing and the lock, another process drains it and removes it."""
    producer = orphan_of(root)
    producers = root.producers

    def listed_before() -> list[str]:
        found = producers()
        shutil.rmtree(root.path / producer)
        return found

    monkeypatch.setattr(root, "producers", listed_before)
    assert adopt(root) == []


def test_what_a_process_left_before_its_directory_had_a_name_is_removed(root: OutboxRoot) -> None:
    unborn = make_unborn(root, 3600)
    (unborn / segment_name(0)).touch()
    make_old(unborn, 3600)
    assert adopt(root) == []
    assert list(root.path.iterdir()) == []


def test_a_directory_that_was_made_a_moment_ago_and_is_not_yet_locked_is_let_be(root: OutboxRoot) -> None:
    unborn = make_unborn(root, 1)
    assert adopt(root) == []
    assert unborn.exists()


def test_a_directory_whose_maker_was_frozen_for_long_is_not_cleared_away(root: OutboxRoot) -> None:
    unborn = make_unborn(root, 3600)
    code = """
        import sys
        from pathlib import Path
        from driftline.durable import lock_directory
        print(lock_directory(Path(sys.argv[1])) is not None, flush=True)
        sys.stdin.read()
        """
    with Script(code, unborn) as process:
        assert process.hear() == "True"
        root.clear_unborn()
        assert unborn.exists()
    root.clear_unborn()
    assert not unborn.exists()


def test_a_drained_orphan_is_removed_with_its_count_in_the_books_and_its_torn_end_in_quarantine(
    root: OutboxRoot,
) -> None:
    producer = orphan_of(root, events=3)
    append(root.path / producer / segment_name(0), b"torn")
    (orphan,) = adopt(root)
    reader = OutboxReader(root, producer)
    orphan.remove(reader.end(), reader)
    reader.close()
    orphan.let_go()
    assert root.closed() == {producer: 3}
    assert root.producers() == []
    (kept,) = (root.path / "quarantine").iterdir()
    assert kept.read_bytes() == b"torn"


def test_a_removal_that_was_interrupted_is_taken_up_again(root: OutboxRoot) -> None:
    """Killed after the books were written and before the directory was gone."""
    producer = orphan_of(root, events=3)
    root.record_closed(producer, 3)
    (root.path / producer / segment_name(0)).unlink()
    (orphan,) = adopt(root)
    reader = OutboxReader(root, producer)
    assert reader.end() == 0
    orphan.remove(0, reader)
    orphan.let_go()
    assert root.closed() == {producer: 3}


def test_an_orphan_says_what_it_holds_and_how_old_it_is(root: OutboxRoot, make_outbox: MakeOutbox) -> None:
    outbox = make_outbox(segment_max_bytes=1)
    for _ in range(3):
        outbox.append(b"a")
    outbox._give_up()
    directory: Path = root.path / outbox.producer
    os.utime(directory / segment_name(0), (1_000_000, 1_000_000))
    (orphan,) = adopt(root)
    assert orphan.held_bytes == sum(path.stat().st_size for path in directory.iterdir())
    assert orphan.age_s() > 1_000_000
    orphan.release(2)
    assert segment_firsts(directory) == [2]
    assert orphan.age_s() < 60
    orphan.let_go()
