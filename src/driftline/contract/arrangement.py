"""Which version of each model serves and which are tried beside it: what is there, and what the roster file says."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from driftline.contract.challenger import unfit
from driftline.contract.folder import find_packages, is_package
from driftline.contract.nearest import did_you_mean
from driftline.contract.package import Package, read_package
from driftline.contract.roster_file import ROSTER_FILE, Canary, Entry, RosterFile, natural, read_roster_file
from driftline.contract.schema import ModelSchema
from driftline.errors import ModelError

Versions = Mapping[str, ModelSchema]


class Arranged(NamedTuple):
    """Who answers for one model.

    Attributes:
        serving: The version that answers where none is named.
        shadow: Those that score beside it.
        canary: The one that answers a share of it.
    """

    serving: str
    shadow: tuple[str, ...] = ()
    canary: Canary | None = None


def arrange(models: Mapping[str, Versions], roster: RosterFile) -> dict[str, Arranged]:
    """Returns who answers for each model; the first is the default.

    Args:
        models: The schemas that are there, by name and version.
        roster: What the file says.

    Raises:
        ModelError: What it says cannot be done, or it does not say which model is the default.
    """
    for name in roster.models:
        if name not in models:
            raise ModelError(f"there is no model {name} here{did_you_mean(name, models)}")
    arranged = {name: _arranged(name, models[name], roster.entry(name)) for name in sorted(models)}
    default = roster.default
    if default is None:
        if len(arranged) > 1:
            raise ModelError(f'of {", ".join(arranged)} none is the default: write default = "{next(iter(arranged))}"')
        return arranged
    if default not in arranged:
        raise ModelError(f"there is no model {default} here, the default{did_you_mean(default, arranged)}")
    return {default: arranged[default], **arranged}


def arrange_folder(folder: Path, models: Mapping[str, Versions], refused: Iterable[str]) -> dict[str, Arranged]:
    """Returns who answers for each model of a folder, by its roster file; the first is the default.

    Args:
        folder: A package, which has no such file, or a folder of packages.
        models: See :func:`arrange`.
        refused: What is wrong with packages that are not among them; told if they are missed.

    Raises:
        ModelError: The file is wrong, or what it says cannot be done.
    """
    if is_package(folder):
        return arrange(models, RosterFile())
    roster = read_roster_file(folder)
    try:
        return arrange(models, roster)
    except ModelError as error:
        raise ModelError("; ".join([f"{folder / ROSTER_FILE}: {error.message}", *refused])) from error


def default_package(folder: Path) -> Package:
    """Returns the package that answers ``/predict``; no model is loaded.

    Args:
        folder: A package, or a folder of packages.

    Raises:
        ModelError: It cannot be told.
    """
    if is_package(folder):
        return read_package(folder)
    return next(iter(_serving_packages(folder).values()))


def serving_package(folder: Path, name: str) -> Package:
    """Returns the package that answers for a model; no model is loaded.

    Args:
        folder: A package, or a folder of packages.
        name: The model's.

    Raises:
        ModelError: There is no such model, or it cannot be told who answers.
    """
    if is_package(folder):
        package = read_package(folder)
        serving = {package.schema.name: package}
    else:
        serving = _serving_packages(folder)
    if name not in serving:
        raise ModelError(f"there is no model {name} in {folder}{did_you_mean(name, serving)}")
    return serving[name]


def read_packages(folder: Path) -> tuple[dict[str, dict[str, Package]], dict[Path, str]]:
    """Returns the packages of a folder by name and version, and what is wrong with the others by their directories.

    Raises:
        ModelError: There is none.
    """
    models: dict[str, dict[str, Package]] = {}
    refused: dict[Path, str] = {}
    for path in find_packages(folder):
        try:
            package = read_package(path)
        except ModelError as error:
            refused[path] = error.message
            continue
        schema = package.schema
        first = models.setdefault(schema.name, {}).setdefault(schema.version, package)
        if first is not package:
            refused[path] = f"{schema.name} {schema.version} is in {first.path}, too"
    return models, refused


def _serving_packages(folder: Path) -> dict[str, Package]:
    """Returns who answers for each model of a folder of packages; the first is the default."""
    models, refused = read_packages(folder)
    schemas = {name: {version: each.schema for version, each in found.items()} for name, found in models.items()}
    arranged = arrange_folder(folder, schemas, refused.values())
    return {name: models[name][each.serving] for name, each in arranged.items()}


def _arranged(name: str, versions: Versions, entry: Entry) -> Arranged:
    serving = entry.version if entry.version is not None else max(versions, key=natural)
    champion = _schema(name, versions, serving)
    shadow = tuple(dict.fromkeys(entry.shadow))
    challengers = [(version, "shadow") for version in shadow]
    if entry.canary is not None:
        challengers.append((entry.canary.version, "canary"))
    for version, role in challengers:
        challenger = _schema(name, versions, version)
        if version == serving:
            raise ModelError(f"{name} {version} serves, and cannot be its own {role}")
        if reason := unfit(champion, challenger):
            raise ModelError(f"{name} {version} cannot be tried on what {serving} is asked: {reason}")
    by = None if entry.canary is None else entry.canary.by
    if by is not None and by not in champion.names:
        raise ModelError(f"the canary of {name} goes by {by}, which is no feature{did_you_mean(by, champion.names)}")
    return Arranged(serving, shadow, entry.canary)


def _schema(name: str, versions: Versions, version: str) -> ModelSchema:
    if version not in versions:
        raise ModelError(f"there is no version {version} of {name} here{did_you_mean(version, versions)}")
    return versions[version]
