"""Loading a model package: its schema, and the runtime that its artifact names."""

from collections.abc import Callable, Mapping
from pathlib import Path

from driftline.contract.nearest import did_you_mean
from driftline.contract.package import read_package, seed_package
from driftline.contract.schema import ModelSchema
from driftline.errors import ModelError
from driftline.scoring.logistic import LogisticModel
from driftline.scoring.model import Model

__all__ = ["load_package", "seed_package"]

_RUNTIMES: dict[str, Callable[[ModelSchema, Mapping[str, object]], Model]] = {
    "logistic": LogisticModel.from_artifact,
}


def load_package(path: Path) -> tuple[ModelSchema, Model]:
    """Returns what a package's model takes and gives, and the model.

    Args:
        path: The directory that holds ``model.toml``.

    Raises:
        ModelError: The package is incomplete or contradicts itself.
    """
    declared = read_package(path)
    schema = ModelSchema.from_mapping(declared)
    artifact = declared.get("artifact")
    if not isinstance(artifact, dict):
        raise ModelError(f"{path} has no [artifact] table")
    runtime = artifact.get("runtime")
    if not isinstance(runtime, str) or runtime not in _RUNTIMES:
        hint = did_you_mean(runtime, _RUNTIMES) if isinstance(runtime, str) else ""
        raise ModelError(f"artifact.runtime must be one of: {', '.join(_RUNTIMES)}{hint}")
    return schema, _RUNTIMES[runtime](schema, artifact)
