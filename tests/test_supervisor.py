"""Children are kept running, shown, and stopped in order; none outlives the supervisor. All with real processes."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from driftline.supervisor import LINE_MAX_BYTES, Child, Supervisor, Timing, is_hung_up
from tests.processes import is_alive
from tests.waiting import eventually, wait_until

FAST = Timing(backoff_first_s=0.02, backoff_max_s=0.1, settled_after_s=5.0, grace_s=5.0)

STAY = "import time; print('started', flush=True); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + STAY
SLOW_TO_END = """
import signal, sys, time
def end(*_):
    time.sleep(0.2)
    print('ended', flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print('started', flush=True)
time.sleep(60)
"""

Lines = list[tuple[str, str]]


def child(name: str, code: str) -> Child:
    return Child(name, (sys.executable, "-c", code), os.environ)


def supervise(
    *children: Child,
    then: Callable[[Supervisor, Lines], Awaitable[None]] | None = None,
    hopeless: frozenset[int] = frozenset(),
    timing: Timing = FAST,
) -> tuple[int, Lines]:
    """Runs the children, does ``then`` beside them, and gives the exit code and what was shown."""
    lines: Lines = []

    async def run() -> int:
        supervisor = Supervisor(
            children, lambda name, text: lines.append((name, text)), hopeless=hopeless, timing=timing
        )

        async def beside() -> None:
            if then:
                await then(supervisor, lines)

        running = asyncio.create_task(supervisor.run())
        await asyncio.wait_for(beside(), 60)
        return await asyncio.wait_for(running, 60)

    return asyncio.run(run()), lines


async def _seen(lines: Lines, *wanted: tuple[str, str]) -> None:
    await eventually(lambda: set(wanted) <= set(lines))


def test_a_requested_stop_is_a_success_and_goes_in_order() -> None:
    async def stop(supervisor: Supervisor, lines: Lines) -> None:
        await _seen(lines, ("first", "started"), ("second", "started"))
        supervisor.stop()

    code, lines = supervise(child("first", SLOW_TO_END), child("second", SLOW_TO_END), then=stop)
    assert code == 0
    assert [line for line in lines if line[1] == "ended"] == [("first", "ended"), ("second", "ended")]


def test_the_next_is_only_told_when_the_former_is_gone() -> None:
    deaf = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print('told', flush=True))
print('started', flush=True)
while True: time.sleep(60)
"""

    async def stop(supervisor: Supervisor, lines: Lines) -> None:
        await _seen(lines, ("first", "started"), ("second", "started"))
        supervisor.stop()

    _, lines = supervise(child("first", deaf), child("second", deaf), then=stop, timing=Timing(grace_s=0.5))
    assert [name for name, text in lines if text == "told" or "killed" in text] == ["first", "up", "second", "up"]


def test_the_others_start_when_the_first_has_said_something() -> None:
    async def stop(supervisor: Supervisor, lines: Lines) -> None:
        await _seen(lines, ("first", "started"), ("second", "started"), ("third", "started"))
        supervisor.stop()

    late = "import time; time.sleep(0.3); " + STAY
    _, lines = supervise(child("first", late), child("second", STAY), child("third", STAY), then=stop)
    assert lines[0] == ("first", "started")


def test_the_others_start_all_the_same_if_the_first_says_nothing() -> None:
    async def stop(supervisor: Supervisor, lines: Lines) -> None:
        await _seen(lines, ("second", "started"))
        supervisor.stop()

    silent = child("first", "import time; time.sleep(60)")
    code, _ = supervise(silent, child("second", STAY), then=stop, timing=replace(FAST, head_start_s=0.1))
    assert code == 0


def test_what_runs_meanwhile_begins_when_each_has_said_something() -> None:
    async def run() -> Lines:
        lines: Lines = []
        late = "import time; time.sleep(0.3); " + STAY
        children = [child("first", STAY), child("second", late)]
        supervisor = Supervisor(children, lambda name, text: lines.append((name, text)), timing=FAST)

        async def meanwhile() -> None:
            lines.append(("meanwhile", "began"))
            supervisor.stop()

        assert await asyncio.wait_for(supervisor.run(meanwhile), 20) == 0
        return lines

    assert asyncio.run(run())[:3] == [("first", "started"), ("second", "started"), ("meanwhile", "began")]


def test_a_stop_in_the_head_start_starts_nobody_else() -> None:
    async def stop(supervisor: Supervisor, _: Lines) -> None:
        supervisor.stop()

    silent = child("first", "import time; time.sleep(60)")
    code, lines = supervise(silent, child("second", STAY), then=stop, timing=replace(FAST, head_start_s=60.0))
    assert code == 0
    assert ("second", "started") not in lines


def test_one_that_does_not_heed_sigterm_is_killed_after_the_grace() -> None:
    async def stop(supervisor: Supervisor, lines: Lines) -> None:
        await _seen(lines, ("deaf", "started"))
        supervisor.stop()

    code, lines = supervise(child("deaf", STUBBORN), then=stop, timing=Timing(grace_s=0.2))
    assert code == 0
    assert ("up", "deaf did not end within 0.2 s; killed") in lines


def test_a_second_stop_kills_at_once() -> None:
    async def stop_twice(supervisor: Supervisor, lines: Lines) -> None:
        await _seen(lines, ("deaf", "started"), ("deaf too", "started"))
        supervisor.stop()
        supervisor.stop()

    began = time.monotonic()
    supervise(child("deaf", STUBBORN), child("deaf too", STUBBORN), then=stop_twice, timing=Timing(grace_s=15))
    assert time.monotonic() - began < 10


def test_one_that_dies_is_started_again_and_that_is_said() -> None:
    async def kill_once(supervisor: Supervisor, lines: Lines) -> None:
        await eventually(lambda: lines)
        os.kill(int(lines[0][1]), signal.SIGKILL)
        await eventually(lambda: sum(text.isdigit() for _, text in lines) == 2)
        supervisor.stop()

    tell_pid = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    _, lines = supervise(child("mortal", tell_pid), then=kill_once)
    assert ("up", "mortal ended (SIGKILL); starting it again in 0.0 s") in lines


def test_the_wait_before_another_start_doubles_up_to_its_bound() -> None:
    async def watch(supervisor: Supervisor, lines: Lines) -> None:
        await eventually(lambda: len(lines) >= 5)
        supervisor.stop()

    timing = Timing(backoff_first_s=0.1, backoff_max_s=0.35)
    _, lines = supervise(child("failing", "raise SystemExit(5)"), then=watch, timing=timing)
    waits = [text.rpartition("in ")[2] for _, text in lines[:5]]
    assert waits == ["0.1 s", "0.2 s", "0.3 s", "0.3 s", "0.3 s"]
    assert lines[0] == ("up", "failing ended (exit code 5); starting it again in 0.1 s")


def test_the_wait_starts_anew_for_one_that_had_settled() -> None:
    async def watch(supervisor: Supervisor, lines: Lines) -> None:
        await eventually(lambda: len(lines) >= 3)
        supervisor.stop()

    timing = Timing(backoff_first_s=0.1, settled_after_s=0.2)
    lives = child("brief", "import time; time.sleep(0.3); raise SystemExit(5)")
    _, lines = supervise(lives, then=watch, timing=timing)
    assert {text.rpartition("in ")[2] for _, text in lines[:3]} == {"0.1 s"}


def test_a_hopeless_start_stops_all_with_its_code_and_message() -> None:
    hopeless = child("broken", "import sys; print('port 8000 is taken', file=sys.stderr); sys.exit(3)")
    code, lines = supervise(child("other", STAY), hopeless, hopeless=frozenset({3}))
    assert code == 3
    assert ("up", "broken cannot run: port 8000 is taken") in lines


def test_the_same_code_later_is_only_another_failure() -> None:
    async def watch(supervisor: Supervisor, lines: Lines) -> None:
        await eventually(lambda: lines)
        supervisor.stop()

    late = child("late", "import time; time.sleep(0.3); raise SystemExit(3)")
    code, lines = supervise(late, then=watch, hopeless=frozenset({3}), timing=Timing(settled_after_s=0.2))
    assert code == 0
    assert lines[0][1].startswith("late ended (exit code 3); starting it again")


def test_output_comes_line_by_line_and_no_line_is_too_long_or_lost() -> None:
    async def watch(supervisor: Supervisor, lines: Lines) -> None:
        await eventually(lambda: ("chatty", "the end") in lines)
        supervisor.stop()

    length = 3 * LINE_MAX_BYTES
    code = f"""
import sys, time
sys.stdout.buffer.write(b'x' * {length} + b'\\n\\xff\\r\\n')
print('to stderr', file=sys.stderr, flush=True)
sys.stdout.write('the end')  # without a newline
"""
    _, lines = supervise(child("chatty", code), then=watch)
    text = [text for name, text in lines if name == "chatty"]
    assert sum(line.count("x") for line in text[: text.index("\N{REPLACEMENT CHARACTER}")]) == length
    assert "to stderr" in text


def test_when_nobody_can_read_the_output_all_is_stopped() -> None:
    def show(_name: str, _text: str) -> None:
        raise BrokenPipeError

    async def run() -> int:
        return await asyncio.wait_for(Supervisor([child("talking", STAY)], show, timing=FAST).run(), 60)

    assert asyncio.run(run()) == 0


def test_what_a_child_started_ends_with_it() -> None:
    code = """
import os, subprocess, sys, time
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid, flush=True)
os.kill(os.getpid(), 9)
"""

    async def watch(supervisor: Supervisor, lines: Lines) -> None:
        await eventually(lambda: [text for _, text in lines if "starting it again" in text])
        supervisor.stop()

    _, lines = supervise(child("parent", code), then=watch)
    grandchild = int(next(text for name, text in lines if name == "parent"))
    wait_until(lambda: not is_alive(grandchild))


SUPERVISOR = textwrap.dedent("""
    import asyncio, os, sys
    from driftline.supervisor import Child, Supervisor
    code = '''
    import os, signal, sys, time
    from driftline.supervisor import follow_parent
    if sys.argv[2] == "deaf": signal.signal(signal.SIGTERM, signal.SIG_IGN)
    follow_parent(int(sys.argv[1]), grace_s=0.2, poll_s=0.02)
    print(os.getpid(), flush=True)
    time.sleep(60)
    '''
    command = (sys.executable, "-c", code, str(os.getpid()), sys.argv[1])
    show = lambda name, text: print(text, flush=True)
    sys.exit(asyncio.run(Supervisor([Child("a", command, os.environ)], show).run()))
""")


@pytest.fixture
def supervisor_process(request: pytest.FixtureRequest) -> "Iterator[subprocess.Popen[str]]":
    command = [sys.executable, "-c", SUPERVISOR, getattr(request, "param", "")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        yield process
        process.kill()


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.parametrize("supervisor_process", ["", "deaf"], indirect=True)
def test_children_end_when_the_supervisor_is_killed(supervisor_process: "subprocess.Popen[str]") -> None:
    pid = int(first_line(supervisor_process))
    supervisor_process.kill()
    wait_until(lambda: not is_alive(pid))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_that_ask_for_an_end_are_heeded(
    supervisor_process: "subprocess.Popen[str]", number: signal.Signals
) -> None:
    pid = int(first_line(supervisor_process))
    supervisor_process.send_signal(number)
    assert supervisor_process.wait(60) == 0
    assert not is_alive(pid)
    assert f"stopping ({number.name})" in first_line(supervisor_process)


def test_ctrl_c_in_a_terminal_reaches_only_the_supervisor(supervisor_process: "subprocess.Popen[str]") -> None:
    pid = int(first_line(supervisor_process))
    assert os.getsid(pid) != os.getsid(supervisor_process.pid)


ALONE = """
import asyncio, os, sys
from driftline.supervisor import Child, Supervisor
child = Child("child", (sys.executable, "-c", "import time; time.sleep(60)"), os.environ)
asyncio.run(Supervisor([child], lambda name, text: None).run())
"""


def test_it_stops_when_its_terminal_is_closed_though_no_signal_reaches_it() -> None:
    ours, theirs = os.openpty()
    supervisor = subprocess.Popen(
        [sys.executable, "-c", ALONE], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    try:
        wait_until(lambda: Path(f"/proc/{supervisor.pid}/task/{supervisor.pid}/children").read_text())
        os.close(ours)
        assert supervisor.wait(60) == 0
    finally:
        supervisor.kill()
        supervisor.wait()


def test_pipes_and_files_are_no_terminal_that_could_be_gone(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with (tmp_path / "file").open("wb") as file:
        assert not is_hung_up([write, file.fileno(), 10_000])
    os.close(write)
