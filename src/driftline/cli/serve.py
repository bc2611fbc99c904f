"""``driftline serve``: the HTTP API."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from driftline import layout
from driftline.cli.access import access
from driftline.cli.exits import epilog
from driftline.cli.loading import loading
from driftline.cli.options import (
    AllowPickle,
    Broker,
    Data,
    Host,
    LogFormat,
    Model,
    Parent,
    Port,
    Processes,
    ServedModel,
    pickle_setting,
    read_settings,
    served_model,
)
from driftline.errors import OutboxUnavailableError
from driftline.ports import Address, claim

if TYPE_CHECKING:
    from driftline.settings import Settings

EPILOG = epilog(
    "driftline serve ./iris",
    "driftline serve --port 8080 --processes 2",
    "DRIFTLINE_BROKER=redis://localhost:6379/0 driftline serve",
)


def serve(
    *,
    package: ServedModel = None,
    data: Data = None,
    broker: Broker = None,
    host: Host = None,
    port: Port = None,
    processes: Processes = None,
    model: Model = None,
    allow_pickle: AllowPickle = False,
    log_format: LogFormat = None,
    parent: Parent = None,
) -> None:
    """Answers predictions over HTTP, until SIGTERM or Ctrl-C.

    Each prediction is kept in the outbox under the data folder before it is answered. The log worker
    ([bold]driftline worker[/bold]) takes it from there; [bold]driftline up[/bold] runs both.
    """
    settings = read_settings(
        data=data,
        broker=broker,
        host=host,
        port=port,
        processes=processes,
        model=served_model(package, model),
        pickle=pickle_setting(allow_pickle),
        log_format=log_format,
    )
    raise typer.Exit(run(settings, parent))


def run(settings: "Settings", parent: int | None) -> int:
    """Serves until told to stop; returns the exit code."""
    from driftline.supervisor import follow_parent  # noqa: PLC0415 - see read_settings
    from driftline.telemetry import configure_logging, use_multiprocess_metrics  # noqa: PLC0415

    if parent is not None:
        follow_parent(parent)
    with loading():
        configure_logging(settings.log_format)
    address, port = claim(settings.host, settings.port)
    keys, tls = access(settings, address)
    try:
        use_multiprocess_metrics(_metrics_directory(settings.run_dir))
    except OSError as error:
        raise OutboxUnavailableError(f"cannot use the data folder {settings.data}: {error.strerror}") from error

    # Imports prometheus_client, so it must come after the line above.
    with loading():
        from driftline.api.app import ApiConfig  # noqa: PLC0415
        from driftline.api.server import serve as serve_api  # noqa: PLC0415

    config = ApiConfig(
        app_name=settings.app_name,
        outbox_dir=settings.outbox_dir,
        log_dir=settings.log_dir,
        broker_url=settings.broker_url,
        broker_timeout_s=settings.broker_timeout_s,
        outbox_sync=settings.outbox_sync,
        outbox_max_bytes=settings.outbox_max_bytes,
        outbox_full_policy=settings.outbox_full_policy,
        outbox_segment_max_bytes=settings.outbox_segment_max_bytes,
        max_body_bytes=settings.max_body_bytes,
        max_batch_rows=settings.max_batch_rows,
        max_batch_bytes=settings.max_batch_bytes,
        max_in_flight=settings.max_in_flight,
        keep_alive_s=settings.keep_alive_s,
        model=settings.model,
        allow_pickle=settings.pickle == "allow",
        log_format=settings.log_format,
        keys=keys,
        hash_key=layout.hash_key_file(settings.data),
        metrics=Address(address, settings.api_metrics_port) if settings.api_metrics_port else None,
    )
    return serve_api(config, settings.host, port, settings.processes, tls)


def _metrics_directory(run_dir: Path) -> Path:
    """Where the processes share their counters: in memory, where there is such a place.

    They are memory-mapped files, and a mapped page that a full disk has no room for is a SIGBUS.
    """
    memory = Path("/dev/shm")  # noqa: S108 (a directory of this user's own is made in it)
    return memory / f"driftline-{os.getuid()}" if os.access(memory, os.W_OK) else run_dir / "metrics-api"
