"""Loading a model package: its schema, and the runtime that its artifact names."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple

from driftline.contract.nearest import did_you_mean
from driftline.contract.package import Package, read_package, seed_package
from driftline.contract.schema import ModelSchema
from driftline.errors import ModelError
from driftline.scoring.artifact import told
from driftline.scoring.model import Model

__all__ = ["EXTRAS", "RUNTIMES", "Loading", "load_model", "load_package", "seed_package"]


class Loading(NamedTuple):
    """What a runtime makes a model of.

    Attributes:
        package: What ``model.toml`` says.
        allow_pickle: Whether an artifact may be loaded that runs code as it is loaded.
    """

    package: Package
    allow_pickle: bool = False


RUNTIMES: Final[dict[str, str]] = {
    "logistic": "driftline.scoring.logistic",
    "linear": "driftline.scoring.linear",
    "skops": "driftline.scoring.skops",
    "pickle": "driftline.scoring.pickled",
    "joblib": "driftline.scoring.pickled",
    "onnx": "driftline.scoring.onnx",
    "xgboost": "driftline.scoring.xgboost",
    "lightgbm": "driftline.scoring.lightgbm",
    "mlflow": "driftline.scoring.mlflow",
    "python": "driftline.scoring.python",
}
"""The module of each runtime, which has a function ``load(loading) -> Model``; imported only when it is used."""

EXTRAS: Final[dict[str, str]] = {
    "skops": "sklearn",
    "pickle": "sklearn",
    "joblib": "sklearn",
    "onnx": "onnx",
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "mlflow": "mlflow",
}
"""The extra that brings the library of a runtime which needs one."""


def load_model(package: Package, *, allow_pickle: bool = False) -> Model:
    """Returns the model of a package.

    Args:
        package: What ``model.toml`` says.
        allow_pickle: Whether an artifact may be loaded that runs code as it is loaded.

    Raises:
        ModelError: The artifact is missing or no such model, or the library that reads it is not installed.
    """
    runtime = package.artifact.get("runtime")
    if not isinstance(runtime, str) or runtime not in RUNTIMES:
        hint = did_you_mean(runtime, RUNTIMES) if isinstance(runtime, str) else ""
        raise ModelError(f"artifact.runtime must be one of: {', '.join(RUNTIMES)}{hint}")
    load = _runtime(runtime)
    try:
        return load(Loading(package, allow_pickle))
    except ModelError:
        raise
    except Exception as error:  # a library may raise anything
        raise ModelError(f"the runtime {runtime} cannot load {package.path}: {told(error)}") from error


def _runtime(name: str) -> Callable[[Loading], Model]:
    try:
        load: Callable[[Loading], Model] = import_module(RUNTIMES[name]).load
    except ModuleNotFoundError as error:
        if name not in EXTRAS:
            raise
        install = f"pip install 'driftline[{EXTRAS[name]}]'"
        raise ModelError(f"the runtime {name} needs {error.name}, which is not installed: {install}") from error
    except (ImportError, OSError) as error:  # it is there, and does not load: a library of the system is missing
        raise ModelError(f"the library of the runtime {name} cannot be loaded: {told(error)}") from error
    return load


def load_package(path: Path, *, allow_pickle: bool = False) -> tuple[ModelSchema, Model]:
    """Returns what a package's model takes and gives, and the model.

    Args:
        path: The directory that holds ``model.toml``.
        allow_pickle: See :func:`load_model`.

    Raises:
        ModelError: The package is incomplete or contradicts itself.
    """
    package = read_package(path)
    return package.schema, load_model(package, allow_pickle=allow_pickle)
