"""Drift detectors against each other: ``make bench-drift``, some ten minutes on two cores; ``ARGS=--short``, one or two.

Phase 1: the peers and Driftline at its default budget see nulls. Phase 2: Driftline at the rate of false alarms that
ADWIN had there sees the same nulls, and all see the changes. Then real series in their own order, and the costs, alone.
Seeds are fixed, so two runs of the same versions differ in nothing but the costs.
"""

import argparse
import datetime as dt
import importlib.metadata
import json
import os
import platform
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from bench_drift import page
from bench_drift.costs import cost
from bench_drift.measure import Alarms, Delays, Detectors
from bench_drift.own_order import SERIES, firsts
from bench_drift.plan import ADWIN, FULL, PEERS, SEED, SHORT, Efforts, Job, change_jobs, null_jobs
from bench_drift.scenarios import SHUFFLED
from bench_drift.streams import SIZES, Size
from table import render

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "benchmarks-drift.md"
PACKAGES = ("river", "scipy", "numpy")

Found = dict[Size, dict[str, dict[str, Any]]]
Kind = TypeVar("Kind", Alarms, Delays)


def measure(efforts: Efforts, pool: ProcessPoolExecutor) -> dict[str, Any]:
    """All that is measured, as JSON takes it."""
    nulls: Found = {size: {} for size in SIZES}
    changes: Found = {size: {} for size in SIZES}
    run(pool, [job for size in SIZES for job in null_jobs(efforts, PEERS, size)], nulls)
    budgets = {size: rate_of_adwin(nulls[size][SHUFFLED][ADWIN]) for size in SIZES}
    jobs = []
    for size in SIZES:
        jobs += change_jobs(efforts, PEERS, size)
    run(pool, jobs, changes)
    series = [pool.submit(firsts, name, size, PEERS) for name, size in SERIES.items()]
    return {
        "budgets": {str(size): budget for size, budget in budgets.items()},
        "nulls": as_json(nulls),
        "changes": as_json(changes),
        "series": [future.result() for future in series],
    }


def rate_of_adwin(found: Alarms) -> float:
    """Its false alarms a window on shuffled columns, or, if there were none, one in all the windows it saw."""
    return max(1, found.alarms) / found.windows


def run(pool: ProcessPoolExecutor, jobs: Iterable[Job], into: Found) -> None:
    """Runs the jobs, the longest rows first, and adds up what they find."""
    futures = {pool.submit(job.run): job for job in sorted(jobs, key=lambda job: -job.size.reference_rows)}
    for done, future in enumerate(as_completed(futures), start=1):
        job = futures[future]
        found = into[job.size].setdefault(job.name, {})
        for name, more in future.result().items():
            if name in found:
                found[name].add(more)
            else:
                found[name] = more
        if done % 50 == 0 or done == len(futures):
            say(f"  {done} of {len(futures)} jobs")


def as_json(found: Found) -> dict[str, Any]:
    """The same with plain names and numbers; delays in the order of their size."""
    out: dict[str, Any] = defaultdict(dict)
    for size, by_name in found.items():
        for name, by_detector in by_name.items():
            out[str(size)][name] = {detector: vars(by_detector[detector]) for detector in sorted(by_detector)}
    for by_name in out.values():
        for by_detector in by_name.values():
            for counted in by_detector.values():
                counted.get("rows", []).sort()
    return out


def costs(detectors: Detectors) -> dict[str, dict[str, dict[str, float]]]:
    """The cost of each detector at each size."""
    return {str(size): {name: cost(make, size) for name, make in detectors.items()} for size in SIZES}


def machine() -> dict[str, Any]:
    """What the costs were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return {"cpu": models[0] if models else platform.machine(), "cores": os.cpu_count()}


def main() -> int:
    """Measures, renders the page, and returns the exit code: 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="fewer repetitions; for a look, not for figures")
    parser.add_argument("--json", type=Path, default=ROOT / "loadtest" / "results" / "drift.json")
    parser.add_argument("--render", type=Path, metavar="FILE", help=f"put the tables between the markers of {PAGE.name}")
    arguments = parser.parse_args()
    began = time.monotonic()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = measure(SHORT if arguments.short else FULL, pool)
    results = {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "seed": SEED,
        "short": arguments.short,
        "machine": machine(),
        "versions": {"Python": platform.python_version(), **{name: importlib.metadata.version(name) for name in PACKAGES}},
        **found,
        "costs": costs(PEERS),
        "took_s": round(time.monotonic() - began),
    }
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(results, indent=1) + "\n")
    say(page.as_markdown(results))
    return 0


def say(text: str) -> None:
    """Tells the person who waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
