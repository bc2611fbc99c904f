"""``driftline monitor``: the process that says what has changed."""

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from driftline.cli.access import keys_asked_for, tls_served
from driftline.cli.exits import epilog
from driftline.cli.loading import loading
from driftline.cli.options import (
    ConsolePort,
    Data,
    Host,
    LogFormat,
    Model,
    MonitorMetricsPort,
    Parent,
    WindowSeconds,
    read_settings,
)
from driftline.cli.package import package_of
from driftline.cli.receivers import sinks_of
from driftline.errors import SettingsError
from driftline.ports import claim

if TYPE_CHECKING:
    from driftline.contract.package import Package
    from driftline.monitor.alarms import Alarms
    from driftline.monitor.follow import Follower, Plan
    from driftline.monitor.main import Beside
    from driftline.monitor.store import MonitorStore
    from driftline.settings import Settings

EPILOG = epilog("driftline monitor", "driftline monitor --window-s 600 --console-port 9000")


def monitor(
    *,
    data: Data = None,
    host: Host = None,
    console_port: ConsolePort = None,
    monitor_metrics_port: MonitorMetricsPort = None,
    window_s: WindowSeconds = None,
    model: Model = None,
    log_format: LogFormat = None,
    parent: Parent = None,
) -> None:
    """Follows the log and says what has changed: windows against the reference, alerts, the console.

    It may be killed at any moment and started again: it goes on where it was. A second monitor on the same data folder
    waits until the first is gone.
    """
    settings = read_settings(
        data=data,
        host=host,
        console_port=console_port,
        monitor_metrics_port=monitor_metrics_port,
        window_s=window_s,
        model=model,
        log_format=log_format,
    )
    from driftline.supervisor import follow_parent  # noqa: PLC0415 - see read_settings
    from driftline.telemetry import configure_logging  # noqa: PLC0415

    if parent is not None:
        follow_parent(parent)
    with loading():
        configure_logging(settings.log_format)
        _check_segments(settings)

        from driftline.monitor.main import Monitor, run_monitor  # noqa: PLC0415 - loads numpy
        from driftline.monitor.serving import Serving  # noqa: PLC0415

        serving = Serving(lambda: package_of(settings))
        made = Monitor(
            settings.monitor_dir,
            lambda store: _follower(settings, store, serving.package),
            _beside(settings),
            serving.changed,
        )
    asyncio.run(run_monitor(made, metrics_host=settings.host, metrics_port=settings.monitor_metrics_port or None))


def plan(settings: "Settings") -> "Plan":
    """Returns what the settings say to watch."""
    from driftline.monitor.fold import Slicing  # noqa: PLC0415 - loads numpy
    from driftline.monitor.follow import Plan  # noqa: PLC0415

    slicing = (
        Slicing(rows=settings.window_rows) if settings.window_rows else Slicing(width_us=round(settings.window_s * 1e6))
    )
    return Plan(
        slicing,
        settings.window_min_rows,
        settings.drift_days,
        settings.drift_min_moved,
        settings.segment_by,
        settings.reference_rows,
    )


def _check_segments(settings: "Settings") -> None:
    if settings.segment_by is None:
        return
    from driftline.monitor.sources import columns_of  # noqa: PLC0415 - loads numpy

    schema = package_of(settings).schema
    names = [column.name for column in columns_of(schema)]
    if settings.segment_by not in names:
        raise SettingsError(f"segment_by is {settings.segment_by}, and the model has {', '.join(names)}")


def _follower(settings: "Settings", store: "MonitorStore", package: "Package") -> "Follower":
    from driftline.monitor.follow import Follower  # noqa: PLC0415 - loads numpy
    from driftline.monitor.telling import Teller  # noqa: PLC0415

    teller = Teller(
        store,
        lambda log_id: _alarms(settings, store, log_id),
        log_dir=settings.log_dir,
        days_a_false_alarm=settings.drift_days,
        page=lambda scope, column: _page(settings, scope, column),
        segment_by=settings.segment_by,
    )
    return Follower(
        settings.log_dir,
        store,
        package.schema,
        settings.reference_file,
        plan(settings),
        otherwise=package.reference,
        tell=teller.tell,
    )


def _beside(settings: "Settings") -> "list[Beside]":
    from driftline.monitor.beside import deliver, watch_traffic  # noqa: PLC0415 - loads numpy
    from driftline.monitor.store import FILE_NAME  # noqa: PLC0415
    from driftline.monitor.traffic import page_at  # noqa: PLC0415

    path = settings.monitor_dir / FILE_NAME
    sinks = sinks_of(settings)
    found: list[Beside] = [] if settings.console_port == 0 else [_console(settings, path)]
    if sinks:
        found.append(lambda: deliver(path, sinks, finish_within_s=settings.alert_timeout_s))
    if settings.api_metrics_url is not None:
        certificate = str(settings.tls_certificate) if settings.tls_certificate else None
        source = page_at(settings.api_metrics_url, settings.alert_timeout_s, certificate)
        width_us = round(settings.window_s * 1e6)
        page = None if settings.console_url is None else settings.console_url
        found.append(lambda: watch_traffic(path, source, partial(_alarms, settings), width_us, page))
    return found


def _console(settings: "Settings", store: Path) -> "Beside":
    from driftline.console.config import ConsoleConfig  # noqa: PLC0415 - loads numpy
    from driftline.console.server import serve_console  # noqa: PLC0415

    address, _ = claim(settings.host, 0)
    keys, tls = keys_asked_for(settings, address), tls_served(settings)
    config = ConsoleConfig(
        app_name=settings.app_name,
        store=store,
        data=settings.data,
        log_dir=settings.log_dir,
        outbox_dir=settings.outbox_dir,
        reports_dir=settings.monitor_dir / "reports",
        keys=keys,
        # auth alone says nothing of names: a container is told so whoever may reach it, as on a person's own machine.
        any_host=settings.auth == "none" and settings.console_url is not None,
        secure=tls is not None,
    )
    return lambda: serve_console(config, settings.host, settings.console_port, tls)


def _alarms(settings: "Settings", store: "MonitorStore", log_id: str) -> "Alarms":
    from driftline.monitor.alarms import Alarms  # noqa: PLC0415 - loads numpy

    return Alarms(
        store.connection,
        log_id=log_id,
        service=settings.app_name,
        sinks=list(sinks_of(settings)),
        close_after=settings.alert_close_after,
        clock_us=lambda: time.time_ns() // 1000,
    )


def _page(settings: "Settings", scope: str, column: str) -> str | None:
    if settings.console_url is None:
        return None
    stream = "" if scope == "all" else f"?stream={quote(scope, safe='')}"
    return f"{settings.console_url.rstrip('/')}/columns/{quote(column, safe='')}{stream}"
