"""What Driftline is to reach, and how far it is."""

from collections.abc import Callable, Iterator, Mapping
from statistics import median
from typing import Any, NamedTuple

from bench_serve.ours import DRIFTLINES, EMBEDDED, OVER_REDIS, SYNCED_256, TWO_PROCESSES
from bench_serve.peers import PEERS, SEED
from bench_serve.replies import GRANIAN, GRANIAN_256, REPLIES
from bench_serve.rounds import faults, ratio, values
from bench_serve.stacks import Stack

# Those in which a fault is one of Driftline, or of what it is compared with as a limit.
OURS = {stack.name for stack in (*DRIFTLINES, *REPLIES)}
NOT_MEASURED = "not measured"
SERVE = "driftline serve"
GROWTH, MOST_MB = 0.05, 130
P99_MOST = 1.5
# Beyond them a latency says more of the load generator than of the server.
UNSENT_SHARE_MAX, LAG_SHARE_MAX = 0.001, 0.25
COMPACTION = "without compaction, which has its own process and costs about 9 to 11 µs an event more ([log](log.md))"
Results = Mapping[str, Any]


class Goal(NamedTuple):
    """One goal.

    Attributes:
        measure: What is measured.
        goal: What it is to be.
        found: What it is.
        met: Whether that is enough; None if it was not measured.
        remark: What speaks against it.
    """

    measure: str
    goal: str
    found: str
    met: bool | None
    remark: str = ""


def goals(results: Results) -> list[Goal]:
    """All goals, judged, also those for which nothing was measured."""
    found: list[Goal] = []
    for part, judge in JUDGES.items():
        failure = results.get("measured", {}).get(part, {}).get("failed", "")
        found += [
            goal._replace(remark=goal.remark or failure) if goal.met is None else goal
            for goal in judge(results.get(part, {}))
        ]
    return found


def of_stacks(found: Results) -> Iterator[Goal]:
    """Those that come from the turns under wrk."""
    granian = GRANIAN.name
    cpu = (
        ("`/predict`, embedded: CPU a request against Granian's constant reply", EMBEDDED.name, granian, 1.15),
        ("`/predict`, with a relay to Redis: the same", OVER_REDIS.name, granian, 1.30),
        ("`outbox_sync = always`, 256 connections: the same at 256", SYNCED_256.name, GRANIAN_256.name, 1.6),
        ("two API processes: CPU a request against one's", TWO_PROCESSES.name, EMBEDDED.name, 1.1),
    )
    for measure, name, to, most in cpu:
        yield sound(at_most(measure, ratio(found, name, to, "cpu_us"), most), found, name, to)
    measure = "the seed's service: requests a second of one core, embedded"
    yield faster(measure, found, SEED.name, 9, (EMBEDDED, OVER_REDIS))
    for peer in PEERS:
        if peer.stack.name != SEED.name:
            measure = f"{peer.stack.name}: the same, both over Redis"
            yield faster(measure, found, peer.stack.name, 5, (OVER_REDIS, EMBEDDED))


def faster(measure: str, found: Results, name: str, least: float, ways: tuple[Stack, Stack]) -> Goal:
    """How many times the requests of another Driftline answers, judged by the first way; the other one in brackets."""
    first, other = (ratio(found, way.name, name, "per_s") for way in ways)
    label = "over Redis" if ways[1] == OVER_REDIS else "embedded"
    brackets = f" ({label} {other:.1f} x)" if other else ""
    said = f"{first:.1f} x{brackets}" if first else NOT_MEASURED
    goal = Goal(f"against {measure}", f">= {least:g} x", said, first >= least if first else None)
    return sound(goal, found, ways[0].name, name)


def sound(goal: Goal, found: Results, *names: str) -> Goal:
    """The goal, which is not met if a Driftline or a constant reply lost events or failed requests.

    What failed of others is said, and is no reason for a goal not to be met.
    """
    remarks = {name: faults(found, name) for name in names if name in found}
    ours = any(said for name, said in remarks.items() if name in OURS)
    remark = "; ".join(each for said in remarks.values() for each in said)
    return goal._replace(remark=remark, met=False if ours else goal.met)


def of_latency(found: Results) -> Iterator[Goal]:
    """The one of latency; not measured if the load generator itself was late."""
    stacks, rate = found.get("stacks", {}), f"{found['per_s']:,.0f} requests/s, " if found else ""
    measure = f"p99 at {rate}half of saturation, against the constant reply's"
    names = (EMBEDDED.name, GRANIAN.name)
    goal = at_most(measure, ratio(stacks, *names, "p99_ms"), P99_MOST)
    if goal.met is not None:
        p99, lag, unsent = (
            [median(values(stacks, name, key)) for name in names] for key in ("p99_ms", "lag_p99_ms", "unsent_share")
        )
        by_name = zip(lag, p99, unsent, strict=True)
        said = " and ".join(f"{late:.2f} of {all_:.2f} ms, {share:.2%} unsent" for late, all_, share in by_name)
        goal = goal._replace(found=f"{goal.found} (p99 of the generator's own delay: {said})")
        late = any(own > LAG_SHARE_MAX * all_ for own, all_ in zip(lag, p99, strict=True))
        if late or max(unsent) > UNSENT_SHARE_MAX:
            goal = goal._replace(met=None, remark="the load generator was late, or had no connection free")
    failures = [f"{name}, {each}" for name in names for each in stacks.get(name, {}).get("failures", [])]
    yield goal._replace(met=False, remark=failures[0]) if failures else goal


def of_batches(found: Results) -> Iterator[Goal]:
    """Those of batches."""
    for form, least in {"JSON": 300_000, "Arrow": 700_000}.items():
        yield at_least(f"`POST /predict/batch`, {form}: rows a second and core, each logged", found.get(form), least)


def of_worker(found: Results) -> Iterator[Goal]:
    """Those of the log worker."""
    measure = f"events a second of CPU into the committed log, {COMPACTION}"
    yield at_least(f"worker, embedded: {measure}", found.get("embedded"), 500_000)
    yield at_least("worker, from Redis: the same", found.get("redis"), 500_000)


def of_memory(found: Results) -> Iterator[Goal]:
    """The one of memory."""
    if not found:
        yield Goal("memory of an API process", f"< {GROWTH:.0%} more, < {MOST_MB} MB", NOT_MEASURED, None)
        return
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
    yield at_most(measure, found.get(SERVE, {}).get("wall_ratio"), 2)


def at_most(measure: str, found: float | None, most: float) -> Goal:
    """A ratio that is not to be larger."""
    if found is None:
        return Goal(measure, f"<= {most:g} x", NOT_MEASURED, None)
    return Goal(measure, f"<= {most:g} x", f"{found:.2f} x", found <= most)


def at_least(measure: str, found: list[float] | None, least: float) -> Goal:
    """A rate whose median is not to be smaller."""
    if not found:
        return Goal(measure, f">= {least:,.0f}", NOT_MEASURED, None)
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
