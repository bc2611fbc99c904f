"""A model that does not come to an end fails its own requests, and takes nothing from the other models."""

from collections import Counter
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

import httpx

from driftline.contract.roster_file import RosterFile, write_roster_file
from tests.api.api_process import ApiProcess
from tests.api.models import write_package
from tests.scoring.packages import floats
from tests.scoring.packages import write_package as write_any_package

SOURCE = """
import time


class Model:
    def predict(self, matrix):
        time.sleep(60)
"""


def test_a_model_that_hangs_is_refused_and_fails_and_the_other_answers(tmp_path: Path) -> None:
    models = tmp_path / "models"
    write_package(models / "credit" / "1", "1")
    artifact = {"runtime": "python", "class": "model:Model", "cpu_bound": True, "processes": 3, "timeout_s": 3}
    (write_any_package(models / "slow", "regression", floats(["x"]), artifact) / "model.py").write_text(SOURCE)
    write_roster_file(models, RosterFile("credit", {}))
    api = ApiProcess(tmp_path, model=models, max_in_flight=4)
    try:
        api.wait_until_up()

        def ask_slow(number: int) -> httpx.Response:
            path = "/models/slow/predict" + "/batch" * (number % 2)
            return api.client.post(path, json=[{"x": 1.0}] if number % 2 else {"x": 1.0})

        with ThreadPoolExecutor(6) as threads:
            calls = [threads.submit(ask_slow, number) for number in range(6)]
            wait(calls, return_when=FIRST_COMPLETED)
            other = api.client.post("/models/credit/predict", json={"income": 0.0, "customer": "c"})
            assert other.status_code == 200
            assert not all(call.done() for call in calls)
            answers = [call.result() for call in calls]
        assert Counter(answer.json()["code"] for answer in answers) == {"overloaded": 3, "scoring_failed": 3}
        assert all(("retry-after" in answer.headers) == (answer.status_code == 503) for answer in answers)
        assert "the model takes longer than 3 s to score" in api.log()
    finally:
        code = api.stop()
    assert code == 0
