"""The log's disk fills up under a worker process: it stops taking, says so once, and goes on when there is room."""

import asyncio
import functools
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from driftline.eventlog.reader import LogReader
from tests.api.api_process import parse_samples
from tests.small_disk import CAPTURE_BYTES, SmallDisk, small_disk
from tests.transport.world import World
from tests.waiting import eventually, find_free_port

pytestmark = pytest.mark.long


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "logs", "tmpfs", size_mib=4) as disk:
        if not disk.path.is_mount():
            pytest.skip("the limit that stands in for a small disk is one of this process, not of the worker")
        yield disk


def not_ready(port: int) -> str:
    """Why it is not ready; empty if it is."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
            return ""
    except urllib.error.HTTPError as error:
        with error:
            return str(json.load(error)["detail"])


def counted(port: int, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return parse_samples(answer.read().decode())[name]


def failures(port: int) -> float:
    return counted(port, "driftline_log_failures_total")


def committed(port: int) -> float:
    return counted(port, "driftline_events_committed_total")


def has_failed(port: int, times: float) -> bool:
    return failures(port) >= times


def test_it_says_why_while_somebody_follows_the_log_so_that_nothing_is_given_back_when_it_is_opened_again(
    disk: SmallDisk, tmp_path: Path
) -> None:
    world = World(tmp_path, "local", None)
    port = find_free_port()
    command = [sys.executable, "-m", "driftline", "worker", "--data", str(tmp_path), "--metrics-port", str(port)]
    worker = subprocess.Popen(command, env={"PATH": "/usr/bin:/bin"}, cwd=tmp_path)

    async def story() -> None:
        await eventually(lambda: not not_ready(port), 30)
        api = world.start_api()
        api.append(500)
        await world.drained(30)
        with LogReader(disk.path):
            for _ in range(3):
                disk.fill()
                api.append(500)
                tried = failures(port)
                await eventually(functools.partial(has_failed, port, tried + 2), 30)
            reasons = {not_ready(port) for _ in range(300)}
        assert reasons
        assert all("No space left on device" in reason for reason in reasons), reasons
        disk.free()
        await world.drained(30)
        await api.stop()

    try:
        asyncio.run(asyncio.wait_for(story(), 100))
    finally:
        worker.terminate()
        assert worker.wait(60) == 0
    with LogReader(world.log_dir) as log:
        assert log.rows == 2_000


@pytest.mark.parametrize(("transport", "segment_max_bytes"), [("local", 30_000), ("redis", 1 << 28)])
def test_it_stops_says_so_once_and_resumes_by_itself_and_every_event_is_logged_once(
    disk: SmallDisk, tmp_path: Path, transport: Any, segment_max_bytes: int, request: pytest.FixtureRequest
) -> None:
    redis = request.getfixturevalue("redis_server") if transport == "redis" else None
    world = World(tmp_path, transport, redis)
    port = find_free_port()
    command = [sys.executable, "-m", "driftline", "worker", "--data", str(tmp_path), "--metrics-port", str(port)]
    command += ["--log-format", "json"] + (["--broker", redis.url] if redis else [])
    said = tmp_path / "said"
    variables = {"DRIFTLINE_LOG_SEGMENT_MAX_BYTES": str(segment_max_bytes), "PATH": "/usr/bin:/bin"}
    with said.open("wb") as stderr:
        worker = subprocess.Popen(command, stderr=stderr, env=variables, cwd=tmp_path)

    def told(event: str) -> int:
        return [json.loads(line)["event"] for line in said.read_text().splitlines()].count(event)

    async def story() -> None:
        await eventually(lambda: not not_ready(port), 30)
        api = world.start_api()
        (disk.path / "other").write_bytes(b"x" * CAPTURE_BYTES)
        for pages in (0, 3):
            api.append(500)
            await world.drained(30)
            disk.fill()
            disk.leave(pages)
            api.append(1_000)
            await eventually(lambda: not_ready(port), 30)
            for _ in range(3):  # what SQLite gives back when it starts again is room for some more, until it is taken
                disk.fill()
                api.append(500)
                tried = failures(port)
                await eventually(functools.partial(has_failed, port, tried + 1), 30)
            disk.fill()
            rows = committed(port)
            tried = failures(port)
            await eventually(functools.partial(has_failed, port, tried + 2), 30)
            assert committed(port) == rows < len(world.answered)
            assert told("log.unavailable") == told("log.recovered") + 1, "each time it was said once"
            disk.free()
            await world.drained(30)
            await eventually(lambda: not not_ready(port), 10)
            assert told("log.unavailable") == told("log.recovered")
        await api.stop()

    try:
        asyncio.run(asyncio.wait_for(story(), 100))
    finally:
        worker.terminate()
        assert worker.wait(60) == 0
    assert world.ledger().balanced
    with LogReader(world.log_dir) as log:
        assert log.rows == 6_000
