"""A model package is a directory with a ``model.toml``: what the model takes, and the artifact that scores it."""

import tomllib
from functools import cache
from pathlib import Path

from driftline.contract.schema import ModelSchema
from driftline.errors import ModelError


def seed_package() -> Path:
    """Returns the directory of the model that is served until another one is given."""
    return Path(__file__).parents[1] / "models" / "seed"


@cache
def seed_schema() -> ModelSchema:
    """Returns what the seed's model takes and gives."""
    return ModelSchema.from_mapping(read_package(seed_package()))


def read_package(path: Path) -> dict[str, object]:
    """Returns what a package's ``model.toml`` says, unchecked.

    Raises:
        ModelError: There is none, or it is not TOML.
    """
    file = path / "model.toml"
    try:
        with file.open("rb") as opened:
            return tomllib.load(opened)
    except OSError as error:
        raise ModelError(f"cannot read {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{file} is not TOML: {error}") from error
