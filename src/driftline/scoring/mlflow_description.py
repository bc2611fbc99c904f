"""What an MLflow model says of itself, in its signature."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from driftline.contract.schema import Type
from driftline.errors import ModelError
from driftline.scoring.description import MLMODEL, Description

_TYPES: Final[Mapping[str, Type]] = {
    "double": "float",
    "float": "float",
    "integer": "int",
    "long": "int",
    "boolean": "bool",
    "string": "category",
}


def describe_mlflow(artifact: Path) -> Description:
    """Returns what a model's signature says.

    Raises:
        ModelError: Its MLmodel cannot be read.
    """
    try:
        declared: Any = yaml.safe_load((artifact / MLMODEL).read_text("utf-8"))
        inputs = json.loads(((declared.get("signature") or {}).get("inputs")) or "[]")
    except (OSError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise ModelError(f"{artifact / MLMODEL} cannot be read: {error}") from error
    columns = [column for column in inputs if "name" in column]
    if not columns or len(columns) < len(inputs):
        return Description()
    types = {str(column["name"]): _TYPES.get(column["type"]) for column in columns}
    return Description(tuple(types), len(types), types={name: kind for name, kind in types.items() if kind})
