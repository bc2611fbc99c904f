"""A process is started again whenever it ends, unless it is held down; nothing of it is left behind."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from driftline.chaos.process import Process
from driftline.chaos.processes import children_of, resident_bytes
from tests.waiting import eventually

LIVES = "import time; print('alive', flush=True); time.sleep(600)"
WITH_A_CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])"


async def always() -> bool:
    return True


def make(folder: Path, code: str) -> Process:
    return Process("victim", (sys.executable, "-c", code), dict(os.environ), folder, always)


def test_killed_it_is_started_again_and_held_down_it_is_not(tmp_path: Path) -> None:
    async def check() -> None:
        process = make(tmp_path, LIVES)
        process.start()
        try:
            first = await eventually(lambda: process.pid)
            process.signal(signal.SIGKILL)
            assert await eventually(lambda: process.pid != first and process.pid)
            process.hold()
            process.hold()
            process.signal(signal.SIGKILL)
            assert await process.gone()
            process.release()
            with pytest.raises(AssertionError):
                await eventually(lambda: process.pid, within_s=0.6)
            process.release()
            assert await eventually(lambda: process.pid)
            assert process.starts == 3
            await eventually(lambda: "alive" in (tmp_path / "victim.out").read_text())
        finally:
            await process.close()

    asyncio.run(check())


def test_what_it_leaves_behind_ends_when_it_is_closed(tmp_path: Path) -> None:
    async def check() -> None:
        process = make(tmp_path, WITH_A_CHILD)
        process.start()
        try:
            children = await eventually(process.children)
            assert children
            assert resident_bytes(children)[0] > 1 << 20
            process.hold()
            process.signal(signal.SIGKILL)
            assert await process.gone()
            assert resident_bytes(children)
        finally:
            await process.close()
        await eventually(lambda: not resident_bytes(children) or not running(children[0]))

    def running(pid: int) -> bool:
        return any(pid in children_of(parent) for parent in (1, os.getpid()))

    asyncio.run(check())


def test_a_frozen_one_ends_when_it_is_asked_to(tmp_path: Path) -> None:
    async def check() -> None:
        process = make(tmp_path, LIVES)
        process.start()
        try:
            await eventually(lambda: (tmp_path / "victim.out").stat().st_size)
            process.signal(signal.SIGSTOP)
            assert await process.stop()
            assert process.pid is None
        finally:
            await process.close()

    asyncio.run(check())
