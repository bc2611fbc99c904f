"""``driftline alerts``: what is firing, what is kept silent, and whether anybody would be told."""

import asyncio
import json
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from driftline.cli.exits import Exit, epilog
from driftline.cli.options import Data, Json, read_settings
from driftline.cli.receivers import sinks_of
from driftline.errors import MonitorError, SettingsError, SinkError

if TYPE_CHECKING:
    from driftline.monitor.alert import Alert
    from driftline.monitor.sink import AlertSink

LIST_EPILOG = epilog("driftline alerts list", "driftline alerts list --json | jq '.firing[].sentence'")
SILENCE_EPILOG = epilog(
    "driftline alerts silence all/age/drift --for 2h --reason 'new form since Monday'",
    "driftline alerts silence '*/age/*' --lift",
    no="there is no such silence to lift",
)
TEST_EPILOG = epilog("driftline alerts test", no="a receiver has not taken it")

_UNITS_US = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}

Pattern = Annotated[
    str, typer.Argument(metavar="KEY", help="SCOPE/COLUMN/KIND as the list has it, or a pattern with * and ?.")
]
Span = Annotated[str, typer.Option("--for", metavar="SPAN", help="How long: 30m, 2h, 1d.")]
Reason = Annotated[str, typer.Option(help="Why, for whoever wonders.")]
Lift = Annotated[bool, typer.Option("--lift", help="End the silence with this KEY instead.")]


def show(*, data: Data = None, as_json: Json = False) -> None:
    """Lists the alerts that are firing, the silences, and what could not be delivered yet."""
    settings = read_settings(data=data)
    from driftline.monitor.delivery import DeliveryQueue  # noqa: PLC0415 - see read_settings
    from driftline.monitor.history import AlertHistory  # noqa: PLC0415
    from driftline.monitor.silences import Silences  # noqa: PLC0415
    from driftline.monitor.wording import time_of  # noqa: PLC0415

    with _database(settings.monitor_dir) as database:
        firing = AlertHistory(database).firing()
        silences = Silences(database).at(_now_us())
        waiting = DeliveryQueue(database).waiting()
    if as_json:
        document = {
            "firing": [_document(alert) for alert in firing],
            "silences": [silence._asdict() for silence in silences],
            "waiting": [
                {
                    "alert_id": it.alert.alert_id,
                    "state": it.alert.state,
                    "sink": it.sink,
                    "attempts": it.attempts,
                    "queued_us": it.queued_us,
                    "next_try_us": it.next_try_us,
                    "last_error": it.last_error,
                }
                for it in waiting
            ],
        }
        typer.echo(json.dumps(document, indent=2))
        return
    for alert in firing:
        silent = "  (silenced)" if any(silence.covers(alert.key) for silence in silences) else ""
        typer.echo(f"{typer.style(alert.key, fg='red', bold=True)}  since {time_of(alert.since_us)}{silent}")
        typer.echo(f"  {alert.sentence}")
    for silence in silences:
        reason = f": {silence.reason}" if silence.reason else ""
        typer.echo(f"{silence.pattern}  silenced until {time_of(silence.until_us)}{reason}")
    for it in waiting:
        tried = f"after {it.attempts} attempts: {it.last_error}" if it.attempts else "yet"
        typer.echo(f"{it.alert.key}  {it.alert.state}, not delivered to {it.sink} {tried}")
    if not firing:
        typer.echo("no alert is firing", err=True)


def silence(pattern: Pattern, *, span: Span = "1h", reason: Reason = "", lift: Lift = False, data: Data = None) -> None:
    """Sends nothing of alerts whose key matches, for a while. They are still opened, shown and counted.

    An alert that is firing when its silence ends is sent then. That one has resolved is sent in any case, to those who
    were told that it was firing.
    """
    settings = read_settings(data=data)
    from driftline.monitor.history import AlertHistory  # noqa: PLC0415 - see read_settings
    from driftline.monitor.silences import Silence, Silences  # noqa: PLC0415
    from driftline.monitor.wording import time_of  # noqa: PLC0415

    now_us = _now_us()
    made = Silence(pattern, now_us, now_us + _microseconds(span), reason)
    with _database(settings.monitor_dir) as database:
        if lift:
            if not Silences(database).lift(pattern, now_us):
                typer.echo(f"there is no silence {pattern}", err=True)
                raise typer.Exit(Exit.NO)
            typer.echo(f"the silence {pattern} is lifted", err=True)
            return
        Silences(database).add(made)
        covered = sum(made.covers(alert.key) for alert in AlertHistory(database).firing())
    typer.echo(f"{pattern} is silenced until {time_of(made.until_us)}; alerts it covers now: {covered}", err=True)


def try_out(*, data: Data = None) -> None:
    """Sends a test alert to each receiver that is configured, and says what came of it."""
    settings = read_settings(data=data)
    sinks = sinks_of(settings)
    if not sinks:
        raise SettingsError("nobody would be told: set alert_webhook, alert_slack or alert_email_to")
    alert = _test_alert(settings.app_name)
    failed = [name for name, sink in sinks.items() if not _sent(name, sink, alert)]
    if failed:
        raise typer.Exit(Exit.NO)


def _sent(name: str, sink: "AlertSink", alert: "Alert") -> bool:
    try:
        asyncio.run(sink.send(alert))
    except SinkError as error:
        typer.echo(f"{name:<8} {typer.style('failed', fg='red', bold=True)}  {error.message}")
        return False
    typer.echo(f"{name:<8} {typer.style('sent', fg='green', bold=True)}")
    return True


def _test_alert(service: str) -> "Alert":
    from driftline.monitor.alert import Alert, Evidence, Window, alert_key  # noqa: PLC0415 - see read_settings

    now_us = _now_us()
    return Alert(
        alert_id=f"test-{now_us}",
        service=service,
        key=alert_key("all", None, "test"),
        kind="test",
        state="firing",
        column=None,
        scope="all",
        since_us=now_us,
        opened_us=now_us,
        closed_us=None,
        sentence="This is a test of driftline alerts test: nothing has changed, and alerts arrive here.",
        effect={},
        evidence=Evidence(detector="none", p=None, bound=None, budget="it is a test"),
        bins=None,
        request_ids=(),
        profile=None,
        window=Window(now_us, now_us, 0),
        page=None,
    )


def _document(alert: "Alert") -> object:
    from driftline.monitor.alert import encode  # noqa: PLC0415 - see read_settings

    return json.loads(encode(alert))


@contextmanager
def _database(monitor_dir: Path) -> Iterator[sqlite3.Connection]:
    from driftline.monitor.store import FILE_NAME, MonitorStore  # noqa: PLC0415 - see read_settings

    path = monitor_dir / FILE_NAME
    try:
        with MonitorStore(path) as store:
            yield store.connection
    except sqlite3.Error as error:
        raise MonitorError(f"cannot use {path}: {error}") from error


def _microseconds(span: str) -> int:
    found = re.fullmatch(r"(\d{1,6})([smhd])", span)
    if found is None or int(found[1]) == 0:
        raise typer.BadParameter("it is a number and a unit: 30m, 2h, 1d", param_hint="--for")
    return int(found[1]) * _UNITS_US[found[2]]


def _now_us() -> int:
    return time.time_ns() // 1000
