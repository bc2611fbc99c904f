"""The wheel is all that a user needs: it runs in an environment that has nothing but what it declares."""

import json
import subprocess
import sys
import urllib.request
import zipfile
from email.parser import BytesParser
from pathlib import Path

import pytest

from driftline import __version__
from tests.cli.conftest import NO_PORTS, Up, environment
from tests.cli.test_up import logged_ids, predict
from tests.waiting import wait_until

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
ROWS_FOR_A_REPORT = 60

pytestmark = pytest.mark.timeout(300)


def succeed(*command: str | Path) -> str:
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as it would be published, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    succeed(BIN / "hatchling", "build", "-t", "wheel", "-d", folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` of an environment with the wheel and the locked packages it declares, and no others."""
    venv = tmp_path_factory.mktemp("installed") / "venv"
    succeed(BIN / "uv", "venv", "--python", sys.executable, venv)
    into = ("--python", venv / "bin/python")
    lock = ROOT / "requirements/driftline.txt"
    pip = (BIN / "python", "-m", "pip", "--quiet", *into, "install")
    sync = (BIN / "uv", "pip", "sync", *into, "--require-hashes", lock)
    if subprocess.run(sync, capture_output=True, check=False).returncode:
        succeed(*pip, "--require-hashes", "--requirement", lock)  # uv does not know every way to the packages
    succeed(*pip, "--no-deps", wheel)
    return venv / "bin"


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    outside = [name for name in names if not name.startswith(("driftline/", f"driftline-{__version__}.dist-info/"))]
    assert outside == []
    assert {"driftline/py.typed", "driftline/models/seed/model.toml"} <= set(names)
    assert [name for name in names if name.endswith("licenses/LICENSE")]


def test_it_declares_its_pythons_and_extras(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = BytesParser().parsebytes(archive.read(f"driftline-{__version__}.dist-info/METADATA"))
    assert metadata["Requires-Python"] == ">=3.11"
    assert set(metadata.get_all("Provides-Extra", [])) == {
        "arrow",
        "client",
        "report",
        "load",
        "models",
        "sklearn",
        "onnx",
        "xgboost",
        "lightgbm",
        "mlflow",
    }
    required = [str(line) for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in str(line)]
    assert [line for line in required if line.startswith(("evidently", "pandas", "locust", "pytest"))] == []


def test_what_is_declared_is_complete(installed: Path) -> None:
    succeed(BIN / "uv", "pip", "check", "--python", installed / "python")


@pytest.mark.parametrize(
    "module", ["evidently", "pandas", "sklearn", "onnxruntime", "locust", "pytest", "hypothesis", "playwright"]
)
def test_neither_extras_nor_our_tools_are_there(installed: Path, module: str) -> None:
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is not None)"
    succeed(installed / "python", "-c", code)


def test_the_command_line_runs(installed: Path) -> None:
    assert succeed(installed / "driftline", "--version") == f"driftline {__version__}\n"
    assert "up" in succeed(installed / "driftline", "--help")


def test_it_serves_and_logs_and_says_what_the_report_lacks(installed: Path, tmp_path: Path) -> None:
    up = Up(NO_PORTS, {}, tmp_path, installed / "driftline")
    try:
        with urllib.request.urlopen(up.api + "/docs", timeout=5) as page:
            assert page.status == 200
        ids = [predict(up)["request_id"]]
        for number in range(1, ROWS_FOR_A_REPORT):
            body = json.dumps({"feature_1": number % 7, "feature_2": -number % 5}).encode()
            request = urllib.request.Request(up.api + "/predict", body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=5) as answer:
                ids.append(json.load(answer)["request_id"])
        wait_until(lambda: logged_ids(up) == ids)
        assert up.signal() == 0
    finally:
        up.end()

    report = subprocess.run(
        [installed / "driftline", "report"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert report.returncode == 3
    assert report.stderr.startswith("driftline: ")
    assert "pip install 'driftline[report]'" in report.stderr
    assert len(report.stderr.splitlines()) == 1
