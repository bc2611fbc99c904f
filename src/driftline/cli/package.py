"""The model package that the settings name, and the reference that goes with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from driftline.contract.package import Package
    from driftline.contract.schema import ModelSchema
    from driftline.scoring import Model
    from driftline.settings import Settings


def package_of(settings: "Settings") -> "Package":
    """What the package says that is served; of a folder of several, the one that answers ``/predict``.

    Raises:
        ModelError: It is none, or it cannot be told which.
    """
    from driftline.contract.arrangement import default_package  # noqa: PLC0415 - see read_settings
    from driftline.contract.package import seed_package  # noqa: PLC0415

    return default_package(settings.model or seed_package())


def schema_of(settings: "Settings", name: str | None) -> "ModelSchema":
    """What a model that is served takes and gives; without a name, the one that answers ``/predict``.

    Raises:
        ModelError: It is not among the packages, or it cannot be told which is meant.
    """
    from driftline.contract.arrangement import serving_package  # noqa: PLC0415 - see read_settings

    if name is None or settings.model is None:
        return package_of(settings).schema
    return serving_package(settings.model, name).schema


def reference_in_use(settings: "Settings") -> Path:
    """Where the reference is: the file that was made for this data folder, or else the package's own.

    It may be that neither is there; then it is where the first would be.
    """
    if settings.reference_file.exists():
        return settings.reference_file
    own = package_of(settings).reference
    return own if own.exists() else settings.reference_file


@contextmanager
def closed(model: "Model") -> Iterator[None]:
    """Ends the processes of a model that has some, when the block ends."""
    from driftline.scoring import AsyncModel  # noqa: PLC0415 - see read_settings

    try:
        yield
    finally:
        if isinstance(model, AsyncModel):
            model.close()
