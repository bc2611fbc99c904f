"""Processes that go and come while clients ask: no request that was sent stays without an answer."""

import os
import signal
import socket
from pathlib import Path

import pytest

from driftline.scoring import seed_package
from tests.api.api_process import ApiProcess, receive
from tests.api.conftest import StartApi
from tests.api.traffic import Traffic
from tests.waiting import wait_until


def restart(api: ApiProcess, times: int, processes: int) -> None:
    for _ in range(times):
        before = set(api.workers())
        api.process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(now := set(api.workers())) == processes and not now & before, within_s=30)  # noqa: B023


@pytest.mark.parametrize("processes", [1, 2])
def test_a_rolling_restart_fails_no_request(start_api: StartApi, processes: int) -> None:
    api = start_api(processes=processes)
    with Traffic(api.port, keep_alive=True) as staying, Traffic(api.port, keep_alive=False) as coming:
        restart(api, 2, processes)
    for traffic in (staying, coming):
        assert (traffic.failures, traffic.refused, set(traffic.answers)) == ([], 0, {200})
    assert len(api.events()) == len(staying.answers) + len(coming.answers)
    assert api.stop() == 0


@pytest.mark.parametrize("processes", [1, 2])
def test_a_stop_under_load_answers_what_was_sent_and_refuses_the_rest(start_api: StartApi, processes: int) -> None:
    api = start_api(processes=processes)
    with Traffic(api.port, keep_alive=True) as staying, Traffic(api.port, keep_alive=False) as coming:
        wait_until(lambda: len(staying.answers) > 100 and len(coming.answers) > 100)
        assert api.stop() == 0
        wait_until(lambda: staying.refused and coming.refused)
    for traffic in (staying, coming):
        assert (traffic.failures, set(traffic.answers)) == ([], {200})
    assert len(api.events()) == len(staying.answers) + len(coming.answers)
    assert api.log().count("api.stopped") == processes


def test_a_client_that_is_idle_sees_its_connection_end_and_no_reset(start_api: StartApi) -> None:
    api = start_api()
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as idle:
        idle.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"connection: close" not in receive(idle)
        restart(api, 1, 1)
        assert idle.recv(65536) == b""


def test_a_restart_takes_up_a_new_model_and_a_wrong_one_leaves_the_old_at_work(
    start_api: StartApi, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for file in seed_package().iterdir():
        (model / file.name).write_bytes(file.read_bytes())
    api = start_api(model=str(model))
    [first] = api.workers()
    declaration = model / "model.toml"
    good = declaration.read_text()
    declaration.write_text("{")
    api.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "api.not_replaced" in api.log())
    assert api.workers() == [first]
    assert "api.cannot_serve" in api.log()
    assert "Traceback" not in api.log()
    assert api.predict().status_code == 200
    declaration.write_text(good)
    restart(api, 1, 1)
    assert api.predict().status_code == 200


def test_the_gauges_of_processes_that_were_replaced_are_forgotten(start_api: StartApi, tmp_path: Path) -> None:
    api = start_api(processes=2)
    assert api.predict().status_code == 200
    restart(api, 1, 2)

    api.metrics()
    owners = {int(path.stem.rpartition("_")[2]) for path in tmp_path.rglob("gauge_live*_*.db")}
    assert owners <= {api.process.pid, *api.workers()}


def test_a_stop_in_the_middle_of_a_restart_leaves_nothing_running(start_api: StartApi) -> None:
    api = start_api(processes=2)
    api.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(api.workers()) == 3)
    everyone = api.workers()
    assert api.stop() == 0, api.log()
    assert "Killing" not in api.log()
    for pid in everyone:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
