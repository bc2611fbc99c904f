import sys
from pathlib import Path
from typing import Any

import pytest

from driftline.errors import ModelError, ScoringError
from driftline.scoring import load_package
from tests.scoring.packages import floats, write_package


def package(folder: Path, source: str, name: str = "model:Model", **artifact: Any) -> Path:
    table = {"runtime": "python", "class": name, **artifact}
    written = write_package(folder, "regression", floats(["a"]), table)
    (written / "model.py").write_text(source)
    return written


def constant(number: float) -> str:
    return f"class Model:\n    def predict(self, matrix):\n        return [{number}] * len(matrix)\n"


def test_two_packages_have_modules_of_the_same_name_and_neither_sees_the_others(tmp_path: Path) -> None:
    models = [load_package(package(tmp_path / str(number), constant(number)))[1] for number in (1, 2)]
    assert [model.score_row([0.0]) for model in models] == [1.0, 2.0]
    assert "model" not in sys.modules


def test_a_package_that_is_loaded_again_has_the_code_that_is_in_it_now(tmp_path: Path) -> None:
    scores = []
    for number in range(5):  # within a second, and of the same length
        _, model = load_package(package(tmp_path, constant(number)))
        scores.append(model.score_row([0.0]))
    assert scores == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert not (tmp_path / "__pycache__").exists()


def test_a_folder_of_modules_imports_its_own(tmp_path: Path) -> None:
    written = package(tmp_path, "", "inner.scorer:Model")
    (written / "inner").mkdir()
    (written / "inner" / "__init__.py").write_text("")
    (written / "inner" / "numbers.py").write_text("SEVEN = 7.0\n")
    (written / "inner" / "scorer.py").write_text("from .numbers import SEVEN\n" + constant(1).replace("[1]", "[SEVEN]"))
    _, model = load_package(written)
    assert model.score_row([0.0]) == 7.0


def test_a_class_that_is_installed_is_found_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "installed_scorer.py").write_text(constant(3))
    monkeypatch.syspath_prepend(tmp_path)
    _, model = load_package(package(tmp_path / "package", "", "installed_scorer:Model"))
    assert model.score_row([0.0]) == 3.0


def test_only_a_class_that_needs_an_argument_is_given_the_folder(tmp_path: Path) -> None:
    source = "class Model:\n    def __init__(self, n{}):\n        self.n = n\n    predict = lambda self, _: [{}]\n"
    for default, given, score in (("", "float(self.n.name)", 7.0), ("=4.0", "self.n", 4.0)):
        _, model = load_package(package(tmp_path / "7", source.format(default, given)))
        assert model.score_row([0.0]) == score


@pytest.mark.parametrize(
    ("source", "name", "message"),
    [
        ("", "model", r'must be "module:Class"'),
        ("", "model:", r'must be "module:Class"'),
        ("", "../model:Model", r'must be "module:Class"'),
        ("", "model:Model", "the module model has no Model"),
        ("", "nowhere:Model", "the module nowhere cannot be imported: ModuleNotFoundError"),
        ("1 / 0", "model:Model", "the module model cannot be imported: ZeroDivisionError: division by zero"),
        ("Model = 3", "model:Model", "model:Model is no class"),
        ("class Model: pass", "model:Model", "model:Model has no method predict"),
        ("def Model(): raise OSError('no weights')", "model:Model", "cannot be made: OSError: no weights"),
    ],
)
def test_a_class_that_is_none_says_why(source: str, name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message):
        load_package(package(tmp_path, source, name))


def test_a_module_that_fails_is_not_left_behind(tmp_path: Path) -> None:
    before = set(sys.modules)
    with pytest.raises(ModelError):
        load_package(package(tmp_path, "1 / 0"))
    assert set(sys.modules) - before == set()


def test_the_example_in_the_documentation_scores(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "runtimes.md").read_text()
    source = text.partition("```python\n")[2].partition("```")[0]
    assert 'class = "scorer:Scorer"' in text
    written = package(tmp_path, "", "scorer:Scorer")
    (written / "scorer.py").write_text(source)
    (written / "limits.txt").write_text("10 20\n")
    _, model = load_package(written)
    assert model.score([[5.0], [20.0]]) == [0.5, 1.0]


@pytest.mark.parametrize("timeout_s", ["0", "-1.0", "nan", "inf", "3601", '"1"'])
def test_a_timeout_is_a_time_that_passes_and_for_what_is_cpu_bound(timeout_s: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="timeout_s is for a model that is cpu_bound"):
        load_package(package(tmp_path, constant(1), timeout_s=30))
    written = package(tmp_path, constant(1), cpu_bound=True, timeout_s=30) / "model.toml"
    written.write_text(written.read_text().replace("timeout_s = 30", f"timeout_s = {timeout_s}"))
    with pytest.raises(ModelError, match="timeout_s"):
        load_package(tmp_path)


def test_processes_are_for_what_is_cpu_bound(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="processes is for a model that is cpu_bound"):
        load_package(package(tmp_path, constant(1), processes=2))
    with pytest.raises(ModelError, match="processes"):
        load_package(package(tmp_path, constant(1), cpu_bound=True, processes=0))


@pytest.mark.parametrize(
    "raised",
    [
        "RuntimeError('secret')",
        "SystemExit(1)",
        "GeneratorExit()",
        "type('PanicException', (BaseException,), {})('secret')",  # what a panic in a library of Rust becomes
    ],
)
def test_whatever_a_class_raises_is_the_models_failure(raised: str, tmp_path: Path) -> None:
    source = f"class Model:\n    def predict(self, matrix):\n        raise {raised}\n"
    _, model = load_package(package(tmp_path, source))
    with pytest.raises(ScoringError, match=r"^the model raises [A-Za-z]+ at model\.py:3$"):
        model.score_row([0.0])
