"""``driftline config``: the effective settings."""

import json
import sys
from typing import TYPE_CHECKING

import typer

from driftline.cli.exits import epilog
from driftline.cli.options import Broker, Data, Json, read_settings

if TYPE_CHECKING:
    from driftline.settings import Settings

EPILOG = epilog("driftline config", "driftline config --json | jq .port")


def config(*, data: Data = None, broker: Broker = None, as_json: Json = False) -> None:
    """Shows every setting, its value and where that came from.

    A flag wins over DRIFTLINE_* variables, they over the file that DRIFTLINE_*_FILE names (for what is secret) and that
    over REDIS_URL (for the broker), that over driftline.toml in this folder (or the file that DRIFTLINE_CONFIG names),
    and that over the default. Passwords are not shown.
    """
    settings = read_settings(data=data, broker=broker)
    if as_json:
        names = type(settings).model_fields
        rows = {name: {"value": settings.shown(name), "source": settings.source(name)} for name in names}
        typer.echo(json.dumps(rows, indent=2))
    else:
        _print_table(settings)


def _print_table(settings: "Settings") -> None:
    from rich.console import Console  # noqa: PLC0415 - only needed here, and slow to load
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table("setting", "value", "source", box=None, pad_edge=False, header_style="bold")
    for name in type(settings).model_fields:
        value, source = settings.shown(name), settings.source(name)
        style = "dim" if source == "default" else ""
        table.add_row(name, Text("-" if value is None else _printable(str(value))), Text(source), style=style)
    # Without a terminal there is no width to keep to: a value that is cut would be of no use.
    Console(width=None if sys.stdout.isatty() else 10_000).print(table)


def _printable(text: str) -> str:
    """The text, with what would be a command to the terminal written out."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
