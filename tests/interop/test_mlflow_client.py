"""MLflow's own scoring client, and MLflow's own server beside ours: the same bodies, the same answers."""

import json
import shlex
import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from tests.interop.conftest import START_S, Serving, answers
from tests.waiting import find_free_port, wait_until

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow warns of its own type hints as it is imported
    import mlflow.models
    import mlflow.sklearn
    from mlflow.pyfunc.scoring_server import get_cmd
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

pytestmark = [pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore")]


def client(serving: Serving, model: str | None = None) -> Any:
    # The client knows a host and a port and puts a path behind it; so the port may end in the beginning of one.
    return ScoringServerClient("127.0.0.1", serving.port if model is None else f"{serving.port}/models/{model}")


def test_the_client_finds_the_server_ready_and_asks_its_version(serving: Serving) -> None:
    client(serving).wait_server_ready(timeout=5)
    assert client(serving).get_version().count(".") == 2


@pytest.mark.parametrize("name", [None, "cancer", "wine", "diabetes"])
def test_a_frame_gets_what_the_library_gives(serving: Serving, name: str | None) -> None:
    model = serving.models[name or "cancer"]
    response = client(serving, name).invoke(model.rows)
    given = model.estimator.predict(model.rows)
    predictions = response.get_predictions()
    assert predictions.shape == (len(model.rows), 1)
    if name == "diabetes":
        assert np.allclose(predictions[0], given, rtol=1e-12, atol=0)
    else:
        assert predictions[0].tolist() == given.tolist()
    assert len(set(response["request_ids"])) == len(model.rows)


def test_a_frame_in_another_order_with_a_column_more_is_the_same_frame(serving: Serving) -> None:
    rows = serving.models["cancer"].rows
    shuffled = rows[rows.columns[::-1]].assign(target=1)
    assert client(serving).invoke(shuffled)["predictions"] == client(serving).invoke(rows)["predictions"]


def test_an_array_and_a_list_of_records_get_the_same(serving: Serving) -> None:
    rows = serving.models["wine"].rows
    expected = client(serving, "wine").invoke(rows)["predictions"]
    assert client(serving, "wine").invoke(rows.to_numpy())["predictions"] == expected
    assert client(serving, "wine").invoke(rows.to_dict(orient="records"))["predictions"] == expected


@pytest.mark.parametrize("name", ["cancer", "wine"])
def test_params_ask_for_what_predict_proba_gives(serving: Serving, name: str) -> None:
    model = serving.models[name]
    response = client(serving, name).invoke(model.rows, params={"output": "probabilities"})
    given = response.get_predictions("ndarray")
    assert np.allclose(given, model.estimator.predict_proba(model.rows), rtol=1e-12, atol=1e-15)


def test_what_is_wrong_is_what_the_client_raises(serving: Serving) -> None:
    rows = serving.models["cancer"].rows.drop(columns="mean radius")
    with pytest.raises(
        Exception, match=r"error code 400, response: .*INVALID_PARAMETER_VALUE.*mean radius is required"
    ):
        client(serving).invoke(rows)


@pytest.fixture(scope="module")
def theirs(serving: Serving, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of MLflow's server, which serves the same wine."""
    model = serving.models["wine"]
    folder = tmp_path_factory.mktemp("mlflow")
    signature = mlflow.models.infer_signature(model.rows, model.estimator.predict(model.rows))
    mlflow.sklearn.save_model(model.estimator, folder / "model", signature=signature)
    port = find_free_port()
    # What `mlflow models serve` runs, without the process in front of it.
    command, environment = get_cmd(str(folder / "model"), port, "127.0.0.1", nworkers=1)
    environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder / 'runs.db'}"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *shlex.split(command)], stdout=log, stderr=log, env=environment, cwd=folder
        )
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/ping") or process.poll() is not None, START_S)
        assert process.poll() is None, (folder / "log").read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def bodies(serving: Serving) -> dict[str, tuple[str, str]]:
    """Bodies of every form, right and wrong, with their content types."""
    rows = serving.models["wine"].rows.iloc[:3]
    records = json.loads(rows.to_json(orient="records"))
    split = json.loads(rows.to_json(orient="split"))
    columns = {name: [record[name] for record in records] for name in rows.columns}
    less = {name: cells for name, cells in columns.items() if name != "alcohol"}
    unnamed = {"data": split["data"], "columns": split["columns"]}
    right = {
        "split": {"dataframe_split": split},
        "split without an index": {"dataframe_split": unnamed},
        "split, backwards": {"dataframe_split": json.loads(rows[rows.columns[::-1]].to_json(orient="split"))},
        "records": {"dataframe_records": records},
        "instances of records": {"instances": records},
        "instances of columns": {"instances": columns},
        "inputs of columns": {"inputs": columns},
        "inputs of records": {"inputs": records},
        "one row of numbers": {"inputs": {name: cells[:1] for name, cells in columns.items()}},
        "columns more": {"inputs": {**columns, "price": [1.0, 2.0, 3.0]}},
        "whole numbers": {"inputs": {**columns, "alcohol": [12, 13, 14]}},
        "params": {"inputs": columns, "params": {"max_answer_len": 10}},
        "others beside it": {"inputs": columns, "client_request_id": "x"},
    }
    wrong = {
        "nothing": {},
        "a list": records,
        "two forms": {"inputs": columns, "instances": records},
        "split without data": {"dataframe_split": {"columns": list(rows.columns)}},
        "split with more": {"dataframe_split": {**split, "dtypes": []}},
        "split with a short index": {"dataframe_split": {**split, "index": [0]}},
        "records that are none": {"dataframe_records": records[0]},
        "a column less": {"inputs": less},
        "text for a number": {"inputs": {**columns, "alcohol": ["a", "b", "c"]}},
        "columns of other lengths": {"instances": {**columns, "alcohol": [1.0]}},
    }
    as_json = {name: ("application/json", json.dumps(body)) for name, body in {**right, **wrong}.items()}
    return as_json | {
        "csv": ("text/csv", rows.to_csv(index=False)),
        "csv with an index": ("text/csv", rows.to_csv()),
        "csv in another charset": ("text/csv; charset=latin-1", rows.to_csv(index=False)),
        "csv without a column": ("text/csv", rows.drop(columns="alcohol").to_csv(index=False)),
        "json in capitals": ("application/json; charset=UTF-8", json.dumps(right["records"])),
        "json with a parameter": ("application/json; format=pandas-split", json.dumps(right["records"])),
        "text": ("text/plain", "hello"),
        "no json": ("application/json", "{"),
    }


def test_every_body_gets_from_us_what_it_gets_from_mlflow(serving: Serving, theirs: str) -> None:
    differences = {}
    answered = 0
    for name, (content_type, body) in bodies(serving).items():
        headers = {"content-type": content_type}
        our = httpx.post(f"{serving.url}/models/wine/invocations", content=body, headers=headers, timeout=30)
        their = httpx.post(f"{theirs}/invocations", content=body, headers=headers, timeout=30)
        told = [
            (each.status_code, each.json().get("predictions") if each.is_success else None) for each in (our, their)
        ]
        if told[0] != told[1]:
            differences[name] = (*told, their.text[:300])
        answered += their.is_success
    assert differences == {}
    assert answered > 10
