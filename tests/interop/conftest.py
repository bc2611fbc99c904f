"""Servers for others' clients: real models of real tables, served by the command that users start."""

import io
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import skops.io
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.scoring.packages import floats, write_package
from tests.waiting import find_free_port, wait_until

ROWS = 20
START_S = 120


@dataclass(frozen=True)
class Trained:
    """A model as its library has it, and rows of the table that it is of."""

    name: str
    estimator: Any
    rows: pd.DataFrame


@dataclass(frozen=True)
class Serving:
    """A server on 127.0.0.1 that serves models by their names; the default is the first."""

    port: int
    models: dict[str, Trained]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def train() -> dict[str, Trained]:
    """A classifier of two classes, one of three with names, and a regression."""
    cancer, wine, diabetes = (load(as_frame=True) for load in (load_breast_cancer, load_wine, load_diabetes))
    names = pd.Series(wine.target_names)[wine.target].to_numpy()
    fitted = {
        "cancer": (make_pipeline(StandardScaler(), LogisticRegression()), cancer.data, cancer.target),
        "wine": (make_pipeline(StandardScaler(), LogisticRegression()), wine.data, names),
        "diabetes": (LinearRegression(), diabetes.data, diabetes.target),
    }
    return {
        name: Trained(name, estimator.fit(table, target), table.iloc[:: len(table) // ROWS][:ROWS])
        for name, (estimator, table, target) in fitted.items()
    }


def write(folder: Path, model: Trained) -> None:
    output = {"cancer": "binary", "wine": "multiclass", "diabetes": "regression"}[model.name]
    labels = model.estimator.classes_.tolist() if output == "multiclass" else ()
    artifact = {"runtime": "skops", "file": "model.skops"}
    content = io.BytesIO()
    skops.io.dump(model.estimator, content)
    features = floats(model.rows.columns.tolist())
    write_package(folder / model.name, output, features, artifact, labels=labels, content=content.getvalue())


@pytest.fixture(scope="session")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("models")
    models = train()
    for model in models.values():
        write(folder, model)
    (folder / "serving.toml").write_text('default = "cancer"\n')
    serving = Serving(find_free_port(), models)
    data = tmp_path_factory.mktemp("data")
    command = [sys.executable, "-m", "driftline", "serve", str(folder), "--port", str(serving.port)]
    log = (data / "server.log").open("w+")
    process = subprocess.Popen([*command, "--data", str(data)], stderr=log, stdout=log)
    try:
        wait_until(lambda: answers(f"{serving.url}/health") or process.poll() is not None, START_S)
        assert process.poll() is None, (data / "server.log").read_text()
        yield serving
    finally:
        process.terminate()
        assert process.wait(30) == 0, (data / "server.log").read_text()
        log.close()


def answers(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
