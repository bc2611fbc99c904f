"""``driftline worker``: the process that writes the log."""

import os
import sys
from typing import TYPE_CHECKING

from driftline.cli.exits import epilog
from driftline.cli.loading import loading
from driftline.cli.options import Broker, Data, Host, LogFormat, MetricsPort, Parent, read_settings

if TYPE_CHECKING:
    from driftline.settings import Settings
    from driftline.supervisor import Child

EPILOG = epilog("driftline worker", "DRIFTLINE_BROKER=redis://localhost:6379/0 driftline worker --metrics-port 0")


def worker(
    *,
    data: Data = None,
    broker: Broker = None,
    host: Host = None,
    metrics_port: MetricsPort = None,
    log_format: LogFormat = None,
    parent: Parent = None,
) -> None:
    """Writes the log from what the API's outboxes hold, until SIGTERM or Ctrl-C.

    It may be killed at any moment and started again: nothing is lost and nothing is logged twice. A second worker on
    the same log waits until the first is gone. Its metrics and health are on --metrics-port. When it begins a new
    segment, it has the closed ones compacted: see [bold]driftline compact[/bold].
    """
    settings = read_settings(data=data, broker=broker, host=host, metrics_port=metrics_port, log_format=log_format)
    from driftline.supervisor import follow_parent  # noqa: PLC0415 - see read_settings
    from driftline.telemetry import configure_logging  # noqa: PLC0415

    if parent is not None:
        follow_parent(parent)
    with loading():
        configure_logging(settings.log_format)
        import uvloop  # noqa: PLC0415 - see read_settings

        from driftline.worker.main import run_worker  # noqa: PLC0415 - see read_settings

    uvloop.run(
        run_worker(
            outbox_root=settings.outbox_dir,
            log_dir=settings.log_dir,
            broker_url=settings.broker_url,
            broker_timeout_s=settings.broker_timeout_s,
            segment_max_bytes=settings.log_segment_max_bytes,
            segment_max_age_s=settings.log_segment_max_age_s,
            metrics_host=settings.host,
            metrics_port=settings.metrics_port or None,
            compaction=_compaction(settings) if settings.log_compact == "rotation" else None,
        )
    )


def _compaction(settings: "Settings") -> "Child":
    from driftline.supervisor import Child  # noqa: PLC0415 - see read_settings

    given = [name for name in type(settings).model_fields if settings.source(name).startswith("--")]
    environment = {**os.environ, **settings.environment(given)}
    command = (sys.executable, "-P", "-m", "driftline", "compact", "--parent", str(os.getpid()))
    return Child("compact", command, environment)
