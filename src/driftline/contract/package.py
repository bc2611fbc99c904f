"""A model package is a directory with a ``model.toml``: what the model takes, and the artifact that scores it."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from driftline.contract.schema import ModelSchema, converted, refuse_unknown_keys
from driftline.errors import ModelError

FILE_NAME: Final = "model.toml"
REFERENCE_FILE: Final = "reference.json"
"""The profile of the package's sample, beside ``model.toml``; it need not be there."""

_OWN: Final = ("artifact", "sample", "expected", "max_batch_size", "max_batch_delay_ms")


class _Settings(msgspec.Struct, frozen=True):
    artifact: dict[str, Any]
    sample: str | None = None
    expected: str | None = None
    max_batch_size: Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None = None
    max_batch_delay_ms: Annotated[float, msgspec.Meta(ge=0, le=1000)] = 0.0


class Package(NamedTuple):
    """What ``model.toml`` says.

    Attributes:
        path: The directory.
        schema: What the model takes and gives.
        artifact: What the runtime is told: ``runtime`` is its name, ``file`` the artifact, ``sha256`` that file's.
        sample: A table of rows as the model was trained on; None if there is none.
        expected: A table of what the model gives for them, row by row; None if there is none.
        max_batch_size: Most requests that are scored in one go; None leaves it to the runtime, 1 scores each alone.
        max_batch_delay_ms: How long the first of them waits for others.
    """

    path: Path
    schema: ModelSchema
    artifact: Mapping[str, Any]
    sample: Path | None
    expected: Path | None
    max_batch_size: int | None
    max_batch_delay_ms: float

    @property
    def reference(self) -> Path:
        """The profile of the sample; it need not be there."""
        return self.path / REFERENCE_FILE


def seed_package() -> Path:
    """Returns the directory of the model that is served until another one is given."""
    return Path(__file__).parents[1] / "models" / "seed"


@cache
def seed_schema() -> ModelSchema:
    """Returns what the seed's model takes and gives."""
    return read_package(seed_package()).schema


def read_package(path: Path) -> Package:
    """Returns what a package says of itself; its artifact is not read.

    Args:
        path: The directory that holds ``model.toml``.

    Raises:
        ModelError: There is none, or it contradicts itself.
    """
    declared = _read_toml(path / FILE_NAME)
    refuse_unknown_keys(declared, (*ModelSchema.__struct_fields__, *_OWN), where="")
    schema = ModelSchema.from_mapping({key: value for key, value in declared.items() if key not in _OWN})
    if not isinstance(declared.get("artifact"), dict):
        raise ModelError(f"{path} has no [artifact] table")
    own: _Settings = converted({key: value for key, value in declared.items() if key in _OWN}, _Settings)
    return Package(
        path,
        schema,
        own.artifact,
        _file(path, "sample", own.sample),
        _file(path, "expected", own.expected),
        own.max_batch_size,
        own.max_batch_delay_ms,
    )


def _file(path: Path, key: str, name: str | None) -> Path | None:
    if name is None:
        return None
    file = path / name
    if not file.is_file():
        raise ModelError(f"{key} names {file}, which is not there")
    return file


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            return tomllib.load(opened)
    except OSError as error:
        raise ModelError(f"cannot read {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{file} is not TOML: {error}") from error
