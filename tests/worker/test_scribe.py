"""The scribe goes on by itself when the disk lets it, and says meanwhile why nothing is taken."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from driftline.errors import LogDamagedError, LogUnavailableError
from driftline.eventlog.repair import rebuild_record
from driftline.eventlog.store import FILE_NAME, LogStore
from driftline.eventlog.writer import LogWriter
from driftline.transport.batch import Batch
from driftline.worker.scribe import Scribe
from tests.eventlog.lines import PRODUCER, append, check_whole, line, open_log, segments
from tests.small_disk import CAPTURE_BYTES, KINDS, SmallDisk, small_disk
from tests.transport.world import World
from tests.waiting import eventually


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 60))


def batch(first: int, stop: int, *, base: int = 0, size: int = 0, damaged: int | None = None) -> Batch:
    events = [b"" if seq == damaged else line(seq, size) for seq in range(first, stop)]
    return Batch.of("log", PRODUCER, base, first, events)


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test need not wait as long between two attempts as a disk may take to recover."""
    monkeypatch.setattr("driftline.worker.scribe._RETRY_S", 0.02)
    monkeypatch.setattr("driftline.worker.scribe._STANDBY_POLL_S", 0.02)
    monkeypatch.setattr("driftline.worker.scribe._DAMAGED_POLL_S", 0.02)


@pytest.fixture(params=KINDS)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", request.param) as disk:
        yield disk


def test_all_that_came_together_is_one_commit(tmp_path: Path) -> None:
    async def story() -> None:
        scribe = Scribe(LogWriter(tmp_path))
        await scribe.open()
        await scribe.take([batch(0, 3), batch(2, 5), batch(5, 6)])
        assert scribe.committed == {PRODUCER: 6}
        await scribe.close()

    run(story)
    check_whole(tmp_path, 6)


def test_what_was_taken_and_what_was_not_is_counted_with_the_reason(tmp_path: Path) -> None:
    names = ("seen", "early", "damaged", "gap")
    before = {name: counted("driftline_events_refused_total", reason=name) for name in names}
    committed = counted("driftline_events_committed_total")

    async def story() -> None:
        scribe = Scribe(LogWriter(tmp_path))
        await scribe.open()
        await scribe.take([batch(0, 4, damaged=2), batch(1, 3), batch(9, 11), batch(7, 9, base=7)])
        await scribe.close()

    run(story)
    refused = {name: counted("driftline_events_refused_total", reason=name) - before[name] for name in names}
    assert refused == {"seen": 2, "early": 2, "damaged": 1, "gap": 3}
    assert counted("driftline_events_committed_total") - committed == 5
    assert counted("driftline_log_bytes") == segments(tmp_path)[0].stat().st_size


def test_on_a_full_disk_nothing_counts_as_taken_and_it_goes_on_by_itself_when_there_is_room(disk: SmallDisk) -> None:
    failures = counted("driftline_log_failures_total")

    async def story() -> None:
        scribe = Scribe(LogWriter(disk.path / "logs"))
        await scribe.open()
        await scribe.take([batch(0, 2, size=CAPTURE_BYTES)])
        disk.fill()
        await scribe.take([batch(2, 4, size=CAPTURE_BYTES)])
        assert scribe.committed == {PRODUCER: 2}
        disk.free()
        while scribe.committed != {PRODUCER: 5}:  # as a sender that goes on sending
            await scribe.take([batch(2, 5)])
        assert scribe.reason == ""
        await scribe.close()

    run(story)
    assert counted("driftline_log_failures_total") > failures
    check_whole(disk.path / "logs", 5)


def test_while_the_disk_refuses_it_says_so_once_in_the_log_and_all_the_time_when_asked(disk: SmallDisk) -> None:
    """A full disk may let the log be opened and cut back again and again, and yet take nothing."""

    async def story() -> None:
        scribe = Scribe(LogWriter(disk.path / "logs"))
        await scribe.open()
        await scribe.take([batch(0, 2, size=CAPTURE_BYTES)])
        disk.fill()
        with capture_logs() as logged:
            for _ in range(3):
                await scribe.take([batch(2, 4, size=CAPTURE_BYTES)])
                assert scribe.reason
        assert [entry["event"] for entry in logged] == ["log.unavailable"]
        disk.free()
        while scribe.committed != {PRODUCER: 4}:
            await scribe.take([batch(2, 4)])
        assert scribe.reason == ""
        await scribe.close()

    run(story)


@pytest.mark.parametrize("transport", ["local", "redis"])
def test_events_that_came_while_the_logs_disk_was_full_are_all_logged_once(
    disk: SmallDisk, tmp_path: Path, transport: Any, request: pytest.FixtureRequest
) -> None:
    redis = request.getfixturevalue("redis_server") if transport == "redis" else None
    world = World(tmp_path / "world", transport, redis)
    world.log_dir = disk.path / "logs"

    async def story() -> None:
        # In one segment, which grows by whatever comes: a new one might end just below a limit on the size of files.
        worker, api = world.start_worker(segment_max_bytes=1 << 30), world.start_api()
        api.append(1000)
        await world.drained()
        disk.fill()
        api.append(1000)
        await eventually(lambda: counted("driftline_log_failures_total") > failures)
        disk.free()
        await world.drained()
        await eventually(lambda: not worker.scribe.reason)
        await api.stop()
        await worker.stop()

    failures = counted("driftline_log_failures_total")
    run(story)
    assert world.ledger().balanced


def test_a_log_that_is_found_damaged_after_a_failure_is_given_up_with_an_error(tmp_path: Path) -> None:
    async def story() -> None:
        scribe = Scribe(LogWriter(tmp_path))
        await scribe.open()
        await scribe.take([batch(0, 3)])
        os.truncate(segments(tmp_path)[0], 10)
        scribe._writer._close_files()
        with pytest.raises(LogDamagedError, match="were committed"):
            await scribe.take([batch(3, 4)])
        await scribe.close()

    run(story)
    assert segments(tmp_path)[0].stat().st_size == 10


def test_a_damaged_log_is_said_once_can_be_repaired_meanwhile_and_is_gone_on_with(tmp_path: Path) -> None:
    writer = open_log(tmp_path)
    append(writer, 0, 3)
    writer.close()
    (tmp_path / FILE_NAME).write_bytes(b"no database at all" * 1000)

    async def story() -> None:
        scribe = Scribe(LogWriter(tmp_path))
        opening = asyncio.create_task(scribe.open())
        await eventually(lambda: counted("driftline_log_record_damaged") == 1)
        assert "driftline log repair" in scribe.reason
        rebuilt = await asyncio.to_thread(rebuild_record, tmp_path, writer.log_id)
        assert rebuilt is not None
        await opening
        assert (scribe.reason, scribe.log_id) == ("", rebuilt.log_id)
        assert counted("driftline_log_record_damaged") == 0
        await scribe.take([batch(2, 5)])
        await scribe.close()

    with capture_logs() as logged:
        run(story)
    assert [entry["event"] for entry in logged].count("log.unusable") == 1
    check_whole(tmp_path, 5)


def test_a_disk_that_refuses_at_the_start_is_waited_for_and_nobody_takes_the_log_for_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault: the record of a log that is there cannot be written. Asked to stop, there is nothing to finish."""
    open_log(tmp_path).close()

    def refuse(store: LogStore) -> None:
        raise LogUnavailableError("database or disk is full")

    monkeypatch.setattr(LogStore, "settle", refuse)

    async def story() -> None:
        scribe = Scribe(LogWriter(tmp_path))
        opening = asyncio.create_task(scribe.open())
        await eventually(lambda: scribe.reason == "database or disk is full")
        assert not scribe.opened
        monkeypatch.undo()
        await opening
        assert scribe.opened
        assert not scribe.reason
        await scribe.close()

    run(story)


def test_a_standby_says_so_and_takes_over_when_the_other_is_gone(tmp_path: Path) -> None:
    async def story() -> None:
        other = open_log(tmp_path)
        scribe = Scribe(LogWriter(tmp_path))
        assert scribe.reason == "starting"
        opening = asyncio.create_task(scribe.open())
        await eventually(lambda: scribe.reason.startswith("standby"))
        assert not scribe.opened
        other.close()
        await opening
        assert scribe.opened
        assert not scribe.reason
        await scribe.close()
        assert scribe.reason == "stopping"

    run(story)


def test_every_life_of_a_worker_has_an_id_of_its_own(tmp_path: Path) -> None:
    assert Scribe(LogWriter(tmp_path)).life != Scribe(LogWriter(tmp_path)).life
