"""What an artifact says of itself: which features it takes, of which types, and what it gives."""

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple

from driftline.contract.schema import Label, Output, Type
from driftline.errors import ModelError
from driftline.scoring.package import EXTRAS

_BY_SUFFIX: Final[Mapping[str, str]] = {
    ".skops": "skops",
    ".pkl": "pickle",
    ".pickle": "pickle",
    ".joblib": "joblib",
    ".onnx": "onnx",
    ".ubj": "xgboost",
    ".txt": "lightgbm",
}
MLMODEL: Final = "MLmodel"
"""The file that makes a folder an MLflow model."""


_DESCRIBERS: Final[Mapping[str, tuple[str, str]]] = {
    "xgboost": ("driftline.scoring.booster_description", "describe_xgboost"),
    "lightgbm": ("driftline.scoring.booster_description", "describe_lightgbm"),
    "onnx": ("driftline.scoring.onnx_description", "describe_onnx"),
    "mlflow": ("driftline.scoring.mlflow_description", "describe_mlflow"),
}
"""The function of each runtime that reads one file or folder; imported only when it is used, for it loads a library."""


class Description(NamedTuple):
    """What an artifact says; None and empty where it says nothing.

    Attributes:
        names: The features it takes, in its order.
        width: How many there are.
        output: What it gives.
        classes: What its classes are called, in its order.
        types: Of features, by name.
        categories: What texts of features are coded as numbers, by name and in the order of their codes; an empty
            list where it is known that there are some, and not which.
        artifact: Further keys for the ``[artifact]`` table.
    """

    names: tuple[str, ...] | None = None
    width: int | None = None
    output: Output | None = None
    classes: tuple[Label, ...] = ()
    types: Mapping[str, Type] = {}
    categories: Mapping[str, tuple[str, ...]] = {}
    artifact: Mapping[str, Any] = {}


def runtime_of(artifact: Path) -> str:
    """Returns the runtime that reads an artifact.

    Raises:
        ModelError: It is not there, or nothing tells what it is.
    """
    if artifact.is_dir():
        if (artifact / MLMODEL).is_file():
            return "mlflow"
        raise ModelError(f"{artifact} is a folder without the file {MLMODEL}, which would make it an MLflow model")
    if not artifact.is_file():
        raise ModelError(f"there is no file {artifact}")
    suffix = artifact.suffix.lower()
    if suffix == ".json":
        declared = _json(artifact)
        if "learner" in declared:
            return "xgboost"
        if "weights" in declared:
            return "logistic"
    if suffix not in _BY_SUFFIX:
        known = ", ".join(_BY_SUFFIX)
        raise ModelError(
            f"what {artifact} holds cannot be told: an artifact ends in one of {known}; in .json with XGBoost's "
            f"learner, or bias and weights; or is the folder of an MLflow model, or a class of Python, MODULE:CLASS"
        )
    return _BY_SUFFIX[suffix]


def describe(runtime: str, artifact: Path, *, allow_pickle: bool, trusted: tuple[str, ...] = ()) -> Description:
    """Returns what an artifact says of itself.

    Args:
        runtime: What reads it.
        artifact: The file or folder.
        allow_pickle: Whether it may run code as it is loaded.
        trusted: Types in a skops file whose code may run.

    Raises:
        ModelError: It cannot be read, holds what is not trusted, or its library is not installed.
    """
    try:
        return _described(runtime, artifact, allow_pickle=allow_pickle, trusted=trusted)
    except ImportError as error:
        install = f": pip install 'driftline[{EXTRAS[runtime]}]'" if runtime in EXTRAS else ""
        raise ModelError(
            f"a model of the runtime {runtime} needs {error.name}, which is not installed{install}"
        ) from error


def _described(runtime: str, artifact: Path, *, allow_pickle: bool, trusted: tuple[str, ...]) -> Description:
    if runtime in {"skops", "pickle", "joblib"}:
        estimators = import_module("driftline.scoring.estimator_description")
        found: Description = estimators.describe_estimator(
            runtime, artifact, allow_pickle=allow_pickle, trusted=trusted
        )
        return found
    if runtime in {"logistic", "linear"}:
        names = tuple(map(str, _json(artifact)["weights"]))
        return Description(names, len(names), "binary" if runtime == "logistic" else "regression")
    if runtime not in _DESCRIBERS:
        return Description()
    module, function = _DESCRIBERS[runtime]
    described: Description = getattr(import_module(module), function)(artifact)
    return described


def _json(artifact: Path) -> dict[str, Any]:
    try:
        declared = json.loads(artifact.read_bytes())
    except OSError as error:
        raise ModelError(f"cannot read {artifact}: {error.strerror}") from error
    except ValueError as error:
        raise ModelError(f"{artifact} is not JSON: {error}") from error
    return declared if isinstance(declared, dict) else {}


def labels_of(classes: Any) -> tuple[Label, ...]:
    """Returns classes as labels: whole numbers stay numbers, whatever type they have, and all else is text."""
    values = list(classes)
    if all(isinstance(value, bool | int) or (isinstance(value, float) and value.is_integer()) for value in values):
        return tuple(map(int, values))
    return tuple(map(str, values))
