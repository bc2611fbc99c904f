"""All stacks in turn, each started anew for each turn."""

from collections.abc import Callable, Iterable, Mapping
from statistics import median
from typing import Any, NamedTuple

from bench_serve.running import running
from bench_serve.stacks import Stack
from cores import Cores


class Pace(NamedTuple):
    """How much is measured.

    Attributes:
        rounds: Turns of each stack.
        seconds: Length of a turn.
        warm_s: Load before it, which does not count.
    """

    rounds: int
    seconds: float
    warm_s: float


class Turn(NamedTuple):
    """What one turn gave.

    Attributes:
        per_s: Answers a second.
        cpu_us: CPU microseconds of the server for each answer.
        beside_us: The same of the process beside it, for each event, from when it was ready until all were taken.
        busy: Share of the turn for which the server had its core.
        p50_ms: Median latency.
        p99_ms: What all but one in a hundred answers took at most.
        failed: Requests that were not answered with 200, and connections that broke.
        lost: Answers of which there is no event.
    """

    per_s: float
    cpu_us: float
    beside_us: float
    busy: float
    p50_ms: float
    p99_ms: float
    failed: int
    lost: int


def turn(stack: Stack, pace: Pace, cores: Cores) -> Turn:
    """One turn of one stack."""
    with running(stack, cores) as server:
        began_beside_s, began_answers = server.beside_cpu_s(), server.answers
        warm = server.load(pace.warm_s)
        began_s = server.cpu_s()
        load = server.load(pace.seconds)
        used_s = server.cpu_s() - began_s
        lost = server.lost()
        beside_s = server.beside_cpu_s() - began_beside_s
        return Turn(
            per_s=load.per_s,
            cpu_us=used_s / max(1, load.answers) * 1e6,
            beside_us=beside_s / (server.answers - began_answers) * 1e6,
            busy=used_s / load.seconds,
            p50_ms=load.p50_ms,
            p99_ms=load.p99_ms,
            failed=warm.failed + load.failed,
            lost=lost,
        )


def in_rounds(stacks: Iterable[Stack], pace: Pace, cores: Cores, tell: Callable[[str], None]) -> dict[str, Any]:
    """The turns of each stack, as JSON takes it; whoever began the last round ends the next."""
    order = list(stacks)
    found: dict[str, Any] = {
        stack.name: {"connections": stack.connections, "version": stack.version, "turns": []} for stack in order
    }
    for number in range(pace.rounds):
        for stack in order if number % 2 == 0 else reversed(order):
            got = turn(stack, pace, cores)
            found[stack.name]["turns"].append(got._asdict())
            tell(f"  {stack.name}: {got.per_s:,.0f}/s, {got.cpu_us:.1f} us")
    return found


def values(found: Mapping[str, Any], name: str, key: str) -> list[float]:
    """One figure of a stack in all rounds."""
    return [float(each[key]) for each in found[name]["turns"]]


def ratios(found: Mapping[str, Any], name: str, to: str, key: str) -> list[float]:
    """A figure of a stack against the same of another in the same round."""
    return [one / other for one, other in zip(values(found, name, key), values(found, to, key), strict=True)]


def ratio(found: Mapping[str, Any], name: str, to: str, key: str) -> float:
    """The median of these."""
    return median(ratios(found, name, to, key))
