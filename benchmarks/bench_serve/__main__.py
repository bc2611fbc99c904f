"""What serving a prediction costs: ``make bench``, half an hour; ``ARGS=--short``, less than two minutes.

    ARGS="--only stacks --only latency"    measures these parts anew and keeps the rest of what was measured last
    ARGS=--render                          measures nothing; the page again from what was measured last
    ARGS=--guard                           what CI asks: fails if a prediction costs 1.4 times a constant reply or more

What is measured has one core. The load has another, with Redis, the log worker and this process.
"""

import argparse
import datetime as dt
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import structlog

import cold_start
import worker
from bench_serve import models, page
from bench_serve.guard import guard
from bench_serve.latency import at_rate
from bench_serve.memory import growth
from bench_serve.ours import DRIFTLINES, EMBEDDED, OVER_REDIS, SEED, SYNCED_256
from bench_serve.peers import peers
from bench_serve.replies import GRANIAN, GRANIAN_256, NGINX, REPLIES
from bench_serve.rounds import Pace, in_rounds, values
from cores import Cores
from machine import machine, said_by, versions
from stack import Redis, installed
from table import render

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "benchmarks.md"
RESULTS = ROOT / "loadtest" / "results" / "serve.json"
PACKAGES = ("driftline", "granian", "uvloop", "httptools", "uvicorn", "fastapi", "starlette", "redis", "onnxruntime")
FULL, SHORT = Pace(rounds=5, seconds=4, warm_s=1), Pace(rounds=3, seconds=2, warm_s=1)
FEW = FULL._replace(rounds=3)
SHORT_STACKS = (GRANIAN, EMBEDDED, OVER_REDIS, GRANIAN_256, SYNCED_256)
MARKS = (1_000_000, 10_000_000)
BATCH_ROUNDS, BATCH_ROWS, BATCHES = 5, 4000, 60
WORKER_ROUNDS = 3
STARTS = 10
QUIET = 50

Results = dict[str, Any]


def measure_stacks(_: Results, cores: Cores) -> Any:
    """All stacks under wrk."""
    return in_rounds((*REPLIES, *DRIFTLINES, SEED, *peers()), FULL, cores, say)


def measure_latency(results: Results, cores: Cores) -> Any:
    """Driftline and the constant reply at half of what the slower of them answers at most.

    Raises:
        SystemExit: Nobody knows how much that is.
    """
    if "stacks" not in results:
        raise SystemExit("latency is measured at half of saturation: measure the stacks first")
    both = (GRANIAN, EMBEDDED)
    per_s = min(median(values(results["stacks"], stack.name, "per_s")) for stack in both) / 2
    return at_rate(both, per_s, FULL, cores, say)


def measure_worker(_: Results, cores: Cores) -> Any:
    """Events a second of CPU."""
    with cores.shared():
        rates = worker.measure(WORKER_ROUNDS)
    return {way: each.cpu for way, each in rates.items()}


def measure_starts(_: Results, cores: Cores) -> Any:
    """Starts; who asks whether it is there needs a core as well."""
    with cores.shared():
        return cold_start.measure(STARTS)


PARTS: Mapping[str, Callable[[Results, Cores], Any]] = {
    "stacks": measure_stacks,
    "latency": measure_latency,
    "models": lambda _, cores: models.against_direct(FEW, cores, say),
    "batches": lambda _, __: models.batches(BATCH_ROUNDS, BATCH_ROWS, BATCHES),
    "worker": measure_worker,
    "memory": lambda _, cores: growth(EMBEDDED, MARKS, cores, say),
    "starts": measure_starts,
}


def main() -> int:
    """Measures, renders the page, and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="only Driftline and the constant reply; writes nothing")
    parser.add_argument("--only", action="append", choices=PARTS, help="measure this part, keep the others")
    parser.add_argument("--render", action="store_true", help="measure nothing; render what the file has")
    parser.add_argument("--guard", action="store_true", help="fail if a prediction costs too much")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE")
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(QUIET))
    cores = Cores.of_machine()
    cores.pin_load()
    if asked.guard:
        return guard(cores, say)
    if asked.short:
        found = in_rounds(SHORT_STACKS, SHORT, cores, say)
        say("\n".join(["", page.goal_table({"stacks": found}), "", page.stacks(found)]))
        return 0
    if not asked.render:
        measure(asked.only or list(PARTS), asked.json, cores)
    markdown = page.as_markdown(json.loads(asked.json.read_text()))
    say(markdown)
    render(PAGE, markdown, page.BEGIN, page.END)
    return 0


def measure(parts: list[str], file: Path, cores: Cores) -> None:
    """Measures these parts, each into the file when it is done, so that nothing is lost if the next one fails."""
    results: Results = json.loads(file.read_text()) if file.exists() else {"measured": {}}
    results |= {"machine": machine(), "versions": all_versions()}
    file.parent.mkdir(parents=True, exist_ok=True)
    for part in parts:
        say(part)
        began = time.monotonic()
        results[part] = PARTS[part](results, cores)
        took_s = round(time.monotonic() - began)
        results["measured"][part] = {"date": dt.datetime.now(dt.UTC).date().isoformat(), "took_s": took_s}
        file.write_text(json.dumps(results, indent=1) + "\n")


def all_versions() -> dict[str, str]:
    """Of all that runs in this environment, and of Debian's programs."""
    wrk, nginx, redis = said_by(installed("wrk"), "-v"), said_by(installed(*NGINX), "-v"), installed(*Redis.PROGRAMS)
    return {
        **versions(PACKAGES),
        "wrk": wrk.split()[1].split("/")[-1],
        "nginx": nginx.split("/")[-1].strip(),
        "Redis": said_by(redis, "--version").partition("v=")[2].split()[0],
    }


def say(text: str) -> None:
    """Tells the person who waits."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
