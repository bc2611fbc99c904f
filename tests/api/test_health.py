import asyncio
import shutil
from pathlib import Path

import httpx
import pytest

from driftline.api.app import ApiConfig, create_app
from driftline.errors import ModelError
from tests.api.conftest import StartApi
from tests.waiting import wait_until


def not_ready_reason(response: httpx.Response) -> str:
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert int(response.headers["retry-after"]) > 0
    document = response.json()
    assert document["code"] == "not_ready"
    return str(document["reason"])


def config(directory: Path, model: Path | None = None) -> ApiConfig:
    return ApiConfig("t", directory / "outbox", directory / "logs", None, "os", 1 << 20, 1 << 20, 1000, model, 1.0)


def test_a_full_outbox_is_not_ready_and_says_so_but_lives(start_api: StartApi) -> None:
    measured = start_api()
    measured.predict()
    event_bytes = sum(file.stat().st_size for file in (measured.directory / "outbox").glob("*/*.seg"))

    api = start_api(outbox_max_bytes=2 * event_bytes)
    assert [api.predict().status_code for _ in range(5)] == [200, 200, 503, 503, 503]
    refused = api.predict()
    assert refused.json()["code"] == "outbox_full"
    assert int(refused.headers["retry-after"]) > 0
    for path in ("/health", "/health/ready"):
        assert not_ready_reason(api.client.get(path)) == "outbox_full"
    assert api.client.get("/health/live").json() == {"status": "ok"}
    assert len(api.events()) == 2
    assert api.metrics()['driftline_events_refused_total{reason="outbox_full"}'] == 4
    wait_until(lambda: api.metrics()["driftline_outbox_fill_ratio"] == 1)  # measured once a second
    assert api.log().count("predictions.refused") == 1


def test_an_outbox_that_cannot_be_written_is_not_ready_until_it_can(start_api: StartApi) -> None:
    api = start_api()
    outbox = api.directory / "outbox"
    shutil.rmtree(outbox)
    assert api.predict().json()["code"] == "outbox_unavailable"
    wait_until(lambda: api.client.get("/health").status_code == 503)  # the disk is probed once a second
    for path in ("/health", "/health/ready"):
        assert not_ready_reason(api.client.get(path)) == "outbox_unavailable"
    assert api.client.get("/health/live").json() == {"status": "ok"}
    outbox.mkdir()
    assert api.client.get("/health/ready").status_code == 200
    assert api.predict().status_code == 200
    assert len(api.events()) == 1


def test_told_to_serve_all_the_same_it_stays_ready_says_so_and_counts_apart(start_api: StartApi) -> None:
    api = start_api(outbox_max_bytes=2000, outbox_full_policy="serve")
    answers = [api.predict() for _ in range(10)]
    assert {answer.status_code for answer in answers} == {200}
    kept = {answer.json()["request_id"] for answer in answers if "driftline-logged" not in answer.headers}
    unlogged = [answer.headers["driftline-logged"] for answer in answers[len(kept) :]]
    assert unlogged == ["no"] * (10 - len(kept)) != []
    assert {event["request_id"] for event in api.events()} == kept
    for path in ("/health", "/health/ready"):
        assert api.client.get(path).json() == {"status": "unlogged", "reason": "outbox_full"}
    metrics = api.metrics()
    assert metrics['driftline_events_unlogged_total{reason="outbox_full"}'] == len(unlogged)
    assert metrics["driftline_events_accepted_total"] == len(kept)
    assert metrics['driftline_events_refused_total{reason="outbox_full"}'] == 0
    assert api.log().count("predictions.unlogged") == 1


def test_told_to_serve_all_the_same_it_does_so_without_a_disk_and_keeps_again_when_there_is_one(
    start_api: StartApi,
) -> None:
    api = start_api(outbox_full_policy="serve")
    shutil.rmtree(api.directory / "outbox")
    assert api.predict().headers["driftline-logged"] == "no"
    unlogged = {"status": "unlogged", "reason": "outbox_unavailable"}
    wait_until(lambda: api.client.get("/health").json() == unlogged)
    (api.directory / "outbox").mkdir()
    assert "driftline-logged" not in api.predict().headers
    assert api.client.get("/health").json() == {"status": "ok"}


def test_before_the_start_nothing_is_ready_and_predictions_are_refused(tmp_path: Path) -> None:
    app = create_app(config(tmp_path)).app

    async def ask() -> tuple[httpx.Response, httpx.Response, httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            return await client.get("/health/ready"), await client.get("/health/live"), await client.post("/predict")

    ready, live, predict = asyncio.run(ask())
    assert not_ready_reason(ready) == "starting"
    assert live.status_code == 200
    assert (predict.status_code, predict.json()["code"]) == (503, "not_ready")
    assert not (tmp_path / "outbox").exists()


def test_a_wrong_model_is_an_error_before_anything_is_opened(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        create_app(config(tmp_path, model=tmp_path))


def test_without_its_broker_the_service_is_ready_and_answers(start_api: StartApi, free_port: int) -> None:
    api = start_api(broker_url=f"redis://127.0.0.1:{free_port}/0")
    assert [api.predict().status_code for _ in range(3)] == [200, 200, 200]
    assert api.client.get("/health/ready").status_code == 200
    wait_until(lambda: "relay.interrupted" in api.log())
    assert len(api.events()) == 3
    assert api.stop() == 0


def test_answers_wait_for_the_disk_if_told_to(start_api: StartApi) -> None:
    api = start_api(outbox_sync="always")
    assert [api.predict().status_code for _ in range(3)] == [200, 200, 200]
    assert len(api.events()) == 3
