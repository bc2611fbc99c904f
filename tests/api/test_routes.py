import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from driftline.api.admission import Admission, Gate
from driftline.api.config import ApiConfig
from driftline.api.guard import Guard, Guarded, KeyRing
from driftline.api.metrics import REFUSED, REQUESTS
from driftline.api.observe import Observed
from driftline.api.rates import Rates
from driftline.api.routes import KeptRoute, Place, Routes
from driftline.api.service import Service
from driftline.contract.problems import Answer
from tests.api.models import seed_roster


@pytest.fixture
def serving(tmp_path: Path) -> Service:
    return Service(ApiConfig("t", tmp_path, tmp_path, None, "os", 1, 1, 1, None, 1.0), seed_roster())


async def nothing(_: Request) -> Response:
    return Response()


def shout(answer: Answer) -> Answer:
    code = json.loads(answer.body)["code"]
    return Answer(answer.status, (("content-type", "application/json"),), json.dumps({"error": code}).encode())


ROUTES = Routes(
    [
        Route("/plain", nothing),
        KeptRoute("/models/{name}/predict", nothing, timed=True),
        KeptRoute("/v9/models/{name}/infer", nothing),
    ],
    {"/v9": shout},
)


def test_a_route_with_parameters_has_one_label_whatever_they_are() -> None:
    assert {ROUTES.place(f"/models/{name}/predict") for name in ("a", "b b", "ü")} == {
        Place("/models/{name}/predict", kept=True, timed=True)
    }
    assert ROUTES.place("/models/a/b/predict") == Place("other")
    assert ROUTES.place("/plain") == Place("/plain")


@pytest.mark.parametrize("path", ["/v9", "/v9/", "/v9/nothing/here", "/v9/models/a/infer"])
def test_a_form_holds_for_a_path_and_all_that_is_below_it(path: str) -> None:
    assert ROUTES.place(path).form is shout


@pytest.mark.parametrize("path", ["/v90", "/", "/plain", "/x/v9"])
def test_a_form_holds_for_nothing_else(path: str) -> None:
    assert ROUTES.place(path).form is None


def test_of_two_forms_the_one_of_the_longer_path_counts() -> None:
    def whisper(answer: Answer) -> Answer:
        return answer

    routes = Routes([], {"/v9": shout, "/v9/quiet": whisper})
    assert routes.place("/v9/quiet/x").form is whisper
    assert routes.place("/v9/loud").form is shout


def ask(app: ASGIApp, path: str) -> httpx.Response:
    async def call() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:
            return await client.post(path)

    return asyncio.run(call())


def test_what_nobody_foresaw_is_told_in_the_form_of_its_path_and_counted_by_its_route(serving: Service) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError

    before = REFUSED["internal_error"]._value.get()
    answer = ask(Observed(broken, ROUTES, serving), "/v9/models/a/infer")
    assert (answer.status_code, answer.json()) == (500, {"error": "internal_error"})
    assert REFUSED["internal_error"]._value.get() == before + 1
    assert REQUESTS.labels("/v9/models/{name}/infer", "500")._value.get() == 1


def test_a_missing_key_is_told_in_the_form_of_its_path_and_counted(tmp_path: Path) -> None:
    guard = Guarded(Starlette(), Guard(KeyRing(tmp_path / "none"), Rates()), ROUTES)
    before = REFUSED["key_missing"]._value.get()
    answer = ask(guard, "/v9/models/a/infer")
    assert (answer.status_code, answer.json()) == (401, {"error": "key_missing"})
    assert REFUSED["key_missing"]._value.get() == before + 1
    assert ask(guard, "/elsewhere").json()["code"] == "key_missing"
    assert REFUSED["key_missing"]._value.get() == before + 1


def test_overload_is_told_in_the_form_of_its_path_and_counted_by_its_route() -> None:
    class Full(Gate):
        def enter(self) -> None:
            return None

        async def wait(self) -> None:
            return None

    app: Callable[..., Awaitable[None]] = Starlette()
    admission = Admission(app, Full(1), (), ROUTES)
    answer = ask(admission, "/v9/models/a/infer")
    assert (answer.status_code, answer.json()) == (503, {"error": "overloaded"})
    assert REQUESTS.labels("/v9/models/{name}/infer", "503")._value.get() == 1
    answer = ask(admission, "/models/a/predict")
    assert answer.json()["code"] == "overloaded"
    assert answer.headers["retry-after"] == "1"
    assert REQUESTS.labels("/models/{name}/predict", "503")._value.get() == 1
