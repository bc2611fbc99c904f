"""A server follows its folder of models while it is asked without a pause."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from driftline.contract.roster_file import Canary, Entry, RosterFile, write_roster_file
from tests.api.api_process import JSON_TYPE, ApiProcess
from tests.api.models import write_package
from tests.api.traffic import Traffic
from tests.waiting import wait_until

BODY = json.dumps({"income": 0.0, "customer": "c"}).encode()


class Folder:
    """A folder of models, and a server of two processes that serves it."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "models"
        for version in ("1", "2"):
            self.add(version)
        self.say(version="1")
        self.api = ApiProcess(directory, processes=2, model=self.path)
        self.api.wait_until_up()

    def add(self, version: str, name: str = "credit") -> None:
        """Puts a package there, file by file, as somebody does who copies one."""
        write_package(self.path / name / version, version, name=name, bias=float(version))

    def say(self, default: str | None = None, **entry: Any) -> None:
        write_roster_file(self.path, RosterFile(default, {"credit": Entry(**entry)}))

    def answers(self, times: int = 1, path: str = "/predict") -> "Counter[str]":
        """Which versions answer on new connections, as it is logged."""
        head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(BODY))
        wanted = {self._told(head + BODY)["request_id"] for _ in range(times)}
        return Counter(
            event["model_version"]
            for event in self.api.events()
            if event["kind"] == "prediction" and event["request_id"] in wanted
        )

    def all_answer(self, version: str, path: str = "/predict") -> None:
        """Returns when both processes have switched: twenty new connections do not all go to the same one."""
        wait_until(lambda: set(self.answers(20, path)) == {version})

    def listed(self) -> dict[str, Any]:
        found: dict[str, Any] = self.api.client.get("/models").json()
        return found

    def _told(self, request: bytes) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.api.send_raw(request).partition(b"\r\n\r\n")[2])
        return told


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    folder = Folder(tmp_path_factory.mktemp("reload"))
    yield folder
    assert folder.api.stop() == 0
    assert "Traceback" not in folder.api.log()


@pytest.fixture(autouse=True)
def as_it_was(folder: Folder) -> Iterator[None]:
    yield
    for each in folder.path.iterdir():
        if each.is_dir() and each.name != "credit":
            shutil.rmtree(each)
    for each in (folder.path / "credit").iterdir():
        if each.name not in {"1", "2"}:
            shutil.rmtree(each)
    for version in ("1", "2"):
        folder.add(version)
    folder.say(version="1")
    folder.all_answer("1")
    wait_until(lambda: not folder.listed()["refused"])


def test_not_one_request_fails_while_versions_come_and_go(folder: Folder) -> None:
    port = folder.api.port
    again = Traffic(port, keep_alive=True, clients=2, body=BODY)
    once = Traffic(port, keep_alive=False, clients=1, body=BODY)
    with again, once:
        folder.add("3")
        folder.say(version="3")
        folder.all_answer("3")
        folder.say(version="2", shadow=("3",))
        folder.all_answer("2")
        shutil.rmtree(folder.path / "credit" / "3")
        folder.say(version="1")
        folder.all_answer("1")
    for traffic in (again, once):
        assert (set(traffic.answers), traffic.failures, traffic.refused) == ({200}, [], 0)
        assert len(traffic.answers) > 100


def test_a_package_that_does_not_check_is_refused_and_shown_and_the_others_go_on(folder: Folder) -> None:
    (folder.path / "credit" / "9").mkdir()
    (folder.path / "credit" / "9" / "model.toml").write_text('name = "credit"\nversion = "9"\n')
    [refused] = wait_until(lambda: folder.listed()["refused"])
    assert refused["package"] == "credit/9"
    assert "output" in refused["refused"]
    assert folder.listed()["models"][0]["versions"] == ["1", "2"]
    assert "model.refused" in folder.api.log()
    assert folder.api.metrics()['driftline_model_reloads_total{result="refused"}'] >= 1
    assert set(folder.answers()) == {"1"}


def test_a_roster_file_that_is_wrong_changes_nothing(folder: Folder) -> None:
    folder.say(version="4")
    [refused] = wait_until(lambda: folder.listed()["refused"])
    assert refused["package"] == "serving.toml"
    assert "there is no version 4 of credit" in refused["refused"]
    assert set(folder.answers()) == {"1"}


def test_a_version_is_asked_by_its_name_whoever_serves(folder: Folder) -> None:
    assert folder.answers(1, "/models/credit/versions/2/predict") == {"2": 1}
    assert folder.answers(1, "/models/credit/predict") == {"1": 1}


def test_a_name_in_a_path_is_decoded(folder: Folder) -> None:
    folder.add("1", "Kredit für alle")
    folder.say(default="credit", version="1")
    path = "/models/Kredit%20f%C3%BCr%20alle/predict"
    wait_until(lambda: folder.api.client.post(path, content=BODY, headers=JSON_TYPE).status_code == 200)


def test_the_documentation_is_that_of_the_default(folder: Folder) -> None:
    def described() -> str:
        return str(folder.api.client.get("/openapi.json").json()["tags"][0]["description"])

    wait_until(lambda: "version 1" in described())
    folder.say(version="2")
    wait_until(lambda: "version 2" in described())


def test_a_shadow_is_logged_under_the_request_id_of_the_answer(folder: Folder) -> None:
    folder.say(version="1", shadow=("2",))
    asked: set[str] = set()

    def scored_twice() -> dict[str, str]:
        asked.add(folder.api.client.post("/predict", content=BODY, headers=JSON_TYPE).json()["request_id"])
        kinds: dict[str, dict[str, str]] = {}
        for event in folder.api.events():
            if event["request_id"] in asked:
                kinds.setdefault(event["request_id"], {})[event["kind"]] = event["model_version"]
        return next((versions for versions in kinds.values() if len(versions) > 1), {})

    assert wait_until(scored_twice) == {"prediction": "1", "shadow": "2"}


def test_a_canary_answers_its_share_and_says_so(folder: Folder) -> None:
    folder.say(version="1", canary=Canary("2", 1.0, "customer"))
    folder.all_answer("2")
    folder.all_answer("2", "/models/credit/predict")
    table = {"dataframe_records": [json.loads(BODY)]}
    request_ids = folder.api.client.post("/invocations", json=table).json()["request_ids"]
    [event] = [event for event in folder.api.events() if event["request_id"] in request_ids]
    assert event["model_version"] == "2"
    assert folder.listed()["models"][0]["canary"] == {"version": "2", "share": 1.0, "by": "customer"}
    assert folder.answers(1, "/models/credit/versions/1/predict") == {"1": 1}
