"""What the relay costs an API process: its CPU for each event, without a broker and through Redis.

    python benchmarks/relay.py                      # 30,000 events a second, three rounds of each; a minute
    python benchmarks/relay.py --per-s 3000

An outbox gets so many events a second, as the turns of an API process's loop append them, while ``driftline worker``
takes them into its log. The same without a relay is what is subtracted.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

import redis
import uvloop

from driftline import layout
from driftline.outbox.outbox import Outbox
from driftline.outbox.root import OutboxRoot
from driftline.transport.ledger import take_ledger
from driftline.transport.local import LocalSender
from driftline.transport.redis import RedisSender
from driftline.transport.relay import Relay
from driftline.transport.sender import Sender
from stack import Redis
from worker import WAYS, lines, working

PER_S = 30_000
SECONDS = 3.0
TURN_S = 0.005
FLUSH_S = 30.0


def measure(rounds: int, per_s: int = PER_S, seconds: float = SECONDS) -> dict[str, list[float]]:
    """Microseconds of CPU that the relay takes for an event, of each round.

    Args:
        rounds: How often each way is measured, in turn.
        per_s: How many events come in a second.
        seconds: For how long.

    Raises:
        RuntimeError: The ledger does not find each event in the log, once.
    """
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as directory:
        there = Path(directory)
        broker = Redis(there / "redis")
        broker.start()
        try:
            for number in range(rounds):
                for way, costs in found.items():
                    alone_s = uvloop.run(_append(there / f"alone-{way}-{number}", None, per_s, seconds))
                    costs.append(
                        (
                            _round(there / f"{way}-{number}", broker if way == "redis" else None, per_s, seconds)
                            - alone_s
                        )
                        / (per_s * seconds)
                        * 1e6
                    )
        finally:
            broker.kill()
    return found


def _round(data: Path, broker: Redis | None, per_s: int, seconds: float) -> float:
    root, log_dir = OutboxRoot(layout.outbox_dir(data)), layout.log_dir(data)
    root.create()
    if broker is not None:
        with redis.Redis.from_url(broker.url) as client:
            client.flushall()
    with working(data, broker):
        sender = LocalSender(log_dir) if broker is None else RedisSender(broker.url, 5.0)
        used_s = uvloop.run(_append(data, sender, per_s, seconds))
    ledger = take_ledger(root.path, log_dir)
    if not ledger.balanced or ledger.logged != round(per_s * seconds):
        raise RuntimeError(f"not every event is in the log, once: {ledger.as_dict()}")
    return used_s


async def _append(data: Path, sender: Sender | None, per_s: int, seconds: float) -> float:
    """CPU seconds of this process while the events come, and are sent if there is who sends them."""
    root = OutboxRoot(layout.outbox_dir(data))
    root.create()
    outbox = Outbox(root)
    events = lines(outbox.producer, 0, round(per_s * seconds))
    relay = None if sender is None else Relay(root, outbox, sender)
    running = None if relay is None else asyncio.create_task(relay.run())
    while relay is not None and root.log_id() is None:  # noqa: ASYNC110 (it is a file)
        await asyncio.sleep(TURN_S)
    began, used_s, done = time.monotonic(), time.process_time(), 0
    while done < len(events):
        await asyncio.sleep(TURN_S)
        due = min(len(events), round((time.monotonic() - began) * per_s))
        outbox.append_all(events[done:due])
        done = due
    used_s = time.process_time() - used_s
    if relay is not None and running is not None and sender is not None:
        await relay.stop(FLUSH_S)
        await running
        await sender.close()
    await outbox.close()
    return used_s


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-s", type=int, default=PER_S, help="events a second")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of one round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows = ["| way | µs of the API's CPU an event: median, least to most |", "| --- | ---: |"]
    for way, costs in measure(options.rounds, options.per_s, options.seconds).items():
        rows.append(f"| {way} | {statistics.median(costs):.2f}, {min(costs):.2f} to {max(costs):.2f} |")
    rows += ["", f"{options.rounds} rounds of {options.seconds:g} s, {options.per_s:,} events a second."]
    sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
