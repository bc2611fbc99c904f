"""``driftline query``: SQL over the log."""

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from driftline.cli.exits import epilog
from driftline.cli.options import Data, Json, read_settings
from driftline.errors import QueryError

if TYPE_CHECKING:
    from driftline.eventlog.query import Table

EPILOG = epilog(
    "driftline query 'select predicted_class, count(*), avg(probability) from predictions group by all'",
    "driftline query --csv 'select timestamp, probability from predictions order by row desc limit 1000' >last.csv",
    "driftline query 'describe events'",
)

SHOWN_ROWS = 100
PIPED_WIDTH = 1_000_000

Sql = Annotated[str, typer.Argument(metavar="SQL", help="One SELECT, in DuckDB's SQL.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV for scripts.")]


def query(sql: Sql, *, data: Data = None, as_json: Json = False, as_csv: Csv = False) -> None:
    """Answers SQL over the whole committed log, Parquet and JSON together; nothing is written.

    The view events has every event once, predictions and feedback those of a kind; features are columns, and row is the
    number of the line in the log. Times are UTC. Without --json or --csv, 100 rows are shown.
    """
    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv cannot both be")
    settings = read_settings(data=data)
    from driftline.eventlog.query import queried  # noqa: PLC0415 (DuckDB takes long to load)

    with queried(settings.log_dir, sql, settings.query_memory_bytes) as table:
        if as_json:
            _print_json(table)
        elif as_csv:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(table.columns)
            writer.writerows([_plain(value) for value in row] for row in table.rows)
        else:
            _print_table(table.columns, list(islice(table.rows, SHOWN_ROWS + 1)))


def _print_json(table: "Table") -> None:
    if twice := sorted({name for name in table.columns if table.columns.count(name) > 1}):
        raise QueryError(
            f"JSON has each name once, and there are several columns {', '.join(twice)}: rename them by AS"
        )
    separator = "[\n"
    for row in table.rows:
        named = dict(zip(table.columns, row, strict=True))
        sys.stdout.write(f"{separator}  {json.dumps(named, default=_plain)}")
        separator = ",\n"
    typer.echo("[]" if separator == "[\n" else "\n]")


def _print_table(columns: Sequence[str], rows: Sequence[Iterable[Any]]) -> None:
    from rich.console import Console  # noqa: PLC0415 - slow to load
    from rich.table import Table as Grid  # noqa: PLC0415

    grid = Grid(*columns, header_style="bold")
    for row in rows[:SHOWN_ROWS]:
        grid.add_row(*("" if value is None else str(_plain(value)) for value in row))
    piped = not sys.stdout.isatty()  # what reads it has no width, and would miss what is cut off
    console = Console(width=PIPED_WIDTH if piped else None, soft_wrap=piped, markup=False, highlight=False)
    console.print(grid)
    if len(rows) > SHOWN_ROWS:
        typer.echo(f"these are the first {SHOWN_ROWS} rows; --csv and --json print all of them", err=True)


def _plain(value: Any) -> Any:
    """A value of DuckDB's as JSON and CSV know it."""
    if isinstance(value, datetime):
        return value.isoformat() + ("Z" if value.tzinfo is None else "")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if isinstance(value, int | float | str | list | dict | None) else str(value)
