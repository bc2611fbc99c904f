import asyncio
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from driftline.api.config import ApiConfig
from driftline.api.metrics import DURATION, REFUSED, note_durations
from driftline.api.observe import Observed
from driftline.api.routes import KeptRoute, Routes
from driftline.api.service import Service
from driftline.contract.problems import KEPT_CODES
from tests.api.api_process import EXAMPLE, ApiProcess, parse_samples, status_of
from tests.api.conftest import StartApi
from tests.api.models import seed_roster
from tests.waiting import wait_until


def predict_on_a_new_connection(api: ApiProcess, body: bytes = EXAMPLE) -> int:
    return status_of(
        api.send_raw(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    )


def metrics_on_a_new_connection(api: ApiProcess) -> dict[str, float]:
    text = api.send_raw(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").partition(b"\r\n\r\n")[2].decode()
    return parse_samples(text)


def test_the_counts_of_two_processes_add_up(start_api: StartApi) -> None:
    api = start_api(processes=2)
    assert len(api.workers()) == 2
    statuses = [predict_on_a_new_connection(api) for _ in range(60)]
    refusals = [predict_on_a_new_connection(api, b"{}") for _ in range(20)]
    assert (set(statuses), set(refusals)) == ({200}, {422})

    producers = {event["producer"] for event in api.events()}
    assert len(producers) == 2, "both processes have answered"
    # The last answer is counted when it has left, which its client may see first.
    wait_until(lambda: metrics_on_a_new_connection(api)["driftline_request_duration_seconds_count"] == 80)
    for _ in range(10):  # whichever process is asked
        samples = metrics_on_a_new_connection(api)
        assert samples["driftline_events_accepted_total"] == 60
        assert samples['driftline_events_refused_total{reason="missing_field"}'] == 20
        assert samples['driftline_requests_total{route="/predict",status="200"}'] == 60
        assert samples['driftline_requests_total{route="/predict",status="422"}'] == 20
        assert samples["driftline_request_duration_seconds_count"] == 80


def test_labels_are_closed_sets_whatever_is_asked_for(start_api: StartApi) -> None:
    api = start_api()
    for path in ("/a", "/b?c=d", "/predict/x", "/health"):
        api.client.get(path)
    requests = {name: value for name, value in api.metrics().items() if "driftline_requests_total" in name}
    assert requests['driftline_requests_total{route="other",status="404"}'] == 3
    assert all('route="/health"' in name or 'route="other"' in name for name in requests)


def test_the_content_type_is_the_one_prometheus_asks_for(api: ApiProcess) -> None:
    response = api.client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    assert b"driftline_outbox_bytes" in response.content


def test_every_reason_is_there_from_the_start(api: ApiProcess) -> None:
    samples = api.metrics()
    assert set(REFUSED) == set(KEPT_CODES)
    for code in KEPT_CODES:
        assert f'driftline_events_refused_total{{reason="{code}"}}' in samples


def test_what_nobody_foresaw_is_counted_and_answered_without_internals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise RuntimeError("hunter2")

    config = ApiConfig("t", tmp_path, tmp_path, None, "os", 1, 1, 1, None, 1.0)
    observed = Observed(broken, Routes([KeptRoute("/predict", broken)], {}), Service(config, seed_roster()))

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(observed), base_url="http://t") as client:
            return await client.post("/predict")

    before = REFUSED["internal_error"]._value.get()
    response = asyncio.run(ask())
    assert (response.status_code, response.json()["code"]) == (500, "internal_error")
    assert "hunter2" not in response.text
    assert REFUSED["internal_error"]._value.get() == before + 1
    assert "request.failed" in capsys.readouterr().out


def test_the_gauges_of_dead_processes_are_not_added_up(tmp_path: Path) -> None:
    code = """
import os, sys
from prometheus_client import Gauge
Gauge("g", "d", multiprocess_mode="livesum").set(int(sys.argv[1]))
from driftline.telemetry import metrics_payload
print(metrics_payload()[0].decode())
"""
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for value in ("3", "5"):
        command = [sys.executable, "-c", code, value]
        output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert "g 5.0" in output.splitlines()


def durations() -> dict[str, float]:
    """The sum, the count and each bucket."""
    [family] = DURATION.collect()
    return {
        sample.name + sample.labels.get("le", ""): sample.value
        for sample in family.samples
        if "_created" not in sample.name
    }


@given(st.lists(st.floats(0, 20) | st.sampled_from([0.0005, 0.001, 0.25, 10.0]), max_size=20))
def test_durations_that_are_noted_together_are_counted_as_one_by_one(took_s: list[float]) -> None:
    at_first = durations()
    for each in took_s:
        DURATION.observe(each)
    one_by_one = durations()
    note_durations(took_s)
    for name, value in durations().items():
        assert value - one_by_one[name] == pytest.approx(one_by_one[name] - at_first[name], abs=1e-6)
