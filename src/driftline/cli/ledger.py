"""``driftline ledger``: whether every accepted prediction is in the log."""

import json
from typing import TYPE_CHECKING

import typer

from driftline.cli.exits import Exit, epilog
from driftline.cli.options import Broker, Data, Json, read_settings

if TYPE_CHECKING:
    from driftline.transport.ledger import Ledger

EPILOG = epilog(
    "driftline ledger",
    "driftline ledger --json | jq .missing",
    no="something is missing from the log, is there twice, or is damaged",
)

MEANING = {
    "accepted": "answered with 200",
    "logged": "in the log, counted there",
    "in_flight": "in an outbox, on the way to the log",
    "quarantined": "damaged on disk and set aside; should be 0",
    "expired": "deleted by retention",
    "missing": "should be 0",
    "duplicated": "should be 0",
}


def ledger(*, data: Data = None, broker: Broker = None, as_json: Json = False) -> None:
    """Counts what was accepted against what is in the log; ends with 1 if something is missing, damaged or there twice.

    accepted = logged + in flight + quarantined + expired + missing. The log itself is counted, line by line, which
    takes some seconds for each gigabyte.
    """
    settings = read_settings(data=data, broker=broker)

    from driftline.cli.progress import progress  # noqa: PLC0415 - see read_settings
    from driftline.transport.ledger import take_ledger  # noqa: PLC0415

    with progress("counting the log") as advance:
        taken = take_ledger(settings.outbox_dir, settings.log_dir, advance)
    if as_json:
        typer.echo(json.dumps(taken.as_dict(), indent=2))
    else:
        _print_table(taken)
    if not taken.balanced:
        raise typer.Exit(Exit.NO)


def _print_table(taken: "Ledger") -> None:
    counts = {name: getattr(taken, name) for name in MEANING}
    width = max(len(f"{count:,}") for count in counts.values())
    for name, count in counts.items():
        wrong = count and name in {"quarantined", "missing", "duplicated"}
        line = f"{name.replace('_', ' '):<12} {count:>{width},}  "
        typer.echo(typer.style(line, fg="red" if wrong else None, bold=wrong) + typer.style(MEANING[name], dim=True))
    for gap in taken.gaps:
        typer.echo(f"the log went on without events {gap.first_seq} to {gap.stop_seq - 1} of producer {gap.producer}")
    for stretch in taken.damaged:
        typer.echo(typer.style(f"bytes differ from what was committed: {stretch}", fg="red"))
