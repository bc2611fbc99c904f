"""Serving: one process that watches, and those that answer."""

import multiprocessing
import os
import resource
from dataclasses import replace
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

import structlog

from driftline.api.config import ApiConfig
from driftline.api.handover import Handover
from driftline.api.keys import read_keys
from driftline.api.lineup import draw_up
from driftline.api.process import serve_here
from driftline.api.processes import Processes
from driftline.api.rates import make_rates
from driftline.api.reload import loader
from driftline.api.service import make_sender
from driftline.api.tls import Tls, check_tls
from driftline.api.trial import try_apart
from driftline.contract.package import seed_package
from driftline.errors import KeysError, PortError, SettingsError
from driftline.outbox.root import OutboxRoot
from driftline.ports import Address, claim
from driftline.supervisor import is_hung_up
from driftline.telemetry import METRICS_VARIABLE

log = structlog.get_logger()

KILL_AFTER_S: Final = 8
CONNECTIONS_MAX: Final = 16_000
FILES_SPARE: Final = 200
HANDSHAKES_SPARE: Final = 1000
_FORK: Final = multiprocessing.get_context("fork")


def serve(config: ApiConfig, host: str, port: int, processes: int, tls: Tls | None = None) -> int:
    """Serves until SIGTERM or SIGINT and returns the exit code: 0, or 1 if the processes cannot even start.

    SIGHUP replaces the processes one by one. One that dies after it has served is started again, however often.

    Args:
        config: What the processes are told.
        host: Address to listen on.
        port: Port to listen on.
        processes: How many processes answer requests.
        tls: What HTTPS is served with; None serves HTTP.

    Raises:
        TlsError: The certificate or its key is of no use.
        KeysError: The file with the API keys cannot be read, or holds none.
        ModelError: The model package is wrong, or the key for what it hashes.
        BrokerError: The broker's URL is not one of Redis.
        OutboxUnavailableError: The directory of the outboxes cannot be made.
        PortError: Nobody can listen on that address and port, or somebody does already.
        SettingsError: Too few files may be open.
    """
    # What would fail in each process fails here, once, before any is started.
    try_apart(partial(draw_up, config.model or seed_package(), loader(config)))
    OutboxRoot(config.outbox_dir).create()
    make_sender(config)
    if tls is not None:
        check_tls(tls)
    if config.keys is not None:
        config = replace(config, rates=prepare_keys(config.keys))
    if config.metrics is not None:
        claim_metrics(config.metrics)
    handover = Handover(host, port, processes)
    connections = make_room(tls=tls is not None)
    parent = os.getpid()

    def new_process(place: int) -> BaseProcess:
        handover.take_place(place)
        return _FORK.Process(target=serve_here, args=(config, tls, parent, handover, connections))

    log.info(
        "api.listening",
        host=host,
        port=port,
        processes=processes,
        connections_max=connections,
        tls=tls is not None,
        keys=config.keys is not None,
    )
    return Processes(processes, new_process, handover, is_hung_up, KILL_AFTER_S).run()


def prepare_keys(keys: Path) -> Path:
    """Returns the file in which the processes will share how often each key has asked.

    Raises:
        KeysError: The file with the keys cannot be read, or holds none.
        OSError: The shared file cannot be made.
    """
    if not read_keys(keys):
        raise KeysError(f"there is no key in {keys}, so nobody could ask; `driftline keys add NAME` draws one")
    # Where the processes share their counters, which is in memory where there is such a place.
    return make_rates(Path(os.environ[METRICS_VARIABLE]) / "rates")


def claim_metrics(address: Address) -> None:
    """Returns if the processes will be able to serve their metrics there.

    Raises:
        PortError: They will not.
    """
    try:
        claim(*address)
    except PortError as error:
        reason = error.message.partition(";")[0]
        raise PortError(
            f"{reason}, where the metrics of the API should be; api_metrics_port chooses another"
        ) from error


def make_room(*, tls: bool) -> int:
    """Returns how many connections a process may hold, with files to spare for all else that it opens.

    Args:
        tls: Whether connections are to be spared for, which count only when their handshake is done.

    Raises:
        SettingsError: There is room for none.
    """
    files = raise_open_files(CONNECTIONS_MAX + FILES_SPARE + (HANDSHAKES_SPARE if tls else 0))
    room = files - FILES_SPARE
    if tls:
        room -= min(HANDSHAKES_SPARE, room // 4)
    if room < 1:
        raise SettingsError(
            f"a process may open {files} files, and needs {FILES_SPARE} beside its connections; raise the hard limit"
            " (ulimit -Hn)"
        )
    return min(CONNECTIONS_MAX, room)


def raise_open_files(wanted: int) -> int:
    """Returns how many files this process and its children may open from now on: as many as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft != resource.RLIM_INFINITY and soft < wanted:
        log.warning("api.few_open_files", limit=soft, wanted=wanted)
    return wanted if soft == resource.RLIM_INFINITY else soft
