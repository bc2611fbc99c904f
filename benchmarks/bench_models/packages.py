"""The models that are measured, as packages: weights for 2, 20 and 200 numbers, and boosted trees as an ONNX graph."""

import json
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from driftline.contract.package import read_package
from driftline.scoring import Model, load_model

WIDTHS = (2, 20, 200)
TREES = "boosted trees (ONNX), 20"
SEED = 20261126
MOST_VALUES = 400_000


class Case(NamedTuple):
    """One model.

    Attributes:
        name: As the page shows it.
        package: Its folder.
        call: Calls the model, or its library, directly on one row.
        rows: Rows as clients send them.
    """

    name: str
    package: Path
    call: Callable[[tuple[float, ...]], Any]
    rows: list[dict[str, float]]


def cases(directory: Path, rows: int) -> list[Case]:
    """Makes all packages; without onnxruntime and scikit-learn the one with trees is missing."""
    made = [logistic(directory, width, rows) for width in WIDTHS]
    with suppress(ImportError):
        made.append(boosted_trees(directory, rows))
    return made


def logistic(directory: Path, width: int, rows: int) -> Case:
    """A logistic model of so many numbers."""
    draw = np.random.default_rng(SEED)
    weights = {name: round(float(draw.normal()), 3) for name in names_of(width)}
    package = directory / f"logistic-{width}"
    artifact = f'runtime = "logistic"\nbias = 0.1\nweights = {inline(weights)}\n'
    write_package(package, width, artifact)
    model: Model = load_model(read_package(package))
    return Case(f"logistic, {width}", package, model.score_row, drawn(width, rows))


def boosted_trees(directory: Path, rows: int) -> Case:
    """A hundred trees of depth 3 over 20 numbers.

    Raises:
        ImportError: What trains, converts or runs it is not installed.
    """
    onnxruntime, skl2onnx = import_module("onnxruntime"), import_module("skl2onnx")
    datasets, ensemble = import_module("sklearn.datasets"), import_module("sklearn.ensemble")
    x, y = datasets.make_classification(2000, 20, n_informative=8, random_state=SEED)
    x = x.astype(np.float32)
    trained = ensemble.GradientBoostingClassifier(random_state=SEED).fit(x, y)
    graph = skl2onnx.to_onnx(trained, x[:1], options={"zipmap": False}, target_opset=17).SerializeToString()
    package = directory / "trees"
    package.mkdir()
    (package / "model.onnx").write_bytes(graph)
    write_package(package, 20, f'runtime = "onnx"\nfile = "model.onnx"\nsha256 = "{sha256(graph).hexdigest()}"\n')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    given, told = session.get_inputs()[0].name, session.get_outputs()[1].name

    def call(row: tuple[float, ...]) -> Any:
        return session.run([told], {given: np.array([row], dtype=np.float32)})[0][0, 1]

    return Case(TREES, package, call, drawn(20, rows))


def write_package(package: Path, width: int, artifact: str) -> None:
    """Writes ``model.toml``."""
    package.mkdir(exist_ok=True)
    features = "".join(f'\n[[features]]\nname = "{name}"\ntype = "float"\n' for name in names_of(width))
    head = f'name = "{package.name}"\nversion = "1"\noutput = "binary"\n'
    (package / "model.toml").write_text(f"{head}{features}\n[artifact]\n{artifact}")


def names_of(width: int) -> list[str]:
    """The features' names."""
    return [f"feature_{at}" for at in range(1, width + 1)]


def inline(weights: dict[str, float]) -> str:
    """A table of TOML on one line."""
    return "{ " + ", ".join(f"{name} = {json.dumps(weight)}" for name, weight in weights.items()) + " }"


def drawn(width: int, rows: int) -> list[dict[str, float]]:
    """Rows with all digits that a number has; fewer of very wide ones."""
    rows = min(rows, MOST_VALUES // width)
    values = np.random.default_rng(SEED + 1).normal(size=(rows, width)).tolist()
    return [dict(zip(names_of(width), row, strict=True)) for row in values]
