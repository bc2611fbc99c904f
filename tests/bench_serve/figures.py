"""Results as they come from a run, with numbers that can be checked by heart."""

from typing import Any

from bench_serve.ours import EMBEDDED, OVER_REDIS, SYNCED_256, TWO_PROCESSES
from bench_serve.peers import PEERS, SEED
from bench_serve.replies import GRANIAN, GRANIAN_256
from bench_serve.rounds import Turn

PEER = "LitServe"


def turns(cpu_us: list[float], per_s: float = 1000.0, p99_ms: float = 2.0) -> dict[str, Any]:
    """Rounds of one stack."""
    each = (Turn(per_s, 4000, cpu, 0.0, 1.0, 1.0, p99_ms, 0, 0)._asdict() for cpu in cpu_us)
    return {"connections": 64, "version": "", "turns": list(each), "failures": []}


def latencies(p99_ms: float) -> dict[str, float]:
    """One turn at a rate."""
    late = {"unsent_share": 0.0, "lag_p50_ms": 0.01, "lag_p99_ms": 0.05}
    return {"p50_ms": 0.1, "p90_ms": 0.2, "p99_ms": p99_ms, "p99.9_ms": 9.0, **late}


def results() -> dict[str, Any]:
    """Every goal met, some of them just so."""
    return {
        "machine": {"cpu": "A processor", "cores": 2, "system": "Linux-6.18", "load": 0.1},
        "versions": {"Python": "3.11.2", "wrk": "4.1.0"},
        "measured": {"stacks": {"date": "2026-11-26", "took_s": 600}, "memory": {"date": "2026-11-27", "took_s": 60}},
        "stacks": {
            GRANIAN.name: turns([10.0, 20.0, 40.0]),
            EMBEDDED.name: turns([11.0, 24.0, 46.0], per_s=9000.0),
            OVER_REDIS.name: turns([13.0, 26.0, 52.0], per_s=8000.0),
            TWO_PROCESSES.name: turns([12.0, 24.0, 80.0]),
            GRANIAN_256.name: turns([10.0] * 3),
            SYNCED_256.name: turns([16.0] * 3),
            **{peer.stack.name: turns([400.0] * 3, per_s=1600.0) for peer in PEERS},
            SEED.name: turns([300.0] * 3, per_s=1000.0),
            PEER: turns([400.0] * 3, per_s=1600.0) | {"version": "litserve 1.2"},
        },
        "latency": {
            "per_s": 15000.0,
            "stacks": {
                name: {"turns": [latencies(p99)] * 3, "failures": []}
                for name, p99 in ((GRANIAN.name, 1.0), (EMBEDDED.name, 1.5))
            },
        },
        "models": {"logistic, 2": {"direct": [1.0, 1.0, 9.0], "http": [11.0, 12.0, 10.0]}},
        "batches": {"JSON": [300_000.0, 310_000.0, 290_000.0], "Arrow": [700_000.0] * 3},
        "worker": {"embedded": [500_000.0] * 3, "redis": [600_000.0] * 3},
        "memory": {"marks": [1_000_123, 10_000_321], "rss_mb": [100.0, 104.0]},
        "starts": {
            "import fastapi": {"wall_s": 0.3, "cpu_s": 0.3, "wall_ratio": 1.0, "cpu_ratio": 1.0},
            "driftline serve": {"wall_s": 0.6, "cpu_s": 0.6, "wall_ratio": 2.0, "cpu_ratio": 2.0},
        },
    }
