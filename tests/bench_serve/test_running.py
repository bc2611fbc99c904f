"""Real processes that are measured."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own
import pytest

from bench_serve.replies import UVLOOP
from bench_serve.running import Running, end
from cores import Cores
from stack import tree, used_s
from tests.waiting import wait_until

BURN = "import time\nend = time.process_time() + 0.1\nwhile time.process_time() < end: pass\n"
PARENT = f"import subprocess, sys, time\nsubprocess.run([sys.executable, '-c', {BURN!r}])\nprint(1, flush=True)\n"

# A process, one that leaves its session, and one whose parent is gone; the two do not end when they are asked to.
FAMILY = """
import os, signal, time
if not os.fork():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork():
        os._exit(0)
    time.sleep(60)
os.wait()
if not os.fork():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.setsid()
time.sleep(60)
"""


def test_the_processor_time_of_children_counts_and_that_of_those_that_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT + "time.sleep(60)"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert used_s(psutil.Process(process.pid)) >= 0.1
        process.kill()


def test_what_a_server_started_ends_with_it_whatever_it_made_of_itself() -> None:
    process = subprocess.Popen([sys.executable, "-c", FAMILY], start_new_session=True)
    wait_until(lambda: len(tree(psutil.Process(process.pid))) == 2 and len(family(process.pid)) == 3, within_s=5)
    pids = family(process.pid)
    end(process)
    wait_until(lambda: all(map(is_gone, pids)), within_s=5)


def family(pid: int) -> set[int]:
    members = {each.pid for each in tree(psutil.Process(pid))}
    return members | {each.pid for each in psutil.process_iter() if group_of(each.pid) == pid and not is_gone(each.pid)}


def group_of(pid: int) -> int | None:
    with contextlib.suppress(ProcessLookupError):
        return os.getpgid(pid)
    return None


def is_gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_a_server_that_ends_is_not_waited_for_and_what_it_said_last_is_told(tmp_path: Path) -> None:
    ends = UVLOOP._replace(command=lambda _: [sys.executable, "-c", "import sys; sys.exit('no such model')"])
    with pytest.raises(RuntimeError, match="the server ended with 1, and said: no such model"):
        Running(ends, tmp_path, Cores.of_machine())


def test_what_a_server_says_that_it_answered_counts_if_it_is_more_than_what_was_received(tmp_path: Path) -> None:
    counts = UVLOOP._replace(events=lambda _: 5, answered=lambda _: 7)
    with Running(counts, tmp_path, Cores.of_machine()) as server:
        assert server.lost() == 2


def test_a_redis_of_ours_is_not_for_what_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REDIS_URL", "DRIFTLINE_BROKER", "PYTHONPATH"):
        monkeypatch.setenv(name, "redis://127.0.0.1:1/0")
    print_it = "import os, sys; sys.exit(repr({'REDIS_URL', 'DRIFTLINE_BROKER', 'PYTHONPATH'} & os.environ.keys()))"
    shows = UVLOOP._replace(command=lambda _: [sys.executable, "-c", print_it], environment=lambda _: {})
    with pytest.raises(RuntimeError, match=r"said: set\(\)"):
        Running(shows, tmp_path, Cores.of_machine())


def test_a_stack_is_ready_when_it_gives_the_right_answer_and_its_memory_and_time_are_its_own(tmp_path: Path) -> None:
    with Running(UVLOOP, tmp_path, Cores.of_machine()) as server:
        assert server.answers == 1
        assert server.answers_rightly()
        assert server.cpu_s() > 0
        assert server.rss_bytes() > 1_000_000
        assert server.lost() == 0
        server.stack = UVLOOP._replace(right=lambda answer: b"another" in answer)
        with pytest.raises(RuntimeError, match="answers wrongly"):
            server.answers_rightly()
        pid = server.server.pid
    assert not psutil.pid_exists(pid)
