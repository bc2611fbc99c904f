"""``driftline doctor``: whether the whole installation is well, and what to do where it is not."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from driftline.cli.exits import Exit, epilog
from driftline.cli.options import Broker, Data, Json, read_settings

if TYPE_CHECKING:
    from driftline.doctor.finding import Finding

EPILOG = epilog(
    "driftline doctor",
    "driftline doctor --quick --json | jq '.findings[] | select(.level != \"ok\")'",
    no="there is a problem",
)

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}
_WIDTH = 18

Quick = Annotated[bool, typer.Option("--quick", help="Leave out the ledger, which reads the whole log.")]


def doctor(*, data: Data = None, broker: Broker = None, quick: Quick = False, as_json: Json = False) -> None:
    """Looks over the whole installation; says what is wrong and what to do about it; ends with 1 at any problem.

    Folders, disks and their speed, outboxes, the log, Redis, API keys, TLS, clocks, versions, limits, and the ledger.
    Run it as the user that Driftline runs as, while it runs or not: it is not disturbed, and nothing is written but a
    temporary file.
    """
    settings = read_settings(data=data, broker=broker)
    from driftline.cli.access_check import check_access  # noqa: PLC0415 - see read_settings
    from driftline.cli.progress import progress  # noqa: PLC0415
    from driftline.doctor.examine import examine  # noqa: PLC0415
    from driftline.doctor.finding import Installation  # noqa: PLC0415

    at = Installation(
        data=settings.data,
        outbox_dir=settings.outbox_dir,
        log_dir=settings.log_dir,
        broker_url=settings.broker_url,
        broker_timeout_s=settings.broker_timeout_s,
        processes=settings.processes,
        outbox_max_bytes=settings.outbox_max_bytes,
        outbox_sync=settings.outbox_sync,
        log_segment_max_bytes=settings.log_segment_max_bytes,
    )
    found = []
    with progress("counting the log") as advance:
        further = {"access": lambda _: check_access(settings)}
        for finding in examine(at, further, count=not quick, progress=advance):
            found.append(finding)
            if not as_json:
                _print(finding)
    counts = {level: sum(finding.level == level for finding in found) for level in _COLOURS}
    if as_json:
        document = {"problems": counts["problem"], "warnings": counts["warning"]}
        typer.echo(json.dumps({**document, "findings": [finding._asdict() for finding in found]}, indent=2))
    else:
        typer.echo(f"\n{_verdict(counts['problem'], counts['warning'])}")
    if counts["problem"]:
        raise typer.Exit(Exit.NO)


def _print(finding: "Finding") -> None:
    colour = _COLOURS[finding.level]
    level = typer.style(f"{finding.level:<8}", fg=colour, bold=finding.level != "ok")
    typer.echo(f"{level} {finding.check:<{_WIDTH}} {finding.text}")
    if finding.remedy:
        typer.echo(f"{'':<8} {'':<{_WIDTH}} {typer.style(f'-> {finding.remedy}', bold=True)}")


def _verdict(problems: int, warnings: int) -> str:
    parts = [_several(problems, "problem"), _several(warnings, "warning")]
    colour = "red" if problems else "yellow" if warnings else "green"
    return typer.style(", ".join(parts), fg=colour, bold=True)


def _several(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
