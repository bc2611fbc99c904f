"""``driftline compare``: champion and challenger side by side, from the log."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from driftline.cli.exits import epilog
from driftline.cli.options import Data, Json, Model, read_settings
from driftline.cli.package import schema_of
from driftline.cli.versus import Group, Pairing, none_of, print_unpaired, print_versus, unpaired_json, versus_json
from driftline.errors import LogNotFoundError, ModelNotFoundError

if TYPE_CHECKING:
    from driftline.contract.schema import ModelSchema
    from driftline.monitor.pairs import Version
    from driftline.quality.versus import Unpaired, Versus
    from driftline.settings import Settings

EPILOG = epilog("driftline compare", "driftline compare 3 --champion 2", "driftline compare --json | jq .agreement")

Challenger = Annotated[
    str | None,
    typer.Argument(
        metavar="[VERSION]",
        help="The version that scored beside, or answered a share. Default: the one that scored beside most",
    ),
]
Champion = Annotated[
    str | None, typer.Option(metavar="VERSION", help="The version that answered. Default: whichever did")
]
Name = Annotated[str | None, typer.Option(metavar="MODEL", help="The model's name. Default: that of --model")]


def compare(
    *,
    challenger: Challenger = None,
    champion: Champion = None,
    name: Name = None,
    data: Data = None,
    model: Model = None,
    as_json: Json = False,
) -> None:
    """Compares a challenger with the version that answers, from the log.

    One that scores in the shadow on the same requests: agreement, how far the scores are apart and, where outcomes are
    known, which was nearer to them, row by row, so that a small difference shows. One that answers a share (a canary)
    on requests of its own: what was answered, and how good it was. An interval that holds 0 shows no difference.
    """
    settings = read_settings(data=data, model=model)
    from driftline.monitor.pairs import versions_of  # noqa: PLC0415 (loads numpy and DuckDB)

    schema = schema_of(settings, name)
    named = name or schema.name
    versions = versions_of(settings.log_dir, named, settings.query_memory_bytes)
    if not versions:
        raise none_of(settings, named)
    answered = [it.version for it in versions if it.kind == "prediction"]
    if champion is not None and champion not in answered:
        raise ModelNotFoundError(
            f"version {champion} of {named} has not answered; in the log: {', '.join(answered) or 'none'}"
        )
    chosen = challenger or _challenger(named, champion, versions)
    there = {it.kind for it in versions if it.version == chosen}
    if not there:
        raise ModelNotFoundError(
            f"version {chosen} of {named} has neither scored in the shadow nor answered; in the log: {_told(versions)}"
        )
    about: dict[str, object] = {"model": named, "champion": champion, "challenger": chosen}
    if "shadow" in there:
        champions, found = _same_rows(settings, schema, named, champion, chosen)
        if found is not None:
            if as_json:
                typer.echo(json.dumps({**about, "champions": champions, "paired": True, **versus_json(found)}))
                return
            _print_about(named, champions, chosen)
            print_versus(found, "champion", "challenger")
            return
    others = [version for version in answered if version != chosen and champion in {None, version}]
    if "prediction" not in there:
        raise LogNotFoundError(f"the log has no request that both have scored: {named} {chosen} and what was answered")
    if not others:
        raise ModelNotFoundError(
            f"version {chosen} of {named} answered, and no other is there to compare it with; "
            f"in the log: {_told(versions)}"
        )
    beside = _own_rows(settings, schema, named, others, chosen)
    if as_json:
        typer.echo(json.dumps({**about, "champions": others, "paired": False, **unpaired_json(beside)}))
        return
    _print_about(named, others, chosen)
    print_unpaired(beside)


def _challenger(name: str, champion: str | None, versions: "Sequence[Version]") -> str:
    """The version that scored in the shadow most, or of two that answered the one that did less."""
    for each in versions:
        if each.kind == "shadow":
            return each.version
    if len(versions) == 2:  # noqa: PLR2004 (no more than a champion and a challenger)
        return next(it.version for it in reversed(versions) if it.version != champion)
    if len(versions) > 1:
        raise ModelNotFoundError(f"which VERSION of {name} is the challenger? In the log: {_told(versions)}")
    raise ModelNotFoundError(
        f"no version of {name} has scored in the shadow or answered a share: driftline model shadow and driftline "
        f"model canary have one do so, and driftline replay scores what is logged; in the log: {_told(versions)}"
    )


def _told(versions: "Sequence[Version]") -> str:
    what = {"prediction": "answered", "shadow": "scored in the shadow"}
    return ", ".join(f"{it.version} ({it.rows:,} {what[it.kind]})" for it in versions)


def _print_about(name: str, champions: Sequence[str], challenger: str) -> None:
    typer.echo(f"model        {name}\nchampion     {', '.join(champions)}\nchallenger   {challenger}\n")


def _same_rows(
    settings: "Settings", schema: "ModelSchema", name: str, champion: str | None, challenger: str
) -> "tuple[list[str], Versus | None]":
    """Who answered what the challenger scored in the shadow, most of it first, and the comparison."""
    from driftline.monitor.pairs import shadowed, side_of  # noqa: PLC0415 (loads numpy and DuckDB)

    pairing, champions = Pairing(schema), Counter[str]()
    for triples in shadowed(settings.log_dir, name, champion, challenger, settings.query_memory_bytes):
        champions.update(it.champion.model_version for it in triples)
        side = side_of((it.champion for it in triples), schema)
        pairing.add(side, side_of((it.challenger for it in triples), schema), [it.outcome for it in triples])
    return [version for version, _ in champions.most_common()], pairing.versus()


def _own_rows(
    settings: "Settings", schema: "ModelSchema", name: str, champions: Sequence[str], challenger: str
) -> "Unpaired":
    """The comparison of what the champions answered with what the challenger did."""
    from driftline.monitor.pairs import answered  # noqa: PLC0415 (loads numpy and DuckDB)
    from driftline.quality.versus import unpaired  # noqa: PLC0415

    groups = Group(schema), Group(schema)
    for group, versions in zip(groups, (champions, [challenger]), strict=True):
        for version in versions:
            for chunk in answered(settings.log_dir, name, version, settings.query_memory_bytes):
                group.add(chunk)
    ours, theirs = (group.rows() for group in groups)
    if ours is None or theirs is None:
        raise LogNotFoundError(f"what the log has of {name} is not what {name} {schema.version} gives")
    (champion, outcomes), (beside, told) = ours, theirs
    return unpaired(champion, beside, outcomes, told, classes=[str(label) for label in schema.classes])
