"""Routes that name a model: a real server, asked by name and by version."""

import httpx
import pytest

from tests.api.api_process import EXAMPLE, JSON_TYPE, ApiProcess
from tests.waiting import wait_until


def post(api: ApiProcess, path: str, body: bytes = EXAMPLE) -> httpx.Response:
    return api.client.post(path, content=body, headers=JSON_TYPE)


def test_a_model_is_asked_by_its_name_and_by_its_version(api: ApiProcess) -> None:
    [model] = api.client.get("/models").json()["models"]
    assert model["default"]
    [version] = model["versions"]
    name = f"/models/{model['name']}"
    for path in (f"{name}/predict", f"{name}/versions/{version}/predict"):
        answer = post(api, path)
        assert answer.status_code == 200
        assert answer.json()["probability"] == api.predict().json()["probability"]
        [event] = [event for event in api.events() if event["request_id"] == answer.json()["request_id"]]
        assert (event["model"], event["model_version"]) == (model["name"], version)


@pytest.mark.parametrize("path", ["/models/{}x/predict", "/models/{}/versions/9/predict", "/models/a%20b/predict"])
def test_what_is_not_served_is_a_404_that_says_so(api: ApiProcess, path: str) -> None:
    name = api.client.get("/models").json()["models"][0]["name"]
    answer = post(api, path.format(name))
    assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found")
    if path == "/models/{}x/predict":
        assert f"did you mean {name}?" in answer.json()["detail"]


def test_requests_by_name_are_counted_and_refused_as_others_are(api: ApiProcess) -> None:
    def count(sample: str) -> float:
        return api.metrics().get(sample, 0)

    refused = 'driftline_events_refused_total{reason="missing_field"}'
    by_route = 'driftline_requests_total{route="/models/{name}/predict",status="422"}'
    name = api.client.get("/models").json()["models"][0]["name"]
    before, before_by_route = count(refused), count(by_route)
    assert post(api, f"/models/{name}/predict", b"{}").json()["code"] == "missing_field"
    assert count(refused) == before + 1
    wait_until(lambda: count(by_route) == before_by_route + 1)


def test_the_listing_is_for_people_too(api: ApiProcess) -> None:
    assert api.client.get("/models").text.count("\n") > 5
