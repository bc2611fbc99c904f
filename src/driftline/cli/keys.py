"""``driftline keys``: who may ask the API."""

import json
from pathlib import Path
from typing import Annotated

import typer

from driftline.cli.exits import epilog
from driftline.cli.options import Data, Json, read_settings

ADD_EPILOG = epilog("driftline keys add web", "driftline keys add batch --rate 50 >batch.key")
LIST_EPILOG = epilog("driftline keys list", "driftline keys list --json | jq '.[].name'")
REVOKE_EPILOG = epilog("driftline keys revoke web")

Keys = Annotated[
    Path | None, typer.Option(metavar="FILE", help="File with the keys' hashes. Default: keys.toml in the data folder")
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="What to call it: whose it is, or what for.")]
Rate = Annotated[float | None, typer.Option(metavar="N", help="Most requests a second. Default: any number")]


def add(name: Name, *, rate: Rate = None, data: Data = None, keys: Keys = None) -> None:
    """Draws a key and prints it, this once: what is kept of it is a hash.

    Running servers know it within a second. To replace a key, add one by another name, give it to whoever had the old
    one, then revoke that.
    """
    path = _file(data, keys)
    from driftline.api.keys import add_key  # noqa: PLC0415 - see read_settings

    token = add_key(path, name, rate)
    typer.echo(token)
    typer.echo(f"This is the key {name}, for a header Authorization: Bearer KEY. It is not shown again.", err=True)


def show(*, data: Data = None, keys: Keys = None, as_json: Json = False) -> None:
    """Lists the keys: names, the part of each that is no secret, rates, and when they were drawn."""
    path = _file(data, keys)
    from driftline.api.keys import read_keys  # noqa: PLC0415 - see read_settings

    found = read_keys(path).values() if path.exists() else []
    if as_json:
        fields = ("name", "id", "created", "rate_per_s")
        typer.echo(json.dumps([{field: getattr(key, field) for field in fields} for key in found], indent=2))
        return
    for key in found:
        rate = "any rate" if key.rate_per_s is None else f"{key.rate_per_s:g} a second"
        typer.echo(f"{key.name:<20} driftline_{key.id}_...  {key.created}  {rate}")
    if not found:
        typer.echo(f"no keys in {path}", err=True)


def revoke(name: Name, *, data: Data = None, keys: Keys = None) -> None:
    """Takes a key back: running servers refuse it within a second."""
    path = _file(data, keys)
    from driftline.api.keys import revoke_key  # noqa: PLC0415 - see read_settings

    revoke_key(path, name)
    typer.echo(f"the key {name} is revoked", err=True)


def _file(data: Path | None, keys: Path | None) -> Path:
    return read_settings(data=data, keys=keys).keys_file
