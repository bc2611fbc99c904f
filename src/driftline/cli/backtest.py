"""``driftline backtest``: when would the monitor have raised an alarm?"""

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from driftline.cli.exits import Exit, epilog
from driftline.cli.monitor import plan
from driftline.cli.options import Data, Json, Model, WindowSeconds, read_settings
from driftline.cli.package import package_of, reference_in_use
from driftline.errors import ProfileError

if TYPE_CHECKING:
    from driftline.drift.power import Smallest
    from driftline.drift.profile import Profile
    from driftline.monitor.backtest import Alarm, Outcome, Replay
    from driftline.settings import Settings

EPILOG = epilog(
    "driftline backtest",
    "driftline backtest last_year.parquet --reference training.parquet",
    "driftline backtest --window-s 600 --drift-days 90 --fail-on-alarm",
    no="there would have been an alarm, with --fail-on-alarm",
)
OTHER_BUDGETS = (7.0, 30.0, 90.0, 365.0)

File = Annotated[
    Path | None,
    typer.Argument(metavar="[FILE]", help="CSV, Parquet or JSONL file to replay, with a timestamp. Default: the log"),
]
Reference = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A profile, or a table to make one of. Default: the reference in use"),
]
ReferenceRows = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Take the first N rows of what is replayed as the reference.")
]
DriftDays = Annotated[
    float | None, typer.Option(metavar="N", help="The budget: a false alarm in so many days. Default: 30")
]
FailOnAlarm = Annotated[bool, typer.Option("--fail-on-alarm", help="End with 1 when there would have been an alarm.")]


def backtest(
    *,
    file: File = None,
    data: Data = None,
    model: Model = None,
    reference: Reference = None,
    reference_rows: ReferenceRows = None,
    window_s: WindowSeconds = None,
    drift_days: DriftDays = None,
    fail_on_alarm: FailOnAlarm = False,
    as_json: Json = False,
) -> None:
    """Replays the log, or a table, through the monitor, and says when it would have raised an alarm, and how often.

    It also says how often other budgets would have, and the smallest shift that is seen within a day at this traffic.
    """
    settings = read_settings(data=data, model=model, window_s=window_s, drift_days=drift_days)
    with _replay(settings, file, reference, reference_rows) as (profile, replay):
        outcome = replay.judge(settings.drift_days)
        others = [replay.judge(days) for days in OTHER_BUDGETS if days != settings.drift_days]
    if not outcome.windows:
        raise ProfileError("there is no whole window to judge beside the reference: too few rows, or too short a time")
    smallest = _smallest(profile, outcome)
    if as_json:
        typer.echo(json.dumps(_as_dict(profile, outcome, others, smallest), indent=2))
    else:
        _print(profile, outcome, others, smallest)
    if fail_on_alarm and outcome.alarms:
        raise typer.Exit(Exit.NO)


@contextlib.contextmanager
def _replay(
    settings: "Settings", file: Path | None, reference: Path | None, reference_rows: int | None
) -> Iterator[tuple["Profile", "Replay"]]:
    from driftline.cli.progress import progress  # noqa: PLC0415 - slow to load
    from driftline.eventlog.reader import LogReader  # noqa: PLC0415
    from driftline.monitor.backtest import Replay  # noqa: PLC0415 - loads numpy
    from driftline.monitor.sources import columns_of, profile_of_file, profile_of_log  # noqa: PLC0415
    from driftline.monitor.table import Table  # noqa: PLC0415

    schema = package_of(settings).schema
    if reference is not None and reference_rows is not None:
        raise typer.BadParameter("give either --reference or --reference-rows")
    with contextlib.ExitStack() as held:
        if file is None:
            log = held.enter_context(LogReader(settings.log_dir))
            rows = log.rows
            if reference_rows is not None:
                profile = profile_of_log(log, schema, 0, min(reference_rows, rows))
            else:
                profile = _reference(settings, reference)
            replay = Replay(profile, plan(settings), settings.alert_close_after)
            held.callback(replay.close)
            with progress("replaying") as advance:
                replay.take_log(log, 0, rows, advance)
        else:
            table = held.enter_context(contextlib.closing(Table(file)))
            times_us = table.times_us()
            if times_us is None:
                raise ProfileError(f"{file} has no column timestamp, by which to tell its windows")
            profile = (
                profile_of_file(table, schema, reference_rows)
                if reference_rows is not None
                else _reference(settings, reference)
            )
            replay = Replay(profile, plan(settings), settings.alert_close_after)
            held.callback(replay.close)
            with progress("replaying") as advance:
                replay.take_table(times_us, table.columns_of(profile, columns_of(schema)), reference_rows or 0, advance)
        yield profile, replay


def _reference(settings: "Settings", path: Path | None) -> "Profile":
    from driftline.drift.profile import decode_profile  # noqa: PLC0415 - loads numpy
    from driftline.monitor.sources import profile_of_file  # noqa: PLC0415
    from driftline.monitor.table import Table  # noqa: PLC0415

    file = path or reference_in_use(settings)
    if path is not None and path.suffix.lower() != ".json":
        schema = package_of(settings).schema
        with contextlib.closing(Table(path)) as table:
            return profile_of_file(table, schema)
    try:
        return decode_profile(file.read_bytes())
    except FileNotFoundError as error:
        raise ProfileError(
            f"there is no reference {file}: make one with driftline reference build, or give --reference-rows N"
        ) from error
    except OSError as error:
        raise ProfileError(f"cannot read the reference {file}: {error.strerror}") from error


def _print(profile: "Profile", outcome: "Outcome", others: "list[Outcome]", smallest: "list[Smallest]") -> None:
    typer.echo(f"reference  {profile.profile_id}, {profile.rows:,} rows")
    typer.echo(
        f"replayed   {outcome.rows:,} rows in {outcome.windows:,} windows, {outcome.days:.1f} days; "
        f"at most one false alarm expected in {outcome.days_a_false_alarm:g} days\n"
    )
    for alarm in outcome.alarms:
        typer.echo(f"  {_line(alarm)}")
    if not outcome.alarms:
        typer.echo("  no alarm")
    typer.echo("\n  budget, days    alarms")
    for each in sorted([outcome, *others], key=lambda it: it.days_a_false_alarm):
        typer.echo(f"  {each.days_a_false_alarm:>12g}    {len(each.alarms):>6}")
    typer.echo("\n  seen within a day at this traffic, four times in five:")
    for column, size in zip(profile.columns, smallest, strict=True):
        typer.echo(f"  {column.name:<24}{_smallest_line(size)}")


def _smallest(profile: "Profile", outcome: "Outcome") -> "list[Smallest]":
    """What is seen within a day, of the traffic that was replayed and all of it together."""
    from driftline.drift.power import smallest_changes  # noqa: PLC0415 - loads numpy

    days = max(outcome.days, 1e-6)
    return smallest_changes(profile.columns, outcome.rows / days, outcome.windows / days, outcome.risk)


def _smallest_line(smallest: "Smallest") -> str:
    seen = []
    if smallest.shift_sd is not None:
        seen.append(f"a shift of the mean by {smallest.shift_sd:.2g} sd")
    if smallest.share is not None:
        seen.append(f"{smallest.share:.2g} of the rows turned into one value")
    return ", ".join(seen) or "nothing: too few rows"


def _line(alarm: "Alarm") -> str:
    where = "" if alarm.stream == "all" else f" ({alarm.stream})"
    until = f", until {_time(alarm.closed_us)}" if alarm.closed_us is not None else ", and to the end"
    what = f"{alarm.kind.replace('_', ' ')}, {alarm.label}"
    return f"{_time(alarm.opened_us)}  {alarm.column}{where}: {what}; since {_time(alarm.since_us)}{until}"


def _time(us: int) -> str:
    return datetime.fromtimestamp(us // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _as_dict(
    profile: "Profile", outcome: "Outcome", others: "list[Outcome]", smallest: "list[Smallest]"
) -> dict[str, object]:
    return {
        "schema_version": 1,
        "reference": profile.profile_id,
        "days_a_false_alarm": outcome.days_a_false_alarm,
        "rows": outcome.rows,
        "windows": outcome.windows,
        "days": round(outcome.days, 6),
        "alarms": [alarm._asdict() for alarm in outcome.alarms],
        "seen_within_a_day": {
            column.name: each._asdict() for column, each in zip(profile.columns, smallest, strict=True)
        },
        "other_budgets": {f"{it.days_a_false_alarm:g}": len(it.alarms) for it in others},
    }
