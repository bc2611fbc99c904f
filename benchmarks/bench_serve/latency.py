"""Latency below saturation: requests that are due at random at a given rate, whether others are answered or not."""

from collections.abc import Callable, Iterable
from typing import Any

from bench_serve.rounds import Pace, noting
from bench_serve.running import running
from bench_serve.stacks import Stack
from cores import Cores
from open_loop import OpenLoop, Outcome

CONNECTIONS = 256
PERCENTILES = (50, 90, 99, 99.9)


def at_rate(
    stacks: Iterable[Stack], per_s: float, pace: Pace, cores: Cores, tell: Callable[[str], None]
) -> dict[str, Any]:
    """The latencies of all stacks at the same rate, in turn, as JSON takes it.

    A turn that fails is None, and ``failures`` says why.
    """
    order = list(stacks)
    found: dict[str, Any] = {"per_s": per_s, "stacks": {stack.name: {"turns": [], "failures": []} for stack in order}}
    for number in range(pace.rounds):
        for stack in order if number % 2 == 0 else reversed(order):
            with noting(found["stacks"][stack.name], stack.name, number, tell):
                got = turn(stack, per_s, pace, cores)
                found["stacks"][stack.name]["turns"].append(got)
                tell(f"  {stack.name} at {per_s:,.0f}/s: p99 {got['p99_ms']:.2f} ms")
    return found


def turn(stack: Stack, per_s: float, pace: Pace, cores: Cores) -> dict[str, float]:
    """One turn of one stack, on connections that stay open.

    Raises:
        RuntimeError: A request failed, or an answer has no event.
    """
    with running(stack, cores) as server:
        load = OpenLoop(server.place.port, CONNECTIONS)
        warm = load.run(per_s, pace.warm_s)
        load.settle(warm)
        outcome = load.run(per_s, pace.seconds)
        load.settle(outcome)
        load.close()
        server.answers += sum(len(slot) for each in (warm, outcome) for slot in each.answered.values())
        lost = server.lost()
        failed = sum(each.failed + each.refusals for each in (warm, outcome))
        if failed or lost:
            raise RuntimeError(f"{stack.name}: {failed} requests failed, {lost} answers have no event")
    return figures(outcome)


def figures(outcome: Outcome) -> dict[str, float]:
    """One turn as numbers: latencies, the share of requests without a free connection, the generator's delays."""
    latencies = {f"p{percent:g}_ms": outcome.latency_ms(percent) for percent in PERCENTILES}
    lags = sorted(outcome.lags)
    return {
        **latencies,
        "unsent_share": outcome.unsent / max(1, outcome.due),
        "lag_p50_ms": 1000 * lags[len(lags) // 2],
        "lag_p99_ms": 1000 * lags[len(lags) * 99 // 100],
    }
