"""The worker has closed segments compacted, by another process, while it goes on."""

import asyncio
import os
import sys
from pathlib import Path

from structlog.testing import capture_logs

from driftline.eventlog.reader import LogReader
from driftline.eventlog.writer import SEGMENTS
from driftline.supervisor import Child
from driftline.worker.compaction import compact_closed
from tests.eventlog.lines import days_of_predictions
from tests.processes import is_alive
from tests.waiting import eventually


def told(folder: Path, script: str) -> Child:
    """A child that writes a file of its own pid into a folder, and goes on as the script says."""
    write = f'echo $$ >"{folder}/$$.tmp" && mv "{folder}/$$.tmp" "{folder}/$$"; {script}'
    return Child("compact", ("/bin/sh", "-c", write), {**os.environ})


def pids(folder: Path) -> list[int]:
    return [int(path.name) for path in folder.iterdir() if path.suffix != ".tmp"]


def test_closed_segments_are_compacted_at_the_start_and_the_log_stays_what_it_is(tmp_path: Path) -> None:
    lines = days_of_predictions(tmp_path / "logs", 3)
    command = (sys.executable, "-P", "-m", "driftline", "compact", "--parent", str(os.getpid()))
    child = Child("compact", command, {**os.environ, "DRIFTLINE_DATA": str(tmp_path)})

    async def run() -> None:
        task = asyncio.create_task(compact_closed(child, lambda: 5, settle_s=0))
        await eventually(lambda: len(list((tmp_path / "logs" / SEGMENTS).iterdir())) == 1, within_s=30)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    with LogReader(tmp_path / "logs") as log:
        assert list(log.lines()) == lines


def test_it_runs_at_the_start_after_each_rotation_and_after_a_while(tmp_path: Path) -> None:
    async def run(again_s: float, segment: list[int], runs: int) -> None:
        child = told(tmp_path, ":")
        task = asyncio.create_task(compact_closed(child, lambda: segment[0], settle_s=0, poll_s=0.001, again_s=again_s))
        before = len(pids(tmp_path))
        await eventually(lambda: len(pids(tmp_path)) >= before + 1)
        segment[0] += 1
        await eventually(lambda: len(pids(tmp_path)) >= before + runs)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run(3600.0, [2], 2))
    asyncio.run(run(0.005, [2], 4))


def test_one_that_fails_is_said_and_the_next_rotation_tries_again(tmp_path: Path) -> None:
    async def run() -> None:
        segment = [2]
        task = asyncio.create_task(
            compact_closed(told(tmp_path, "exit 3"), lambda: segment[0], settle_s=0, poll_s=0.001)
        )
        await eventually(lambda: any(entry["event"] == "log.not_compacted" for entry in logged))
        segment[0] += 1
        await eventually(lambda: len(pids(tmp_path)) == 2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with capture_logs() as logged:
        asyncio.run(run())
    assert "ended with 3" in next(entry["reason"] for entry in logged if entry["event"] == "log.not_compacted")


def test_one_that_cannot_be_started_takes_nothing_down() -> None:
    async def run() -> None:
        child = Child("compact", ("/nowhere/driftline",), {})
        task = asyncio.create_task(compact_closed(child, lambda: 2, settle_s=0, poll_s=0.001, again_s=0.001))
        await eventually(lambda: len(logged) > 1)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with capture_logs() as logged:
        asyncio.run(run())
    assert "cannot be started" in logged[0]["reason"]


def test_a_worker_that_stops_ends_it_and_leaves_nothing_running(tmp_path: Path) -> None:
    async def run() -> None:
        task = asyncio.create_task(compact_closed(told(tmp_path, "exec sleep 600"), lambda: 2, settle_s=0))
        await eventually(lambda: len(pids(tmp_path)) == 1)
        assert is_alive(pids(tmp_path)[0])
        assert os.getpriority(os.PRIO_PROCESS, pids(tmp_path)[0]) >= min(19, os.getpriority(os.PRIO_PROCESS, 0) + 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    assert not is_alive(pids(tmp_path)[0])


def test_as_long_as_no_segment_is_closed_nothing_is_started(tmp_path: Path) -> None:
    async def run() -> None:
        segment = [1]
        task = asyncio.create_task(
            compact_closed(told(tmp_path, ":"), lambda: segment[0], settle_s=0, poll_s=0.001, again_s=0.001)
        )
        for _ in range(100):
            await asyncio.sleep(0)
        assert pids(tmp_path) == []
        segment[0] = 2
        await eventually(lambda: pids(tmp_path))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def test_a_segment_that_was_just_closed_is_left_to_those_who_follow_the_log(tmp_path: Path) -> None:
    async def run() -> None:
        task = asyncio.create_task(compact_closed(told(tmp_path, ":"), lambda: 2, settle_s=600))
        for _ in range(100):
            await asyncio.sleep(0)
        assert pids(tmp_path) == []
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
