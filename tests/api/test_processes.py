"""The process that watches: whatever dies is started again, and whenever a stop comes, everybody ends."""

import json
import os
import resource
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.api.api_process import ApiProcess
from tests.api.conftest import StartApi
from tests.api.traffic import Traffic
from tests.processes import Script, is_alive
from tests.waiting import wait_until

# The same watching, over processes that do nothing but end.
WATCH = """
    import multiprocessing, os, signal, sys
    from driftline.api.handover import Handover
    from driftline.api.processes import Processes
    from driftline.api.signals import let_signals_end_us

    def fail():
        sys.exit(3)

    def be_killed():
        os.kill(os.getpid(), signal.SIGKILL)

    def serve_and_fail():
        handover.say_serving()
        if len(made) == 3:
            os.kill(os.getppid(), signal.SIGTERM)
        sys.exit(3)

    handover = Handover("127.0.0.1", int(sys.argv[1]), 1)
    made = []

    def new_process(place):
        made.append(multiprocessing.get_context("fork").Process(target=globals()[sys.argv[2]]))
        return made[-1]

    print(Processes(1, new_process, handover, lambda: False, 1.0).run(), len(made))
"""

FORK = """
    import multiprocessing, signal, time
    from driftline.api.signals import Signals, held_back, let_signals_end_us

    def work():
        let_signals_end_us()
        signal.pause()

    with Signals():
        processes = [multiprocessing.get_context("fork").Process(target=work) for _ in range(150)]
        for process in processes:
            with held_back():
                process.start()
            process.terminate()
        until = time.monotonic() + 20
        for process in processes:
            process.join(max(0, until - time.monotonic()))
        print(sum(process.exitcode is None for process in processes))
    for process in processes:
        process.kill()
"""


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def logged(api: ApiProcess, event: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in api.log().splitlines() if f'"event": "{event}"' in line]


def kill_the_only_one(api: ApiProcess) -> None:
    [pid] = wait_until(api.workers)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid not in api.workers())


def test_one_that_is_killed_during_a_restart_is_replaced_like_the_others(start_api: StartApi) -> None:
    api = start_api(processes=2)
    for victim in (0, 1):
        before = sorted(api.workers())
        with ExitStack() as clients:
            for _ in range(16):
                idle = clients.enter_context(socket.create_connection(("127.0.0.1", api.port), timeout=10))
                idle.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
                assert idle.recv(65536)
            api.process.send_signal(signal.SIGHUP)
            wait_until(lambda: len(api.workers()) == 3)
            os.kill(before[victim], signal.SIGKILL)
            wait_until(lambda: len(now := api.workers()) == 2 and not {*now} & {*before})  # noqa: B023
        assert api.predict().status_code == 200
    assert api.stop() == 0, api.log()
    assert len(logged(api, "api.died")) == 2


def test_one_that_dies_again_and_again_is_started_each_time(start_api: StartApi) -> None:
    api = start_api()
    for _ in range(3):
        kill_the_only_one(api)
    wait_until(api.answers)

    ticks, until = cpu_ticks(api.process.pid), time.monotonic() + 1
    while time.monotonic() < until:
        assert api.predict().status_code == 200
    assert cpu_ticks(api.process.pid) - ticks <= 3, "the one that watches is busy"

    kill_the_only_one(api)
    wait_until(lambda: [line["again_in_s"] for line in logged(api, "api.died")] == [0, 1, 2, 4])
    began = time.monotonic()
    assert api.stop() == 0
    assert time.monotonic() - began < 3, "it waited for somebody to be started"


def test_while_one_place_is_empty_for_long_the_others_answer_everybody(start_api: StartApi) -> None:
    api = start_api(processes=2)
    stays, _ = api.workers()
    for _ in range(3):
        [victim] = wait_until(lambda: [pid for pid in api.workers() if pid != stays])
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: victim not in api.workers())  # noqa: B023
    wait_until(lambda: len(logged(api, "api.died")) == 3)
    with Traffic(api.port, keep_alive=False) as coming:
        wait_until(lambda: len(coming.answers) > 20)
        assert api.workers() == [stays]
        producers = {event["producer"] for event in api.events()}
        wait_until(lambda: {event["producer"] for event in api.events()} - producers)
    assert (coming.failures, coming.refused, {*coming.answers}) == ([], 0, {200})
    assert api.stop() == 0


def test_a_sigterm_that_comes_during_the_fork_is_not_lost() -> None:
    with Script(FORK) as forking:
        assert forking.hear() == "0"


@pytest.mark.parametrize(("ends", "starts"), [("fail", 1), ("be_killed", 3)])
def test_what_cannot_even_start_ends_the_service(ends: str, starts: int, free_port: int) -> None:
    with Script(WATCH, free_port, ends) as watching:
        assert watching.hear() == f"1 {starts}"


def test_who_has_served_is_started_again_even_if_it_fails_by_itself(free_port: int) -> None:
    with Script(WATCH, free_port, "serve_and_fail") as watching:
        assert watching.hear() == "0 3"


def test_a_sigterm_at_any_moment_ends_one_that_is_starting(start_api: StartApi) -> None:
    api = start_api()
    for moment in range(4):
        api.process.send_signal(signal.SIGHUP)
        [new] = wait_until(lambda: sorted(api.workers())[1:])
        time.sleep(moment * 0.15)  # not for something to happen: any moment will do
        os.kill(new, signal.SIGTERM)
        wait_until(lambda: not is_alive(new))  # noqa: B023
        wait_until(lambda: len(logged(api, "api.replaced") + logged(api, "api.not_replaced")) == moment + 1)  # noqa: B023
        wait_until(lambda: len(api.workers()) == 1 and api.answers())
    assert api.stop() == 0
    assert not logged(api, "api.killed")


def test_a_stop_at_any_moment_of_a_start_ends_everybody(tmp_path: Path) -> None:
    for attempt in range(2):
        directory = tmp_path / str(attempt)
        directory.mkdir()
        api = ApiProcess(directory, processes=2)
        workers = wait_until(api.workers)
        time.sleep(Random(attempt).uniform(0, 0.8))  # not for something to happen: any moment will do
        workers += api.workers()
        assert api.stop() == 0, api.log()
        assert not any(is_alive(pid) for pid in workers)
        assert not logged(api, "api.killed"), "it did not end by itself"


def test_a_process_that_cannot_count_does_not_serve_and_one_that_can_follows(start_api: StartApi) -> None:
    api = start_api()
    [killed] = api.workers()
    before = resource.prlimit(api.process.pid, resource.RLIMIT_FSIZE, (32 * 1024, resource.RLIM_INFINITY))
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: logged(api, "api.cannot_serve"))
    resource.prlimit(api.process.pid, resource.RLIMIT_FSIZE, before)
    wait_until(lambda: api.answers() and api.workers() != [killed])
    assert api.predict().status_code == 200
    assert not logged(api, "request.failed")
