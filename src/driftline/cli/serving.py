"""``driftline model list|promote|rollback|shadow|canary``: who answers of the models of a folder, and who is tried."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from driftline.cli.exits import epilog
from driftline.cli.options import AllowPickle, Json, pickle_setting, read_settings
from driftline.errors import ModelError, SettingsError

if TYPE_CHECKING:
    from driftline.contract.arrangement import Arranged
    from driftline.contract.package import Package
    from driftline.contract.roster_file import Entry, RosterFile
    from driftline.contract.schema import ModelSchema

LIST_EPILOG = epilog("driftline model list --model models", "DRIFTLINE_MODEL=models driftline model list --json")
PROMOTE_EPILOG = epilog("driftline model promote credit 2.1 --model models")
ROLLBACK_EPILOG = epilog("driftline model rollback credit --model models")
SHADOW_EPILOG = epilog(
    "driftline model shadow credit 3.0 --model models", "driftline model shadow credit 3.0 --off --model models"
)
CANARY_EPILOG = epilog(
    'driftline model canary credit 3.0 "5 %" --by customer_id --model models',
    "driftline model canary credit 3.0 --off --model models",
)

Folder = Annotated[
    Path | None, typer.Option("--model", metavar="DIR", help="Folder of the models. Default: the setting model")
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The model's name.")]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="One of its versions, as its package says.")]
Share = Annotated[str | None, typer.Argument(metavar="SHARE", help='Of what names no version: "5 %", or 0.05.')]
By = Annotated[
    str | None,
    typer.Option(
        metavar="FEATURE", help="Whoever this feature names always gets the same version. Default: all inputs"
    ),
]
Off = Annotated[bool, typer.Option("--off", help="End it.")]


def show(*, model: Folder = None, as_json: Json = False) -> None:
    """Lists the models of a folder, their versions, and who answers."""
    models = _models(model)
    if as_json:
        typer.echo(json.dumps(_listed(models), indent=2))
        return
    for name, arranged in models.arranged.items():
        default = "  (default)" if name == next(iter(models.arranged)) else ""
        typer.echo(f"{name}{default}")
        for version in models.packages[name]:
            typer.echo(f"  {version:<20} {_role(version, arranged)}".rstrip())
    for path, reason in models.refused.items():
        typer.echo(f"refused: {path}: {reason}", err=True)


def promote(name: Name, version: Version, *, model: Folder = None, allow_pickle: AllowPickle = False) -> None:
    """Has a version serve, after its package was checked; the one that served is remembered for a rollback."""

    def changed(entry: "Entry", arranged: "Arranged") -> "Entry":
        from msgspec.structs import replace  # noqa: PLC0415 - see read_settings

        if version == arranged.serving and entry.version == version:
            raise ModelError(f"{name} {version} serves already")
        previous = entry.previous if version == arranged.serving else arranged.serving
        # It serves all now, so it is no challenger any more.
        canary = None if entry.canary is not None and entry.canary.version == version else entry.canary
        shadow = tuple(each for each in entry.shadow if each != version)
        return replace(entry, version=version, previous=previous, canary=canary, shadow=shadow)

    _change(_models(model, allow_pickle=allow_pickle), name, changed, check=version)
    typer.echo(f"{name} {version} serves from now on: running servers of this folder switch within seconds.", err=True)


def rollback(name: Name, *, model: Folder = None, allow_pickle: AllowPickle = False) -> None:
    """Has the version serve that served before; a second rollback takes the first one back."""
    models = _models(model)
    previous = models.roster.entry(name).previous
    if previous is None:
        models.refuse_unknown(name)
        raise ModelError(f"nothing is known of what served before {name} {models.arranged[name].serving}")
    promote(name, previous, model=model, allow_pickle=allow_pickle)


def shadow(
    name: Name, version: Version, *, off: Off = False, model: Folder = None, allow_pickle: AllowPickle = False
) -> None:
    """Has a version score beside the one that serves: nobody gets its scores, and the log has both."""

    def changed(entry: "Entry", _: "Arranged") -> "Entry":
        from msgspec.structs import replace  # noqa: PLC0415 - see read_settings

        if off and version not in entry.shadow:
            raise ModelError(f"{name} {version} is no shadow")
        others = tuple(each for each in entry.shadow if each != version)
        return replace(entry, shadow=others if off else (*others, version))

    _change(_models(model, allow_pickle=allow_pickle), name, changed, check=None if off else version)
    does = "is no shadow any more" if off else "scores beside each answer from now on"
    typer.echo(f"{name} {version} {does}: running servers of this folder switch within seconds.", err=True)


def canary(
    name: Name,
    version: Version,
    share: Share = None,
    *,
    by: By = None,
    off: Off = False,
    model: Folder = None,
    allow_pickle: AllowPickle = False,
) -> None:
    """Has a version answer a share of what names no version; a greater share has the same rows, and more."""
    if (share is None) is not off:
        raise SettingsError("a canary needs SHARE, or --off without one")
    wanted = 0.0 if share is None else read_share(share)

    def changed(entry: "Entry", _: "Arranged") -> "Entry":
        from msgspec.structs import replace  # noqa: PLC0415 - see read_settings

        from driftline.contract.roster_file import Canary  # noqa: PLC0415

        if not off:
            return replace(entry, canary=Canary(version, wanted, by))
        if entry.canary is None or entry.canary.version != version:
            raise ModelError(f"{name} {version} is no canary")
        return replace(entry, canary=None)

    _change(_models(model, allow_pickle=allow_pickle), name, changed, check=None if off else version)
    does = "is no canary any more" if off else f"answers {wanted:.4g} of what names no version from now on"
    typer.echo(f"{name} {version} {does}: running servers of this folder switch within seconds.", err=True)


def read_share(text: str) -> float:
    """Returns a share, written as ``5 %`` or ``0.05``.

    Raises:
        SettingsError: It is neither, or not above 0 and at most 1.
    """
    percent = text.strip().endswith("%")
    try:
        share = float(text.strip().removesuffix("%"))
    except ValueError:
        share = -1.0
    share = share / 100 if percent else share
    if not 0 < share <= 1:
        raise SettingsError(f'SHARE is {text!r}; it must be above 0 and at most 1, or 100 %: "5 %" or 0.05')
    return share


class _Models(NamedTuple):
    """What is in a folder, and who answers."""

    folder: Path
    allow_pickle: bool
    roster: "RosterFile"
    packages: "Mapping[str, Mapping[str, Package]]"
    refused: Mapping[Path, str]
    arranged: "Mapping[str, Arranged]"

    def refuse_unknown(self, name: str) -> None:
        from driftline.contract.nearest import did_you_mean  # noqa: PLC0415 - see read_settings

        if name not in self.arranged:
            raise ModelError(f"there is no model {name} in {self.folder}{did_you_mean(name, self.arranged)}")


def _models(model: Path | None, *, allow_pickle: bool = False) -> _Models:
    settings = read_settings(model=model, pickle=pickle_setting(allow_pickle))
    from driftline.contract.arrangement import arrange_folder, read_packages  # noqa: PLC0415 - see read_settings
    from driftline.contract.folder import is_package  # noqa: PLC0415
    from driftline.contract.package import seed_package  # noqa: PLC0415
    from driftline.contract.roster_file import RosterFile, natural, read_roster_file  # noqa: PLC0415

    folder = settings.model or seed_package()
    found, refused = read_packages(folder)
    packages = {name: {each: found[name][each] for each in sorted(found[name], key=natural)} for name in found}
    roster = RosterFile() if is_package(folder) else read_roster_file(folder)
    arranged = arrange_folder(folder, _schemas(packages), refused.values())
    return _Models(folder, settings.pickle == "allow", roster, packages, refused, arranged)


def _change(models: _Models, name: str, changed: "Callable[[Entry, Arranged], Entry]", check: str | None) -> None:
    """Writes the roster file with another entry, if what it says then can be done.

    Args:
        models: What is there.
        name: Whose entry.
        changed: Gives the new one.
        check: The version whose package is checked first.
    """
    from driftline.contract.arrangement import arrange  # noqa: PLC0415 - see read_settings
    from driftline.contract.folder import is_package  # noqa: PLC0415
    from driftline.contract.roster_file import read_roster_file, write_roster_file  # noqa: PLC0415
    from driftline.durable import lock_directory  # noqa: PLC0415
    from driftline.scoring import load_model  # noqa: PLC0415
    from driftline.scoring.check import check_package  # noqa: PLC0415

    if is_package(models.folder):
        raise ModelError(f"{models.folder} is one package; a folder of packages, NAME/VERSION in it, has a roster")
    models.refuse_unknown(name)
    roster = models.roster.with_entry(name, changed(models.roster.entry(name), models.arranged[name]))
    arrange(_schemas(models.packages), roster)
    if check is not None:
        package = models.packages[name][check]
        check_package(package, load_model(package, allow_pickle=models.allow_pickle))
    lock = lock_directory(models.folder)
    if lock is None or read_roster_file(models.folder) != models.roster:
        raise ModelError(f"another command is at work in {models.folder}; try again")
    try:
        write_roster_file(models.folder, roster)
    finally:
        os.close(lock)


def _schemas(packages: "Mapping[str, Mapping[str, Package]]") -> "dict[str, dict[str, ModelSchema]]":
    return {name: {version: each.schema for version, each in of.items()} for name, of in packages.items()}


def _role(version: str, arranged: "Arranged") -> str:
    roles = ["serves"] if version == arranged.serving else []
    roles += ["shadow"] if version in arranged.shadow else []
    if (plan := arranged.canary) is not None and plan.version == version:
        roles.append(f"canary of {plan.share:.4g}" + (f" by {plan.by}" if plan.by else ""))
    return ", ".join(roles)


def _listed(models: _Models) -> dict[str, object]:
    listed = [
        {
            "name": name,
            "default": name == next(iter(models.arranged)),
            "output": models.packages[name][arranged.serving].schema.output,
            "serving": arranged.serving,
            "previous": models.roster.entry(name).previous,
            "versions": list(models.packages[name]),
            "shadow": list(arranged.shadow),
            "canary": arranged.canary
            and {"version": arranged.canary.version, "share": arranged.canary.share, "by": arranged.canary.by},
        }
        for name, arranged in models.arranged.items()
    ]
    return {"models": listed, "refused": {str(path): reason for path, reason in models.refused.items()}}
