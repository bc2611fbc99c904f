import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from driftline.eventlog.damage import lines_set_aside
from driftline.eventlog.loss import look
from driftline.eventlog.store import FILE_NAME
from driftline.worker.scrub import scrub
from tests.eventlog.lines import append, open_log, segments
from tests.waiting import eventually


def damaged_lines() -> float | None:
    return REGISTRY.get_sample_value("driftline_log_damaged_lines")


def scrubbing(log_dir: Path, story: Callable[[], Awaitable[None]]) -> None:
    async def both() -> None:
        task = asyncio.create_task(scrub(log_dir, block_every_s=0.001, pass_every_s=0.01))
        await story()
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(asyncio.wait_for(both(), 60))


def test_damage_is_found_while_the_log_grows_set_aside_said_once_and_counted(tmp_path: Path) -> None:
    writer = open_log(tmp_path, segment_max_bytes=1)
    append(writer, 0, 3)

    async def story() -> None:
        await eventually(lambda: damaged_lines() == 0)
        path = segments(tmp_path)[0]
        content = bytearray(path.read_bytes())
        content[content.index(b'"seq": 1') + 7] ^= 1
        path.write_bytes(content)
        await eventually(lambda: damaged_lines() == 1)
        for seq in range(3, 20):
            append(writer, seq, seq + 1)
            await asyncio.sleep(0)
        assert lines_set_aside(tmp_path) == 1

    with capture_logs() as logged:
        scrubbing(tmp_path, story)
    writer.close()
    (said,) = [entry for entry in logged if entry["event"] == "log.damaged"]
    assert (said["segment"], said["lines"], said["quarantined"]) == (1, 1, True)


def test_a_missing_segment_is_said_once_and_a_log_that_is_no_log_is_waited_for(tmp_path: Path) -> None:
    async def story() -> None:
        await asyncio.sleep(0)
        writer = open_log(tmp_path, segment_max_bytes=1)
        for seq in range(3):
            append(writer, seq, seq + 1)
        segments(tmp_path)[0].unlink()
        await eventually(lambda: any(entry["event"] == "log.incomplete" for entry in logged))
        assert REGISTRY.get_sample_value("driftline_log_lost_lines") == 1
        (content := segments(tmp_path)[0]).write_bytes(content.read_bytes().replace(b"seq", b"sea"))
        await eventually(lambda: damaged_lines() == 1)
        writer.close()

    with capture_logs() as logged:
        scrubbing(tmp_path, story)
    assert [entry["event"] for entry in logged].count("log.incomplete") == 1


def test_a_record_that_is_damaged_under_its_writer_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []

    def counting(log_dir: Path) -> object:
        opened.append(log_dir)
        return look(log_dir)

    monkeypatch.setattr("driftline.worker.scrub.look", counting)
    writer = open_log(tmp_path)
    append(writer, 0, 3)

    async def story() -> None:
        await eventually(lambda: damaged_lines() == 0)
        with sqlite3.connect(tmp_path / FILE_NAME) as connection:
            connection.execute("UPDATE producers SET committed = 9")
        connection.close()
        await eventually(lambda: any(entry["event"] == "log.record_damaged" for entry in logged))
        before = len(opened)
        await eventually(lambda: len(opened) >= before + 3)
        assert REGISTRY.get_sample_value("driftline_log_record_damaged") == 1

    with capture_logs() as logged:
        scrubbing(tmp_path, story)
    writer.close()
    (said,) = [entry for entry in logged if entry["event"] == "log.record_damaged"]
    assert "driftline log repair" in said["error"]
