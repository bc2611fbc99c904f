"""Who answers, who is tried beside, and who was refused: drawn up of a folder of packages and its roster file."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, Self

from msgspec.structs import astuple

from driftline.api.served import Served
from driftline.contract.arrangement import Arranged, arrange_folder
from driftline.contract.challenger import rearranged
from driftline.contract.folder import Stamp, digest_of, find_packages, stamp_of
from driftline.contract.nearest import did_you_mean
from driftline.contract.package import Package, read_package
from driftline.contract.request import Features
from driftline.contract.roster_file import Canary, natural
from driftline.errors import ModelError, ModelNotFoundError

Load = Callable[[Package], Served]
"""Loads a model and sees that it does what its package says; raises ModelError."""


class Challenger:
    """A version that is tried on what another one is asked.

    Args:
        served: The version.
        champion: The other one, of whose requests it can take each.
    """

    def __init__(self, served: Served, champion: Served) -> None:
        self.served: Final = served
        self._rearranged = rearranged(champion.schema, served.schema)

    def features(self, asked: Features) -> Features:
        """Returns the features of a request as this version has them."""
        return self.served.decoder.make(*self._rearranged(astuple(asked)))


class Split(NamedTuple):
    """A version that answers a share.

    Attributes:
        challenger: It.
        plan: Which share.
    """

    challenger: Challenger
    plan: Canary


class Model(NamedTuple):
    """All that is served under one name.

    Attributes:
        serving: The version that answers where none is named.
        versions: All of them, by their names in natural order.
        shadows: Those that score beside what ``serving`` answers.
        split: The one that answers a share of it.
    """

    serving: Served
    versions: Mapping[str, Served]
    shadows: tuple[Challenger, ...] = ()
    split: Split | None = None


class Loaded(NamedTuple):
    """A package as it was loaded."""

    served: Served
    stamp: Stamp
    digest: bytes


@dataclass(frozen=True)
class Lineup:
    """Who answers at one time.

    Attributes:
        models: By their names; the first is the default.
        loaded: The packages behind them, by their directories.
        refused: Why a package, by its place in the folder, is not served as it lies there.
    """

    models: Mapping[str, Model]
    loaded: Mapping[Path, Loaded] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, served: Iterable[Served]) -> Self:
        """Returns a lineup whose first model is the default; of each name the first version serves."""
        models: dict[str, dict[str, Served]] = {}
        for each in served:
            models.setdefault(each.schema.name, {})[each.schema.version] = each
        return cls({name: Model(next(iter(versions.values())), versions) for name, versions in models.items()})

    def find(self, name: str) -> Model:
        """Returns what is served under a name.

        Raises:
            ModelNotFoundError: Nothing.
        """
        try:
            return self.models[name]
        except KeyError:
            hint = did_you_mean(name, self.models)
            raise ModelNotFoundError(f"No model of this name is served{hint}") from None


def draw_up(folder: Path, load: Load, before: Lineup | None = None) -> Lineup:
    """Returns who answers from now on.

    A package that cannot be used is refused by itself: it is as if it were not there or, if it was loaded before, had
    not changed.

    Args:
        folder: A package, or a folder of packages.
        load: Loads one.
        before: Who answered until now; what has not changed is not loaded again.

    Raises:
        ModelError: There is no package of use, the roster file is wrong, or what it says cannot be done.
    """
    packages = find_packages(folder)
    loaded, refused = _load_all(folder, packages, load, before)
    if not loaded:
        raise ModelError("; ".join(refused.values()))
    versions: dict[str, dict[str, Served]] = {}
    for each in sorted(loaded.values(), key=lambda each: natural(each.served.schema.version)):
        versions.setdefault(each.served.schema.name, {})[each.served.schema.version] = each.served
    schemas = {name: {version: each.schema for version, each in found.items()} for name, found in versions.items()}
    arranged = arrange_folder(folder, schemas, refused.values())
    models = {name: _model(versions[name], each) for name, each in arranged.items()}
    return Lineup(models, loaded, refused)


def _load_all(
    folder: Path, packages: Iterable[Path], load: Load, before: Lineup | None
) -> tuple[dict[Path, Loaded], dict[str, str]]:
    known = dict(before.loaded) if before is not None else {}
    loaded: dict[Path, Loaded] = {}
    refused: dict[str, str] = {}
    taken: dict[tuple[str, str], Path] = {}
    for path in packages:
        try:
            each = _load_one(path, load, known)
        except ModelError as error:
            refused[_place(path, folder)] = error.message
            if path not in known:
                continue
            each = known[path]
        schema = each.served.schema
        first = taken.setdefault((schema.name, schema.version), path)
        if first != path:
            refused[_place(path, folder)] = f"{schema.name} {schema.version} is in {_place(first, folder)}, too"
            continue
        loaded[path] = each
    return loaded, refused


def _load_one(path: Path, load: Load, known: Mapping[Path, Loaded]) -> Loaded:
    stamp = stamp_of(path)
    if path in known and known[path].stamp == stamp:
        return known[path]
    package = read_package(path)
    digest = digest_of(package)
    schema = package.schema
    for each in known.values():
        if (each.served.schema.name, each.served.schema.version) == (schema.name, schema.version):
            if each.digest == digest:
                return each._replace(stamp=stamp)
            raise ModelError(
                f"the package has changed and is still {schema.name} {schema.version}: the log could not say which of "
                "the two has answered, so a changed model needs a new version"
            )
    return Loaded(load(package), stamp, digest)


def _model(versions: Mapping[str, Served], arranged: Arranged) -> Model:
    serving = versions[arranged.serving]
    shadows = tuple(Challenger(versions[version], serving) for version in arranged.shadow)
    plan = arranged.canary
    split = None if plan is None else Split(Challenger(versions[plan.version], serving), plan)
    return Model(serving, versions, shadows, split)


def _place(path: Path, folder: Path) -> str:
    return folder.name if path == folder else str(path.relative_to(folder))
