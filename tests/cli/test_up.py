"""``driftline up``: from nothing to a prediction in the log, and down again."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import NO_PORTS, PORTS, Run, StartUp, Up
from tests.redis_server import StartRedis
from tests.waiting import find_free_port, wait_until


def predict(up: Up) -> dict[str, object]:
    """The answer to the line that the banner says to paste, run by a shell as it stands there."""
    line = next(line for line in up.output.splitlines() if line.strip().startswith("curl "))
    answer = subprocess.run(line, shell=True, capture_output=True, text=True, check=True, timeout=60).stdout
    decoded: dict[str, object] = json.loads(answer)
    return decoded


def logged_ids(up: Up) -> list[object]:
    log = up.data / "logs" / "predictions.jsonl"
    whole, _, _ = log.read_text().rpartition("\n") if log.exists() else ("", "", "")  # the last may be half-written
    return [json.loads(line)["request_id"] for line in whole.splitlines()]


def metric(url: str, name: str) -> float:
    with urllib.request.urlopen(url, timeout=5) as answer:
        text = answer.read().decode()
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


@pytest.mark.core
def test_a_newcomer_gets_from_nothing_to_a_line_in_the_log(start_up: StartUp, run: Run) -> None:
    up = start_up()
    assert up.api.startswith("http://localhost:")
    answer = predict(up)
    assert answer["predicted_class"] == 1
    assert answer["probability"] == 0.7649478037637648
    wait_until(lambda: logged_ids(up) == [answer["request_id"]])
    assert up.signal(signal.SIGINT) == 0
    ledger = run("ledger", "--json")
    assert ledger.returncode == 0
    assert {name: json.loads(ledger.stdout)[name] for name in ("accepted", "logged", "missing")} == {
        "accepted": 1,
        "logged": 1,
        "missing": 0,
    }


@pytest.mark.core
def test_it_stops_in_order_and_leaves_nothing_running(start_up: StartUp) -> None:
    up = start_up()
    assert up.api
    groups = [up.pid_of("serve"), up.pid_of("worker"), up.pid_of("monitor")]
    assert up.signal(signal.SIGTERM) == 0
    assert up.output.index("api.stopped") < up.output.index("worker.stopped") < up.output.index("monitor.stopped")
    for group in groups:
        with pytest.raises(ProcessLookupError):
            os.killpg(group, 0)


@pytest.mark.parametrize("name", ["serve", "worker", "monitor"])
def test_one_that_is_killed_comes_back_and_nothing_is_lost(start_up: StartUp, name: str) -> None:
    up = start_up()
    ids = [up.api and predict(up)["request_id"]]
    os.kill(up.pid_of(name), signal.SIGKILL)
    wait_until(lambda: f"{name} ended (SIGKILL)" in up.output)
    wait_until(lambda: urllib.request.urlopen(up.api + "/health/ready", timeout=5).close() is None)
    ids.append(predict(up)["request_id"])
    wait_until(lambda: sorted(map(str, logged_ids(up))) == sorted(map(str, ids)))
    assert up.signal() == 0


def test_a_data_folder_that_is_removed_is_noticed_by_the_worker_too(start_up: StartUp) -> None:
    up = start_up()
    assert up.api
    predict(up)
    wait_until(lambda: len(logged_ids(up)) == 1)
    shutil.rmtree(up.data)
    wait_until(lambda: "was removed or replaced while it was being written" in up.output)
    assert up.signal() in {0, 3}  # one that has not settled yet ends everything; later on it is started again


def test_one_port_for_two_servers_is_a_wrong_setting(run: Run) -> None:
    finished = run("up", "--port", "18112", "--metrics-port", "18112")
    assert finished.returncode == 2
    assert finished.stderr == (
        "driftline: the API and the worker's metrics cannot both have port 18112 (settings_invalid)\n"
    )


def test_children_end_when_up_is_killed(start_up: StartUp) -> None:
    up = start_up()
    assert up.api
    groups = [up.pid_of("serve"), up.pid_of("worker"), up.pid_of("monitor")]
    up.process.kill()

    def gone() -> bool:
        for group in groups:
            try:
                os.killpg(group, 0)
            except ProcessLookupError:
                continue
            return False
        return True

    wait_until(gone)


@pytest.mark.parametrize("flag", PORTS)
def test_a_taken_port_is_said_at_once_and_how_to_take_another(run: Run, flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        began = time.monotonic()
        finished = run("up", *NO_PORTS, flag, str(port))
    assert finished.returncode == 3
    assert re.fullmatch(rf"driftline: cannot listen on .*{port}.* {flag} .*\(port_taken\)\n", finished.stderr)
    assert time.monotonic() - began < 30


def test_what_makes_a_child_give_up_ends_all_with_its_message(start_up: StartUp) -> None:
    up = start_up(DRIFTLINE_SEGMENT_BY="feature_3")
    assert up.wait() == 2
    assert re.search(
        r"^up +\| monitor cannot run: driftline: .*feature_3.*\(settings_invalid\)$", up.output, re.MULTILINE
    )


@pytest.mark.core
def test_with_redis_the_same_and_its_password_is_nowhere_to_be_seen(start_up: StartUp, start_redis: StartRedis) -> None:
    server = start_redis(password="s3cr3t")
    up = start_up(REDIS_URL=server.url)
    assert up.api
    wait_until(lambda: logged_ids(up) == [predict(up)["request_id"]] or logged_ids(up))
    for pid in (up.process.pid, up.pid_of("serve"), up.pid_of("worker")):
        assert "s3cr3t" not in Path(f"/proc/{pid}/cmdline").read_text()
    server.stop()
    assert predict(up)["request_id"]
    assert up.signal() == 0
    assert f"redis://***@127.0.0.1:{server.port}" in up.output
    assert "s3cr3t" not in up.output


@pytest.mark.parametrize("command", ["serve", "up"])
def test_a_model_that_is_named_twice_is_a_wrong_option(ask: Run, command: str) -> None:
    finished = ask(command, "one", "--model", "other")
    assert (finished.returncode, "give the model package once" in finished.stderr) == (2, True)


@pytest.fixture(scope="module")
def worker_port() -> int:
    return find_free_port()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, worker_port: int) -> Iterator[Up]:
    """One for the tests that only look: two API processes, and a worker that serves its metrics."""
    options = (*NO_PORTS, "--processes", "2", "--metrics-port", str(worker_port))
    up = Up(options, {}, tmp_path_factory.mktemp("running"))
    yield up
    up.end()


def test_the_banner_names_only_what_is_there(running: Up) -> None:
    for path in ("/docs", "/metrics", "/health"):
        with urllib.request.urlopen(running.api + path, timeout=5) as page:
            assert page.status == 200
    assert "tail -n 1 data/logs/predictions.jsonl" in running.output
    assert "driftline report --open" in running.output
    assert "windows of 3600 s and at least 200 rows, held against the first 2,000 rows" in running.output
    assert re.search(r"^ +model +seed 1$", running.output, re.MULTILINE)
    assert "make load" not in running.output  # there is no Makefile in this folder


def test_counts_of_several_processes_add_up(running: Up) -> None:
    before = metric(running.api + "/metrics", "driftline_events_accepted_total")
    for _ in range(20):
        predict(running)
    assert metric(running.api + "/metrics", "driftline_events_accepted_total") == before + 20


def test_the_worker_serves_its_metrics_and_health(running: Up, worker_port: int) -> None:
    worker = f"http://127.0.0.1:{worker_port}"
    assert running.api
    before = metric(f"{worker}/metrics", "driftline_events_committed_total")
    predict(running)
    wait_until(lambda: metric(f"{worker}/metrics", "driftline_events_committed_total") > before)
    for path in ("/health/live", "/health/ready"):
        with urllib.request.urlopen(worker + path, timeout=5) as answer:
            assert answer.status == 200
