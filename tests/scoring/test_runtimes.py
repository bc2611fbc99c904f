import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from driftline.contract.package import read_package
from driftline.errors import ModelError
from driftline.scoring import load_package
from driftline.scoring.package import EXTRAS, RUNTIMES
from tests.scoring.packages import floats, write_package

LIBRARIES = ("numpy", "pandas", "joblib", "lightgbm", "mlflow", "onnxruntime", "sklearn", "skops", "xgboost")


def loaded_after(code: str) -> set[str]:
    """Which libraries a Python has imported that has run this."""
    program = f"import json, sys\n{code}\nprint(json.dumps([name for name in {LIBRARIES!r} if name in sys.modules]))"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(finished.stdout))


def test_the_seeds_model_needs_no_array_library() -> None:
    code = "from driftline.scoring import load_package, seed_package\nload_package(seed_package())"
    assert loaded_after(code) == set()


def test_a_class_of_ones_own_needs_numpy_and_nothing_else(tmp_path: Path) -> None:
    package = write_package(tmp_path, "regression", floats(["a"]), {"runtime": "python", "class": "model:Model"})
    (package / "model.py").write_text("class Model:\n    predict = staticmethod(lambda matrix: matrix[:, 0])\n")
    code = f"from pathlib import Path\nfrom driftline.scoring import load_package\nload_package(Path({str(package)!r}))"
    assert loaded_after(code) == {"numpy"}


def test_each_runtime_has_a_module() -> None:
    assert [name for name, module in RUNTIMES.items() if find_spec(module) is None] == []
    assert set(EXTRAS) <= set(RUNTIMES)


@pytest.mark.parametrize(
    ("runtime", "library"),
    [
        ("onnx", "onnxruntime"),
        ("xgboost", "xgboost"),
        ("lightgbm", "lightgbm"),
        ("skops", "skops"),
        ("joblib", "joblib"),
    ],
)
def test_a_library_that_is_missing_says_what_to_install(
    runtime: str, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, RUNTIMES[runtime], raising=False)
    for module in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)
    package = write_package(tmp_path, "binary", floats(["a"]), {"runtime": runtime, "file": "model"}, content=b"")
    with pytest.raises(ModelError) as caught:
        load_package(package)
    assert f"needs {library}" in caught.value.message
    assert f"pip install 'driftline[{EXTRAS[runtime]}]'" in caught.value.message


@pytest.mark.parametrize("runtime", ["onnx", "xgboost", "lightgbm", "skops", "joblib", "pickle"])
@pytest.mark.xdist_group("runtimes")
def test_a_file_that_is_something_else_is_an_error_of_the_package(runtime: str, tmp_path: Path) -> None:
    artifact = {"runtime": runtime, "file": "model"}
    package = write_package(tmp_path, "binary", floats(["a"]), artifact, content=b"\x00not a model")
    with pytest.raises(ModelError):
        load_package(package, allow_pickle=True)


def test_what_a_library_logs_of_features_does_not_get_into_an_error(tmp_path: Path) -> None:
    from driftline.errors import ScoringError

    source = "class Model:\n    def predict(self, matrix):\n        raise ValueError(f'cannot score {matrix[0][0]}')\n"
    package = write_package(tmp_path, "regression", floats(["a"]), {"runtime": "python", "class": "model:Model"})
    (package / "model.py").write_text(source)
    _, model = load_package(package)
    with pytest.raises(ScoringError) as caught:
        model.score_row([4711.0])
    assert caught.value.message == "the model raises ValueError at model.py:3"


@pytest.mark.parametrize("given", ["[1.0]", "[[1.0, 2.0]] * 2", "['a', 'b']", "None", "[[1.0], [2.0, 3.0]]", "1.0"])
def test_what_is_no_score_for_each_row_is_an_error_and_not_a_score(given: str, tmp_path: Path) -> None:
    from driftline.errors import ScoringError

    package = write_package(tmp_path, "regression", floats(["a"]), {"runtime": "python", "class": "model:Model"})
    (package / "model.py").write_text(f"class Model:\n    def predict(self, matrix):\n        return {given}\n")
    _, model = load_package(package)
    with pytest.raises(ScoringError):
        model.score([[1.0], [2.0]])


def test_a_probability_that_rounding_has_brought_out_of_0_to_1_is_brought_back_and_a_logit_is_not(
    tmp_path: Path,
) -> None:
    package = write_package(tmp_path, "binary", floats(["a"]), {"runtime": "python", "class": "model:Model"})
    (package / "model.py").write_text("class Model:\n    predict = staticmethod(lambda matrix: matrix[:, 0])\n")
    _, model = load_package(package)
    assert list(model.score([[1.0000001], [-1e-8], [0.5], [1.1], [-3.0]])) == [1.0, 0.0, 0.5, 1.1, -3.0]


def test_a_package_is_read_without_any_runtime(tmp_path: Path) -> None:
    package = write_package(tmp_path, "binary", floats(["a"]), {"runtime": "nothing", "file": "model"})
    assert read_package(package).artifact["runtime"] == "nothing"
