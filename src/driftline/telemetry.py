"""Wires logs and metrics; what is logged and counted is declared by the station it belongs to.

Everyone logs by ``structlog.get_logger()``: ``log.info("segment.rotated", segment=..., bytes=...)``. What libraries
write to the standard library's loggers goes through the same formatter, provided that they leave it to the root logger:
FastStream is given a ``logging.getLogger("faststream")`` of ours.
"""

import fcntl
import logging
import os
import re
import shutil
import sys
import tempfile
from collections.abc import MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from structlog.typing import Processor

LogFormat = Literal["auto", "pretty", "json"]

METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

# The user part of an address up to the last @ before the path, and passwords given as query parameters.
_CREDENTIALS = re.compile(r"(?<=://)[^\s/\"]*(?=@)")
_PASSWORD_PARAMETER = re.compile(r"(?<=[?&])(\w*password)=[^&#\s\"]*", re.IGNORECASE)

_lock_fd: int | None = None


def redact(text: str) -> str:
    """The text with ``***`` in place of every password in an address."""
    return _CREDENTIALS.sub("***", _PASSWORD_PARAMETER.sub(r"\1=***", text))


def configure_logging(log_format: LogFormat) -> None:
    """Sends all logs of this process to stderr, one line each, without passwords. Calling it again replaces it.

    Args:
        log_format: "auto" is pretty when stderr is a terminal and JSON otherwise.
    """
    _load_structlog()
    import structlog  # noqa: PLC0415

    pretty = log_format == "pretty" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if pretty else "iso", utc=not pretty),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_renderers(pretty=pretty),
                _redact_line,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(capture=True)


def _load_structlog() -> None:
    """Loads structlog without rich.

    It would print tracebacks with it, which we do not want, and loading it takes longer than all else of structlog.
    """
    if "structlog" in sys.modules or "rich" in sys.modules:
        return
    sys.modules["rich"] = None  # type: ignore[assignment]  # how Python is told that there is no such module
    try:
        import structlog  # noqa: F401, PLC0415 - not every command logs
    finally:
        del sys.modules["rich"]


def use_multiprocess_metrics(directory: Path) -> Path:
    """Makes the metrics of this process and its children add up; returns the fresh folder they share.

    Must be called before anything imports prometheus_client, which chooses its mode at import. The folder is this
    process's own: several servers may share ``directory``. Folders there whose process is gone are removed.

    Raises:
        OSError: The folder cannot be made.
        RuntimeError: prometheus_client is imported already: counts would be lost without a word.
    """
    global _lock_fd  # noqa: PLW0603 - held until the process ends: that is what tells the living folders from the dead
    if "prometheus_client" in sys.modules:
        raise RuntimeError("prometheus_client was imported before its folder was set")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in directory.iterdir():
        _remove_if_dead(folder)
    mine = Path(tempfile.mkdtemp(dir=directory))
    _lock_fd = os.open(mine / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(_lock_fd, fcntl.LOCK_EX)
    os.environ[METRICS_VARIABLE] = str(mine.absolute())
    return mine


def metrics_payload() -> tuple[bytes, str]:
    """The metrics as Prometheus reads them and their content type; of all processes that share a folder."""
    import prometheus_client as prometheus  # noqa: PLC0415 - its mode is chosen at import, after the folder is set
    from prometheus_client import multiprocess  # noqa: PLC0415

    registry = prometheus.REGISTRY
    if METRICS_VARIABLE in os.environ:
        _forget_dead_processes()
        registry = prometheus.CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library leaves it untyped
    return prometheus.generate_latest(registry), prometheus.CONTENT_TYPE_LATEST


def _forget_dead_processes() -> None:
    """Removes the gauges of processes that have died, which would be added up with the living ones for ever."""
    from prometheus_client import multiprocess  # noqa: PLC0415

    for path in Path(os.environ[METRICS_VARIABLE]).glob("gauge_live*_*.db"):
        pid = int(path.stem.rpartition("_")[2])
        if not _is_alive(pid):
            multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]  # the library leaves it untyped


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _renderers(*, pretty: bool) -> "list[Processor]":
    import structlog  # noqa: PLC0415 - see configure_logging

    if pretty:
        colours = not os.environ.get("NO_COLOR") and (sys.stderr.isatty() or bool(os.environ.get("FORCE_COLOR")))
        console = structlog.dev.ConsoleRenderer(
            colors=colours,
            pad_event_to=24,
            exception_formatter=structlog.dev.plain_traceback,  # the other kinds print local variables, and secrets
        )
        return [console]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _redact_line(_logger: Any, _name: str, line: MutableMapping[str, Any] | str | bytes) -> str:
    # Last of all, on the finished text: nothing that was put into a message or a traceback gets around it.
    return redact(str(line))


def _remove_if_dead(folder: Path) -> None:
    try:
        lock = os.open(folder / "lock", os.O_RDWR)
    except OSError:
        return  # another process is just making or removing it
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(lock)
