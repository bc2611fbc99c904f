"""Drift detectors against each other: ``make bench-drift``, ten minutes on two cores; ``ARGS=--short``, two.

Phase 1: the peers and Driftline at its default budget see nulls. Phase 2: Driftline at the rate of false alarms that
ADWIN had there sees the same nulls, and all see the changes. Then real series in their own order, and the costs, alone.
Seeds are fixed, so two runs of the same versions differ in nothing but the costs.
"""

import argparse
import datetime as dt
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from bench_drift import page
from bench_drift.costs import cost
from bench_drift.measure import Alarms
from bench_drift.names import ADWIN, MATCHED, OURS, SHUFFLED
from bench_drift.own_order import SERIES, firsts
from bench_drift.plan import BUDGET, FIRST, FULL, SEED, SHORT, Efforts, Job, change_jobs, matched, null_jobs
from bench_drift.streams import SIZES, Size
from machine import machine, versions
from table import render

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "benchmarks-drift.md"
PACKAGES = ("river", "scipy", "numpy")

Found = dict[Size, dict[str, dict[str, Any]]]


def measure(efforts: Efforts, pool: Executor) -> dict[str, Any]:
    """All that is measured, as JSON takes it."""
    nulls: Found = {size: {} for size in SIZES}
    changes: Found = {size: {} for size in SIZES}
    run(pool, [job for size in SIZES for job in null_jobs(efforts, FIRST, size)], nulls)
    budgets = {size: rate_of_adwin(nulls[size][SHUFFLED][ADWIN]) for size in SIZES}
    again = {size: matched(budget) for size, budget in budgets.items()}
    run(pool, [job for size in SIZES for job in null_jobs(efforts, again[size], size)], nulls)
    run(pool, [job for size in SIZES for job in change_jobs(efforts, {**FIRST, **again[size]}, size)], changes)
    series = [pool.submit(firsts, name, size, {**FIRST, **again[size]}) for name, size in SERIES.items()]
    return {
        "budgets": {
            OURS: {str(size): BUDGET for size in SIZES},
            MATCHED: {str(size): budget for size, budget in budgets.items()},
        },
        "nulls": as_json(nulls),
        "changes": as_json(changes),
        "series": [future.result() for future in series],
        "costs": {
            str(size): {name: cost(make, size) for name, make in {**FIRST, **again[size]}.items()} for size in SIZES
        },
    }


def rate_of_adwin(found: Alarms) -> float:
    """Its false alarms a window on shuffled columns, or, if there were none, one in all the windows it saw."""
    return max(1, found.alarms) / found.windows


def run(pool: Executor, jobs: Iterable[Job], into: Found) -> None:
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


def main() -> int:
    """Measures, renders the page, and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="fewer repetitions; for a look, not for figures")
    parser.add_argument("--json", type=Path, default=ROOT / "loadtest" / "results" / "drift.json", metavar="FILE")
    parser.add_argument("--render", action="store_true", help="measure nothing; render what the file has")
    arguments = parser.parse_args()
    if not arguments.render:
        results = all_results(short=arguments.short)
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")
    results = json.loads(arguments.json.read_text())
    markdown = page.as_markdown(results)
    say(markdown)
    if arguments.render or not results["short"]:
        render(PAGE, markdown, page.BEGIN, page.END)
    return 0


def all_results(*, short: bool) -> dict[str, Any]:
    """What was found, and on what."""
    began = time.monotonic()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = measure(SHORT if short else FULL, pool)
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "seed": SEED,
        "short": short,
        "machine": machine(),
        "versions": versions(PACKAGES),
        "took_s": round(time.monotonic() - began),
        **found,
    }


def say(text: str) -> None:
    """Tells the person who waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
