"""What taking events into the log costs: how many for a second of the worker's CPU, embedded and through Redis.

    python benchmarks/worker.py                 # 400,000 events, three rounds of each; half a minute
    python benchmarks/worker.py --events 1000000 --rounds 5

The events are those of the seed's model, as ``/predict`` makes them, in an outbox whose process is gone; for Redis, in
a stream whose entries are those that a relay makes of that outbox. ``driftline worker`` has been started and idles when
they come, all in one moment. What it used until the last of them was committed is from the kernel's clock of its
process; how many are in its log, once, is counted by the ledger.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own
import redis
from uuid_utils import uuid7

from driftline import layout
from driftline.contract.checksum import with_checksum
from driftline.contract.event import SCHEMA_VERSION, encode, timestamp
from driftline.contract.logged import logged_features
from driftline.contract.outputs import outputs_of
from driftline.contract.package import seed_schema
from driftline.contract.request import RequestDecoder
from driftline.eventlog.reader import LogReader
from driftline.outbox.outbox import Outbox
from driftline.outbox.reader import OutboxReader
from driftline.outbox.root import OutboxRoot
from driftline.transport.batch import Batch
from driftline.transport.lane import Pace
from driftline.transport.ledger import take_ledger
from driftline.transport.redis import LOGS, STREAM, encode_batch
from stack import Redis, inherited, installed, wait_for

EVENTS = 400_000
WITHIN_S = 120.0
LOOK_S = 0.01
WAYS = ("embedded", "redis")
_TOGETHER = 1000
_UNSEEN = f"{STREAM}:benchmark"


@dataclass
class Rates:
    """How fast one way was, round by round.

    Attributes:
        cpu: Events for each second of the worker's CPU, user and system.
        wall: Events a second.
    """

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)


def measure(rounds: int, events: int = EVENTS) -> dict[str, Rates]:
    """What the worker takes embedded and from Redis, in turn.

    Args:
        rounds: How often each.
        events: How many events are taken in one round.

    Raises:
        RuntimeError: The ledger does not find each event in the log, once.
        TimeoutError: Something did not come to its end.
    """
    rates = {way: Rates() for way in WAYS}
    with tempfile.TemporaryDirectory() as directory:
        there = Path(directory)
        producer = make_outbox(there / "made", events)
        broker = Redis(there / "redis")
        broker.start()
        try:
            for number in range(rounds):
                for way, found in rates.items():
                    data = there / f"{way}-{number}"
                    cpu_s, wall_s = _round(data, producer, events, broker if way == "redis" else None)
                    shutil.rmtree(data)  # what the kernel has cached of it would cost the next round its memory
                    found.cpu.append(events / cpu_s)
                    found.wall.append(events / wall_s)
        finally:
            broker.kill()
    return rates


def make_outbox(root: Path, events: int) -> Path:
    """The directory of an outbox that holds so many events, and has no owner."""
    OutboxRoot(root).create()
    outbox = Outbox(OutboxRoot(root), max_bytes=events * 1000 + (64 << 20))
    for first in range(0, events, _TOGETHER):
        outbox.append_all(lines(outbox.producer, first, min(_TOGETHER, events - first)))
    asyncio.run(outbox.close())
    return root / outbox.producer


def lines(producer: str, first_seq: int, count: int) -> list[bytes]:
    """So many events of the seed's model."""
    schema = seed_schema()
    event, logged = outputs_of(schema).event, logged_features(schema, b"")
    row = RequestDecoder(schema).decode(b'{"feature_1":0.4721193,"feature_2":-1.2938447}')
    at = timestamp(time.time_ns())
    return [
        with_checksum(
            encode(
                event(
                    str(uuid7()),
                    logged(row),
                    0.6193826473 + seq * 1e-9,
                    1,
                    at,
                    SCHEMA_VERSION,
                    "prediction",
                    producer,
                    seq,
                    schema.name,
                    schema.version,
                    None,
                    None,
                    None,
                )
            )
        )
        for seq in range(first_seq, first_seq + count)
    ]


def _round(data: Path, made: Path, events: int, broker: Redis | None) -> tuple[float, float]:
    """CPU seconds of the worker and seconds on the wall for one outbox's events."""
    root, log_dir = layout.outbox_dir(data), layout.log_dir(data)
    OutboxRoot(root).create()
    with contextlib.ExitStack() as stack:
        client = None
        if broker is not None:
            client = stack.enter_context(redis.Redis.from_url(broker.url))
            client.flushall()
        worker = stack.enter_context(working(data, broker))
        if client is None:
            wait_for("the worker", (root / "log-id").exists, WITHIN_S)
        else:
            wait_for("the worker", lambda: client.hlen(LOGS) == 1, WITHIN_S)
            _fill(client, made, client.hkeys(LOGS)[0].decode())
        log = stack.enter_context(LogReader(log_dir))
        began_s, began = _used_s(worker), time.monotonic()
        made.rename(root / made.name)
        stack.callback((root / made.name).rename, made)
        if client is not None:
            client.rename(_UNSEEN, STREAM)
        while log.committed().get(made.name, 0) < events:
            if time.monotonic() - began > WITHIN_S:
                raise TimeoutError(f"the worker has not committed them all within {WITHIN_S:.0f} s")
            time.sleep(LOOK_S)
        wall_s, cpu_s = time.monotonic() - began, _used_s(worker) - began_s
        ledger = take_ledger(root, log_dir)
        if not ledger.balanced or ledger.logged != events:
            raise RuntimeError(f"not every event is in the log, once: {ledger.as_dict()}")
    return cpu_s, wall_s


def _fill(client: "redis.Redis", made: Path, log_id: str) -> None:
    """Makes the stream that a relay would make, were it let, under a name at which nobody looks."""
    reader, pace = OutboxReader(OutboxRoot(made.parent), made.name), Pace(window_batches=0)
    while (chunk := reader.read(pace.batch_events, pace.batch_bytes)).events:
        client.xadd(_UNSEEN, encode_batch(Batch.of(log_id, made.name, 0, chunk.first_seq, chunk.events)))
    reader.close()


@contextlib.contextmanager
def working(data: Path, broker: Redis | None) -> Iterator[psutil.Process]:
    """A worker that has been started; it is gone after the ``with``."""
    command = [installed("driftline"), "worker", "--data", str(data), "--metrics-port", "0"]
    command += [] if broker is None else ["--broker", broker.url]
    with (data / "worker.log").open("wb") as output:
        process = subprocess.Popen(command, env=inherited(), stdout=output, stderr=output)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(WITHIN_S)


def _used_s(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    lines = ["| way | events a second of CPU: median, least to most | µs an event | events a second |"]
    lines.append("| --- | ---: | ---: | ---: |")
    for way, rates in measure(options.rounds, options.events).items():
        middle = statistics.median(rates.cpu)
        lines.append(
            f"| {way} | {middle:,.0f}, {min(rates.cpu):,.0f} to {max(rates.cpu):,.0f} | {1e6 / middle:.2f} "
            f"| {statistics.median(rates.wall):,.0f} |"
        )
    lines += ["", f"{options.rounds} rounds of {options.events:,} events each, {os.cpu_count()} cores."]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
