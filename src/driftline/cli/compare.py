"""``driftline compare``: champion and challenger side by side, from the log."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from driftline.cli.exits import epilog
from driftline.cli.options import Data, Json, Model, read_settings
from driftline.cli.package import schema_of
from driftline.cli.versus import Pairing, print_versus, versus_json
from driftline.errors import LogNotFoundError, ModelNotFoundError

if TYPE_CHECKING:
    from driftline.monitor.pairs import Version

EPILOG = epilog("driftline compare", "driftline compare 3 --champion 2", "driftline compare --json | jq .agreement")

Challenger = Annotated[
    str | None,
    typer.Argument(metavar="[VERSION]", help="The version that scored beside. Default: the one that did most"),
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
    """Compares a challenger that scores in the shadow with what was answered: on the same requests, from the log.

    Agreement, how far the scores are apart and, where outcomes are known, which was nearer to them: row by row, so that
    a small difference shows. An interval that holds 0 shows none.
    """
    settings = read_settings(data=data, model=model)
    from driftline.monitor.pairs import shadowed, side_of, versions_of  # noqa: PLC0415 (loads numpy and DuckDB)

    schema = schema_of(settings, name)
    named = name or schema.name
    memory_bytes = settings.query_memory_bytes
    versions = versions_of(settings.log_dir, named, memory_bytes)
    chosen = challenger or _most_in_the_shadow(named, versions)
    _refuse_unknown("shadow", named, chosen, versions)
    if champion is not None:
        _refuse_unknown("prediction", named, champion, versions)
    pairing = Pairing(schema)
    for triples in shadowed(settings.log_dir, named, champion, chosen, memory_bytes):
        champions = side_of((it.champion for it in triples), schema)
        pairing.add(champions, side_of((it.challenger for it in triples), schema), [it.outcome for it in triples])
    found = pairing.versus()
    if found is None:
        raise LogNotFoundError(f"the log has no request that both have scored: {named} {chosen} and what was answered")
    if as_json:
        typer.echo(json.dumps({"model": named, "champion": champion, "challenger": chosen, **versus_json(found)}))
        return
    answered = champion or ", ".join(it.version for it in versions if it.kind == "prediction")
    typer.echo(f"model        {named}\nchampion     {answered}\nchallenger   {chosen}\n")
    print_versus(found, "champion", "challenger")


def _most_in_the_shadow(name: str, versions: "list[Version]") -> str:
    for each in versions:
        if each.kind == "shadow":
            return each.version
    raise ModelNotFoundError(
        f"no version of {name} has scored in the shadow: driftline model shadow {name} VERSION has one do so, "
        "and driftline replay scores what is logged"
    )


def _refuse_unknown(kind: str, name: str, version: str, versions: "list[Version]") -> None:
    there = [it.version for it in versions if it.kind == kind]
    if version not in there:
        what = "scored in the shadow" if kind == "shadow" else "answered"
        raise ModelNotFoundError(
            f"version {version} of {name} has not {what}; in the log: {', '.join(there) or 'none'}"
        )
