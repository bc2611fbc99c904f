"""``driftline log``: what a log says of itself, whether it is true, a copy and its return, a repair, a new one."""

import json
import re
import sys
from typing import Annotated, NoReturn

import typer

from driftline.cli.exits import Exit, epilog
from driftline.cli.options import Data, Json, read_settings

SHOW_EPILOG = epilog("driftline log show", "driftline log show --json | jq .rows")
BACKUP_EPILOG = epilog("driftline log backup >log.tar", "driftline log backup | ssh backup 'cat >log.tar'")
RESTORE_EPILOG = epilog("driftline log restore <log.tar", "ssh backup 'cat log.tar' | driftline log restore")
VERIFY_EPILOG = epilog(
    "driftline log verify", "driftline log verify --json | jq .damaged", no="the log is not what was committed"
)
REPAIR_EPILOG = epilog("driftline log repair")
REPLACE_EPILOG = epilog("driftline log replace 0f8fad5bd9cb469fa16570867728950e")

OldLog = Annotated[str, typer.Argument(metavar="LOG_ID", help="Id of the log that is lost.")]


def show(*, data: Data = None, as_json: Json = False) -> None:
    """Shows the log's id, how much is committed in it, and which logs it replaces."""
    settings = read_settings(data=data)
    from driftline.eventlog.reader import LogReader  # noqa: PLC0415 - see read_settings

    with LogReader(settings.log_dir) as log:
        facts = {
            "log": log.log_id,
            "directory": str(settings.log_dir),
            "rows": log.rows,
            "bytes": log.size_bytes,
            "producers": len(log.committed()),
            "replaces": sorted(log.predecessors),
        }
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        text = f"{value:,}" if isinstance(value, int) else ", ".join(value) if isinstance(value, list) else value
        typer.echo(f"{name:<10} {text or '-'}")


def backup(*, data: Data = None) -> None:
    """Writes a copy of the log to stdout, as a tar archive, while the worker goes on.

    It is the log of one moment, whole. [bold]driftline log restore[/bold] brings it back.
    """
    settings = read_settings(data=data)
    from driftline.eventlog.backup import write_backup  # noqa: PLC0415 - see read_settings

    if sys.stdout.isatty():
        raise typer.BadParameter("an archive is nothing for a terminal: driftline log backup >log.tar")
    write_backup(settings.log_dir, sys.stdout.buffer)


def restore(*, data: Data = None) -> None:
    """Puts the log of an archive, read from stdin, in the place of the one in --data. Stop the worker first.

    The archive is unpacked beside that log and compared with its checksums before anything else happens, so there must
    be room for both. What was logged after the backup and is in no outbox any more will be missing; the ledger says how
    much that is.
    """
    settings = read_settings(data=data)
    from driftline.eventlog.restore import restore_backup  # noqa: PLC0415 - see read_settings
    from driftline.outbox.root import OutboxRoot  # noqa: PLC0415

    if sys.stdin.isatty():
        raise typer.BadParameter("the archive comes from stdin: driftline log restore <log.tar")
    restored = restore_backup(sys.stdin.buffer, settings.log_dir)
    if restored is None:
        _refuse(f"a worker has {settings.log_dir}; stop it first")
    obeyed = OutboxRoot(settings.outbox_dir).log_id()
    first = ""
    if obeyed not in {None, restored.log_id, *restored.predecessors}:
        first = (
            f"driftline log replace {obeyed} (the outboxes obey that one, and keep everything until then), and then "
        )
    typer.echo(
        f"log {restored.log_id} with {restored.rows:,} rows is in {settings.log_dir}; now {first}start the worker"
    )


def verify(*, data: Data = None, as_json: Json = False) -> None:
    """Reads the whole log, and ends with 1 if it is not, to the byte, what was committed.

    Damaged lines are copied to the log's quarantine folder; the segments stay as they are. Reports and the ledger leave
    such lines out by themselves, and a worker looks for them as long as it runs.
    """
    settings = read_settings(data=data)
    from driftline.cli.progress import progress  # noqa: PLC0415 - see read_settings
    from driftline.eventlog.verify import verify_log  # noqa: PLC0415
    from driftline.eventlog.writer import LOSS_REMEDY  # noqa: PLC0415
    from driftline.telemetry import configure_logging  # noqa: PLC0415

    configure_logging(settings.log_format)
    with progress("reading the log") as advance:
        found = verify_log(settings.log_dir, advance)
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=2))
    else:
        typer.echo(f"{found.lines:,} lines, {found.bytes:,} bytes, in {settings.log_dir}")
        for line in (*found.problems, *found.lost, *(f"{it.lines:,} damaged lines at {it}" for it in found.damaged)):
            typer.echo(typer.style(str(line), fg="red"))
        if found.lost:
            typer.echo(f"{LOSS_REMEDY}; what an outbox still holds of the end of the log comes again then")
        if found.damaged:
            typer.echo(f"they are left out of reports, and set aside in {settings.log_dir / 'quarantine'}")
        if found.sound:
            typer.echo(typer.style("to the byte what was committed", fg="green", bold=True))
    if not found.sound:
        raise typer.Exit(Exit.NO)


def repair(*, data: Data = None) -> None:
    """Rebuilds log.sqlite, the record of what is committed, from the segments, when these are not what it says.

    It may be damaged or gone, or a segment shorter than it says. Stop a worker that has the log. Every whole line is
    kept, none is doubled; damaged ones are set aside. The log gets a new id and replaces the one it was: outboxes
    follow by themselves, and send again what it lacks. What it lacks and no outbox holds any more is missing, and the
    ledger says so. See docs/log.md.
    """
    settings = read_settings(data=data)
    from driftline.eventlog.repair import rebuild_record  # noqa: PLC0415 - see read_settings
    from driftline.outbox.root import OutboxRoot  # noqa: PLC0415
    from driftline.telemetry import configure_logging  # noqa: PLC0415

    configure_logging(settings.log_format)
    rebuilt = rebuild_record(settings.log_dir, OutboxRoot(settings.outbox_dir).log_id())
    if rebuilt is None:
        typer.echo(
            f"the record of the log in {settings.log_dir} is sound, and its segments are as long as it says; "
            "there is nothing to repair"
        )
        return
    typer.echo(f"{rebuilt.lines:,} lines of {len(rebuilt.committed):,} producers are in log {rebuilt.log_id} now")
    typer.echo(f"it replaces {', '.join(rebuilt.predecessors) or 'none that is known: see driftline log replace'}")
    for loss in rebuilt.lost:
        typer.echo(typer.style(str(loss), fg="red"))
    if rebuilt.lost:
        typer.echo(
            "what an outbox still holds comes again, unless a younger line of its producer is there; "
            "driftline ledger counts the rest as missing"
        )
    if rebuilt.damaged_lines:
        typer.echo(typer.style(f"{rebuilt.damaged_lines:,} damaged lines are set aside", fg="red"))
    if rebuilt.cut_bytes:
        typer.echo(f"{rebuilt.cut_bytes:,} bytes at the end are no whole line; they are set aside")
    typer.echo(
        "start the worker, unless one waits for this; when it has taken what the outboxes hold, see: driftline ledger"
    )


def replace(log_id: OldLog, *, data: Data = None) -> None:
    """Puts the log in --data in the place of one that is lost: outboxes which obeyed that one will obey this.

    Outboxes delete an event only when the one log they obey has it, so that no strange or stale log can make them
    forget anything. When that log is gone for good, its events that no outbox holds any more are missing, and the
    ledger says so; what the outboxes still hold goes to the new log. Stop the worker first.
    """
    settings = read_settings(data=data)
    from driftline.eventlog.writer import LogWriter  # noqa: PLC0415 - see read_settings
    from driftline.outbox.root import OutboxRoot  # noqa: PLC0415

    if not re.fullmatch("[0-9a-f]{32}", log_id):
        raise typer.BadParameter(f"{log_id!r} is not the id of a log: 32 hexadecimal digits, as in outbox/log-id")
    obeyed = OutboxRoot(settings.outbox_dir).log_id()
    if obeyed not in {None, log_id}:
        _refuse(f"the outboxes in {settings.outbox_dir} obey log {obeyed}, not that one")
    writer = LogWriter(settings.log_dir)
    if not writer.try_open():
        _refuse(f"a worker has {settings.log_dir}; stop it first")
    try:
        if log_id == writer.log_id:
            _refuse(f"the log in {settings.log_dir} is that one itself")
        writer.replace(log_id)
        typer.echo(f"log {writer.log_id} replaces {log_id}; start the worker and the outboxes will follow")
    finally:
        writer.close()


def _refuse(why: str) -> NoReturn:
    typer.echo(f"driftline: {why} (log_mismatch)", err=True)
    raise typer.Exit(Exit.CANNOT)
