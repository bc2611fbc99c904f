"""What Driftline is to reach, and how far it is."""

from collections.abc import Callable, Iterator, Mapping
from statistics import median
from typing import Any, NamedTuple

from bench_serve.ours import DRIFTLINES, EMBEDDED, OVER_REDIS, SEED, SYNCED_256, TWO_PROCESSES
from bench_serve.replies import GRANIAN, GRANIAN_256, REPLIES
from bench_serve.rounds import ratio

NO_PEERS = {stack.name for stack in (*DRIFTLINES, *REPLIES, SEED)}
SERVE = "driftline serve"
GROWTH, MOST_MB = 0.05, 130
Results = Mapping[str, Any]


class Goal(NamedTuple):
    """One goal.

    Attributes:
        measure: What is measured.
        goal: What it is to be.
        found: What it is.
        met: Whether that is enough.
    """

    measure: str
    goal: str
    found: str
    met: bool


def goals(results: Results) -> list[Goal]:
    """All goals for which something was measured, judged."""
    found: list[Goal] = []
    for part, judge in JUDGES.items():
        if part in results:
            found += judge(results[part])
    return found


def of_stacks(found: Results) -> Iterator[Goal]:
    """Those that come from the turns under wrk."""
    ours, granian = EMBEDDED.name, GRANIAN.name
    cpu = (
        ("`/predict`, embedded: CPU a request against Granian's constant reply", ours, granian, 1.15),
        ("`/predict`, with a relay to Redis: the same", OVER_REDIS.name, granian, 1.30),
        ("`outbox_sync = always`, 256 connections: the same at 256", SYNCED_256.name, GRANIAN_256.name, 1.6),
        ("two API processes: CPU a request against one's", TWO_PROCESSES.name, ours, 1.1),
    )
    for measure, name, to, most in cpu:
        if name in found and to in found:
            yield at_most(measure, ratio(found, name, to, "cpu_us"), most)
    if SEED.name in found:
        yield faster("the seed's service: requests a second of one core", found, SEED.name, 9)
    for name in found:
        if name not in NO_PEERS:
            yield faster(f"{name}: the same", found, name, 5)


def faster(measure: str, found: Results, name: str, least: float) -> Goal:
    """How many times the requests of another Driftline answers; over Redis, as the other, in brackets."""
    times = {way.name: ratio(found, way.name, name, "per_s") for way in (EMBEDDED, OVER_REDIS) if way.name in found}
    embedded = times[EMBEDDED.name]
    redis = f" (over Redis {times[OVER_REDIS.name]:.1f} x)" if OVER_REDIS.name in times else ""
    return Goal(f"against {measure}", f">= {least:g} x", f"{embedded:.1f} x{redis}", embedded >= least)


def of_latency(found: Results) -> Iterator[Goal]:
    """The one of latency."""
    most = 1.5
    middle = ratio(found["stacks"], EMBEDDED.name, GRANIAN.name, "p99_ms")
    measure = f"p99 at {found['per_s']:,.0f} requests/s, half of saturation, against the constant reply's"
    yield at_most(measure, middle, most)


def of_batches(found: Results) -> Iterator[Goal]:
    """Those of batches."""
    for form, least in {"JSON": 300_000, "Arrow": 700_000}.items():
        yield at_least(f"`POST /predict/batch`, {form}: rows a second and core, each logged", found[form], least)


def of_worker(found: Results) -> Iterator[Goal]:
    """Those of the log worker."""
    for way, name in {"embedded": "embedded", "redis": "from Redis"}.items():
        yield at_least(f"worker, {name}: events a second of CPU into the committed log", found[way], 500_000)


def of_memory(found: Results) -> Iterator[Goal]:
    """The one of memory."""
    first, last = found["rss_mb"][0], found["rss_mb"][-1]
    growth = last / first - 1
    yield Goal(
        f"memory of an API process after {found['marks'][-1]:,} predictions",
        f"< {GROWTH:.0%} more than after {found['marks'][0]:,}, < {MOST_MB} MB",
        f"{growth:+.1%}, {last:.0f} MB",
        growth < GROWTH and last < MOST_MB,
    )


def of_starts(found: Results) -> Iterator[Goal]:
    """The one of the start."""
    measure = "`driftline serve` from exec to the first 200, against `import fastapi` alone"
    yield at_most(measure, found[SERVE]["wall_ratio"], 2)


def at_most(measure: str, found: float, most: float) -> Goal:
    """A ratio that is not to be larger."""
    return Goal(measure, f"<= {most:g} x", f"{found:.2f} x", found <= most)


def at_least(measure: str, found: list[float], least: float) -> Goal:
    """A rate whose median is not to be smaller."""
    middle = median(found)
    return Goal(measure, f">= {least:,.0f}", f"{middle:,.0f}", middle >= least)


JUDGES: Mapping[str, Callable[[Results], Iterator[Goal]]] = {
    "stacks": of_stacks,
    "latency": of_latency,
    "batches": of_batches,
    "worker": of_worker,
    "memory": of_memory,
    "starts": of_starts,
}
