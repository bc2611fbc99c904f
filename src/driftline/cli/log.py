"""``driftline log``: what a log says of itself, a copy and its return, and a new one for one that is lost."""

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
