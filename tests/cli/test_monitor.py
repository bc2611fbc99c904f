"""``driftline monitor`` under ``driftline up``, and how its settings come to it; as a process: tests/monitor."""

import http.client
import json
import re
import signal
import urllib.request
from contextlib import closing

import pytest

from driftline.cli.monitor import plan
from driftline.monitor.fold import Slicing
from driftline.settings import Settings
from tests.cli.conftest import EXAMPLE, Run, StartUp
from tests.cli.test_up import metric
from tests.waiting import find_free_port, wait_until


@pytest.mark.parametrize(
    ("settings", "slicing"),
    [
        (Settings(), Slicing(width_us=3_600_000_000)),
        (Settings(window_s=1.5), Slicing(width_us=1_500_000)),
        (Settings(window_s=10, window_rows=500), Slicing(rows=500)),
    ],
)
def test_windows_are_of_time_unless_rows_are_said(settings: Settings, slicing: Slicing) -> None:
    assert plan(settings).slicing == slicing


def test_the_plan_is_what_the_settings_say() -> None:
    settings = Settings(
        window_min_rows=77, drift_days=12.5, drift_min_moved=0.2, segment_by="feature_1", reference_rows=321
    )
    assert plan(settings)[1:] == (77, 12.5, 0.2, "feature_1", 321)
    assert plan(Settings(segment_by="")).segment_by is None


def test_a_column_to_divide_by_that_the_model_has_not_is_a_wrong_setting(ask: Run) -> None:
    finished = ask("monitor", "--monitor-metrics-port", "0", DRIFTLINE_SEGMENT_BY="feature_7")
    assert finished.returncode == 2
    assert "segment_by is feature_7, and the model has feature_1, feature_2, probability" in finished.stderr
    assert finished.stderr.endswith(" (settings_invalid)\n")


@pytest.mark.parametrize(("name", "value"), [("WINDOW_S", "0.5"), ("WINDOW_MIN_ROWS", "10"), ("DRIFT_DAYS", "0")])
def test_a_setting_that_cannot_be_is_said(ask: Run, name: str, value: str) -> None:
    finished = ask("monitor", **{f"DRIFTLINE_{name}": value})
    assert finished.returncode == 2
    assert f"DRIFTLINE_{name} is '{value}'" in finished.stderr


@pytest.mark.parametrize(("console_url", "status"), [("", 421), ("https://driftline.example.org", 200)])
def test_without_keys_the_console_answers_to_a_name_only_where_its_address_was_said(
    start_up: StartUp, console_url: str, status: int
) -> None:
    port = find_free_port()
    up = start_up("--console-port", str(port), DRIFTLINE_AUTH="none", DRIFTLINE_CONSOLE_URL=console_url)
    assert up.api

    def answer_to(host: str) -> int:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/login", headers={"Host": host})
            return connection.getresponse().status

    assert wait_until(lambda: answer_to(f"localhost:{port}")) == 200
    assert answer_to("driftline.example.org") == status


def test_what_up_serves_is_followed_and_judged(start_up: StartUp) -> None:
    port = find_free_port()
    variables = {"DRIFTLINE_REFERENCE_ROWS": "200", "DRIFTLINE_WINDOW_MIN_ROWS": "50"}
    up = start_up("--window-s", "1", "--monitor-metrics-port", str(port), **variables)
    page = f"http://127.0.0.1:{port}/metrics"
    assert "windows of 1 s and at least 50 rows, held against the first 200 rows" in (up.api and up.output)
    assert re.search(rf"^  monitor +http://localhost:{port}/metrics$", up.output, re.MULTILINE)
    body = EXAMPLE.encode()

    def predict(times: int) -> None:
        for _ in range(times):
            request = urllib.request.Request(f"{up.api}/predict", body, {"content-type": "application/json"})
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert answer.status == 200

    predict(260)
    wait_until(lambda: metric(page, "driftline_monitor_rows_total") == 260)
    changed = json.loads(EXAMPLE)
    name = next(iter(changed))
    body = json.dumps({**changed, name: changed[name] + 10}).encode()

    def alarmed() -> bool:
        predict(20)  # those in the same second as rows of the reference are not judged
        return metric(page, "driftline_drift_alarm") >= 1

    wait_until(alarmed, within_s=30)
    with urllib.request.urlopen(page, timeout=5) as answer:
        assert f'driftline_drift_alarm{{column="{name}"}} 1.0' in answer.read().decode()
    assert up.signal(signal.SIGINT) == 0
