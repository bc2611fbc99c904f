"""``driftline replay``: what a candidate would have answered, before it ever serves."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from driftline.cli.exits import epilog
from driftline.cli.options import AllowPickle, Data, Json, pickle_setting, read_settings
from driftline.cli.package import closed, package_of
from driftline.cli.versus import Pairing, none_of, print_versus, versus_json
from driftline.errors import InputError, LogNotFoundError, ModelError

if TYPE_CHECKING:
    from driftline.api.served import Served
    from driftline.monitor.pairs import Gave

EPILOG = epilog("driftline replay --model models/churn/3", "driftline replay --model candidate --champion 2 --json")
SHOWN = 5

Candidate = Annotated[
    Path | None, typer.Option("--model", metavar="DIR", help="Folder of the candidate's package. Default: that in use")
]
Champion = Annotated[
    str | None, typer.Option(metavar="VERSION", help="Replay what this version answered. Default: all of them")
]
Name = Annotated[
    str | None, typer.Option(metavar="MODEL", help="Replay what this model answered. Default: the candidate's name")
]


def replay(
    *,
    model: Candidate = None,
    allow_pickle: AllowPickle = False,
    name: Name = None,
    champion: Champion = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Scores logged traffic with a candidate, and compares it with what was answered. Nothing is written.

    The features are those of the log, so none that the candidate takes may be hashed or dropped there. Rows that the
    candidate's own contract would refuse are counted, and the first of them named.
    """
    settings = read_settings(data=data, model=model, pickle=pickle_setting(allow_pickle))
    from driftline.api.served import Served  # noqa: PLC0415 - see read_settings
    from driftline.monitor.pairs import answered, side_of  # noqa: PLC0415 (loads numpy and DuckDB)
    from driftline.scoring import load_model  # noqa: PLC0415

    package = package_of(settings)
    schema = package.schema
    allow = settings.pickle == "allow"
    unlogged = [feature.name for feature in schema.inputs if feature.log != "keep"]
    if unlogged:
        raise ModelError(f"{', '.join(unlogged)} cannot be scored again: the log has no value of it, as log says")
    served, pairing, refused = Served(package, load_model(package, allow_pickle=allow)), Pairing(schema), _Refused()
    named = name or schema.name
    with closed(served.model):
        for chunk in answered(settings.log_dir, named, champion, settings.query_memory_bytes):
            kept, scored = _scored(served, chunk, refused)
            pairing.add(
                side_of((gave for gave, _ in kept), schema),
                side_of(scored, schema),
                [outcome for _, outcome in kept],
            )
    found = pairing.versus()
    if found is None:
        if not refused.rows and champion is None:
            raise none_of(settings, named)
        why = f"the candidate refuses all {refused.rows:,}: {refused.first[0]}" if refused.rows else "there is none"
        whose = named if champion is None else f"{named} {champion}"
        raise LogNotFoundError(f"no prediction of {whose} in the log can be replayed: {why}")
    if as_json:
        told = {"model": named, "champion": champion, "challenger": schema.version, "refused": refused.rows}
        typer.echo(json.dumps({**told, **versus_json(found)}))
        return
    typer.echo(f"model        {named}\nchampion     {champion or 'what was answered'}\nchallenger   {schema.version}\n")
    print_versus(found, "champion", "challenger")
    if refused.rows:
        typer.echo(f"\nthe candidate would have refused {refused.rows:,} rows, such as:")
        for line in refused.first:
            typer.echo(f"  {line}")


class _Refused:
    """Rows that a candidate would not have scored.

    Attributes:
        rows: How many.
        first: What is wrong with the first of them.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.first: list[str] = []

    def add(self, error: InputError) -> None:
        from driftline.contract.problems import InvalidFieldsError  # noqa: PLC0415 - see read_settings

        self.rows += 1
        # It was asked for one row, so the row's number says nothing.
        what = (
            error.errors[0].detail.removeprefix("Row 0: ") if isinstance(error, InvalidFieldsError) else error.message
        )
        if len(self.first) < SHOWN and what not in self.first:
            self.first.append(what)


def _scored(
    served: "Served", chunk: "Sequence[tuple[Gave, object]]", refused: _Refused
) -> "tuple[list[tuple[Gave, object]], list[Gave]]":
    """Those rows that the candidate takes, and what it gives for them."""
    try:
        return list(chunk), _score(served, [gave for gave, _ in chunk])
    except InputError:  # of one of them; the others are told apart from it one by one
        kept, scored = [], []
        for gave, outcome in chunk:
            try:
                scored += _score(served, [gave])
                kept.append((gave, outcome))
            except InputError as error:
                refused.add(error)
        return kept, scored


def _score(served: "Served", gave: "Sequence[Gave]") -> "list[Gave]":
    import msgspec  # noqa: PLC0415 - see read_settings

    from driftline.contract.table import features_of_columns  # noqa: PLC0415
    from driftline.monitor.pairs import Gave  # noqa: PLC0415

    names = served.schema.names
    columns = {name: [it.features.get(name) for it in gave] for name in names}
    rows = served.score_all(features_of_columns(served.schema, served.decoder, columns))
    told = [served.outputs.response("", *row.values) for row in rows]
    return msgspec.convert(told, list[Gave], from_attributes=True)
