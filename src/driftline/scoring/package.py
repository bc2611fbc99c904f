"""Loading a model package: its schema, and the runtime that its artifact names."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple

from driftline.contract.nearest import did_you_mean
from driftline.contract.package import Package, read_package, seed_package
from driftline.contract.schema import ModelSchema
from driftline.errors import ModelError
from driftline.scoring.model import Model

__all__ = ["RUNTIMES", "Loading", "load_model", "load_package", "seed_package"]


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
}
"""The module of each runtime, which has a function ``load(loading) -> Model``; imported only when it is used."""


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
    load: Callable[[Loading], Model] = import_module(RUNTIMES[runtime]).load
    return load(Loading(package, allow_pickle))


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
