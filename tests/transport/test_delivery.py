"""What both transports must do alike: every answered event is in the log once, whatever dies."""

import asyncio
import shutil
from pathlib import Path

import pytest

from driftline.errors import LogMismatchError
from driftline.eventlog.writer import LogWriter
from driftline.outbox.segments import segment_firsts, segment_name
from tests.transport.world import World, run
from tests.waiting import eventually


def test_every_event_is_logged_once_in_order_and_a_clean_stop_leaves_no_outbox(world: World) -> None:
    async def story() -> None:
        worker, api = world.start_worker(), world.start_api()
        for _ in range(20):
            api.append(50)
            await asyncio.sleep(0.005)
        await world.drained()
        assert world.logged() == world.answered
        await api.stop()
        await worker.stop()
        assert world.root.producers() == []
        assert world.root.closed() == {api.answered[0][0]: 1000}

    run(story())
    ledger = world.ledger()
    assert (ledger.accepted, ledger.logged, ledger.in_flight, ledger.missing) == (1000, 1000, 0, 0)


def test_events_wait_while_there_is_no_worker_and_committed_segments_go(world: World) -> None:
    async def story() -> None:
        api = world.start_api()
        api.append(1000)
        await asyncio.sleep(0.3)
        held = segment_firsts(world.root.path / api.outbox.producer)
        assert len(held) > 5
        worker = world.start_worker()
        await world.drained()
        await eventually(lambda: len(segment_firsts(world.root.path / api.outbox.producer)) == 1)
        await api.stop()
        await worker.stop()

    run(story())
    assert world.ledger().balanced


def test_an_outbox_whose_process_was_killed_is_adopted_drained_and_removed(world: World) -> None:
    async def story() -> None:
        worker, first = world.start_worker(), world.start_api()
        first.append(500)
        await first.crash()
        second = world.start_api()
        second.append(100)
        await world.drained()
        await eventually(lambda: world.root.producers() == [second.outbox.producer])
        await second.stop()
        await worker.stop()

    run(story())
    assert world.ledger().balanced


def test_a_worker_that_dies_again_and_again_loses_and_doubles_nothing(world: World) -> None:
    async def story() -> None:
        api = world.start_api()
        for _ in range(6):
            worker = world.start_worker()
            for _ in range(10):
                api.append(20)
                await asyncio.sleep(0.01)
            await worker.crash()
        worker = world.start_worker()
        await world.drained()
        await api.stop()
        await worker.stop()

    run(story())
    assert world.ledger().balanced


def test_a_torn_append_is_cut_back_at_the_next_start_of_the_worker(world: World) -> None:
    async def story() -> None:
        worker, api = world.start_worker(), world.start_api()
        api.append(100)
        await world.drained()
        await worker.crash()
        with (world.log_dir / "predictions.jsonl").open("ab") as file:
            file.write(b'{"producer":"half a li')
        api.append(100)
        worker = world.start_worker()
        await world.drained()
        await api.stop()
        await worker.stop()

    run(story())
    assert world.ledger().balanced


def test_a_damaged_record_is_set_aside_and_does_not_hold_up_the_rest(world: World) -> None:
    async def story() -> None:
        api = world.start_api()
        api.append(50)
        path = world.root.path / api.outbox.producer / segment_name(0)
        with path.open("r+b") as file:
            file.seek(5_000)
            byte = file.read(1)
            file.seek(5_000)
            file.write(bytes([byte[0] ^ 1]))
        worker = world.start_worker()
        await eventually(lambda: world.rows() == 49)
        await api.stop()
        await worker.stop()

    run(story())
    ledger = world.ledger()
    assert (ledger.accepted, ledger.logged, ledger.quarantined, ledger.missing) == (50, 49, 1, 0)
    assert len(list((world.root.path / "quarantine").iterdir())) == 1


def test_the_torn_last_record_of_a_killed_process_goes_to_quarantine(world: World) -> None:
    async def story() -> None:
        first = world.start_api()
        first.append(10)
        producer = first.outbox.producer
        await first.crash()
        with (world.root.path / producer / segment_name(0)).open("ab") as file:
            file.write(b"\xd7DR\x01 an append that was under way")
        worker, second = world.start_worker(), world.start_api()
        await world.drained()
        await eventually(lambda: world.root.producers() == [])
        await second.stop()
        await worker.stop()
        assert world.root.closed()[producer] == 10

    run(story())
    assert len(list((world.root.path / "quarantine").iterdir())) == 1
    assert world.ledger().balanced


def test_a_second_worker_waits_until_the_first_is_gone(world: World) -> None:
    async def story() -> None:
        first, api = world.start_worker(), world.start_api()
        api.append(10)
        await world.drained()
        second = world.start_worker()
        await eventually(lambda: second.scribe.reason.startswith("standby"))
        await first.crash()
        api.append(10)
        await world.drained()
        assert not second.scribe.reason
        await api.stop()
        await second.stop()

    run(story())


def test_a_log_restored_from_a_backup_goes_on_and_reports_what_it_lacks(world: World, tmp_path: Path) -> None:
    async def story() -> None:
        worker, api = world.start_worker(), world.start_api(segment_max_bytes=2_000)
        api.append(100)
        await world.drained()
        await worker.stop()
        shutil.copytree(world.log_dir, tmp_path / "backup", symlinks=True)
        worker = world.start_worker()
        api.append(200)
        await world.drained()
        await eventually(lambda: len(segment_firsts(world.root.path / api.outbox.producer)) == 1)
        await worker.stop()
        shutil.rmtree(world.log_dir)
        shutil.copytree(tmp_path / "backup", world.log_dir, symlinks=True)
        worker = world.start_worker()
        api.append(10)
        await eventually(lambda: world.rows() > 110)
        await eventually(lambda: world.logged()[-1] == api.answered[-1])
        await api.stop()
        await worker.stop()

    run(story())
    ledger = world.ledger()
    (gap,) = ledger.gaps
    assert gap.first_seq == 100
    assert ledger.missing == gap.stop_seq - gap.first_seq > 0
    assert ledger.accepted == 310
    assert not ledger.balanced


def test_a_foreign_log_gets_nothing_until_it_is_declared_the_successor(world: World, tmp_path: Path) -> None:
    other = tmp_path / "other"

    async def story() -> None:
        worker, api = world.start_worker(), world.start_api()
        api.append(100)
        await world.drained()
        await worker.stop()
        worker = world.start_worker(other)
        api.append(5)
        if world.transport == "local":
            with pytest.raises(LogMismatchError, match=r"driftline log replace"):
                await worker.task
            await worker.scribe.close()
        else:
            await asyncio.sleep(1.0)
            assert worker.scribe.committed == {}
            await worker.stop()
        writer = LogWriter(other)
        assert writer.try_open()
        writer.replace(world.root.log_id() or "")
        writer.close()
        worker = world.start_worker(other)
        world.log_dir = other
        if world.transport == "local":  # the API is told where the log is now, as by its settings
            await api.crash()
            world.start_api()
        await eventually(lambda: world.rows() >= 5 and world.logged()[-1] == api.answered[-1])
        for life in world.apis[-1:]:
            await life.stop()
        await worker.stop()

    run(story())
    assert world.ledger().duplicated == 0
