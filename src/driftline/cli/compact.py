"""``driftline compact``: closed segments of the log become Parquet, and days that are due are deleted."""

import json

import typer

from driftline.cli.exits import Exit, epilog, exit_of
from driftline.cli.options import Data, Json, LogFormat, Parent, read_settings
from driftline.errors import LogError

EPILOG = epilog(
    "driftline compact",
    "driftline compact --json | jq .parquet_bytes",
    no="a segment, or a day that is due, had to be left as it is",
)


def compact(*, data: Data = None, as_json: Json = False, log_format: LogFormat = None, parent: Parent = None) -> None:
    """Makes Parquet of the log's closed segments, one file for each UTC day, and deletes the days that are due.

    A worker does so by itself when it begins a new segment, unless log_compact is "never". It may run beside the
    worker, be killed at any moment and be run again. A segment's JSON is deleted when every byte of it has been read
    back from the Parquet. Days are due by log_keep_days and log_keep_bytes; without these, nothing is ever deleted.
    """
    settings = read_settings(data=data, log_format=log_format)
    import structlog  # noqa: PLC0415 - see read_settings

    from driftline.cli.progress import progress  # noqa: PLC0415
    from driftline.eventlog.compaction import compact_log  # noqa: PLC0415
    from driftline.eventlog.retention import Retention, expire  # noqa: PLC0415
    from driftline.supervisor import follow_parent  # noqa: PLC0415
    from driftline.telemetry import configure_logging  # noqa: PLC0415

    if parent is not None:
        follow_parent(parent)
    configure_logging(settings.log_format)
    expired = Retention()
    try:
        with progress("compacting the log") as advance:
            done = compact_log(settings.log_dir, advance)
        if settings.log_keep_days or settings.log_keep_bytes:
            expired = expire(
                settings.log_dir,
                keep_days=settings.log_keep_days,
                keep_bytes=settings.log_keep_bytes,
                monitor=settings.monitor_file,
            )
    except LogError as error:
        if parent is None:
            raise
        # Behind a worker it speaks as a worker does.
        structlog.get_logger().warning("log.not_compacted", reason=error.message)
        raise typer.Exit(exit_of(error)) from error
    facts = {
        "segments": done.segments,
        "lines": done.lines,
        "json_bytes": done.json_bytes,
        "parquet_bytes": done.parquet_bytes,
        "left": done.left,
        "expired_days": expired.days,
        "expired_events": expired.events,
        "kept": expired.kept,
        "busy": done.busy or expired.busy,
    }
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
    else:
        for text in _told(facts):
            typer.echo(text)
    if done.left or expired.kept:
        raise typer.Exit(Exit.NO)


def _told(facts: dict[str, object]) -> list[str]:
    if facts["busy"]:
        return ["another process is compacting this log, or backing it up; nothing more was done"]
    texts = [
        f"{facts['segments']} segments with {facts['lines']:,} lines: {facts['json_bytes']:,} bytes of JSON are "
        f"{facts['parquet_bytes']:,} bytes of Parquet now"
        if facts["segments"]
        else "no closed segment is left to compact"
    ]
    texts += [f"left as it is: {reason}" for reason in _list(facts["left"])]
    if facts["expired_days"]:
        texts.append(f"deleted {facts['expired_events']:,} events of {', '.join(_list(facts['expired_days']))}")
    return texts + [f"not deleted: {reason}" for reason in _list(facts["kept"])]


def _list(value: object) -> list[str]:
    return value if isinstance(value, list) else []
