"""Driftline's ways, each with its log worker beside it."""

import json
import subprocess
from pathlib import Path

from bench_serve.stacks import Place, Stack
from counters import counted
from stack import inherited, installed, wait_for

DRAIN_S = 300.0
# Sets no limit: the worker has what the load generator leaves of its core.
OUTBOX_MAX = "8GiB"


def serve(place: Place, *options: str) -> list[str]:
    """``driftline serve``, embedded."""
    return [installed("driftline"), "serve", "--port", str(place.port), *kept(place), *options]


def worker(place: Place) -> list[str]:
    """``driftline worker``, embedded."""
    return [installed("driftline"), "worker", "--metrics-port", "0", *kept(place)]


def serve_over_redis(place: Place) -> list[str]:
    """``driftline serve`` with a relay."""
    return serve(place, "--broker", place.redis_url)


def worker_over_redis(place: Place) -> list[str]:
    """``driftline worker`` that reads from Redis."""
    return [*worker(place), "--broker", place.redis_url]


def kept(place: Place) -> list[str]:
    """Where events are kept."""
    return ["--data", str(place.directory / "data")]


def held_bytes(place: Place) -> int:
    """Bytes of outbox segments that are still there."""
    return sum(path.stat().st_size for path in place.directory.glob("data/outbox/*/*.seg"))


def logged(place: Place) -> int:
    """How many events are in the log, once none is on its way any more; the log itself is counted.

    Raises:
        RuntimeError: One is missing, damaged or there twice.
    """
    ledger: dict[str, int] = {}

    def drained() -> bool:
        command = [installed("driftline"), "ledger", "--json", *kept(place)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=inherited(), cwd=place.directory
        )
        ledger.update(json.loads(done.stdout or "{}"))
        return ledger.get("in_flight") == 0

    wait_for("the outbox to drain", drained, DRAIN_S)
    if ledger["accepted"] != ledger["logged"] or not ledger["balanced"]:
        raise RuntimeError(f"the ledger does not balance: {ledger}")
    return ledger["logged"]


def answered(place: Place) -> int:
    """How many predictions its metrics say were answered with 200."""
    return counted(place.port, "driftline_requests_total", route="/predict", status="200")


def of_package(name: str, package: Path) -> Stack:
    """Another model than the one that comes along, embedded."""
    return EMBEDDED._replace(name=name, command=lambda place: serve(place, str(package)))


EMBEDDED = Stack(
    "Driftline, embedded",
    serve,
    environment=lambda _: {"DRIFTLINE_OUTBOX_MAX_BYTES": OUTBOX_MAX},
    events=logged,
    answered=answered,
    beside=worker,
)
# A turn of the loop with one request: the most that one can cost.
EMBEDDED_1 = EMBEDDED._replace(name="Driftline, embedded, 1", connections=1)
TWO_PROCESSES = EMBEDDED._replace(
    name="Driftline, two processes", command=lambda place: serve(place, "--processes", "2")
)
OVER_REDIS = EMBEDDED._replace(
    name="Driftline, over Redis", command=serve_over_redis, beside=worker_over_redis, redis=True
)
SYNCED_256 = EMBEDDED._replace(
    name="Driftline, outbox_sync = always, 256",
    environment=lambda _: {"DRIFTLINE_OUTBOX_MAX_BYTES": OUTBOX_MAX, "DRIFTLINE_OUTBOX_SYNC": "always"},
    connections=256,
)
DRIFTLINES = (EMBEDDED, OVER_REDIS, TWO_PROCESSES, SYNCED_256, EMBEDDED_1)
