"""``driftline up``: the API, the log worker and the monitor together, for one machine."""

import asyncio
import http.client
import itertools
import os
import ssl
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from driftline.cli.access import access
from driftline.cli.banner import banner, host_in_url
from driftline.cli.exits import Exit, epilog
from driftline.cli.options import (
    AllowPickle,
    Broker,
    ConsolePort,
    Data,
    Host,
    LogFormat,
    MetricsPort,
    Model,
    MonitorMetricsPort,
    Port,
    Processes,
    ServedModel,
    WindowSeconds,
    pickle_setting,
    read_settings,
    served_model,
)
from driftline.errors import SettingsError
from driftline.ports import Address, claim

if TYPE_CHECKING:
    from driftline.api.tls import Tls
    from driftline.settings import Settings
    from driftline.supervisor import Child

EPILOG = epilog(
    "driftline up",
    "driftline up ./iris",
    "driftline up --port 8080 --data /srv/driftline",
    "DRIFTLINE_BROKER=redis://localhost:6379/0 driftline up",
)

COLOURS = {"serve": "cyan", "worker": "magenta", "monitor": "blue"}
NAME_WIDTH = 7

SERVED = {
    "the API": "port",
    "the API's metrics": "api_metrics_port",
    "the worker's metrics": "metrics_port",
    "the console": "console_port",
    "the monitor's metrics": "monitor_metrics_port",
}
"""What the children serve, each with the setting of its port."""

PROBE_EVERY_S = 0.05
PROBE_TIMEOUT_S = 1.0
PATIENCE_S = 10.0


def up(
    *,
    package: ServedModel = None,
    data: Data = None,
    broker: Broker = None,
    host: Host = None,
    port: Port = None,
    processes: Processes = None,
    metrics_port: MetricsPort = None,
    console_port: ConsolePort = None,
    monitor_metrics_port: MonitorMetricsPort = None,
    window_s: WindowSeconds = None,
    model: Model = None,
    allow_pickle: AllowPickle = False,
    log_format: LogFormat = None,
) -> None:
    """Starts everything: the API, the log worker and the monitor, whose messages it shows. Ctrl-C stops it cleanly.

    One that dies is started again. The API is stopped first, then the worker, then the monitor; a second Ctrl-C kills
    all at once, which loses nothing either.
    """
    settings = read_settings(
        data=data,
        broker=broker,
        host=host,
        port=port,
        processes=processes,
        metrics_port=metrics_port,
        console_port=console_port,
        monitor_metrics_port=monitor_metrics_port,
        window_s=window_s,
        model=served_model(package, model),
        pickle=pickle_setting(allow_pickle),
        log_format=log_format,
    )
    address, port = _claimed(settings)
    keys, tls = access(settings, address)

    from driftline.supervisor import Supervisor  # noqa: PLC0415 - see read_settings

    async def run() -> int:
        supervisor = Supervisor(_children(settings, port), _show, hopeless=frozenset({Exit.USAGE, Exit.CANNOT}))
        return await supervisor.run(meanwhile=_announce(settings, port, keys, tls))

    raise typer.Exit(asyncio.run(run()))


def _claimed(settings: "Settings") -> Address:
    """Returns where the API can listen, if all that the children serve can be served."""
    for (one, port), (other, same) in itertools.combinations(SERVED.items(), 2):
        if getattr(settings, port) and getattr(settings, port) == getattr(settings, same):
            raise SettingsError(f"{one} and {other} cannot both have port {getattr(settings, port)}")
    address = claim(settings.host, settings.port)
    for name in ("metrics_port", "console_port", "monitor_metrics_port"):
        if number := getattr(settings, name):
            claim(settings.host, number, "--" + name.replace("_", "-"))
    return address


def _children(settings: "Settings", port: int) -> list["Child"]:
    from driftline.supervisor import Child  # noqa: PLC0415 - see read_settings

    # By environment, not by flags: a broker's password on a command line is there for everyone to read.
    given = [name for name in type(settings).model_fields if settings.source(name).startswith("--")]
    environment = {**os.environ, **settings.environment(given), "DRIFTLINE_PORT": str(port)}
    if settings.api_metrics_url is None:
        environment["DRIFTLINE_API_METRICS_URL"] = _metrics_url(settings, port)
    if sys.stdout.isatty():
        environment.setdefault("FORCE_COLOR", "1")
        if settings.log_format == "auto":
            environment["DRIFTLINE_LOG_FORMAT"] = "pretty"
    # -P: a file named like one of our imports in the working directory must not get in the way.
    python = (sys.executable, "-P", "-m", "driftline")
    return [
        Child(name, (*python, name, "--parent", str(os.getpid())), environment)
        for name in ("serve", "worker", "monitor")
    ]


def _metrics_url(settings: "Settings", port: int) -> str:
    if settings.api_metrics_port:
        return f"http://{host_in_url(_reachable(settings.host))}:{settings.api_metrics_port}/metrics"
    scheme = "https" if settings.tls_certificate else "http"
    return f"{scheme}://{host_in_url(_reachable(settings.host))}:{port}/metrics"


def _show(name: str, text: str) -> None:
    prefix = typer.style(f"{name:<{NAME_WIDTH}} |", fg=COLOURS.get(name, "yellow"))
    typer.echo(f"{prefix} {text}")


def _announce(settings: "Settings", port: int, keys: Path | None, tls: "Tls | None") -> Callable[[], Awaitable[None]]:
    async def announce() -> None:
        waited_s = 0.0
        while (reason := await asyncio.to_thread(_not_ready, settings.host, port, tls)) is not None:
            await asyncio.sleep(PROBE_EVERY_S)
            waited_s += PROBE_EVERY_S
            if waited_s >= PATIENCE_S:
                _show("up", f"not ready yet: {reason}")
                waited_s = 0.0
        with suppress(OSError):  # nobody can read it: the supervisor notices as soon as a child says something
            typer.echo(banner(settings, port, keys))

    return announce


def _not_ready(host: str, port: int, tls: "Tls | None") -> str | None:
    """Why the API does not take requests yet, or None when it does."""
    connection = http.client.HTTPConnection(_reachable(host), port, timeout=PROBE_TIMEOUT_S)
    if tls is not None:
        connection = http.client.HTTPSConnection(
            _reachable(host), port, timeout=PROBE_TIMEOUT_S, context=_whoever_answers()
        )
    try:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return str(error)
    finally:
        connection.close()
    return None if answer.status == http.client.OK else body


def _whoever_answers() -> ssl.SSLContext:
    """We ask our own child by a number, for which no certificate is made out, and tell it nothing."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _reachable(host: str) -> str:
    """Where to ask a server that listens on ``host``."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not listened on
