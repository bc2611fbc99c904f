"""``driftline report``: has the world drifted away from what the model saw?"""

import json
import os
import sys
import webbrowser
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from driftline.cli.exits import Exit, epilog
from driftline.cli.options import Broker, Data, Json, Model, read_settings
from driftline.errors import ReportError

if TYPE_CHECKING:
    from driftline.report.result import DriftReport
    from driftline.report.selection import Selection

EPILOG = epilog(
    "driftline report --open",
    "driftline report --reference-file training.parquet --current-rows 1000",
    "driftline report --reference-to 2026-11-23T00:00:00Z --current-from 2026-11-30T00:00:00Z",
    "driftline report --json --fail-on-drift | jq .drifted",
    no="there is drift, with --fail-on-drift",
)


def moment(text: str) -> datetime:
    """Returns the RFC 3339 time that a text names.

    Raises:
        typer.BadParameter: It names none, or one without an offset from UTC.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise typer.BadParameter(f"{text!r} is not a time as in 2026-11-23T21:00:00Z or 2026-11-23T22:00:00+01:00")
    return found


Output = Annotated[Path, typer.Option(metavar="FILE", help="The page to write.")]
JsonOutput = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the JSON to this file, too.")]
ReferenceRows = Annotated[
    int | None,
    typer.Option(metavar="N", help="Rows of the reference. Default: 200; of a time range or a file up to 1000"),
]
CurrentRows = Annotated[
    int | None, typer.Option(metavar="N", help="Rows of the current window. Default: 200; of a time range up to 1000")
]
ReferenceFrom = Annotated[
    datetime | None,
    typer.Option(parser=moment, metavar="TIME", help="Take the reference from this time range, first moment."),
]
ReferenceTo = Annotated[
    datetime | None, typer.Option(parser=moment, metavar="TIME", help="The end of that range, not itself in it.")
]
CurrentFrom = Annotated[
    datetime | None,
    typer.Option(parser=moment, metavar="TIME", help="Take the current window from this time range, first moment."),
]
CurrentTo = Annotated[
    datetime | None, typer.Option(parser=moment, metavar="TIME", help="The end of that range, not itself in it.")
]
ReferenceFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Take the reference from a CSV, Parquet or JSONL file, such as training data."),
]
FailOnDrift = Annotated[bool, typer.Option("--fail-on-drift", help="End with 1 when there is drift.")]
Open = Annotated[bool, typer.Option("--open", help="Open the page in a browser.")]


def report(
    *,
    data: Data = None,
    broker: Broker = None,
    model: Model = None,
    output: Output = Path("report.html"),
    json_output: JsonOutput = None,
    reference_rows: ReferenceRows = None,
    current_rows: CurrentRows = None,
    reference_from: ReferenceFrom = None,
    reference_to: ReferenceTo = None,
    current_from: CurrentFrom = None,
    current_to: CurrentTo = None,
    reference_file: ReferenceFile = None,
    fail_on_drift: FailOnDrift = False,
    open_page: Open = False,
    as_json: Json = False,
) -> None:
    """Compares the first predictions of the log, the reference, with the last, the current window, by Evidently.

    The verdict is Evidently's: drift is when half of the columns or more have drifted. The columns are the features
    and what the model gives. What they were compared by and how far to trust it: docs/report.md.

    The windows never overlap. A log that is too short for both is halved; under 60 predictions there is no report.
    """
    settings = read_settings(data=data, broker=broker, model=model)
    from driftline.report.selection import Selection, TimeRange  # noqa: PLC0415 - see read_settings

    try:
        selection = Selection(
            reference_rows,
            current_rows,
            TimeRange(reference_from, reference_to) if reference_from or reference_to else None,
            TimeRange(current_from, current_to) if current_from or current_to else None,
            reference_file,
            _name_of_model(settings.model),
        )
    except ReportError as error:
        raise typer.BadParameter(error.message) from error
    made = _made(settings.log_dir, selection)

    from driftline.report.output import write_output  # noqa: PLC0415
    from driftline.report.page import render_page  # noqa: PLC0415

    as_text = json.dumps(made.as_dict(), indent=2, allow_nan=False)
    write_output(output, render_page(made))
    if json_output:
        write_output(json_output, as_text + "\n")
    if as_json:
        typer.echo(as_text)
    else:
        _print_table(made)
        typer.echo(f"page: {output}")
    if open_page:
        _open(output.absolute().as_uri())
    if fail_on_drift and made.drift:
        raise typer.Exit(Exit.NO)
    unreadable = [it.name for it in made.isolated if it.unreadable]
    if fail_on_drift and unreadable:
        raise ReportError(f"whether there is drift is not known: {', '.join(unreadable)} could not be compared")


def _name_of_model(package: Path | None) -> str | None:
    """Only a model that was asked for is told from others in the log; of a folder of several it is the default."""
    from driftline.contract.arrangement import default_package  # noqa: PLC0415 - see read_settings

    return None if package is None else default_package(package).schema.name


def _made(log_dir: Path, selection: "Selection") -> "DriftReport":
    from rich.console import Console  # noqa: PLC0415 - slow to load

    from driftline.cli.progress import progress  # noqa: PLC0415
    from driftline.eventlog.reader import LogReader  # noqa: PLC0415
    from driftline.report.reading import read_windows  # noqa: PLC0415
    from driftline.report.report import make_report  # noqa: PLC0415

    with LogReader(log_dir) as log, progress("reading") as advance:
        windows = read_windows(log, selection, advance)
        if log.damaged:
            lines = sum(damage.lines for damage in log.damaged)
            note = f"{lines:,} damaged lines of the log were left out; which, says: driftline log verify"
            windows = replace(windows, notes=(*windows.notes, note))
    console = Console(stderr=True)
    with console.status("comparing, by Evidently") if console.is_terminal else nullcontext():
        return make_report(windows)


def _print_table(made: "DriftReport") -> None:
    from rich.console import Console  # noqa: PLC0415 - slow to load
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from driftline.report.result import describe  # noqa: PLC0415

    typer.echo(f"reference  {describe(made.windows.reference)}")
    typer.echo(f"current    {describe(made.windows.current)}\n")
    table = Table("column", "method", "score", "means drift", "verdict", box=None, pad_edge=False, header_style="bold")
    for score in made.comparison.scores:
        drifts_when = {"below": f"below {score.threshold:g}", "at_or_above": f"{score.threshold:g} or more"}
        verdict = Text("drifted", style="bold red") if score.drifted else Text("not drifted")
        table.add_row(
            Text(score.name), Text(score.method), f"{score.score:.3g}", drifts_when[score.drifts_when], verdict
        )
    for column in made.isolated:
        table.add_row(Text(column.name), "-", "-", "-", Text(f"not compared: {column.reason}", style="yellow"))
    # Without a terminal there is no width to keep to; a line that is cut or folded would be of no use to a script.
    Console(width=None if sys.stdout.isatty() else 10_000).print(table)
    typer.echo()
    for note in made.notes:
        typer.echo(f"note: {note}")
    typer.echo(typer.style(made.verdict, fg="red" if made.drift else "green", bold=True))


def _open(url: str) -> None:
    """Opens a page, or says where it is: without a display a browser would fail, or take over the terminal."""
    shown = sys.platform == "darwin" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")))
    if not (shown and webbrowser.open(url)):
        typer.echo(f"no browser could be opened here; the page is {url}", err=True)
